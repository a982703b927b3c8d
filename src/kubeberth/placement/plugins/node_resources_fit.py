"""NodeResourcesFit: a node must have room for what the pod asks for, and is scored by its room.

Rule: https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
Matches kube-scheduler 1.36 (plugins/noderesources).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

import numpy as np

from kubeberth.api.scheduler_config import NodeResourcesFitArgs
from kubeberth.api.validation.resources import is_extended
from kubeberth.placement.plugin import (
    Amounts,
    Codes,
    Columns,
    Normalization,
    Reads,
    Rejection,
    Scores,
)
from kubeberth.placement.request import PodRequest
from kubeberth.placement.scoring import CountedResources, to_strategy
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.vocabulary import CPU, MEMORY, PODS, SCORED_CPU, SCORED_MEMORY

# Bits of a code; the n-th resource that the pod asks for has bit n behind these.
_UNRESOLVABLE = 1
_TOO_MANY_PODS = 2
_FIRST_RESOURCE = 2
# An int64 has no more bits: the resources beyond share the last one, and are named together.
_MAX_BITS = 60
# In the score, pods that ask for no CPU or memory weigh too.
_USED_ROW = {CPU: SCORED_CPU, MEMORY: SCORED_MEMORY}

_DEFAULT_ARGS = NodeResourcesFitArgs()


class NodeResourcesFit:
    """Hard rule over all requested resources, soft rule over those of the scoring strategy."""

    name: ClassVar[str] = "NodeResourcesFit"
    reads: ClassVar[Reads] = Reads.LOAD
    normalization: ClassVar[Normalization] = Normalization.NONE

    def __init__(self, args: NodeResourcesFitArgs = _DEFAULT_ARGS) -> None:
        self._ignored = frozenset(args.ignored_resources)
        self._ignored_groups = frozenset(args.ignored_resource_groups)
        self._strategy = to_strategy(args.scoring_strategy)
        self._counted = CountedResources(args.scoring_strategy.counted)

    def criteria(self, state: ClusterState, request: PodRequest) -> Hashable:
        """Return the amounts, as they are checked and as they are scored."""
        return request.amounts, tuple(request.scoring_amounts.items())

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away nodes without room; the code says which resources are short."""
        capacity, used = state.allocatable[:, nodes], state.requested[:, nodes]
        return self.filter_amounts(state, request, capacity, used)

    def filter_amounts(
        self, state: ClusterState, request: PodRequest, capacity: Columns, used: Columns
    ) -> Codes:
        """Return the codes of many nodes."""
        codes: Codes = (used[PODS] >= capacity[PODS]) * np.int64(_TOO_MANY_PODS)
        for index, (resource, amount) in enumerate(self._checked(state, request)):
            room = capacity[resource]
            short = amount > room - used[resource]
            codes |= short * np.int64(1 << min(_FIRST_RESOURCE + index, _MAX_BITS))
            codes |= (amount > room) * np.int64(_UNRESOLVABLE)
        return codes

    def filter_load(
        self, state: ClusterState, request: PodRequest, capacity: Amounts, used: Amounts
    ) -> int:
        """Return the code of one node."""
        code = _TOO_MANY_PODS if used[PODS] >= capacity[PODS] else 0
        for index, (resource, amount) in enumerate(self._checked(state, request)):
            if amount > capacity[resource] - used[resource]:
                code |= 1 << min(_FIRST_RESOURCE + index, _MAX_BITS)
            if amount > capacity[resource]:
                code |= _UNRESOLVABLE
        return code

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return the resources whose bits are set."""
        reasons = ["Too many pods"] if code & _TOO_MANY_PODS else []
        for index, (resource, _) in enumerate(self._checked(state, request)):
            if code >> min(_FIRST_RESOURCE + index, _MAX_BITS) & 1:
                reasons.append(f"Insufficient {state.resources.values[resource]}")
        return Rejection(self.name, tuple(reasons), resolvable=not code & _UNRESOLVABLE)

    def _checked(self, state: ClusterState, request: PodRequest) -> tuple[tuple[int, int], ...]:
        """Return the amounts that a node must have: those of no resource that is ignored."""
        if not self._ignored and not self._ignored_groups:
            return request.amounts
        names = state.resources.values
        return tuple(entry for entry in request.amounts if not self._is_ignored(names[entry[0]]))

    def _is_ignored(self, name: str) -> bool:
        group = name.partition("/")[0]
        return is_extended(name) and (name in self._ignored or group in self._ignored_groups)

    def scores(self, state: ClusterState, request: PodRequest) -> bool:
        """Return True: every pod weighs something."""
        return True

    def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
        """Return the weighted mean of what the strategy gives for each resource."""
        strategy, asked = self._strategy, request.scoring_amounts
        total = np.zeros(len(state.slots[nodes]), dtype=np.int64)
        weights = np.zeros(len(total), dtype=np.int64)
        for resource, weight in self._counted.of(state.resources, asked):
            capacity = state.allocatable[resource, nodes]
            used = state.requested[_USED_ROW.get(resource, resource), nodes]
            shares = strategy.shares(used + asked.get(resource, 0), np.maximum(capacity, 1))
            counts = capacity > 0
            if strategy.is_rounded:
                counts &= shares > 0
            total += shares * counts * weight
            weights += counts * weight
        divisor = np.maximum(weights, 1)
        if strategy.is_rounded:
            total, divisor = 2 * total + divisor, 2 * divisor
        mean: Scores = total // divisor
        return mean

    def score_load(
        self, state: ClusterState, request: PodRequest, capacity: Amounts, used: Amounts
    ) -> int:
        """Return the score of one node."""
        strategy, asked = self._strategy, request.scoring_amounts
        total = weights = 0
        for resource, weight in self._counted.of(state.resources, asked):
            room = capacity[resource]
            if room == 0:
                continue
            in_use = used[_USED_ROW.get(resource, resource)] + asked.get(resource, 0)
            share = strategy.share(in_use, room)
            if share or not strategy.is_rounded:
                total += share * weight
                weights += weight
        if not weights:
            return 0
        return (2 * total + weights) // (2 * weights) if strategy.is_rounded else total // weights
