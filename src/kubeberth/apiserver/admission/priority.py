"""Priority: the name of a priority class becomes a number.

Matches `plugin/pkg/admission/priority` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.api.priority import SYSTEM_PRIORITIES, fill_in_priority, global_default
from kubeberth.api.scheme import PODS, PRIORITY_CLASSES
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin, Reader


class Priority(Plugin):
    """Computes priority and preemption policy of pods, and keeps one global default class."""

    resources = (PODS, PRIORITY_CLASSES)

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def admit(self, attributes: Attributes) -> None:
        """Fill in a pod's priority."""
        resource, operation = attributes.resource, attributes.operation
        if resource is PRIORITY_CLASSES and operation == "DELETE":
            if attributes.name in SYSTEM_PRIORITIES:
                raise attributes.forbid("this is a system priority class and cannot be deleted")
            return
        if resource is PODS and not attributes.subresource and attributes.document is not None:
            if operation == "CREATE":
                self._fill_in(attributes, attributes.document["spec"])
            elif attributes.old is not None:
                self._keep(attributes.document["spec"], attributes.old["spec"])

    async def validate(self, attributes: Attributes) -> None:
        """Refuse a second global default class."""
        document = attributes.document
        if attributes.resource is not PRIORITY_CLASSES or document is None:
            return
        if not document.get("globalDefault"):
            return
        name = document["metadata"]["name"]
        other = self._default_class()
        if other is not None and other["metadata"]["name"] != name:
            raise attributes.forbid(
                f"PriorityClass {other['metadata']['name']} is already marked as default. "
                "Only one default can exist"
            )

    def _fill_in(self, attributes: Attributes, spec: Document) -> None:
        name = spec.get("priorityClassName", "")
        found = self._reader.find(PRIORITY_CLASSES, "", name) if name else self._default_class()
        if why_not := fill_in_priority(spec, found):
            raise attributes.forbid(why_not)

    def _keep(self, new: Document, old: Document) -> None:
        """Keep what an update leaves out."""
        for name in ("priority", "preemptionPolicy"):
            if name not in new and name in old:
                new[name] = old[name]

    def _default_class(self) -> Document | None:
        return global_default(self._reader.find_all(PRIORITY_CLASSES))
