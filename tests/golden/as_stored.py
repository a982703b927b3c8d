"""What the API server stores when a client sends an object: defaults, admission, validation.

The records of `scheduling/` hold objects as they are sent. Their steps are the server's own; only
what a client may not write, such as the status of a pod that is long bound, is left as recorded.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from kubeberth.api import validation
from kubeberth.api.codec import decode_document
from kubeberth.api.defaults import apply_defaults
from kubeberth.api.label_keys import merge_label_keys
from kubeberth.api.scheme import NODES, PODS, PRIORITY_CLASSES, Resource
from kubeberth.apiserver.admission.chain import Attributes, Chain
from kubeberth.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from kubeberth.apiserver.admission.priority import Priority
from kubeberth.apiserver.auth.authn import User
from kubeberth.apiserver.bootstrap import SYSTEM_PRIORITIES
from kubeberth.errors import ForbiddenError

Document = dict[str, Any]


class RefusedError(Exception):
    """An object that the server refuses.

    Attributes
    ----------
    stage
        `admission` or `validation`.
    errors
        The texts, sorted.
    """

    def __init__(self, stage: str, errors: Iterable[str]) -> None:
        self.stage, self.errors = stage, sorted(errors)
        super().__init__(stage, *self.errors)


class Server:
    """Makes stored objects of sent ones, knowing some priority classes."""

    def __init__(self, priority_classes: Iterable[Document] = ()) -> None:
        self._classes: list[Document] = [
            {"metadata": {"name": name}, "value": value} for name, value, _ in SYSTEM_PRIORITIES
        ]
        self._classes += priority_classes
        self._chain = Chain((Priority(self), DefaultTolerationSeconds()))

    def find(self, resource: Resource, namespace: str, name: str) -> Document | None:
        found = [c for c in self.find_all(resource, namespace) if c["metadata"]["name"] == name]
        return found[0] if found else None

    def find_all(self, resource: Resource, namespace: str = "") -> Iterator[Document]:
        assert resource is PRIORITY_CLASSES
        return iter(self._classes)

    def pod(self, sent: Document) -> Document:
        return self._store(PODS, sent)

    def node(self, sent: Document) -> Document:
        return self._store(NODES, sent)

    def _store(self, resource: Resource, sent: Document) -> Document:
        document = copy.deepcopy(sent)
        document |= {"apiVersion": resource.api_version, "kind": resource.kind}
        document = decode_document(document, resource).document
        apply_defaults(resource, document)
        if resource is PODS:
            document["metadata"].setdefault("namespace", "default")
            self._admit(document)
            merge_label_keys(document)
        errors = validation.validate(resource, document)
        if errors:
            raise RefusedError("validation", map(str, errors))
        return document

    def _admit(self, pod: Document) -> None:
        namespace = pod["metadata"]["namespace"]
        attributes = Attributes("CREATE", PODS, namespace, User("client"), pod)
        admission = self._chain.admit(attributes)
        try:
            admission.send(None)
        except StopIteration:
            return
        except ForbiddenError as refusal:
            raise RefusedError("admission", (str(refusal),)) from refusal
        raise AssertionError("admission waits for something, but there is nothing to wait for")
