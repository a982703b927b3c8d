"""Scoring strategies: what the use of a resource is worth, and which resources count.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/resource-bin-packing/
Matches kube-scheduler 1.36 (plugins/noderesources: resource_allocation.go, least_allocated.go,
most_allocated.go, requested_to_capacity_ratio.go), all of it in integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.scheduler_config import ResourceSpec, ScoringStrategy, UtilizationShapePoint
from kubeberth.placement.vocabulary import CPU, EPHEMERAL_STORAGE, MEMORY, Interner

Ints = NDArray[np.int64]

MAX_SHARE = 100
# A shape's scores go to 10, a node's to 100.
_SHAPE_SCALE = 10
_ALWAYS_COUNTED = {"cpu": CPU, "memory": MEMORY, "ephemeral-storage": EPHEMERAL_STORAGE}


class Strategy(Protocol):
    """Scores one resource of one node, or of many, from 0 to 100.

    `used` holds what would be in use with the pod, `capacity` is more than 0.
    """

    is_rounded: ClassVar[bool]
    """Whether the mean is rounded, and over resources that score more than 0; else it is cut."""

    def share(self, used: int, capacity: int) -> int:
        """Return the score of one node."""

    def shares(self, used: Ints, capacity: Ints) -> Ints:
        """Return the score of each node: ndarray of int64, shape (n,)."""


class LeastAllocated:
    """The emptier the better."""

    is_rounded: ClassVar[bool] = False

    def share(self, used: int, capacity: int) -> int:
        """Return how much would be left, in percent."""
        return max(capacity - used, 0) * MAX_SHARE // capacity

    def shares(self, used: Ints, capacity: Ints) -> Ints:
        """Return how much would be left on each node, in percent."""
        left: Ints = np.maximum(capacity - used, 0) * MAX_SHARE // capacity
        return left


class MostAllocated:
    """The fuller the better."""

    is_rounded: ClassVar[bool] = False

    def share(self, used: int, capacity: int) -> int:
        """Return how much would be in use, in percent."""
        return min(used, capacity) * MAX_SHARE // capacity

    def shares(self, used: Ints, capacity: Ints) -> Ints:
        """Return how much would be in use on each node, in percent."""
        filled: Ints = np.minimum(used, capacity) * MAX_SHARE // capacity
        return filled


class RequestedToCapacityRatio:
    """As a shape says: one score per percent of utilization."""

    is_rounded: ClassVar[bool] = True

    def __init__(self, shape: Sequence[UtilizationShapePoint]) -> None:
        self._by_percent = tuple(_interpolate(shape, percent) for percent in range(MAX_SHARE + 1))
        self._table = np.array(self._by_percent, dtype=np.int64)

    def share(self, used: int, capacity: int) -> int:
        """Return the shape's score at a node's utilization."""
        return self._by_percent[min(used, capacity) * MAX_SHARE // capacity]

    def shares(self, used: Ints, capacity: Ints) -> Ints:
        """Return the shape's score at each node's utilization."""
        scores: Ints = self._table[np.minimum(used, capacity) * MAX_SHARE // capacity]
        return scores


def to_strategy(strategy: ScoringStrategy) -> Strategy:
    """Return the strategy that a valid configuration names."""
    match strategy.type:
        case "MostAllocated":
            return MostAllocated()
        case "RequestedToCapacityRatio" if strategy.requested_to_capacity_ratio is not None:
            return RequestedToCapacityRatio(strategy.requested_to_capacity_ratio.shape)
        case "LeastAllocated":
            return LeastAllocated()
    raise ValueError(f"not a valid scoring strategy: {strategy}")


def _interpolate(shape: Sequence[UtilizationShapePoint], percent: int) -> int:
    """Return the value at a utilization, on straight lines between the points."""
    if percent <= shape[0].utilization:
        return shape[0].score * _SHAPE_SCALE
    for left, right in pairwise(shape):
        if percent <= right.utilization:
            rise = (right.score - left.score) * _SHAPE_SCALE * (percent - left.utilization)
            run = right.utilization - left.utilization
            # As Go divides: towards zero, which on falling lines is up.
            step = rise // run if rise >= 0 else -(-rise // run)
            return left.score * _SHAPE_SCALE + step
    return shape[-1].score * _SHAPE_SCALE


class CountedResources:
    """The resources that a score is about.

    Extended resources count for the pods that ask for them only.
    """

    def __init__(self, specs: Iterable[ResourceSpec]) -> None:
        self._specs = tuple((spec.name, spec.weight or 1) for spec in specs)
        self._always = tuple(
            (_ALWAYS_COUNTED[name], weight)
            for name, weight in self._specs
            if name in _ALWAYS_COUNTED
        )
        self._has_extended = len(self._always) < len(self._specs)

    def of(self, resources: Interner[str], asked: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
        """Return ids and weights of those that count for a pod, in the order given.

        Parameters
        ----------
        asked
            What the pod asks for by resource id, zeros left out.
        """
        if not self._has_extended:
            return self._always
        numbered = ((resources.get(name), weight) for name, weight in self._specs)
        return tuple(
            (resource, weight)
            for resource, weight in numbered
            if resource is not None and (resource in asked or resource in _ALWAYS_COUNTED.values())
        )
