"""NodeFilter: the hard rules on one node as it is at this moment, again and again.

For trials, which change one node many times over: rules answer in numbers where they can, and those
that read no pods are asked once for all nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from kubeberth.placement.loads import capacity_class_of, unpack
from kubeberth.placement.placed import PlacedPod
from kubeberth.placement.plugin import (
    DomainFilter,
    DomainRule,
    Exclusion,
    FilterPlugin,
    LoadFilter,
    Reads,
    UsageFilter,
)
from kubeberth.placement.profile import Profile, concerns
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState
from kubeberth.placement.trial import Trial

Refusal = tuple[int, int]
"""Index of the rule in the profile, and its code."""

Check = Callable[[int], int]
"""Gives the code of a slot."""


class NodeFilter:
    """One pod's hard rules; good until the cluster changes.

    Parameters
    ----------
    key
        Of the pod, which does not stand in its own way where it is nominated.

    Attributes
    ----------
    exclusions
        Of the rules that consist of them, by index in the profile.
    needs_trial
        Whether other rules than these and those over loads depend on the pods on a node.
    """

    def __init__(
        self, state: ClusterState, profile: Profile, request: PodRequest, key: str
    ) -> None:
        self._state, self._request, self._key = state, request, key
        # By index in the profile, those of which the pods on a node may change the answer.
        self._of_pods: dict[int, Check] = {}
        self._all: dict[int, Check] = {}
        self.exclusions: dict[int, list[Exclusion]] = {}
        self.needs_trial = False
        for index, rule in enumerate(profile.filters):
            if concerns(rule, request):
                self._sort_in(index, rule)

    def passes(self, slot: int) -> bool:
        """Return whether rules that read pods let a node pass, with and without nominated pods."""
        return self._first(self._of_pods, slot) is None

    def refusal(self, slot: int) -> Refusal | None:
        """Return which of all rules refuses a node first, with or without nominated pods."""
        return self._first(self._all, slot)

    def guests(self, slot: int) -> list[PlacedPod]:
        """Return the nominated pods that the node has to pass with."""
        if not self._state.nominations.pods:
            return []
        return self._state.nominated_on(slot, self._request.priority, self._key)

    def _first(self, checks: dict[int, Check], slot: int) -> Refusal | None:
        guests = self.guests(slot)
        if guests:
            with Trial(self._state) as trial:
                for guest in guests:
                    trial.add(guest)
                refusal = _first(checks, slot)
            if refusal is not None:
                return refusal
        return _first(checks, slot)

    def _sort_in(self, index: int, rule: FilterPlugin) -> None:
        state, request = self._state, self._request
        match rule.reads:
            case Reads.NODE:
                self._all[index] = _Once(rule, state, request)
                return
            case Reads.LOAD if isinstance(rule, LoadFilter):
                check = partial(_load_code, rule, state, request)
            case Reads.USAGE if isinstance(rule, UsageFilter):
                check = partial(rule.filter_one, state, request)
                self.needs_trial = True
            case Reads.CLUSTER if isinstance(rule, DomainRule):
                filters = rule.domain_filters(state, request)
                check = partial(_domain_code, rule, state, request, filters)
                exclusions = [entry for entry in filters if isinstance(entry, Exclusion)]
                self.exclusions[index] = exclusions
                self.needs_trial |= len(exclusions) < len(filters)
            case _:
                check = partial(_code, rule, state, request)
                self.needs_trial = True
        self._all[index] = self._of_pods[index] = check


def _first(checks: dict[int, Check], slot: int) -> Refusal | None:
    for index, check in checks.items():
        code = check(slot)
        if code:
            return index, code
    return None


class _Once:
    """A rule that no pod changes, asked for all nodes when it is first asked."""

    def __init__(self, rule: FilterPlugin, state: ClusterState, request: PodRequest) -> None:
        self._ask = partial(rule.filter, state, request, slice(None))
        self._codes: Sequence[int] | None = None
        self._is_asked = False

    def __call__(self, slot: int) -> int:
        if not self._is_asked:
            codes = self._ask()
            self._codes = None if codes is None else codes.tolist()
            self._is_asked = True
        return 0 if self._codes is None else self._codes[slot]


def _load_code(rule: LoadFilter, state: ClusterState, request: PodRequest, slot: int) -> int:
    load = state.loads[slot]
    capacity = state.nodes.capacity(capacity_class_of(load))
    return rule.filter_load(state, request, capacity, unpack(load, len(state.resources)))


def _domain_code(
    rule: FilterPlugin,
    state: ClusterState,
    request: PodRequest,
    filters: Sequence[DomainFilter],
    slot: int,
) -> int:
    for domain_filter in filters:
        if not domain_filter.passes(domain_filter.column.view[slot]):
            return _code(rule, state, request, slot)
    return 0


def _code(rule: FilterPlugin, state: ClusterState, request: PodRequest, slot: int) -> int:
    codes = rule.filter(state, request, np.array([slot], dtype=np.intp))
    return 0 if codes is None else int(codes[0])
