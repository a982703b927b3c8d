"""`apps/v1` as the controllers read it, and what all pod collections share.

Pod templates stay raw documents: a controller hands them on whole, whatever is in them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from kubeberth.api.core import Pod
from kubeberth.api.meta import ApiStruct, Condition, LabelSelector, ObjectMeta

POD_TEMPLATE_HASH = "pod-template-hash"
POD_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


class Object(ApiStruct, frozen=True):
    """Any object, as far as all are alike."""

    metadata: ObjectMeta = ObjectMeta()


class ReplicaSetSpec(ApiStruct, frozen=True):
    """How many pods, and of which kind."""

    replicas: int = 1
    min_ready_seconds: int = 0
    selector: LabelSelector | None = None
    template: dict[str, Any] = {}


class ReplicaSetStatus(ApiStruct, frozen=True):
    """How many pods there are."""

    replicas: int = 0
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    terminating_replicas: int | None = None
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()


class ReplicaSet(ApiStruct, frozen=True):
    """So many pods of one kind."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class StatefulSetSpec(ApiStruct, frozen=True):
    """Which pods belong to a stateful set, and how many there shall be."""

    replicas: int = 1
    selector: LabelSelector | None = None


class StatefulSet(ApiStruct, frozen=True):
    """A stateful set, as far as placing pods depends on it."""

    metadata: ObjectMeta = ObjectMeta()
    spec: StatefulSetSpec = StatefulSetSpec()


class ReplicationControllerSpec(ApiStruct, frozen=True):
    """Which pods belong to a replication controller: so many, with these labels."""

    replicas: int = 1
    selector: dict[str, str] = {}


class ReplicationController(ApiStruct, frozen=True):
    """A replication controller, as far as placing pods depends on it."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ReplicationControllerSpec = ReplicationControllerSpec()


class RollingUpdate(ApiStruct, frozen=True):
    """How far a rollout may leave the wanted number; numbers, or texts such as `25%`."""

    max_surge: int | str = "25%"
    max_unavailable: int | str = "25%"


class DeploymentStrategy(ApiStruct, frozen=True):
    """How old pods are replaced by new ones."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate = RollingUpdate()


class DeploymentSpec(ApiStruct, frozen=True):
    """Pods of one kind, replaced step by step when the kind changes."""

    replicas: int = 1
    min_ready_seconds: int = 0
    selector: LabelSelector | None = None
    template: dict[str, Any] = {}
    strategy: DeploymentStrategy = DeploymentStrategy()
    paused: bool = False
    revision_history_limit: int | None = None
    progress_deadline_seconds: int | None = None


class DeploymentStatus(ApiStruct, frozen=True):
    """How far the rollout is."""

    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    terminating_replicas: int | None = None
    observed_generation: int = 0
    collision_count: int | None = None
    conditions: tuple[Condition, ...] = ()


class Deployment(ApiStruct, frozen=True):
    """A deployment."""

    metadata: ObjectMeta = ObjectMeta()
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class ConfigMap(ApiStruct, frozen=True):
    """A config map."""

    metadata: ObjectMeta = ObjectMeta()
    data: dict[str, str] = {}


class LeaseSpec(ApiStruct, frozen=True):
    """Who holds a lease, and since when."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    renew_time: str | None = None


class Lease(ApiStruct, frozen=True):
    """A lease, by which a kubelet shows that it is alive."""

    metadata: ObjectMeta = ObjectMeta()
    spec: LeaseSpec = LeaseSpec()


# Decoders are built once: they compile the whole tree of types.
decode_object = msgspec.json.Decoder(Object).decode
decode_replica_set = msgspec.json.Decoder(ReplicaSet).decode
decode_stateful_set = msgspec.json.Decoder(StatefulSet).decode
decode_replication_controller = msgspec.json.Decoder(ReplicationController).decode
decode_deployment = msgspec.json.Decoder(Deployment).decode
decode_config_map = msgspec.json.Decoder(ConfigMap).decode
decode_lease = msgspec.json.Decoder(Lease).decode


def seconds_of(timestamp: str | None) -> float:
    """Return a `metav1.Time` as seconds since 1970; an absent one is 0."""
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else 0.0


def is_active(pod: Pod) -> bool:
    """Return whether the pod counts as a replica: neither ended nor on its way out."""
    return not pod.is_terminal and not pod.is_terminating


def is_ready(pod: Pod) -> bool:
    """Return whether the pod's Ready condition is True."""
    ready = pod.condition("Ready")
    return ready is not None and ready.status == "True"


def ready_since(pod: Pod) -> float:
    """Return when the Ready condition last changed, in seconds since 1970."""
    ready = pod.condition("Ready")
    return seconds_of(ready.last_transition_time) if ready else 0.0


def is_available(pod: Pod, min_ready_seconds: int, now: float) -> bool:
    """Return whether the pod has been ready for `min_ready_seconds`."""
    if not is_ready(pod):
        return False
    return min_ready_seconds == 0 or ready_since(pod) + min_ready_seconds <= now
