"""NodeResourcesFit: a node must have room for what the pod asks for, the emptier the better.

Rule: https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
Matches kube-scheduler 1.36 (plugins/noderesources, strategy LeastAllocated over CPU and memory).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.plugin import (
    MAX_SCORE,
    Amounts,
    Codes,
    Normalization,
    Reads,
    Rejection,
    Scores,
)
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.vocabulary import CPU, MEMORY, PODS, SCORED_CPU, SCORED_MEMORY

# Bits of a code; the n-th resource that the pod asks for has bit n behind these.
_UNRESOLVABLE = 1
_TOO_MANY_PODS = 2
_FIRST_RESOURCE = 2
# An int64 has no more bits: the resources beyond share the last one, and are named together.
_MAX_BITS = 60


class NodeResourcesFit:
    """Hard rule over all requested resources, soft rule over CPU and memory."""

    name: ClassVar[str] = "NodeResourcesFit"
    reads: ClassVar[Reads] = Reads.LOAD
    normalization: ClassVar[Normalization] = Normalization.NONE

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away nodes without room; the code says which resources are short."""
        allocatable, requested = state.allocatable, state.requested
        no_room = requested[PODS, nodes] >= allocatable[PODS, nodes]
        codes = no_room * np.int64(_TOO_MANY_PODS)
        for index, (resource, amount) in enumerate(request.amounts):
            capacity = allocatable[resource, nodes]
            short = amount > capacity - requested[resource, nodes]
            codes |= short * np.int64(1 << min(_FIRST_RESOURCE + index, _MAX_BITS))
            codes |= (amount > capacity) * np.int64(_UNRESOLVABLE)
        return codes

    def filter_load(
        self, state: ClusterState, request: PodRequest, capacity: Amounts, used: Amounts
    ) -> int:
        """Return the code of one node."""
        code = _TOO_MANY_PODS if used[PODS] >= capacity[PODS] else 0
        for index, (resource, amount) in enumerate(request.amounts):
            if amount > capacity[resource] - used[resource]:
                code |= 1 << min(_FIRST_RESOURCE + index, _MAX_BITS)
            if amount > capacity[resource]:
                code |= _UNRESOLVABLE
        return code

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return the resources whose bits are set."""
        reasons = ["Too many pods"] if code & _TOO_MANY_PODS else []
        for index, (resource, _) in enumerate(request.amounts):
            if code >> min(_FIRST_RESOURCE + index, _MAX_BITS) & 1:
                reasons.append(f"Insufficient {state.resources.values[resource]}")
        return Rejection(self.name, tuple(reasons), resolvable=not code & _UNRESOLVABLE)

    def scores(self, state: ClusterState, request: PodRequest) -> bool:
        """Return True: every pod prefers an empty node."""
        return True

    def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
        """Return the mean share of CPU and memory that would be left, in percent."""
        total = np.zeros(len(state.slots[nodes]), dtype=np.int64)
        n_counted = np.zeros(len(total), dtype=np.int64)
        for row, resource in enumerate((CPU, MEMORY)):
            capacity = state.allocatable[resource, nodes]
            used = state.scoring_requested[row, nodes] + request.scoring_cpu_memory[row]
            total += _percent_left(used, capacity)
            n_counted += capacity != 0
        mean: Scores = total // np.maximum(n_counted, 1)
        return mean

    def score_load(
        self, state: ClusterState, request: PodRequest, capacity: Amounts, used: Amounts
    ) -> int:
        """Return the score of one node."""
        total = n_counted = 0
        for resource, scored, asked in zip(
            (CPU, MEMORY), (SCORED_CPU, SCORED_MEMORY), request.scoring_cpu_memory, strict=True
        ):
            room = capacity[resource]
            if room == 0:
                continue
            n_counted += 1
            total += max(room - used[scored] - asked, 0) * MAX_SCORE // room
        return total // n_counted if n_counted else 0


def _percent_left(used: NDArray[np.int64], capacity: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0 where too much is used, or nothing is there to be used."""
    left = np.maximum(capacity - used, 0)
    percent: NDArray[np.int64] = left * MAX_SCORE // np.maximum(capacity, 1)
    return percent
