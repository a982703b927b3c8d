"""Preemption: which pods of lower priority have to go so that a pod fits somewhere.

Asked when a pod fits nowhere. The answer names a node and its victims; nothing is done about it.
Matches kube-scheduler 1.36 (plugins/defaultpreemption, framework/preemption).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.dryrun import dry_run
from kubeberth.placement.node_filter import NodeFilter
from kubeberth.placement.profile import Profile
from kubeberth.placement.request import PodRequest
from kubeberth.placement.room import Room
from kubeberth.placement.roster import Roster
from kubeberth.placement.state import ClusterState
from kubeberth.placement.verdicts import Verdicts
from kubeberth.placement.victims import Candidate, Option, Pool, Tried, least_harm, options

PREEMPTION = "DefaultPreemption"
NO_VICTIMS = "No preemption victims found for incoming pod"
NO_HELP = "Preemption is not helpful for scheduling"


@dataclass(frozen=True, slots=True)
class VictimSearch:
    """What looking for victims came to.

    Parameters
    ----------
    not_eligible
        Why the pod may not preempt anybody; empty when it may.
    pools
        The nodes that can be made free.
    obstacles
        Why other nodes cannot, and how many.
    """

    not_eligible: str = ""
    pools: tuple[Pool, ...] = ()
    obstacles: Counter[str] = field(default_factory=Counter)

    @property
    def is_successful(self) -> bool:
        """Whether any node can be made free."""
        return any(pool.slots.size for pool in self.pools)

    @property
    def options(self) -> list[Option]:
        """Every node that can be made free."""
        return options(self.pools)

    @property
    def best(self) -> list[Option]:
        """Those that give up least."""
        return least_harm(self.pools)


class Preemption:
    """Looks for victims in one cluster; keeps who is where, by importance, from one search on."""

    def __init__(self, state: ClusterState, profile: Profile) -> None:
        self._state, self._profile = state, profile
        self._roster = Roster(state)

    def search(self, request: PodRequest, verdicts: Verdicts, key: str) -> VictimSearch:
        """Return which nodes can be made free for a pod, and whom each would give up.

        Parameters
        ----------
        verdicts
            What the hard rules say about all nodes; none passes.
        key
            Of the pod.
        """
        state, profile = self._state, self._profile
        if verdicts.refused is not None or PREEMPTION not in profile.post_filters:
            return VictimSearch()
        if request.preemption_policy == "Never":
            return VictimSearch("not eligible due to preemptionPolicy=Never.")
        if _waits_already(state, request, profile, verdicts, key):
            return VictimSearch("not eligible due to a terminating pod on the nominated node.")
        obstacles: Counter[str] = Counter()
        worth_a_try = [np.zeros(0, dtype=np.intp)]
        for rejection, slots in verdicts.groups(state, request, profile):
            if rejection.resolvable:
                worth_a_try.append(slots)
            else:
                obstacles[NO_HELP] += len(slots)
        slots = np.concatenate(worth_a_try)
        n_slots = len(slots)
        if len(slots):
            slots = self._with_lower(slots, request)
        if n_slots != len(slots):
            obstacles[NO_VICTIMS] += n_slots - len(slots)
        if not len(slots):
            return VictimSearch("", (), obstacles)
        node_filter = NodeFilter(state, profile, request, key)
        pools: list[Pool] = []
        if not node_filter.needs_trial:
            has_guests = np.isin(slots, state.nominated_slots)
            room = Room(state, self._roster, profile, request, node_filter, slots[~has_guests])
            for rejection, refused in room.verdicts.groups(state, request, profile):
                obstacles.update(dict.fromkeys(rejection.reasons, len(refused)))
            pools.append(room)
            slots = slots[has_guests]
        wanted = profile.preemption.size(n_slots)
        pools.append(self._try(request, node_filter, slots, wanted, obstacles))
        return VictimSearch("", tuple(pools), obstacles)

    def _with_lower(self, slots: NDArray[np.intp], request: PodRequest) -> NDArray[np.intp]:
        """Return those of some nodes that hold a pod of lower priority."""
        if self._state.lowest_priority >= request.priority:
            return slots[:0]
        self._roster.follow()
        return slots[self._roster.has_lower(slots, request.priority)]

    def _try(
        self,
        request: PodRequest,
        node_filter: NodeFilter,
        slots: NDArray[np.intp],
        wanted: int,
        obstacles: Counter[str],
    ) -> Tried:
        """Try node by node, until so many can be made free, one of them without harm to a budget.

        Parameters
        ----------
        obstacles
            Gets the reasons why nodes cannot be made free.
        """
        state, profile = self._state, self._profile
        found: list[Candidate] = []
        is_harmless = False
        for slot in slots.tolist():
            lower = self._roster.lower(slot, request.priority)
            outcome = dry_run(state, node_filter, lower, slot)
            if isinstance(outcome, Candidate):
                found.append(outcome)
                is_harmless = is_harmless or not outcome.n_violations
                if is_harmless and len(found) >= wanted:
                    break
            else:
                index, code = outcome
                obstacles.update(profile.filters[index].rejection(state, request, code).reasons)
        return Tried(found)


def _waits_already(
    state: ClusterState, request: PodRequest, profile: Profile, verdicts: Verdicts, key: str
) -> bool:
    """Return whether victims of an earlier search are on their way out for the pod."""
    nominated = state.nominations.pods.get(key)
    slot = None if nominated is None else state.slot_of(nominated.node_name)
    if nominated is None or slot is None:
        return False
    rejection = verdicts.rejection_of(slot, state, request, profile)
    if rejection is not None and not rejection.resolvable:
        return False
    return any(
        placed.makes_way and placed.priority < request.priority
        for placed in state.pods_on(nominated.node_name)
    )
