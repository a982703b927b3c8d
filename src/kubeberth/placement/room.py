"""Room: what many nodes give up for a pod, all of them at once.

For pods to which only loads matter, and which pods share a domain with them.

The same as a dry run of each node, step by step, the steps of all nodes together: the n-th most
important pods of all nodes are put back in one go, and where they leave too little room they go.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.importance import by_importance
from kubeberth.placement.node_filter import NodeFilter
from kubeberth.placement.plugin import Codes, Columns, Exclusion, LoadFilter, Reads
from kubeberth.placement.profile import Profile, concerns
from kubeberth.placement.request import PodRequest
from kubeberth.placement.roster import Roster
from kubeberth.placement.state import ClusterState
from kubeberth.placement.verdicts import Verdicts
from kubeberth.placement.victims import PRIORITY_OFFSET, Candidate
from kubeberth.placement.vocabulary import ABSENT, PODS

Mask = NDArray[np.bool_]


class Room:
    """Some nodes without the pods of lower priority, and with as many of these as they bear.

    Parameters
    ----------
    slots
        ndarray of intp, shape (n,): nodes that all hold a pod of lower priority.

    Attributes
    ----------
    verdicts
        Whether the pod fits once all pods of lower priority are gone.
    costs
        What the nodes that pass would give up, as in `victims.Pool`.
    """

    def __init__(
        self,
        state: ClusterState,
        roster: Roster,
        profile: Profile,
        request: PodRequest,
        node_filter: NodeFilter,
        slots: NDArray[np.intp],
    ) -> None:
        self._state, self._roster, self._request = state, roster, request
        self._load_filters = {
            index: rule
            for index, rule in enumerate(profile.filters)
            if isinstance(rule, LoadFilter) and rule.reads is Reads.LOAD and concerns(rule, request)
        }
        self._exclusions = node_filter.exclusions
        self._resources = [PODS, *(resource for resource, _ in request.amounts)]
        self._loads = roster.loads[self._resources]
        # Per place and node; the nodes are those that pass, once that is known.
        self._kinds = roster.kinds[:, slots]
        self._is_lower = roster.priorities[self._kinds] < request.priority
        self._capacity = state.allocatable[:, slots]
        self._used = state.requested[:, slots]
        for resource, loads in zip(self._resources, self._loads, strict=True):
            self._used[resource] -= (loads[self._kinds] * self._is_lower).sum(axis=0)
        self._is_forbidden = np.zeros(self._kinds.shape, dtype=bool)
        self.verdicts = self._judge(profile, slots)
        passes = self.verdicts.passes
        self.slots = slots[passes]
        if not passes.all():
            self._kinds, self._is_lower = self._kinds[:, passes], self._is_lower[:, passes]
            self._capacity, self._used = self._capacity[:, passes], self._used[:, passes]
            self._is_forbidden = self._is_forbidden[:, passes]
        self._is_violating = self._find_violating()
        self._is_victim = self._reprieve()
        self.costs = self._add_up()

    def candidate(self, index: int) -> Candidate:
        """Return one of the nodes that pass, with its victims."""
        slot = int(self.slots[index])
        pods = self._roster.pods[slot]
        is_victim, is_violating = self._is_victim[:, index], self._is_violating[:, index]
        kept_longest = np.flatnonzero(is_victim & is_violating).tolist()
        kept_longest += np.flatnonzero(is_victim & ~is_violating).tolist()
        victims = by_importance(pods[place] for place in kept_longest)
        return Candidate(slot, tuple(victims), int(self.costs[0, index]))

    def first_starts(self, indices: NDArray[np.intp]) -> list[str]:
        """Return when the first of each node's victims of the highest priority started."""
        starts = self._roster.starts
        slots = self.slots[indices].tolist()
        first = self._is_victim[:, indices].argmax(axis=0).tolist()
        return [starts[slot][place] for slot, place in zip(slots, first, strict=True)]

    def _judge(self, profile: Profile, slots: NDArray[np.intp]) -> Verdicts:
        answers: dict[int, Codes | None] = {}
        for index, rule in enumerate(profile.filters):
            load_filter = self._load_filters.get(index)
            if load_filter is not None:
                answers[index] = load_filter.filter_amounts(
                    self._state, self._request, self._capacity, self._used
                )
            elif index in self._exclusions:
                answers[index] = self._exclude(self._exclusions[index], slots)
            elif rule.reads is Reads.NODE and concerns(rule, self._request):
                answers[index] = rule.filter(self._state, self._request, slots)
        return Verdicts.of(slots, answers)

    def _exclude(self, exclusions: list[Exclusion], slots: NDArray[np.intp]) -> Codes:
        """Return which nodes are refused still, and note which pods may not stay on the others."""
        codes = np.zeros(len(slots), dtype=np.int64)
        for exclusion in exclusions:
            counter = exclusion.counter
            is_counted = self._roster.counted(counter)[self._kinds]
            is_counted &= counter.column.ids[slots] != ABSENT
            self._is_forbidden |= is_counted
            n_gone = (is_counted & self._is_lower).sum(axis=0)
            codes[counter.on(slots) > n_gone] = exclusion.code
        return codes

    def _fits(self, used: Columns) -> Mask:
        fits = np.ones(used.shape[1], dtype=bool)
        for rule in self._load_filters.values():
            fits &= rule.filter_amounts(self._state, self._request, self._capacity, used) == 0
        return fits

    def _find_violating(self) -> Mask:
        """Return which pods budgets would keep: ndarray of bool, shape (n_places, n)."""
        found = np.zeros(self._kinds.shape, dtype=bool)
        for budget in self._state.budgets.values():
            covers = self._roster.covered(budget)
            if not covers.any():
                continue
            charged = covers[self._kinds] & self._is_lower
            for name in budget.disrupted:
                self._spare(charged, f"{budget.namespace}/{name}")
            columns = np.flatnonzero(charged.sum(axis=0) > budget.allowed)
            charged = charged[:, columns]
            found[:, columns] |= charged & (np.cumsum(charged, axis=0) > budget.allowed)
        return found

    def _spare(self, charged: Mask, key: str) -> None:
        """Do not charge a budget for a pod that it has let go."""
        placed = self._state.placed(key)
        if placed is not None:
            for index in np.flatnonzero(self.slots == placed.slot):
                charged[self._roster.pods[placed.slot].index(placed), index] = False

    def _reprieve(self) -> Mask:
        """Put pods back, those first that budgets would keep; return those that cannot stay."""
        is_victim = self._is_lower & self._is_forbidden
        used = [self._used[resource] for resource in self._resources]
        may_stay = self._is_lower & ~self._is_forbidden
        for is_due in (may_stay & self._is_violating, may_stay & ~self._is_violating):
            for place in np.flatnonzero(is_due.any(axis=1)).tolist():
                due, kinds = is_due[place], self._kinds[place]
                back = [loads[kinds] * due for loads in self._loads]
                for amounts, load in zip(used, back, strict=True):
                    amounts += load
                goes = due & ~self._fits(self._used)
                for amounts, load in zip(used, back, strict=True):
                    amounts -= load * goes
                is_victim[place] |= goes
        return is_victim

    def _add_up(self) -> NDArray[np.int64]:
        priorities = self._roster.priorities[self._kinds] * self._is_victim
        places, nodes = self._is_victim.argmax(axis=0), np.arange(len(self.slots))
        n_victims = self._is_victim.sum(axis=0)
        return np.stack(
            [
                (self._is_victim & self._is_violating).sum(axis=0),
                priorities[places, nodes],
                priorities.sum(axis=0) + n_victims * PRIORITY_OFFSET,
                n_victims,
            ]
        )
