"""The status of a Deployment: counts, and what its conditions say about the rollout.

Matches Kubernetes 1.36 (`pkg/controller/deployment/{sync,progress}.go`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubeberth.api.core import find_condition
from kubeberth.api.meta import Condition
from kubeberth.api.workloads import Deployment, DeploymentStatus, ReplicaSet, seconds_of
from kubeberth.controllers.conditions import Conditions
from kubeberth.controllers.workloads.rollout import bounds_of

AVAILABLE = "Available"
PROGRESSING = "Progressing"
REPLICA_FAILURE = "ReplicaFailure"

NEW_SET_AVAILABLE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED = "DeploymentPaused"

# Upstream's "no deadline": int32's largest value.
NO_DEADLINE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of a status."""

    replicas: int
    updated: int
    ready: int
    available: int
    unavailable: int
    terminating: int | None
    observed_generation: int
    collision_count: int | None

    def to_document(self) -> dict[str, Any]:
        """Return them as JSON to merge: a null takes a zero out, as Go leaves it out."""
        return {
            "observedGeneration": self.observed_generation or None,
            "replicas": self.replicas or None,
            "updatedReplicas": self.updated or None,
            "readyReplicas": self.ready or None,
            "availableReplicas": self.available or None,
            "unavailableReplicas": self.unavailable or None,
            "terminatingReplicas": self.terminating,
            "collisionCount": self.collision_count,
        }


def known_counts(status: DeploymentStatus) -> Counts:
    """Return the numbers that a status shows."""
    return Counts(
        status.replicas,
        status.updated_replicas,
        status.ready_replicas,
        status.available_replicas,
        status.unavailable_replicas,
        status.terminating_replicas,
        status.observed_generation,
        status.collision_count,
    )


def count(
    deployment: Deployment,
    new: ReplicaSet | None,
    old: Sequence[ReplicaSet],
    collision_count: int | None,
) -> Counts:
    """Add up what the sets report."""
    sets = [*old, new] if new is not None else list(old)
    available = sum(item.status.available_replicas for item in sets)
    wanted = sum(item.spec.replicas for item in sets)
    terminating = [item.status.terminating_replicas for item in sets]
    known = [number for number in terminating if number is not None]
    return Counts(
        replicas=sum(item.status.replicas for item in sets),
        updated=new.status.replicas if new is not None else 0,
        ready=sum(item.status.ready_replicas for item in sets),
        available=available,
        unavailable=max(0, wanted - available),
        # One set that does not say makes the sum unknown.
        terminating=sum(known) if len(known) == len(terminating) else None,
        observed_generation=deployment.metadata.generation,
        collision_count=collision_count,
    )


def has_deadline(deployment: Deployment) -> bool:
    """Return whether the rollout may time out at all."""
    deadline = deployment.spec.progress_deadline_seconds
    return deadline is not None and deadline != NO_DEADLINE


def is_complete(deployment: Deployment, counts: Counts) -> bool:
    """Return whether every wanted pod is new and available, and no other is left."""
    wanted = deployment.spec.replicas
    return (
        counts.updated == counts.replicas == counts.available == wanted
        and counts.observed_generation >= deployment.metadata.generation
    )


def note_availability(deployment: Deployment, counts: Counts, conditions: Conditions) -> None:
    """Set the Available condition."""
    if counts.available >= bounds_of(deployment).least_available:
        message = "Deployment has minimum availability."
        conditions.set(AVAILABLE, "True", "MinimumReplicasAvailable", message)
    else:
        message = "Deployment does not have minimum availability."
        conditions.set(AVAILABLE, "False", "MinimumReplicasUnavailable", message)


def note_pause(deployment: Deployment, conditions: Conditions) -> None:
    """Say in the Progressing condition that the rollout is paused, or goes on."""
    current = conditions.get(PROGRESSING)
    reason = current.reason if current else ""
    if not has_deadline(deployment) or reason == TIMED_OUT:
        return
    if deployment.spec.paused and reason != PAUSED:
        conditions.set(PROGRESSING, "Unknown", PAUSED, "Deployment is paused")
    elif not deployment.spec.paused and reason == PAUSED:
        conditions.set(PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed")


def note_progress(
    deployment: Deployment,
    new: ReplicaSet | None,
    counts: Counts,
    conditions: Conditions,
    now: float,
) -> None:
    """Set the Progressing condition: done, moving, or stuck for too long."""
    if not has_deadline(deployment):
        conditions.remove(PROGRESSING)
        return
    current = conditions.get(PROGRESSING)
    is_done = current is not None and current.reason == NEW_SET_AVAILABLE
    if is_done and counts.replicas == counts.updated:
        return
    what = f'ReplicaSet "{new.metadata.name}"' if new else f'Deployment "{_name(deployment)}"'
    if is_complete(deployment, counts):
        message = f"{what} has successfully progressed."
        conditions.set(PROGRESSING, "True", NEW_SET_AVAILABLE, message)
    elif _is_progressing(known_counts(deployment.status), counts):
        conditions.replace(PROGRESSING, "True", "ReplicaSetUpdated", f"{what} is progressing.")
    elif _is_timed_out(deployment, current, now):
        conditions.set(PROGRESSING, "False", TIMED_OUT, f"{what} has timed out progressing.")


def note_failures(
    new: ReplicaSet | None, old: Sequence[ReplicaSet], conditions: Conditions
) -> None:
    """Copy the first failure that a set reports, the new one before the others."""
    sets = [new, *old] if new is not None else old
    failures = (find_condition(item.status.conditions, REPLICA_FAILURE) for item in sets)
    failure = next((condition for condition in failures if condition is not None), None)
    if failure is None:
        conditions.remove(REPLICA_FAILURE)
    else:
        conditions.copy(failure)


def next_check(
    deployment: Deployment, counts: Counts, conditions: Conditions, now: float
) -> float | None:
    """Return in how many seconds the rollout may have timed out; None when it cannot."""
    current = conditions.get(PROGRESSING)
    deadline = deployment.spec.progress_deadline_seconds
    if deployment.spec.paused or deadline is None or not has_deadline(deployment):
        return None
    if current is None or current.reason in (TIMED_OUT, NEW_SET_AVAILABLE):
        return None
    if is_complete(deployment, counts):
        return None
    # Timestamps have whole seconds: one more, or it would be a moment too early.
    return max(0.0, seconds_of(current.last_update_time) + deadline - now) + 1


def _is_progressing(before: Counts, after: Counts) -> bool:
    return (
        after.updated > before.updated
        or after.replicas - after.updated < before.replicas - before.updated
        or after.ready > before.ready
        or after.available > before.available
    )


def _is_timed_out(deployment: Deployment, current: Condition | None, now: float) -> bool:
    deadline = deployment.spec.progress_deadline_seconds
    if current is None or deadline is None or current.reason == NEW_SET_AVAILABLE:
        return False
    if current.reason == TIMED_OUT:
        return True
    return seconds_of(current.last_update_time) + deadline < now


def _name(deployment: Deployment) -> str:
    return deployment.metadata.name
