"""One change of the cluster; what the scheduler's cache and the planner feed to a ClusterState."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubeberth.api.core import Node, Pod
from kubeberth.api.meta import LabelSelector
from kubeberth.api.policy import PodDisruptionBudget
from kubeberth.api.storage import StorageObject


@dataclass(frozen=True, slots=True)
class NodePut:
    """A node has appeared, or looks different now."""

    node: Node


@dataclass(frozen=True, slots=True)
class NodeRemoved:
    """A node is gone; pods bound to its name are remembered."""

    name: str


@dataclass(frozen=True, slots=True)
class PodPut:
    """A pod is on a node, for the first time or changed."""

    pod: Pod
    node_name: str


@dataclass(frozen=True, slots=True)
class PodRemoved:
    """A pod occupies nothing any more: deleted, ended, or not bound after all."""

    key: str


@dataclass(frozen=True, slots=True)
class NamespacePut:
    """A namespace has appeared, or has other labels now."""

    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NamespaceRemoved:
    """A namespace is gone."""

    name: str


@dataclass(frozen=True, slots=True)
class ServicePut:
    """A Service has appeared, or selects by other labels now; None is a Service that does not."""

    namespace: str
    name: str
    selector: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class ServiceRemoved:
    """A Service is gone."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class ControllerPut:
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


@dataclass(frozen=True, slots=True)
class ControllerRemoved:
    """A controller is gone."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Nominated:
    """A pending pod waits for room on a node; takes the place of an earlier nomination."""

    pod: Pod
    node_name: str


@dataclass(frozen=True, slots=True)
class NominationCleared:
    """A pod waits for room on no node in particular any more."""

    key: str


@dataclass(frozen=True, slots=True)
class PdbPut:
    """A disruption budget has appeared, or says something else now."""

    budget: PodDisruptionBudget


@dataclass(frozen=True, slots=True)
class PdbRemoved:
    """A disruption budget is gone."""

    key: str


@dataclass(frozen=True, slots=True)
class StoragePut:
    """A claim, a volume or the like has appeared, or is different now."""

    item: StorageObject


@dataclass(frozen=True, slots=True)
class StorageRemoved:
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
