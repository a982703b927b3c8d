"""The condition by which a pod is told why it has to go, for those who disrupt it.

Jobs may forgive failures that it explains (`podFailurePolicy`), and whoever waits for the room of a
pod that makes way takes no other.
"""

from __future__ import annotations

from kubeberth.api.meta import Condition

DISRUPTION_TARGET = "DisruptionTarget"
PREEMPTION_BY_SCHEDULER = "PreemptionByScheduler"
TERMINATION_BY_KUBELET = "TerminationByKubelet"
PREEMPTED_BY_KUBELET = "Pod was preempted by Kubelet to accommodate a critical pod."


def disruption_target(reason: str, message: str, now: str) -> Condition:
    """Return the condition.

    Parameters
    ----------
    now
        As `metav1.Time` prints it.
    """
    return Condition(DISRUPTION_TARGET, "True", reason, message, last_transition_time=now)


def preempted_by(scheduler_name: str, now: str) -> Condition:
    """Return the condition of a pod whose room another one is to have."""
    message = f"{scheduler_name}: preempting to accommodate a higher priority pod"
    return disruption_target(PREEMPTION_BY_SCHEDULER, message, now)


def preempted_by_kubelet(now: str) -> Condition:
    """Return the condition of a pod whose room a critical one of its node is to have."""
    return disruption_target(TERMINATION_BY_KUBELET, PREEMPTED_BY_KUBELET, now)


def evicted(now: str) -> Condition:
    """Return the condition of a pod that somebody has asked the API server to evict."""
    return disruption_target("EvictionByEvictionAPI", "Eviction API: evicting", now)


def evicted_by_taint(now: str) -> Condition:
    """Return the condition of a pod that does not tolerate a taint of its node."""
    why = "Taint manager: deleting due to NoExecute taint"
    return disruption_target("DeletionByTaintManager", why, now)


def node_gone(now: str) -> Condition:
    """Return the condition of a pod whose node does not exist any more."""
    return disruption_target("DeletionByPodGC", "PodGC: node no longer exists", now)
