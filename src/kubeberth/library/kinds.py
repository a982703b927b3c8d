"""The kinds that placing pods depends on: their names, their types, and the changes they make.

Pods are missing: what a pod changes depends on whether it is bound, and the cluster sees to that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from kubeberth.api.core import Namespace, Node, Service
from kubeberth.api.meta import LabelSelector, ObjectMeta
from kubeberth.api.policy import PodDisruptionBudget
from kubeberth.api.scheme import (
    NAMESPACES,
    NODES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    PRIORITY_CLASSES,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)
from kubeberth.api.storage import (
    STORAGE_RESOURCES,
    StorageObject,
)
from kubeberth.placement.delta import (
    ControllerPut,
    ControllerRemoved,
    Delta,
    NamespacePut,
    NamespaceRemoved,
    NodePut,
    NodeRemoved,
    PdbPut,
    PdbRemoved,
    ServicePut,
    ServiceRemoved,
    StoragePut,
    StorageRemoved,
)

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object, and what it changes in a cluster.

    Parameters
    ----------
    put
        Makes the change of a stored object.
    removed
        Makes the change of an object that is gone, given its namespace and name.
    """

    resource: Resource
    put: Callable[[Document], Delta]
    removed: Callable[[str, str], Delta]


def _put_namespace(document: Document) -> Delta:
    namespace = msgspec.convert(document, Namespace)
    return NamespacePut(namespace.metadata.name, namespace.metadata.labels)


def _put_service(document: Document) -> Delta:
    service = msgspec.convert(document, Service)
    meta = service.metadata
    return ServicePut(meta.namespace, meta.name, service.spec.selector)


def _storage(resource: Resource, kind: type[StorageObject]) -> Kind:
    return Kind(
        resource,
        lambda document: StoragePut(msgspec.convert(document, kind)),
        lambda namespace, name: StorageRemoved(kind, _key(namespace, name)),
    )


def _controller(resource: Resource) -> Kind:
    kind = resource.kind

    def put(document: Document) -> Delta:
        meta = msgspec.convert(document["metadata"], ObjectMeta)
        selector = (document.get("spec") or {}).get("selector")
        if kind == "ReplicationController":
            selector = {"matchLabels": selector or {}}
        typed = msgspec.convert(selector, LabelSelector | None)
        return ControllerPut(kind, meta.namespace, meta.name, typed)

    return Kind(resource, put, lambda namespace, name: ControllerRemoved(kind, namespace, name))


def _key(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


# In the order in which they are taken in, pods coming last of all.
_KINDS = (
    Kind(NAMESPACES, _put_namespace, lambda _, name: NamespaceRemoved(name)),
    Kind(
        NODES,
        lambda document: NodePut(msgspec.convert(document, Node)),
        lambda _, name: NodeRemoved(name),
    ),
    Kind(SERVICES, _put_service, ServiceRemoved),
    _controller(REPLICATION_CONTROLLERS),
    _controller(REPLICA_SETS),
    _controller(STATEFUL_SETS),
    Kind(
        POD_DISRUPTION_BUDGETS,
        lambda document: PdbPut(msgspec.convert(document, PodDisruptionBudget)),
        lambda namespace, name: PdbRemoved(_key(namespace, name)),
    ),
    *(_storage(resource, kind) for kind, resource in STORAGE_RESOURCES.items()),
)

KINDS = {kind.resource.kind: kind for kind in _KINDS}

RESOURCES: dict[str, Resource] = {
    resource.kind: resource
    for resource in (PRIORITY_CLASSES, *(kind.resource for kind in _KINDS), PODS)
}
"""Every kind that a cluster takes, in the order in which objects are best taken in."""
