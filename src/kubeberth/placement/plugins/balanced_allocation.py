"""NodeResourcesBalancedAllocation: prefer nodes whose resources the pod brings in balance.

Rule: https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
Matches kube-scheduler 1.36 (plugins/noderesources/balanced_allocation.go): the score is the change
of the balance, 75 where there is none.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.scheduler_config import NodeResourcesBalancedAllocationArgs
from kubeberth.placement.plugin import MAX_SCORE, Amounts, Normalization, Reads, Scores
from kubeberth.placement.request import PodRequest
from kubeberth.placement.scoring import CountedResources
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.vocabulary import distinct

_DEFAULT_ARGS = NodeResourcesBalancedAllocationArgs()
Mask = NDArray[np.bool_]

_NOTHING: Mapping[int, int] = {}
_UNCHANGED = 75

Share = TypeVar("Share", float, NDArray[np.float64])
"""The share of a resource that is in use, on one node or on many."""


class NodeResourcesBalancedAllocation:
    """Soft rule over CPU and memory, or the resources of its arguments."""

    name: ClassVar[str] = "NodeResourcesBalancedAllocation"
    reads: ClassVar[Reads] = Reads.LOAD
    normalization: ClassVar[Normalization] = Normalization.NONE

    def __init__(self, args: NodeResourcesBalancedAllocationArgs = _DEFAULT_ARGS) -> None:
        self._counted = CountedResources(args.counted)

    def criteria(self, state: ClusterState, request: PodRequest) -> Hashable:
        """Return the amounts."""
        return request.amounts

    def scores(self, state: ClusterState, request: PodRequest) -> bool:
        """Return whether the pod asks for any of the resources."""
        asked = dict(request.amounts)
        return any(resource in asked for resource, _ in self._counted.of(state.resources, asked))

    def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
        """Return how much better balanced the node is with the pod than without."""
        asked = dict(request.amounts)
        resources = [resource for resource, _ in self._counted.of(state.resources, asked)]
        with_pod = _balance(state, nodes, resources, asked)
        without = _balance(state, nodes, resources, _NOTHING)
        # The operand is between 0 and 150, so rounding down and truncating are the same.
        return 50 + (50 + with_pod - without) // 2

    def score_load(
        self, state: ClusterState, request: PodRequest, capacity: Amounts, used: Amounts
    ) -> int:
        """Return the score of one node."""
        asked = dict(request.amounts)
        before, after = [], []
        for resource, _ in self._counted.of(state.resources, asked):
            room = capacity[resource]
            if room:
                in_use = used[resource]
                before.append(min(in_use / room, 1.0))
                after.append(min((in_use + asked.get(resource, 0)) / room, 1.0))
        if len(after) < 2:
            return _UNCHANGED
        with_pod = int((1 - _deviation(after)) * MAX_SCORE)
        without = int((1 - _deviation(before)) * MAX_SCORE)
        return 50 + (50 + with_pod - without) // 2


def _balance(
    state: ClusterState, nodes: Nodes, resources: Sequence[int], asked: Mapping[int, int]
) -> Scores:
    """Return 100 where all resources are used in the same proportion, less where they are not."""
    rooms = state.allocatable[resources][:, nodes]
    extra = np.array([asked.get(resource, 0) for resource in resources])[:, np.newaxis]
    shares = (state.requested[resources][:, nodes] + extra) / np.maximum(rooms, 1)
    shares = np.minimum(shares, 1.0)
    deviation = np.zeros(rooms.shape[1])
    for counts, alike in _by_resources(rooms > 0):
        if counts.sum() >= 2:
            deviation[alike] = _deviation([row[alike] for row in shares[counts]])
    balance: Scores = ((1 - deviation) * MAX_SCORE).astype(np.int64)
    return balance


def _by_resources(has: Mask) -> Iterator[tuple[Mask, Mask | slice]]:
    """Yield which resources count, and the nodes for which they do: a node's own ones.

    Parameters
    ----------
    has
        ndarray of bool, shape (n_resources, n_nodes).
    """
    if has.all():
        yield np.ones(len(has), dtype=bool), slice(None)
        return
    codes = (1 << np.arange(len(has))) @ has
    for code in distinct(codes):
        alike = codes == code
        yield has[:, np.argmax(alike)], alike


def _deviation(shares: Sequence[Share]) -> Share:
    """Return the standard deviation of two or more shares, in upstream's order of operations."""
    if len(shares) == 2:
        return abs((shares[0] - shares[1]) / 2)
    mean = sum(shares[1:], shares[0]) / len(shares)
    squares = [(share - mean) * (share - mean) for share in shares]
    deviation: Share = np.sqrt(sum(squares[1:], squares[0]) / len(shares))
    return deviation
