"""Roster: the pods of every node, the most important first, in columns.

What many nodes would give up for a pod is worked out from these for all of them at once. A pod is
one small number, its *kind*: pods of one kind have the same priority, labels and load.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.selectors import Selector
from kubeberth.placement.counters import DomainCounter
from kubeberth.placement.disruption import Budget
from kubeberth.placement.importance import by_importance, started
from kubeberth.placement.links import Links
from kubeberth.placement.loads import to_matrix
from kubeberth.placement.placed import PlacedPod
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState

NOBODY = 0
"""The kind of no pod at all: takes nothing, and has a priority that nobody exceeds."""

_HIGHEST = 1 << 62
# Kinds that no pod is of any more are dropped when there are so many more than at the start.
_MAX_NEW_KINDS = 4096


@dataclass(slots=True)
class _Kinds:
    """Every kind there is, by number."""

    numbers: dict[tuple[PodRequest, int, bool], int] = field(default_factory=dict)
    priorities: list[int] = field(default_factory=lambda: [_HIGHEST])
    loads: list[int] = field(default_factory=lambda: [0])
    are_labelled: list[bool] = field(default_factory=lambda: [False])
    links: list[Links | None] = field(default_factory=lambda: [None])

    def of(self, placed: PlacedPod, state: ClusterState) -> int:
        request = placed.request
        key = (request, placed.load, bool(placed.labels))
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self.loads)
            self.priorities.append(request.priority)
            self.loads.append(placed.load)
            self.links.append(state.links(request))
            self.are_labelled.append(bool(placed.labels))
        return number


class Roster:
    """Follows one cluster.

    Attributes
    ----------
    pods, starts
        Per slot, the most important first: the pods, and when they started, as texts that sort.
    kinds
        ndarray of int32, shape (n_places, n_slots): the kind of each pod, behind the last one
        `NOBODY`.
    priorities
        ndarray of int64, shape (n_kinds,).
    loads
        Base units: ndarray of int64, shape (n_resources, n_kinds).
    """

    def __init__(self, state: ClusterState) -> None:
        self._state = state
        self._seen = -1
        self._kinds = _Kinds()
        self._n_kinds_at_start = 0
        self.pods: list[list[PlacedPod]] = []
        self.starts: list[list[str]] = []
        self._covered: dict[tuple[str, Selector], list[bool]] = {}
        self.kinds: NDArray[np.int32] = np.zeros((0, 0), dtype=np.int32)
        self.priorities: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.loads: NDArray[np.int64] = np.zeros((0, 0), dtype=np.int64)

    def follow(self) -> None:
        """Take in what has changed since the last time."""
        state = self._state
        changed = state.usage_log.since(self._seen, state.n_slots // 2)
        if changed is None or len(self.pods) != state.n_slots or self._has_too_many_kinds():
            self._start()
        else:
            for slot in set(changed):
                self._write(slot)
        self._seen = state.usage_log.end
        n_resources, kinds = len(state.resources), self._kinds
        if self.loads.shape != (n_resources, len(kinds.loads)):
            self.priorities = np.array(kinds.priorities, dtype=np.int64)
            self.loads = np.ascontiguousarray(to_matrix(kinds.loads, n_resources))

    def lower(self, slot: int, priority: int) -> list[PlacedPod]:
        """Return the pods of a node that have a lower priority, the most important first."""
        return [placed for placed in self.pods[slot] if placed.request.priority < priority]

    def has_lower(self, slots: NDArray[np.intp], priority: int) -> NDArray[np.bool_]:
        """Return which nodes hold a pod of lower priority: ndarray of bool, shape (n,)."""
        is_lower = self.priorities < priority
        found: NDArray[np.bool_] = np.any(is_lower[self.kinds[:, slots]], axis=0)
        return found

    def covered(self, budget: Budget) -> NDArray[np.bool_]:
        """Return which kinds a budget covers: ndarray of bool, shape (n_kinds,).

        Of pods that the budget has let go already, this says nothing.
        """
        found = self._covered.setdefault((budget.namespace, budget.selector), [])
        kinds = self._kinds
        for links, is_labelled in zip(
            kinds.links[len(found) :], kinds.are_labelled[len(found) :], strict=True
        ):
            pods = links.label_class if links and is_labelled else None
            found.append(pods is not None and budget.selects(pods.namespace, pods.labels))
        return np.array(found)

    def counted(self, counter: DomainCounter) -> NDArray[np.bool_]:
        """Return which kinds a counter counts: ndarray of bool, shape (n_kinds,)."""
        return np.array(
            [links is not None and links.adds_to(counter) for links in self._kinds.links]
        )

    def _has_too_many_kinds(self) -> bool:
        return len(self._kinds.loads) > self._n_kinds_at_start + _MAX_NEW_KINDS

    def _start(self) -> None:
        state = self._state
        self._kinds = _Kinds()
        self.loads = np.zeros((0, 0), dtype=np.int64)
        self._covered.clear()
        self.pods = [[] for _ in range(state.n_slots)]
        self.starts = [[] for _ in range(state.n_slots)]
        self.kinds = np.zeros((0, state.n_slots), dtype=np.int32)
        for slot in np.flatnonzero(state.exists).tolist():
            self._write(slot)
        self._n_kinds_at_start = len(self._kinds.loads)

    def _write(self, slot: int) -> None:
        state = self._state
        pods = by_importance(state.pods_on(state.nodes.name_of[slot])) if state.exists[slot] else []
        missing = len(pods) - len(self.kinds)
        if missing > 0:
            self.kinds = np.pad(self.kinds, ((0, missing), (0, 0)))
        kind_of = self._kinds.of
        self.pods[slot] = pods
        self.starts[slot] = [started(placed) for placed in pods]
        self.kinds[:, slot] = NOBODY
        self.kinds[: len(pods), slot] = [kind_of(placed, state) for placed in pods]
