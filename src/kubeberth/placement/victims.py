"""Victims: whom a node would have to give up for a pod, and which node gives up least.

Matches kube-scheduler 1.36 (framework/preemption, pickOneNodeForPreemption).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


class Pool(Protocol):
    """Nodes that can be made free, and what each would give up.

    Attributes
    ----------
    slots
        ndarray of intp, shape (n,).
    costs
        ndarray of int64, shape (4, n), less is better, the first row counting most: how many
        victims a budget would keep, the highest priority of a victim, the sum of all priorities,
        and how many victims there are.
    """

    slots: NDArray[np.intp]
    costs: NDArray[np.int64]

    def first_starts(self, indices: NDArray[np.intp]) -> list[str]:
        """Return when the first of each node's victims of the highest priority started."""

    def candidate(self, index: int) -> Candidate:
        """Return a node with its victims."""


@dataclass(frozen=True, slots=True)
class Option:
    """A candidate whose victims nobody has asked for yet."""

    slot: int
    pool: Pool
    index: int

    def candidate(self) -> Candidate:
        """Return the node with its victims."""
        return self.pool.candidate(self.index)


class Tried:
    """Candidates that were found one by one."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        self.slots = np.array([candidate.slot for candidate in candidates], dtype=np.intp)
        self.costs = np.array([_costs(c) for c in candidates], dtype=np.int64).reshape(-1, 4).T

    def first_starts(self, indices: NDArray[np.intp]) -> list[str]:
        """Return when the first of each node's victims of the highest priority started."""
        return [started(self._candidates[index].victims[0]) for index in indices.tolist()]

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


def options(pools: Iterable[Pool]) -> list[Option]:
    """Return all candidates of some pools."""
    return [
        Option(slot, pool, index)
        for pool in pools
        for index, slot in enumerate(pool.slots.tolist())
    ]


def least_harm(pools: Sequence[Pool]) -> list[Option]:
    """Return the candidates that give up least; more than one when nothing tells them apart.

    Of those that cost the same, it is the ones whose most important victim started last.
    """
    least = min((cost for pool in pools if (cost := _least(pool.costs)) is not None), default=None)
    equal = [np.flatnonzero((np.array(least) == pool.costs.T).all(axis=1)) for pool in pools]
    starts = [pool.first_starts(found) for pool, found in zip(pools, equal, strict=True)]
    latest = max((max(found) for found in starts if found), default="")
    return [
        Option(slot, pool, index)
        for pool, indices, found in zip(pools, equal, starts, strict=True)
        for slot, index, start in zip(
            pool.slots[indices].tolist(), indices.tolist(), found, strict=True
        )
        if start == latest
    ]


def _least(costs: NDArray[np.int64]) -> tuple[int, ...] | None:
    """Return the smallest column, the first row counting most; None when there is none."""
    if not costs.size:
        return None
    for row in range(len(costs)):
        costs = costs[:, costs[row] == costs[row].min()]
    return tuple(costs[:, 0].tolist())
