"""What placing goes by besides pods: which kinds of objects, and the changes that they make.

Pods are missing: what a pod changes depends on whether it is bound, which is for others to know.
"""

from __future__ import annotations

from kubeberth.api.core import Namespace, Node, Service
from kubeberth.api.meta import LabelSelector
from kubeberth.api.policy import PodDisruptionBudget
from kubeberth.api.scheme import (
    NAMESPACES,
    NODES,
    POD_DISRUPTION_BUDGETS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)
from kubeberth.api.storage import STORAGE_RESOURCES, StorageObject
from kubeberth.api.workloads import ReplicaSet, ReplicationController, StatefulSet
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

Controller = ReplicationController | ReplicaSet | StatefulSet
Observed = Namespace | Node | Service | Controller | PodDisruptionBudget | StorageObject

OBSERVED: dict[type[Observed], Resource] = {
    Namespace: NAMESPACES,
    Node: NODES,
    Service: SERVICES,
    ReplicationController: REPLICATION_CONTROLLERS,
    ReplicaSet: REPLICA_SETS,
    StatefulSet: STATEFUL_SETS,
    PodDisruptionBudget: POD_DISRUPTION_BUDGETS,
    **dict(STORAGE_RESOURCES.items()),
}
"""The kinds, in the order in which they are best taken in."""


def put(item: Observed) -> Delta:
    """Return the change that an object makes which is new, or has changed."""
    meta = item.metadata
    match item:
        case Node():
            return NodePut(item)
        case Namespace():
            return NamespacePut(meta.name, meta.labels)
        case Service():
            return ServicePut(meta.namespace, meta.name, item.spec.selector)
        case ReplicationController():
            selector = LabelSelector(match_labels=item.spec.selector)
            return ControllerPut("ReplicationController", meta.namespace, meta.name, selector)
        case ReplicaSet() | StatefulSet():
            kind = OBSERVED[type(item)].kind
            return ControllerPut(kind, meta.namespace, meta.name, item.spec.selector)
        case PodDisruptionBudget():
            return PdbPut(item)
        case _:
            return StoragePut(item)


def removed(kind: type[Observed], key: str) -> Delta:
    """Return the change that the end of an object makes.

    Parameters
    ----------
    key
        `namespace/name`, or the name of what is in no namespace.
    """
    namespace, _, name = key.rpartition("/")
    if kind in STORAGE_RESOURCES:
        return StorageRemoved(kind, key)
    if kind is Node:
        return NodeRemoved(name)
    if kind is Namespace:
        return NamespaceRemoved(name)
    if kind is Service:
        return ServiceRemoved(namespace, name)
    if kind is PodDisruptionBudget:
        return PdbRemoved(key)
    return ControllerRemoved(OBSERVED[kind].kind, namespace, name)
