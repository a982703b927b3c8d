"""NodeResourceTopologyMatch: keep a pod off nodes whose kubelet would refuse it for its topology.

Not among kube-scheduler's own plugins, and off unless a configuration enables it. A node that
describes its machine is asked by the code with which its kubelet decides; docs/decisions/0014.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import ClassVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.core import Node, Pod
from kubeberth.api.meta import ObjectMeta
from kubeberth.placement.memo import Memo
from kubeberth.placement.plugin import Codes, Reads, Rejection
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.topology.foresight import outlook
from kubeberth.topology.names import ALLOCATIONS_ANNOTATION, LAYOUT_ANNOTATION
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
# Of one cluster, answers of all its nodes are kept for so many templates.
_TEMPLATES_OF_STATE = 64


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

    def __init__(self) -> None:
        self._answers: WeakKeyDictionary[ClusterState, Memo[PodRequest, _Answers]] = (
            WeakKeyDictionary()
        )

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away the nodes whose resource managers would refuse the pod; others pass."""
        if (of_state := self._answers.get(state)) is None:
            of_state = self._answers[state] = Memo(lambda _: _Answers(), limit=_TEMPLATES_OF_STATE)
        answers = of_state[request]
        answers.forget_changed(state)
        slots = state.slots[nodes]
        # One after the other: each node has a machine and a history of its own. Of 5,000 nodes it
        # takes 5 us for one that has changed, and 0.1 ms together for those that have not.
        for slot in slots[~answers.known[slots]].tolist():
            answers.codes[slot] = _code(state, slot, request) if state.nodes.exists[slot] else 0
            answers.known[slot] = True
        codes: Codes = answers.codes[slots]
        return codes

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return which of a kubelet's reasons a code is."""
        reason = f"node(s) would reject the pod with {_REASONS[code - 1]}"
        return Rejection(self.name, (reason,), resolvable=True)


class _Answers:
    """What the nodes of a state have to say to the pods of a template, as far as it is known.

    Attributes
    ----------
    codes
        ndarray of int64, shape (n_slots,).
    known
        ndarray of bool, shape (n_slots,): where `codes` holds what would be answered now.
    """

    __slots__ = ("_nodes", "_seen", "codes", "known")

    def __init__(self) -> None:
        self.codes: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.known: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self._nodes: list[Node | None] = []
        self._seen = -1

    def forget_changed(self, state: ClusterState) -> None:
        """Forget what nodes said that have changed since, or other pods."""
        if len(self.codes) != state.n_slots:
            self.codes = np.zeros(state.n_slots, dtype=np.int64)
            self.known = np.zeros(state.n_slots, dtype=bool)
            self._nodes = [None] * state.n_slots
            self._seen = -1
        changed = state.usage_log.since(self._seen, state.n_slots // 2)
        if changed is None:
            self.known[:] = False
        else:
            self.known[changed] = False
        self._seen = state.usage_log.end
        # What a kubelet publishes is in no log, for it concerns nobody else.
        now = state.nodes.by_slot
        if now != self._nodes:
            pairs = enumerate(zip(now, self._nodes, strict=True))
            self.known[[slot for slot, (new, old) in pairs if new is not old]] = False
            self._nodes = now.copy()


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
