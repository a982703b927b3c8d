"""ReplicaSet and ReplicationController: keep so many pods of one template.

Matches Kubernetes 1.36 (`pkg/controller/replicaset`, `pkg/controller/replication`): adoption and
release, who goes first when there are too many, status. A replication controller is a replica set
under an older name.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cmp_to_key, partial
from typing import Any

from kubeberth.api.core import Pod
from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import PODS, REPLICA_SETS, REPLICATION_CONTROLLERS, Resource
from kubeberth.api.selectors import from_label_selector
from kubeberth.api.workloads import (
    POD_DELETION_COST,
    ReplicaSet,
    is_active,
    is_available,
    is_ready,
    ready_since,
    seconds_of,
)
from kubeberth.controllers.action import (
    Action,
    CreatePods,
    DeletePods,
    Failure,
    ObjectRef,
    Outcome,
    PatchObject,
)
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.conditions import Conditions
from kubeberth.controllers.ownership import Claim, claim, keys_of_controller
from kubeberth.controllers.reconciler import Reconciler
from kubeberth.controllers.workloads.availability import next_availability
from kubeberth.controllers.workloads.pod_template import pod_from_template

# As upstream (replica_set.go): one sync makes or removes no more pods than this.
BURST = 500


@dataclass(frozen=True, slots=True)
class View:
    """What one reconcile looks at.

    Parameters
    ----------
    candidates
        Pods that the set controls, and pods of its namespace that nobody controls.
    related
        Counts active pods of the set and of its siblings per node, if some have to go: where they
        are crowded, one goes first.
    failure
        Why the previous attempt stopped.
    resource
        What the set is known as.
    """

    replica_set: ReplicaSet
    candidates: tuple[Pod, ...]
    related: Callable[[], Mapping[str, int]]
    failure: Failure | None = None
    resource: Resource = REPLICA_SETS


def reconcile(view: View, now: float) -> Outcome:
    """Return what brings the set nearer to its spec, and its status up to date."""
    replica_set = view.replica_set
    me = ref_of(view.resource, replica_set)
    selector = from_label_selector(replica_set.spec.selector)
    claimed = claim(me, replica_set.metadata, view.candidates, PODS, selector, is_of_use=is_active)
    active = [pod for pod in claimed.members if is_active(pod)]
    leaving = replica_set.metadata.deletion_timestamp is not None
    changes = [] if leaving else _manage(view, me, active, now)
    told = _status(view, claimed, active, now, is_settled=not changes or view.failure is not None)
    wait_s = next_availability(active, replica_set.spec.min_ready_seconds, now)
    return Outcome((*claimed.actions, *told, *changes), wait_s)


def _manage(view: View, me: ObjectRef, active: list[Pod], now: float) -> list[Action]:
    missing = view.replica_set.spec.replicas - len(active)
    if missing > 0:
        body = pod_from_template(me, view.replica_set.spec.template)
        return [CreatePods(me, (body,) * min(missing, BURST))]
    if missing < 0:
        # Where all go, it does not matter who goes first.
        some_stay = view.replica_set.spec.replicas > 0
        ranked = rank_victims(active, view.related(), now) if some_stay else active
        victims = ranked[: min(-missing, BURST)]
        return [DeletePods(me, tuple(ref_of(PODS, pod) for pod in victims))]
    return []


PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}


def rank_victims(pods: Iterable[Pod], related: Mapping[str, int], now: float) -> list[Pod]:
    """Return the pods in the order in which they are given up, first victim first.

    The first difference decides: unassigned; earlier phase; not ready; lower deletion cost; more
    related pods on its node; ready for a shorter time; more restarts; younger. Durations are
    compared by their order of magnitude (log2), then by UID. What makes no difference to upstream
    is decided by UID, too, so that everybody who looks at the same pods decides alike.
    """
    everyone = list(pods)
    ranks = {pod.metadata.uid: _rank(pod, related, now) for pod in everyone}

    def compare(left: Pod, right: Pod) -> int:
        return _compare(ranks[left.metadata.uid], ranks[right.metadata.uid])

    return sorted(everyone, key=cmp_to_key(compare))


@dataclass(frozen=True, slots=True)
class _Rank:
    first: tuple[Any, ...]
    ready_at: float
    ready_magnitude: int
    restarts: tuple[int, int]
    created_at: float
    created_magnitude: int
    uid: str


def _rank(pod: Pod, related: Mapping[str, int], now: float) -> _Rank:
    ready = is_ready(pod)
    ready_at = ready_since(pod) if ready else 0.0
    created_at = seconds_of(pod.metadata.creation_timestamp)
    on_node = related.get(pod.spec.node_name, 0)
    phase = PHASE_ORDER.get(pod.status.phase, 0)
    return _Rank(
        (bool(pod.spec.node_name), phase, ready, _deletion_cost(pod), -on_node),
        ready_at,
        magnitude(now - ready_at),
        _restarts(pod),
        created_at,
        magnitude(now - created_at),
        pod.metadata.uid,
    )


def _compare(left: _Rank, right: _Rank) -> int:
    """Return below 0 when the left pod goes first.

    Moments that differ, and are of equal magnitude, leave it to the UID at once: this is no plain
    key.
    """
    if left.first != right.first:
        return -1 if left.first < right.first else 1
    if left.ready_at != right.ready_at:
        return left.ready_magnitude - right.ready_magnitude or _by_uid(left, right)
    if left.restarts != right.restarts:
        return -1 if left.restarts > right.restarts else 1
    if left.created_at != right.created_at:
        return left.created_magnitude - right.created_magnitude or _by_uid(left, right)
    return _by_uid(left, right)


def _by_uid(left: _Rank, right: _Rank) -> int:
    return -1 if left.uid < right.uid else 1


def _deletion_cost(pod: Pod) -> int:
    """Return the annotated int32, or 0 when there is none or it is none."""
    try:
        cost = int(pod.metadata.annotations.get(POD_DELETION_COST, "0"))
    except ValueError:
        return 0
    return cost if -(2**31) <= cost < 2**31 else 0


def magnitude(duration_s: float) -> int:
    """Return the order of magnitude of a duration: log2 of its nanoseconds, -1 below one."""
    nanos = int(duration_s * 1e9)
    return int(math.log2(nanos)) if nanos > 0 else -1


def _restarts(pod: Pod) -> tuple[int, int]:
    """Return the highest restart counts of containers, and of sidecars."""
    sidecars = {c.name for c in pod.spec.init_containers if c.is_sidecar}
    regular = max((s.restart_count for s in pod.status.container_statuses), default=0)
    sidecar = max(
        (s.restart_count for s in pod.status.init_container_statuses if s.name in sidecars),
        default=0,
    )
    return regular, sidecar


def _status(
    view: View, claimed: Claim[Pod], active: list[Pod], now: float, *, is_settled: bool
) -> list[Action]:
    """Return what the status lacks.

    Parameters
    ----------
    is_settled
        Whether there are as many pods as there shall be, or will not be for now. Where there are
        not, that the spec was seen is told with the pods that are made, or gone, next.
    """
    replica_set = view.replica_set
    spec, old = replica_set.spec, replica_set.status
    template_labels = (spec.template.get("metadata") or {}).get("labels") or {}
    conditions = Conditions(old.conditions, now)
    _note_failure(conditions, view.failure)
    ready = [pod for pod in active if is_ready(pod)]
    counts = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(
            template_labels.items() <= pod.metadata.labels.items() for pod in active
        ),
        "readyReplicas": len(ready),
        "availableReplicas": sum(is_available(pod, spec.min_ready_seconds, now) for pod in ready)
        if spec.min_ready_seconds
        else len(ready),
        "terminatingReplicas": sum(
            pod.is_terminating and not pod.is_terminal for pod in claimed.members
        ),
        "observedGeneration": replica_set.metadata.generation,
    }
    known = {
        "replicas": old.replicas,
        "fullyLabeledReplicas": old.fully_labeled_replicas,
        "readyReplicas": old.ready_replicas,
        "availableReplicas": old.available_replicas,
        "terminatingReplicas": old.terminating_replicas,
        "observedGeneration": old.observed_generation,
    }
    if not is_settled:
        known["observedGeneration"] = counts["observedGeneration"]
        known["terminatingReplicas"] = old.terminating_replicas or 0
    if view.resource == REPLICATION_CONTROLLERS:
        # Their status is older than this field.
        del counts["terminatingReplicas"], known["terminatingReplicas"]
    if counts == known and not conditions.changed:
        return []
    # Go leaves zeros out of these; null takes them out of the stored object.
    shown = ("replicas", "terminatingReplicas")
    patch = {name: count if count or name in shown else None for name, count in counts.items()}
    patch |= {"conditions": conditions.to_document() or None}
    return [PatchObject(ref_of(view.resource, replica_set), {"status": patch}, sub="status")]


def _note_failure(conditions: Conditions, failure: Failure | None) -> None:
    if failure is None:
        conditions.remove("ReplicaFailure")
    elif failure.reason in ("FailedCreate", "FailedDelete"):
        conditions.set("ReplicaFailure", "True", failure.reason, failure.message)


class ReplicaSetReconciler(Reconciler):
    """Feeds `reconcile` from the cache; keys are those of replica sets."""

    name = "replicaset-controller"
    account = "replicaset-controller"
    resource = REPLICA_SETS
    follows = (PODS,)
    only_reports = True

    def keys_behind(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the sets that a change of a pod concerns."""
        return keys_of_controller(cache, self.resource, old, new)

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what the set needs."""
        replica_set: ReplicaSet | None = cache.get(self.resource, key)
        if replica_set is None:
            return Outcome()
        meta = replica_set.metadata
        mine = tuple(cache.controlled(PODS, meta.uid))
        orphans = tuple(cache.orphans(PODS, meta.namespace).values())
        related = partial(_related_per_node, cache, self.resource, replica_set)
        view = View(replica_set, mine + orphans, related, failure, self.resource)
        return reconcile(view, now)


class ReplicationControllerReconciler(ReplicaSetReconciler):
    """The same for replication controllers, which the cache holds as replica sets."""

    name = "replication-controller"
    account = "replication-controller"
    resource = REPLICATION_CONTROLLERS


def _related_per_node(
    cache: Cache, resource: Resource, replica_set: ReplicaSet
) -> Mapping[str, int]:
    """Count the active pods of the set and its siblings, those of the same Deployment, per node."""
    uids = {replica_set.metadata.uid}
    controller = replica_set.metadata.controller
    if controller is not None:
        siblings = cache.controlled(resource, controller.uid)
        uids |= {sibling.metadata.uid for sibling in siblings}
    pods = (pod for uid in uids for pod in cache.controlled(PODS, uid))
    return Counter(pod.spec.node_name for pod in pods if is_active(pod))
