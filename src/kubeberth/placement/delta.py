"""One change of the cluster; what the scheduler's cache and the planner feed to a ClusterState."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubeberth.api.core import Node, Pod
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
    | StoragePut
    | StorageRemoved
)
