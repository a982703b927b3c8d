"""Verdicts: for every node whether it passes, and if not, which rule said no and why.

This is the long answer, asked for when no node fits or when somebody wants to know; the engine's
fast path only needs who passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.node_filter import NodeFilter
from kubeberth.placement.plugin import Codes, Rejection
from kubeberth.placement.profile import Profile
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState
from kubeberth.placement.vocabulary import distinct

_PASSED, _LEFT_OUT = -1, -2


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What the hard rules say about some existing nodes.

    Parameters
    ----------
    slots
        ndarray of intp, shape (n,): the nodes.
    judges
        ndarray of int16, shape (n,): index of the first filter that refused the node, -1 where it
        passed, -2 where the node was not worth a look.
    codes
        ndarray of int64, shape (n,): that filter's code.
    narrowed_by
        Names of the rules that named the only nodes worth a look.
    refused
        Why the pod was refused before any node was looked at; then nothing else counts.
    """

    slots: NDArray[np.intp]
    judges: NDArray[np.int16]
    codes: NDArray[np.int64]
    narrowed_by: tuple[str, ...] = ()
    refused: Rejection | None = None

    @classmethod
    def of(cls, slots: NDArray[np.intp], answers: Mapping[int, Codes | None]) -> Verdicts:
        """Return the verdicts of rules, by their index, in the order in which they are asked."""
        judges = np.full(len(slots), _PASSED, dtype=np.int16)
        codes = np.zeros(len(slots), dtype=np.int64)
        for index, found in answers.items():
            if found is not None:
                refused = (judges == _PASSED) & (found != 0)
                judges[refused] = index
                codes[refused] = found[refused]
        return cls(slots, judges, codes)

    @property
    def passes(self) -> NDArray[np.bool_]:
        """Which of the nodes passed: ndarray of bool, shape (n,)."""
        passes: NDArray[np.bool_] = self.judges == _PASSED
        return passes

    @property
    def feasible(self) -> NDArray[np.intp]:
        """Slots of the nodes that passed."""
        return self.slots[self.passes]

    def groups(
        self, state: ClusterState, request: PodRequest, profile: Profile
    ) -> Iterator[tuple[Rejection, NDArray[np.intp]]]:
        """Yield each distinct rejection with the slots of the nodes that it meets."""
        left_out = self.slots[self.judges == _LEFT_OUT]
        if len(left_out):
            reason = f"node(s) didn't satisfy plugin(s) [{' '.join(self.narrowed_by)}]"
            yield Rejection("", (reason,), resolvable=False), left_out
        for index in distinct(self.judges[self.judges >= 0]):
            judged = self.judges == index
            for code in distinct(self.codes[judged]):
                rejection = profile.filters[index].rejection(state, request, code)
                yield rejection, self.slots[judged & (self.codes == code)]

    def rejection_of(
        self, slot: int, state: ClusterState, request: PodRequest, profile: Profile
    ) -> Rejection | None:
        """Return why one node was refused, or None."""
        for rejection, slots in self.groups(state, request, profile):
            if slot in slots:
                return rejection
        return None


def narrow(
    state: ClusterState, request: PodRequest, profile: Profile
) -> tuple[frozenset[str] | None, tuple[str, ...]]:
    """Return the only nodes worth a look, None for all, and the names of the rules that say so.

    Raises
    ------
    RefusedError
        When a rule refuses the pod as a whole.
    """
    names: frozenset[str] | None = None
    narrowed_by = []
    for plugin in profile.pre_filters:
        found = plugin.pre_filter(state, request)
        if isinstance(found, Rejection):
            raise RefusedError(found)
        if found is not None:
            names = found if names is None else names & found
            narrowed_by.append(plugin.name)
    if names is not None and not names:
        listed = " ".join(narrowed_by)
        reason = f"node(s) didn't satisfy plugin(s) [{listed}] simultaneously"
        raise RefusedError(Rejection(narrowed_by[-1], (reason,), resolvable=False))
    return names, tuple(sorted(narrowed_by))


class RefusedError(Exception):
    """A pod that is refused before any node is looked at."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(*rejection.reasons)
        self.rejection = rejection


def judge(state: ClusterState, request: PodRequest, profile: Profile, key: str) -> Verdicts:
    """Return the verdicts on all nodes, or on the node to which the pod is nominated if it fits.

    Parameters
    ----------
    key
        Of the pod.
    """
    slots = np.flatnonzero(state.exists)
    try:
        names, narrowed_by = narrow(state, request, profile)
    except RefusedError as refusal:
        nothing = np.zeros(len(slots), dtype=np.int64)
        return Verdicts(slots, nothing.astype(np.int16), nothing, (), refusal.rejection)
    nominated = state.nominations.pods.get(key)
    if nominated is not None:
        own = to_slots(state, frozenset((nominated.node_name,)))
        verdicts = _judge(state, request, profile, own, key)
        if len(verdicts.feasible):
            return verdicts
        names = names and names | {nominated.node_name}
    worth_a_look = slots if names is None else to_slots(state, names)
    looked_at = _judge(state, request, profile, worth_a_look, key)
    judges = np.full(len(slots), _LEFT_OUT, dtype=np.int16)
    codes = np.zeros(len(slots), dtype=np.int64)
    places = np.searchsorted(slots, looked_at.slots)
    judges[places], codes[places] = looked_at.judges, looked_at.codes
    return Verdicts(slots, judges, codes, narrowed_by)


def _judge(
    state: ClusterState,
    request: PodRequest,
    profile: Profile,
    slots: NDArray[np.intp],
    key: str,
) -> Verdicts:
    """Return the verdicts on some existing nodes."""
    rules = enumerate(profile.filters)
    verdicts = Verdicts.of(slots, {i: rule.filter(state, request, slots) for i, rule in rules})
    if state.nominations.pods:
        node_filter = NodeFilter(state, profile, request, key)
        for place in np.flatnonzero(np.isin(slots, state.nominated_slots)).tolist():
            refusal = node_filter.refusal(int(slots[place]))
            verdicts.judges[place], verdicts.codes[place] = refusal or (_PASSED, 0)
    return verdicts


def to_slots(state: ClusterState, names: frozenset[str]) -> NDArray[np.intp]:
    """Return the slots of those of the named nodes that exist."""
    slots = (state.slot_of(name) for name in names)
    return np.array(sorted(slot for slot in slots if slot is not None), dtype=np.intp)
