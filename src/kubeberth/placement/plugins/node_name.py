"""NodeName: a pod that names its node goes nowhere else.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#nodename
Matches kube-scheduler 1.36 (plugins/nodename). Pods with a nodeName never reach the queue; the
planner may ask for them.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

import numpy as np

from kubeberth.placement.plugin import Codes, Reads, Rejection
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes


class NodeName:
    """Hard rule over `spec.nodeName`."""

    name: ClassVar[str] = "NodeName"
    reads: ClassVar[Reads] = Reads.NODE

    def criteria(self, state: ClusterState, request: PodRequest) -> Hashable:
        """Return the name."""
        return request.node_name

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away every node but the named one."""
        if not request.node_name:
            return None
        wanted = state.slot_of(request.node_name)
        codes: Codes = (state.slots[nodes] != (-1 if wanted is None else wanted)).astype(np.int64)
        return codes

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return what code 1 means."""
        reason = "node(s) didn't match the requested node name"
        return Rejection(self.name, (reason,), resolvable=False)
