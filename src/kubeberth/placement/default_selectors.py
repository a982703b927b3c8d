"""DefaultSelectors: which pods belong together when a pod says nothing about spreading itself.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
Matches kube-scheduler 1.36 (plugins/helper/spread.go): the selectors of all Services that mean the
pod, and that of the ReplicationController, ReplicaSet or StatefulSet that manages it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from kubeberth.api.meta import ObjectMeta
from kubeberth.api.selectors import NOTHING, Requirement, Selector
from kubeberth.placement.label_index import Label, LabelIndex
from kubeberth.placement.spread import selector_of

Key = TypeVar("Key")
Value = TypeVar("Value")

Labels = Mapping[str, str]

ControllerRef = tuple[str, str]
"""Kind and name of what manages a pod; its namespace is the pod's."""

_API_VERSIONS = {
    "ReplicationController": "v1",
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
}


def controller_ref(meta: ObjectMeta) -> ControllerRef | None:
    """Return what manages a pod, None when it is nothing that says which pods belong together."""
    if not meta.owner_references:
        return None
    owner = meta.controller
    if owner is None or _API_VERSIONS.get(owner.kind) != owner.api_version:
        return None
    return owner.kind, owner.name


class DefaultSelectors:
    """The Services and controllers of one cluster."""

    def __init__(self) -> None:
        self._services: dict[str, dict[str, Labels]] = {}
        self._services_by_label: LabelIndex[str] = LabelIndex()
        self._controllers: dict[str, dict[ControllerRef, Selector]] = {}
        self._versions: dict[str, int] = {}

    def version(self, namespace: str) -> int:
        """Return a number that changes with the Services and controllers of a namespace."""
        return self._versions.get(namespace, 0)

    def put_service(self, namespace: str, name: str, selector: Labels | None) -> bool:
        """Set or, with None, drop what a Service selects by; return whether that is a change."""
        old = self._services.get(namespace, {}).get(name)
        if not self._put(self._services, namespace, name, selector):
            return False
        # One that selects by nothing has nothing to say either.
        if old:
            self._services_by_label.remove(namespace, _first(old), name)
        if selector:
            self._services_by_label.add(namespace, _first(selector), name)
        return True

    def put_controller(self, namespace: str, ref: ControllerRef, selector: Selector | None) -> bool:
        """Set or, with None, drop what a controller selects by; return whether that is a change."""
        return self._put(self._controllers, namespace, ref, selector)

    def selector(
        self, namespace: str, labels: Labels, controller: ControllerRef | None
    ) -> Selector:
        """Return what a pod's default constraints select by; empty when it has none."""
        equals: dict[str, str] = {}
        for name in self._services_by_label.find(namespace, labels.items()):
            wanted = self._services[namespace][name]
            if all(labels.get(key) == value for key, value in wanted.items()):
                equals.update(wanted)
        found = NOTHING
        if controller is not None:
            found = self._controllers.get(namespace, {}).get(controller, NOTHING)
        own = found.requirements
        if controller is not None and controller[0] == "ReplicationController":
            # Its selector is a set of labels like a Service's, of which the later one counts.
            equals = {k: v for k, v in equals.items() if all(r.key != k for r in own)}
        shared = (Requirement(k, "In", frozenset((v,))) for k, v in equals.items())
        return selector_of((*shared, *own))

    def copy(self) -> DefaultSelectors:
        """Return the same Services and controllers, to change on their own from now on."""
        other = DefaultSelectors()
        other._services = {name: found.copy() for name, found in self._services.items()}
        other._controllers = {name: found.copy() for name, found in self._controllers.items()}
        other._services_by_label = self._services_by_label.copy()
        other._versions = self._versions.copy()
        return other

    def _put(
        self, book: dict[str, dict[Key, Value]], namespace: str, key: Key, value: Value | None
    ) -> bool:
        entries = book.setdefault(namespace, {})
        if entries.get(key) == value:
            return False
        if value is None:
            del entries[key]
        else:
            entries[key] = value
        self._versions[namespace] = self.version(namespace) + 1
        return True


def _first(labels: Labels) -> Iterable[Label]:
    """Return one label, for finding what demands all of them."""
    return (next(iter(labels.items())),)
