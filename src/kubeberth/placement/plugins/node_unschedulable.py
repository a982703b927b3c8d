"""NodeUnschedulable: keep pods off cordoned nodes.

Rule: https://kubernetes.io/docs/concepts/nodes/node/#manual-node-administration
Matches kube-scheduler 1.36 (plugins/nodeunschedulable): only `spec.unschedulable` is looked at, and
a pod that tolerates the taint of that name passes.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

import numpy as np

from kubeberth.api.core import Taint
from kubeberth.api.taints import tolerates
from kubeberth.placement.plugin import Codes, Reads, Rejection
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes

_CORDON = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


class NodeUnschedulable:
    """Hard rule over `spec.unschedulable`."""

    name: ClassVar[str] = "NodeUnschedulable"
    reads: ClassVar[Reads] = Reads.NODE

    def criteria(self, state: ClusterState, request: PodRequest) -> Hashable:
        """Return the tolerations."""
        return request.tolerations

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away cordoned nodes, unless the pod tolerates that."""
        if any(tolerates(toleration, _CORDON) for toleration in request.tolerations):
            return None
        return state.unschedulable[nodes].astype(np.int64)

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return what code 1 means."""
        return Rejection(self.name, ("node(s) were unschedulable",), resolvable=False)
