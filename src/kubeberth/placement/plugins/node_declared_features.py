"""NodeDeclaredFeatures: a pod that uses a new feature goes to nodes that say they have it.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/node-declared-features/
Matches kube-scheduler 1.36 (plugins/nodedeclaredfeatures).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

import numpy as np

from kubeberth.placement.plugin import Codes, Reads, Rejection
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes


class NodeDeclaredFeatures:
    """Hard rule over `status.declaredFeatures`."""

    name: ClassVar[str] = "NodeDeclaredFeatures"
    reads: ClassVar[Reads] = Reads.NODE

    def concerns(self, request: PodRequest) -> bool:
        """Return whether the pod needs a feature."""
        return bool(request.features)

    def criteria(self, state: ClusterState, request: PodRequest) -> Hashable:
        """Return the features."""
        return request.features

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away nodes that lack a needed feature."""
        if not request.features:
            return None
        table = state.nodes
        lacks = [not request.features <= declared for declared in table.feature_sets.values]
        codes: Codes = np.array(lacks, dtype=np.int64)[table.feature_set_ids[nodes]]
        return codes

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return what code 1 means."""
        reason = "node(s) didn't match Pod's required features"
        return Rejection(self.name, (reason,), resolvable=False)
