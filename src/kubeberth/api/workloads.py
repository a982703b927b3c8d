"""`apps/v1` as the controllers read it, and what all pod collections share.

Pod templates stay raw documents: a controller hands them on whole, whatever is in them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from kubeberth.api.core import TERMINAL_PHASES, Pod
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


class StatefulSetOrdinals(ApiStruct, frozen=True):
    """Which numbers the pods of a stateful set have."""

    start: int = 0


class RollingUpdateStatefulSet(ApiStruct, frozen=True):
    """How far an update goes, and how fast.

    Parameters
    ----------
    partition
        How many pods, those of the lowest ordinals, keep the old template.
    max_unavailable
        A number, or a text such as `25%`; without it pods are replaced one by one.
    """

    partition: int = 0
    max_unavailable: int | str | None = None


class StatefulSetUpdateStrategy(ApiStruct, frozen=True):
    """How old pods are replaced by new ones."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdateStatefulSet | None = None


class ClaimRetentionPolicy(ApiStruct, frozen=True):
    """What becomes of claims, `Retain` or `Delete`, when set or pod is no longer wanted."""

    when_deleted: str = "Retain"
    when_scaled: str = "Retain"


class StatefulSetSpec(ApiStruct, frozen=True):
    """Pods that are told apart: each has a number, a name and claims that stay its own."""

    replicas: int = 1
    min_ready_seconds: int = 0
    selector: LabelSelector | None = None
    template: dict[str, Any] = {}
    volume_claim_templates: tuple[dict[str, Any], ...] = ()
    service_name: str = ""
    pod_management_policy: str = "OrderedReady"
    update_strategy: StatefulSetUpdateStrategy = StatefulSetUpdateStrategy()
    revision_history_limit: int | None = None
    ordinals: StatefulSetOrdinals = StatefulSetOrdinals()
    persistent_volume_claim_retention_policy: ClaimRetentionPolicy = ClaimRetentionPolicy()


class StatefulSetStatus(ApiStruct, frozen=True):
    """How many pods there are, and of which revision."""

    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    current_replicas: int = 0
    updated_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""
    observed_generation: int = 0
    collision_count: int | None = None


class StatefulSet(ApiStruct, frozen=True):
    """A stateful set."""

    metadata: ObjectMeta = ObjectMeta()
    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()


class RollingUpdateDaemonSet(ApiStruct, frozen=True):
    """How many nodes may be without their pod, or have two; numbers, or texts such as `25%`."""

    max_unavailable: int | str = 1
    max_surge: int | str = 0


class DaemonSetUpdateStrategy(ApiStruct, frozen=True):
    """How old pods are replaced by new ones."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdateDaemonSet = RollingUpdateDaemonSet()


class DaemonSetSpec(ApiStruct, frozen=True):
    """A pod on every node that fits."""

    min_ready_seconds: int = 0
    selector: LabelSelector | None = None
    template: dict[str, Any] = {}
    update_strategy: DaemonSetUpdateStrategy = DaemonSetUpdateStrategy()
    revision_history_limit: int | None = None


class DaemonSetStatus(ApiStruct, frozen=True):
    """On how many nodes the pod should be, is, and does its work."""

    desired_number_scheduled: int = 0
    current_number_scheduled: int = 0
    number_misscheduled: int = 0
    number_ready: int = 0
    updated_number_scheduled: int = 0
    number_available: int = 0
    number_unavailable: int = 0
    observed_generation: int = 0
    collision_count: int | None = None


class DaemonSet(ApiStruct, frozen=True):
    """A daemon set."""

    metadata: ObjectMeta = ObjectMeta()
    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()


class ControllerRevision(ApiStruct, frozen=True):
    """What a stateful set or daemon set once was: a patch that makes it so again."""

    metadata: ObjectMeta = ObjectMeta()
    data: dict[str, Any] = {}
    revision: int = 0


class ReplicationControllerSpec(ApiStruct, frozen=True):
    """Which pods belong to a replication controller: so many, with these labels."""

    replicas: int = 1
    min_ready_seconds: int = 0
    selector: dict[str, str] = {}
    template: dict[str, Any] = {}


class ReplicationController(ApiStruct, frozen=True):
    """A replication controller."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ReplicationControllerSpec = ReplicationControllerSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()

    def as_replica_set(self) -> ReplicaSet:
        """Return it as the replica set that it is but for the form of its selector."""
        spec = self.spec
        return ReplicaSet(
            metadata=self.metadata,
            spec=ReplicaSetSpec(
                replicas=spec.replicas,
                min_ready_seconds=spec.min_ready_seconds,
                selector=LabelSelector(match_labels=spec.selector),
                template=spec.template,
            ),
            status=self.status,
        )


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
decode_daemon_set = msgspec.json.Decoder(DaemonSet).decode
decode_controller_revision = msgspec.json.Decoder(ControllerRevision).decode
decode_replication_controller = msgspec.json.Decoder(ReplicationController).decode
decode_deployment = msgspec.json.Decoder(Deployment).decode
decode_config_map = msgspec.json.Decoder(ConfigMap).decode
decode_lease = msgspec.json.Decoder(Lease).decode


def seconds_of(timestamp: str | None) -> float:
    """Return a `metav1.Time` as seconds since 1970; an absent one is 0."""
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else 0.0


def is_active(pod: Pod) -> bool:
    """Return whether the pod counts as a replica: neither ended nor on its way out."""
    # Asked of every pod of a large set, several times: properties would take twice as long.
    return pod.metadata.deletion_timestamp is None and pod.status.phase not in TERMINAL_PHASES


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
