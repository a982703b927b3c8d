"""Victims: whom a node would have to give up for a pod, and which node gives up least.

Matches kube-scheduler 1.36 (framework/preemption, pickOneNodeForPreemption).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kubeberth.placement.importance import started
from kubeberth.placement.placed import PlacedPod

# As upstream: makes every priority positive, so that more victims always weigh more than fewer.
_OFFSET = 1 << 31


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that can be made free.

    Parameters
    ----------
    victims
        The pods that have to go, the most important first; never empty.
    n_violations
        How many of them a disruption budget would keep.
    """

    slot: int
    victims: tuple[PlacedPod, ...]
    n_violations: int


Criterion = Callable[[Candidate], int]

CRITERIA: tuple[Criterion, ...] = (
    lambda candidate: candidate.n_violations,
    lambda candidate: candidate.victims[0].priority,
    lambda candidate: sum(victim.priority + _OFFSET for victim in candidate.victims),
    lambda candidate: len(candidate.victims),
)
"""What is compared, one after the other; less is better."""


def least_harm(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates that give up least; more than one when nothing tells them apart."""
    left = list(candidates)
    for criterion in CRITERIA:
        costs = [criterion(candidate) for candidate in left]
        least = min(costs, default=0)
        left = [candidate for candidate, cost in zip(left, costs, strict=True) if cost == least]
    if len(left) < 2:
        return left
    starts = [_first_start(candidate) for candidate in left]
    latest = max(starts)
    return [candidate for candidate, start in zip(left, starts, strict=True) if start == latest]


def _first_start(candidate: Candidate) -> str:
    """Return when the first of the victims of the highest priority started."""
    highest = candidate.victims[0].priority
    return min(started(victim) for victim in candidate.victims if victim.priority == highest)
