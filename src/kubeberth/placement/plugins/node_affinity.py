"""NodeAffinity: nodeSelector and node affinity, required and preferred.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
Matches kube-scheduler 1.36 (plugins/nodeaffinity).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from kubeberth.placement.node_match import meets, meets_all, meets_any
from kubeberth.placement.plugin import (
    Codes,
    Normalization,
    PlacementError,
    Reads,
    Rejection,
    Scores,
)
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes

_MISMATCH = "node(s) didn't match Pod's node affinity/selector"


class NodeAffinity:
    """Hard rule over nodeSelector and required terms, soft rule over preferred terms."""

    name: ClassVar[str] = "NodeAffinity"
    reads: ClassVar[Reads] = Reads.NODE
    normalization: ClassVar[Normalization] = Normalization.DEFAULT

    def concerns(self, request: PodRequest) -> bool:
        """Return whether the pod says on which nodes it must run."""
        return bool(request.node_rules.selector) or request.node_rules.required is not None

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
        rules = request.node_rules
        if not rules.selector and rules.required is None:
            return None
        passes = meets_all(state.nodes, rules.selector, nodes)
        if rules.required is not None:
            passes &= meets_any(state.nodes, rules.required, nodes)
        return (~passes).astype(np.int64)

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return what code 1 means."""
        return Rejection(self.name, (_MISMATCH,), resolvable=False)

    def scores(self, state: ClusterState, request: PodRequest) -> bool:
        """Return whether there are preferred terms; one that does not parse ends the attempt."""
        if request.node_rules.error:
            raise PlacementError(request.node_rules.error)
        return request.node_rules.has_preferred

    def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
        """Add up the weights of the preferred terms that each node meets."""
        total = np.zeros(len(state.slots[nodes]), dtype=np.int64)
        for weight, term in request.node_rules.preferred:
            total += weight * meets(state.nodes, term, nodes)
        return total
