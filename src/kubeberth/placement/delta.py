"""One change of the cluster; what the scheduler's cache and the planner feed to a ClusterState."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kubeberth.api.core import Node, Pod
from kubeberth.api.meta import LabelSelector
from kubeberth.api.policy import PodDisruptionBudget
from kubeberth.api.storage import StorageObject


class NodePut(msgspec.Struct, frozen=True):
    """A node has appeared, or looks different now."""

    node: Node


class NodeRemoved(msgspec.Struct, frozen=True):
    """A node is gone; pods bound to its name are remembered."""

    name: str


class PodPut(msgspec.Struct, frozen=True):
    """A pod is on a node, for the first time or changed."""

    pod: Pod
    node_name: str


class PodRemoved(msgspec.Struct, frozen=True):
    """A pod occupies nothing any more: deleted, ended, or not bound after all."""

    key: str


class NamespacePut(msgspec.Struct, frozen=True):
    """A namespace has appeared, or has other labels now."""

    name: str
    labels: Mapping[str, str]


class NamespaceRemoved(msgspec.Struct, frozen=True):
    """A namespace is gone."""

    name: str


class ServicePut(msgspec.Struct, frozen=True):
    """A Service has appeared, or selects by other labels now; None is a Service that does not."""

    namespace: str
    name: str
    selector: Mapping[str, str] | None


class ServiceRemoved(msgspec.Struct, frozen=True):
    """A Service is gone."""

    namespace: str
    name: str


class ControllerPut(msgspec.Struct, frozen=True):
    """A controller whose pods belong together has appeared, or selects by other labels now.

    Parameters
    ----------
    kind
        `ReplicationController`, `ReplicaSet` or `StatefulSet`.
    """

    kind: str
    namespace: str
    name: str
    selector: LabelSelector | None


class ControllerRemoved(msgspec.Struct, frozen=True):
    """A controller is gone."""

    kind: str
    namespace: str
    name: str


class Nominated(msgspec.Struct, frozen=True):
    """A pending pod waits for room on a node; takes the place of an earlier nomination."""

    pod: Pod
    node_name: str


class NominationCleared(msgspec.Struct, frozen=True):
    """A pod waits for room on no node in particular any more."""

    key: str


class PdbPut(msgspec.Struct, frozen=True):
    """A disruption budget has appeared, or says something else now."""

    budget: PodDisruptionBudget


class PdbRemoved(msgspec.Struct, frozen=True):
    """A disruption budget is gone."""

    key: str


class StoragePut(msgspec.Struct, frozen=True):
    """A claim, a volume or the like has appeared, or is different now."""

    item: StorageObject


class StorageRemoved(msgspec.Struct, frozen=True):
    """A claim, a volume or the like is gone.

    Parameters
    ----------
    key
        `namespace/name`, or `name` for what lives in no namespace.
    """

    kind: type[StorageObject]
    key: str


Delta = (
    NodePut
    | NodeRemoved
    | PodPut
    | PodRemoved
    | NamespacePut
    | NamespaceRemoved
    | Nominated
    | NominationCleared
    | PdbPut
    | PdbRemoved
    | ServicePut
    | ServiceRemoved
    | ControllerPut
    | ControllerRemoved
    | StoragePut
    | StorageRemoved
)
