"""NodePorts: a host port can be had once per address and protocol.

Rule: https://kubernetes.io/docs/concepts/configuration/overview/#services (hostPort)
Matches kube-scheduler 1.36 (plugins/nodeports): `0.0.0.0` conflicts with every address, `::` is an
address like any other.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

import numpy as np

from kubeberth.placement.plugin import Codes, Reads, Rejection
from kubeberth.placement.request import HostPort, PodRequest
from kubeberth.placement.state import ClusterState, Nodes

_ANY_ADDRESS = "0.0.0.0"


class NodePorts:
    """Hard rule over host ports."""

    name: ClassVar[str] = "NodePorts"
    reads: ClassVar[Reads] = Reads.USAGE

    def concerns(self, request: PodRequest) -> bool:
        """Return whether the pod wants a host port."""
        return bool(request.host_ports)

    def criteria(self, state: ClusterState, request: PodRequest) -> Hashable:
        """Return the host ports."""
        return request.host_ports

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away nodes where a wanted port is taken."""
        taken = [slot for users in _users_in_conflict(state, request) for slot in users]
        if not taken:
            return None
        codes = np.zeros(state.n_slots, dtype=np.int64)
        codes[taken] = 1
        return codes[nodes]

    def filter_one(self, state: ClusterState, request: PodRequest, slot: int) -> int:
        """Return 1 for a node where a wanted port is taken, else 0."""
        return int(any(slot in users for users in _users_in_conflict(state, request)))

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return what code 1 means."""
        reason = "node(s) didn't have free ports for the requested pod ports"
        return Rejection(self.name, (reason,), resolvable=True)


def _users_in_conflict(state: ClusterState, request: PodRequest) -> list[set[int]]:
    if not request.host_ports:
        return []
    return [
        users
        for port, users in state.ports_in_use.items()
        if any(_conflict(port, wanted) for wanted in request.host_ports)
    ]


def _conflict(used: HostPort, wanted: HostPort) -> bool:
    if used[1:] != wanted[1:]:
        return False
    return used[0] == wanted[0] or _ANY_ADDRESS in (used[0], wanted[0])
