"""NodeResourcesBalancedAllocation: prefer nodes whose CPU and memory the pod brings in balance.

Rule: https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
Matches kube-scheduler 1.36 (plugins/noderesources/balanced_allocation.go): the score is the change
of the balance, 75 where there is none.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.plugin import MAX_SCORE, Amounts, Normalization, Reads, Scores
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.vocabulary import CPU, MEMORY

_UNCHANGED = 75


class NodeResourcesBalancedAllocation:
    """Soft rule over CPU and memory."""

    name: ClassVar[str] = "NodeResourcesBalancedAllocation"
    reads: ClassVar[Reads] = Reads.LOAD
    normalization: ClassVar[Normalization] = Normalization.NONE

    def scores(self, state: ClusterState, request: PodRequest) -> bool:
        """Return whether the pod asks for any CPU or memory."""
        return any(resource in (CPU, MEMORY) for resource, _ in request.amounts)

    def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
        """Return how much better balanced the node is with the pod than without."""
        asked = dict(request.amounts)
        with_pod = _balance(state, nodes, asked.get(CPU, 0), asked.get(MEMORY, 0))
        without = _balance(state, nodes, 0, 0)
        # The operand is between 0 and 150, so rounding down and truncating are the same.
        return 50 + (50 + with_pod - without) // 2

    def score_load(
        self, state: ClusterState, request: PodRequest, capacity: Amounts, used: Amounts
    ) -> int:
        """Return the score of one node."""
        if capacity[CPU] == 0 or capacity[MEMORY] == 0:
            return _UNCHANGED
        asked = dict(request.amounts)
        cpu, memory = used[CPU], used[MEMORY]
        without = _balance_of_one(cpu / capacity[CPU], memory / capacity[MEMORY])
        with_pod = _balance_of_one(
            (cpu + asked.get(CPU, 0)) / capacity[CPU],
            (memory + asked.get(MEMORY, 0)) / capacity[MEMORY],
        )
        return 50 + (50 + with_pod - without) // 2


def _balance_of_one(share_cpu: float, share_memory: float) -> int:
    deviation = abs((min(share_cpu, 1.0) - min(share_memory, 1.0)) / 2)
    return int((1 - deviation) * MAX_SCORE)


def _balance(state: ClusterState, nodes: Nodes, cpu: int, memory: int) -> NDArray[np.int64]:
    """Return 100 where CPU and memory are used in the same proportion, less where they are not."""
    capacity_cpu, capacity_memory = state.allocatable[CPU, nodes], state.allocatable[MEMORY, nodes]
    share_cpu = _share(state.requested[CPU, nodes] + cpu, capacity_cpu)
    share_memory = _share(state.requested[MEMORY, nodes] + memory, capacity_memory)
    deviation = np.abs((share_cpu - share_memory) / 2)
    # With only one resource to speak of there is nothing to balance.
    deviation[(capacity_cpu == 0) | (capacity_memory == 0)] = 0
    balance: NDArray[np.int64] = ((1 - deviation) * MAX_SCORE).astype(np.int64)
    return balance


def _share(used: NDArray[np.int64], capacity: NDArray[np.int64]) -> NDArray[np.float64]:
    share: NDArray[np.float64] = np.minimum(used / np.maximum(capacity, 1), 1.0)
    return share
