"""NodeAffinity: nodeSelector and node affinity, required and preferred.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
Matches kube-scheduler 1.36 (plugins/nodeaffinity).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

import numpy as np

from kubeberth.api.scheduler_config import NodeAffinityArgs
from kubeberth.placement.node_match import meets, meets_all, meets_any
from kubeberth.placement.plugin import (
    Codes,
    Normalization,
    PlacementError,
    Reads,
    Rejection,
    Scores,
)
from kubeberth.placement.request import PodRequest, compile_node_rules
from kubeberth.placement.state import ClusterState, Nodes

_MISMATCH, _ENFORCED_MISMATCH = 1, 2
_REASONS = {
    _MISMATCH: "node(s) didn't match Pod's node affinity/selector",
    _ENFORCED_MISMATCH: "node(s) didn't match scheduler-enforced node affinity",
}

_DEFAULT_ARGS = NodeAffinityArgs()


class NodeAffinity:
    """Hard rule over nodeSelector and required terms, soft rule over preferred terms.

    The terms of its arguments apply to every pod, besides the pod's own.

    Attributes
    ----------
    added
        These terms.
    """

    name: ClassVar[str] = "NodeAffinity"
    reads: ClassVar[Reads] = Reads.NODE
    normalization: ClassVar[Normalization] = Normalization.DEFAULT

    def __init__(self, args: NodeAffinityArgs = _DEFAULT_ARGS) -> None:
        self.added = compile_node_rules(args.added_affinity, {})

    def concerns(self, request: PodRequest) -> bool:
        """Return whether the pod, or the scheduler for it, says on which nodes it must run."""
        rules = request.node_rules
        return bool(rules.selector) or rules.required is not None or self.added.required is not None

    def criteria(self, state: ClusterState, request: PodRequest) -> Hashable:
        """Return nodeSelector and node affinity."""
        return request.node_rules

    def pre_filter(
        self, state: ClusterState, request: PodRequest
    ) -> frozenset[str] | Rejection | None:
        """Return the nodes that `matchFields` name, when the terms name any."""
        names = request.node_rules.only_names
        if names is not None and not names:
            return Rejection(self.name, ("pod affinity terms conflict",), resolvable=False)
        return names

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away nodes that miss the selector, or all of the required terms."""
        if not self.concerns(request):
            return None
        rules, added = request.node_rules, self.added.required
        passes = meets_all(state.nodes, rules.selector, nodes)
        if rules.required is not None:
            passes &= meets_any(state.nodes, rules.required, nodes)
        codes = np.where(passes, 0, _MISMATCH)
        if added is not None:
            codes[~meets_any(state.nodes, added, nodes)] = _ENFORCED_MISMATCH
        return codes

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return whose terms a node misses."""
        return Rejection(self.name, (_REASONS[code],), resolvable=False)

    def scores(self, state: ClusterState, request: PodRequest) -> bool:
        """Return whether there are preferred terms; one that does not parse ends the attempt."""
        if request.node_rules.error:
            raise PlacementError(request.node_rules.error)
        return request.node_rules.has_preferred or self.added.has_preferred

    def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
        """Add up the weights of the preferred terms that each node meets."""
        total = np.zeros(len(state.slots[nodes]), dtype=np.int64)
        for weight, term in (*self.added.preferred, *request.node_rules.preferred):
            total += weight * meets(state.nodes, term, nodes)
        return total
