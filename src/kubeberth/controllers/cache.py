"""What the controllers know of the cluster: the latest objects, and who belongs to whom.

Input: changes from the informers, in order. Pure; reconciles read from it and write nowhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from kubeberth.api.core import Namespace, Node, Pod
from kubeberth.api.meta import HasMetadata, ObjectMeta, OwnerReference
from kubeberth.api.scheme import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    Resource,
)
from kubeberth.api.workloads import ConfigMap, Deployment, Lease
from kubeberth.controllers.action import ObjectRef
from kubeberth.controllers.kinds import Kinds


def ref_of(resource: Resource, item: HasMetadata) -> ObjectRef:
    """Return which object it is."""
    meta = item.metadata
    return ObjectRef(resource, meta.name, meta.namespace, meta.uid)


class Cache:
    """The newest known state of every watched object, with the indices that reconciles need."""

    def __init__(self) -> None:
        self.kinds = Kinds()
        self._objects: dict[Resource, dict[str, Any]] = defaultdict(dict)
        self._by_namespace: dict[tuple[Resource, str], dict[str, Any]] = defaultdict(dict)
        # Objects of no controller, per namespace: candidates for adoption.
        self._orphans: dict[tuple[Resource, str], dict[str, Any]] = defaultdict(dict)
        # By the UID of the owner, then by resource, as an owner mostly asks for one.
        self._dependents: dict[str, dict[Resource, dict[str, Any]]] = {}

    def apply(self, resource: Resource, old: HasMetadata | None, new: HasMetadata | None) -> None:
        """Take in one change; `new` is None for a deletion."""
        # What has changed last stands last: so it does in a snapshot, which goes by versions.
        if old is not None:
            self._remove(resource, old)
        if new is not None:
            self._insert(resource, new)

    def all(self, resource: Resource) -> Mapping[str, Any]:
        """Return all objects of a resource by key."""
        return self._objects[resource]

    def get(self, resource: Resource, key: str) -> Any | None:
        """Return one object, or None."""
        return self._objects[resource].get(key)

    def in_namespace(self, resource: Resource, namespace: str) -> Mapping[str, Any]:
        """Return the objects of a resource in a namespace by key."""
        return self._by_namespace.get((resource, namespace), {})

    def orphans(self, resource: Resource, namespace: str) -> Mapping[str, Any]:
        """Return the objects in a namespace that no controller manages."""
        return self._orphans.get((resource, namespace), {})

    def dependents(self, uid: str) -> Iterator[tuple[Resource, Any]]:
        """Yield the objects that name this owner, each with its resource."""
        for resource, items in self._dependents.get(uid, {}).items():
            for item in items.values():
                yield resource, item

    def controlled(self, resource: Resource, uid: str) -> Iterator[Any]:
        """Yield the objects of a resource that this owner manages."""
        for item in self._dependents.get(uid, {}).get(resource, {}).values():
            controller = item.metadata.controller
            if controller is not None and controller.uid == uid:
                yield item

    def candidates(self, resource: Resource, owner: ObjectMeta) -> Iterator[Any]:
        """Yield what an owner may claim: objects that it manages, and those that nobody does."""
        yield from self.controlled(resource, owner.uid)
        yield from self.orphans(resource, owner.namespace).values()

    def owner(self, namespace: str, reference: OwnerReference) -> Any | None:
        """Return the object that a reference means, or None; its UID may be another one's."""
        resource = self.kinds.of(reference.api_version, reference.kind)
        if resource is None:
            return None
        prefix = f"{namespace}/" if resource.namespaced else ""
        return self.get(resource, prefix + reference.name)

    def is_going(self, ref: ObjectRef) -> bool:
        """Return whether an object is gone from the cache, replaced, or being deleted."""
        key = f"{ref.namespace}/{ref.name}" if ref.namespace else ref.name
        item = self.get(ref.resource, key)
        if item is None or item.metadata.uid != ref.uid:
            return True
        return item.metadata.deletion_timestamp is not None

    def pods(self) -> Mapping[str, Pod]:
        """Return all pods by key."""
        return self.all(PODS)

    def nodes(self) -> Mapping[str, Node]:
        """Return all nodes by name."""
        return self.all(NODES)

    def node(self, name: str) -> Node | None:
        """Return a node, or None."""
        return self.all(NODES).get(name)

    def namespace(self, name: str) -> Namespace | None:
        """Return a namespace, or None."""
        return self.all(NAMESPACES).get(name)

    def lease(self, key: str) -> Lease | None:
        """Return a lease, or None."""
        return self.all(LEASES).get(key)

    def config_map(self, key: str) -> ConfigMap | None:
        """Return a config map, or None; its data is kept only where a controller needs it."""
        return self.all(CONFIG_MAPS).get(key)

    def deployment(self, key: str) -> Deployment | None:
        """Return a deployment, or None."""
        return self.all(DEPLOYMENTS).get(key)

    def _insert(self, resource: Resource, item: HasMetadata) -> None:
        meta = item.metadata
        key, group = meta.key, (resource, meta.namespace)
        self._objects[resource][key] = item
        self._by_namespace[group][key] = item
        if meta.controller is None:
            self._orphans[group][key] = item
        for reference in meta.owner_references:
            of_owner = self._dependents.setdefault(reference.uid, {})
            of_owner.setdefault(resource, {})[key] = item

    def _remove(self, resource: Resource, item: HasMetadata) -> None:
        meta = item.metadata
        key, group = meta.key, (resource, meta.namespace)
        self._objects[resource].pop(key, None)
        _discard(self._by_namespace, group, key)
        _discard(self._orphans, group, key)
        for reference in meta.owner_references:
            of_owner = self._dependents.get(reference.uid, {})
            _discard(of_owner, resource, key)
            if not of_owner:
                self._dependents.pop(reference.uid, None)


def _discard(index: dict[Any, dict[Any, Any]], group: Any, key: Any) -> None:
    """Remove an entry of an index, and its group with the last one."""
    members = index.get(group)
    if members is not None:
        members.pop(key, None)
        if not members:
            del index[group]
