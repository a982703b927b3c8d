"""Room for critical pods: which pods of a node end for them.

Matches kubelet 1.36 (`pkg/kubelet/preemption`). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kubeberth.api.qos import quality_of
from kubeberth.api.requests import effective_request
from kubeberth.kubelet.pod import KubeletPod

# What is still missing, by resource, in the order in which the predicates found it.
Need = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class NoRoom:
    """Nobody's end would make room enough; what would still be missing."""

    need: Need

    def __str__(self) -> str:
        listed = "".join(f"(res: {name}, q: {amount}), " for name, amount in self.need.items())
        return f"no set of running pods found to reclaim resources: [{listed}]"


def may_preempt(pod: KubeletPod, other: KubeletPod) -> bool:
    """Return whether another pod may have to end for a pod."""
    if pod.is_critical and not other.is_critical:
        return True
    if pod.spec.priority is None or other.spec.priority is None:
        return False
    return pod.spec.priority > other.spec.priority


def victims(pod: KubeletPod, others: Sequence[KubeletPod], need: Need) -> list[KubeletPod] | NoRoom:
    """Return the pods that end for a critical one, as few of the better qualities as can be.

    Guaranteed pods that would be needed if all others ended; Burstable ones that would be needed
    besides those if all BestEffort ones ended; then BestEffort ones.
    """
    candidates = [other for other in others if may_preempt(pod, other)]
    by_quality = {
        quality: [other for other in candidates if quality_of(other) == quality]
        for quality in ("BestEffort", "Burstable", "Guaranteed")
    }
    best_effort, burstable, guaranteed = by_quality.values()
    if left := _without(need, candidates):
        return NoRoom(left)
    of_guaranteed = _closest(guaranteed, _without(need, [*best_effort, *burstable]))
    of_burstable = _closest(burstable, _without(need, [*best_effort, *of_guaranteed]))
    of_best_effort = _closest(best_effort, _without(need, [*of_burstable, *of_guaranteed]))
    return [*of_best_effort, *of_burstable, *of_guaranteed]


def _closest(pods: Sequence[KubeletPod], need: Need) -> list[KubeletPod]:
    """Return pods that together make the room, each time the one that comes closest to it."""
    left, chosen = list(pods), []
    while need:
        best = left[0]
        for pod in left[1:]:
            one, other = _distance(pod, need), _distance(best, need)
            if one < other or (one == other and _size(pod) <= _size(best)):
                best = pod
        need = _without(need, [best])
        chosen.append(best)
        # The last one takes the place of the one that is chosen; ties depend on it.
        left[left.index(best)] = left[-1]
        left.pop()
    return chosen


def _amount(pod: KubeletPod, resource: str) -> int:
    return 1 if resource == "pods" else effective_request(pod).get(resource, 0)


def _distance(pod: KubeletPod, need: Need) -> float:
    """Return how far a pod's end is from what is needed, each resource counting alike."""
    return sum(
        float(max(0, amount - _amount(pod, name)) / amount) ** 2 for name, amount in need.items()
    )


def _size(pod: KubeletPod) -> tuple[int, int]:
    return _amount(pod, "memory"), _amount(pod, "cpu")


def _without(need: Need, pods: Iterable[KubeletPod]) -> dict[str, int]:
    """Return what is still needed once pods have ended."""
    ended = list(pods)
    left = {name: n - sum(_amount(pod, name) for pod in ended) for name, n in need.items()}
    return {name: amount for name, amount in left.items() if amount > 0}
