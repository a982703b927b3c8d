"""NodeResourceTopologyMatch: keep a pod off nodes whose kubelet would refuse it for its topology.

Not among kube-scheduler's own plugins, and off unless a configuration enables it. A node that
describes its machine is asked by the code with which its kubelet decides; docs/decisions/0014.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import ClassVar

import numpy as np

from kubeberth.api.core import Pod
from kubeberth.api.meta import ObjectMeta
from kubeberth.placement.plugin import Codes, Reads, Rejection
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.topology.foresight import outlook
from kubeberth.topology.layout import ALLOCATIONS_ANNOTATION, LAYOUT_ANNOTATION
from kubeberth.topology.requests import PodRequest as TopologyRequest
from kubeberth.topology.requests import pod_request

_REASONS = (
    "TopologyAffinityError",
    "SMTAlignmentError",
    "UnexpectedAdmissionError",
    "EmptyPodSharedPoolError",
)
# Whom a pod that is asked about is called: nobody has that UID.
_ASKING = "asking"
# Answers that are kept: of all nodes of a large cluster, for the templates of the moment.
_ANSWERS = 16384
_TEMPLATES = 4096


class NodeResourceTopologyMatch:
    """Hard rule over the machines that nodes describe."""

    name: ClassVar[str] = "NodeResourceTopologyMatch"
    # Kubelets publish without a change of what other rules look at.
    reads: ClassVar[Reads] = Reads.CLUSTER

    def concerns(self, request: PodRequest) -> bool:
        """Return whether a pod asks for CPUs or memory of its own, or for devices."""
        asked = _asked(request, pools=True)
        return asked.pins_memory or any(
            "/" in name for one in asked.containers for name in one.limits
        )

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away the nodes whose resource managers would refuse the pod; others pass."""
        slots = state.slots[nodes]
        codes: Codes = np.zeros(len(slots), dtype=np.int64)
        # One after the other: each node has a machine and a history of its own. 5,000 nodes take
        # 25 ms where most answers are known already, 5 us a node.
        for index, slot in enumerate(slots.tolist()):
            if state.nodes.exists[slot]:
                codes[index] = _code(state, slot, request)
        return codes

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return which of a kubelet's reasons a code is."""
        reason = f"node(s) would reject the pod with {_REASONS[code - 1]}"
        return Rejection(self.name, (reason,), resolvable=True)


def _code(state: ClusterState, slot: int, request: PodRequest) -> int:
    node = state.node(slot)
    annotations = node.metadata.annotations
    layout = annotations.get(LAYOUT_ANNOTATION)
    if layout is None:
        return 0
    present = tuple((placed.key, placed.request) for placed in state.pods_on(node.metadata.name))
    return _foreseen(layout, annotations.get(ALLOCATIONS_ANNOTATION), present, request)


@lru_cache(maxsize=_ANSWERS)
def _foreseen(
    layout: str,
    publication: str | None,
    present: tuple[tuple[str, PodRequest], ...],
    request: PodRequest,
) -> int:
    known = outlook(layout, publication)
    if known is None:
        return 0
    on_node = [(key, replace(_asked(one, pools=known.pools), uid=key)) for key, one in present]
    refusal = known.refusal(on_node, _asked(request, pools=known.pools))
    return 0 if refusal is None else _REASONS.index(refusal.reason) + 1


@lru_cache(maxsize=_TEMPLATES)
def _asked(request: PodRequest, *, pools: bool) -> TopologyRequest:
    """Return what a pod of a template asks the resource managers for."""
    return pod_request(Pod(metadata=ObjectMeta(uid=_ASKING), spec=request.spec), pools=pools)
