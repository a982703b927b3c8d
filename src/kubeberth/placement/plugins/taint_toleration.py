"""TaintToleration: keep a pod off nodes whose hard taints it does not tolerate.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
Matches kube-scheduler 1.36 (plugins/tainttoleration).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

import numpy as np

from kubeberth.placement.node_match import HARD_EFFECTS, SOFT_EFFECTS, n_untolerated
from kubeberth.placement.plugin import Codes, Normalization, Reads, Rejection, Scores
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes


class TaintToleration:
    """Hard rule over NoSchedule and NoExecute taints, soft rule over PreferNoSchedule taints."""

    name: ClassVar[str] = "TaintToleration"
    reads: ClassVar[Reads] = Reads.NODE
    normalization: ClassVar[Normalization] = Normalization.REVERSED

    def criteria(self, state: ClusterState, request: PodRequest) -> Hashable:
        """Return the tolerations."""
        return request.tolerations

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away each node with a hard taint that the pod does not tolerate."""
        found = n_untolerated(state.nodes, request.tolerations, HARD_EFFECTS, nodes)
        return np.minimum(found, 1) if found.any() else None

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return what code 1 means."""
        return Rejection(self.name, ("node(s) had untolerated taint(s)",), resolvable=False)

    def scores(self, state: ClusterState, request: PodRequest) -> bool:
        """Return True: nodes without soft taints earn the full score."""
        return True

    def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
        """Count the soft taints that the pod does not tolerate."""
        return n_untolerated(state.nodes, request.tolerations, SOFT_EFFECTS, nodes)
