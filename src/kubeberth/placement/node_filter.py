"""NodeFilter: the hard rules that read pods, on one node as it is at this moment.

For trials, which change one node many times over: rules answer in numbers where they can.
"""

from __future__ import annotations

import numpy as np

from kubeberth.placement.loads import capacity_class_of, unpack
from kubeberth.placement.placed import PlacedPod
from kubeberth.placement.plugin import (
    DomainFilter,
    DomainRule,
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


class NodeFilter:
    """One pod's hard rules; good until the cluster changes.

    Parameters
    ----------
    key
        Of the pod, which does not stand in its own way where it is nominated.

    Attributes
    ----------
    reads_loads_only
        Whether no rule but those over loads can be changed by the pods on a node.
    """

    def __init__(
        self, state: ClusterState, profile: Profile, request: PodRequest, key: str
    ) -> None:
        self._state, self._request, self._key = state, request, key
        self._filters = profile.filters
        self.load_filters: list[LoadFilter] = []
        self._usage_filters: list[UsageFilter] = []
        self._domain_filters: list[DomainFilter] = []
        self._others: list[FilterPlugin] = []
        for rule in profile.filters:
            if concerns(rule, request):
                self._sort_in(rule)
        self.reads_loads_only = not (self._usage_filters or self._domain_filters or self._others)

    def _sort_in(self, rule: FilterPlugin) -> None:
        state, request = self._state, self._request
        match rule.reads:
            case Reads.NODE:
                pass
            case Reads.LOAD if isinstance(rule, LoadFilter):
                self.load_filters.append(rule)
            case Reads.USAGE if isinstance(rule, UsageFilter):
                self._usage_filters.append(rule)
            case Reads.CLUSTER if isinstance(rule, DomainRule):
                self._domain_filters += rule.domain_filters(state, request)
            case _:
                self._others.append(rule)

    def passes(self, slot: int) -> bool:
        """Return whether a node passes, without as well as with the pods nominated to it."""
        guests = self._guests(slot)
        if guests:
            with Trial(self._state) as trial:
                for guest in guests:
                    trial.add(guest)
                if not self._passes(slot):
                    return False
        return self._passes(slot)

    def refusal(self, slot: int) -> Refusal | None:
        """Return which of all rules refuses a node first, or None."""
        guests = self._guests(slot)
        if guests:
            with Trial(self._state) as trial:
                for guest in guests:
                    trial.add(guest)
                refusal = self._refusal(slot)
            if refusal is not None:
                return refusal
        return self._refusal(slot)

    def _guests(self, slot: int) -> list[PlacedPod]:
        if not self._state.nominations.pods:
            return []
        return self._state.nominated_on(slot, self._request.priority, self._key)

    def _passes(self, slot: int) -> bool:
        state, request = self._state, self._request
        if self.load_filters:
            load, n_resources = state.loads[slot], len(state.resources)
            capacity = state.nodes.capacity(capacity_class_of(load))
            used = unpack(load, n_resources)
            for rule in self.load_filters:
                if rule.filter_load(state, request, capacity, used):
                    return False
        for usage_filter in self._usage_filters:
            if usage_filter.filter_one(state, request, slot):
                return False
        for domain_filter in self._domain_filters:
            if not domain_filter.passes(domain_filter.column.view[slot]):
                return False
        return not any(self._code(rule, slot) for rule in self._others)

    def _refusal(self, slot: int) -> Refusal | None:
        for index, rule in enumerate(self._filters):
            code = self._code(rule, slot)
            if code:
                return index, code
        return None

    def _code(self, rule: FilterPlugin, slot: int) -> int:
        codes = rule.filter(self._state, self._request, np.array([slot], dtype=np.intp))
        return 0 if codes is None else int(codes[0])
