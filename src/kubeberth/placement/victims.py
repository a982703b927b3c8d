"""Victims: whom a node would have to give up for a pod, and which node gives up least.

Matches kube-scheduler 1.36 (framework/preemption, pickOneNodeForPreemption).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.importance import started
from kubeberth.placement.placed import PlacedPod

PRIORITY_OFFSET = 1 << 31
"""As upstream: makes every priority positive, so that one victim more always weighs something."""


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


class Candidates(Protocol):
    """Nodes that can be made free, and what each would give up.

    Attributes
    ----------
    costs
        ndarray of int64, shape (4, n), less is better, the first row counting most: how many
        victims a budget would keep, the highest priority of a victim, the sum of all priorities,
        and how many victims there are.
    """

    costs: NDArray[np.int64]

    def first_start(self, index: int) -> str:
        """Return when the first of a node's victims of the highest priority started."""

    def candidate(self, index: int) -> Candidate:
        """Return a node with its victims."""


class Tried:
    """Candidates that were found one by one."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        self.costs = np.array([_costs(c) for c in candidates], dtype=np.int64).reshape(-1, 4).T

    def first_start(self, index: int) -> str:
        """Return when the first of a node's victims of the highest priority started."""
        return started(self._candidates[index].victims[0])

    def candidate(self, index: int) -> Candidate:
        """Return a node with its victims."""
        return self._candidates[index]


def _costs(candidate: Candidate) -> tuple[int, int, int, int]:
    priorities = [victim.priority + PRIORITY_OFFSET for victim in candidate.victims]
    return (
        candidate.n_violations,
        candidate.victims[0].priority,
        sum(priorities),
        len(priorities),
    )


def least_harm(pools: Sequence[Candidates]) -> list[Candidate]:
    """Return the candidates that give up least; more than one when nothing tells them apart.

    Of those that cost the same, it is the ones whose most important victim started last.
    """
    costs = np.concatenate([pool.costs for pool in pools], axis=1)
    members = [(pool, index) for pool in pools for index in range(pool.costs.shape[1])]
    left = np.arange(len(members))
    for row in costs:
        left = left[row[left] == row[left].min(initial=_MAX)]
    starts = [members[place][0].first_start(members[place][1]) for place in left.tolist()]
    latest = max(starts, default="")
    return [
        members[place][0].candidate(members[place][1])
        for place, start in zip(left.tolist(), starts, strict=True)
        if start == latest
    ]


_MAX = np.iinfo(np.int64).max
