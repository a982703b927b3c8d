"""Rules written for one node at a time, in plain Python.

The easy way to a plugin of one's own: a class that inherits `PerNodeFilter`, `PerNodeScore` or
both, says what its answers depend on (`reads`), and has a method `refuse` or `rate`:

    class NoSpotForGuests(PerNodeFilter):
        name = "NoSpotForGuests"

        def refuse(self, pod: PodView, node: NodeView) -> str | None:
            if pod.namespace == "guests" and node.labels.get("capacity") == "spot":
                return "node(s) were spot capacity"
            return None

A node shows what `reads` declares and nothing else, so answers cannot go stale. A rule that reads
NODE is asked once per template and node, and again when the node changes; at 5,000 nodes the first
decision of a template then takes some 10 ms, the others what they would without the rule. One that
reads USAGE is asked again for the nodes where a pod came or went, but its score makes every
decision look at every node, as does anything that reads CLUSTER.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

import numpy as np

from kubeberth.api.core import PodSpec, Taint
from kubeberth.placement.plugin import (
    MAX_SCORE,
    Codes,
    Normalization,
    PlacementError,
    Reads,
    Rejection,
    Scores,
)
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.vocabulary import FIXED_RESOURCES, NATIVE_RESOURCES, Interner

_ABOUT_PODS = (Reads.USAGE, Reads.CLUSTER)


class UndeclaredReadError(PlacementError):
    """A rule looked at something that its `reads` does not declare."""


class PodView:
    """A pod as a rule sees it; pods of one template look the same.

    Labels that differ from pod to pod, such as a StatefulSet's pod names, are left out.
    """

    __slots__ = ("_request", "_state")

    def __init__(self, state: ClusterState, request: PodRequest) -> None:
        self._state, self._request = state, request

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return self._request.namespace

    @property
    def labels(self) -> Mapping[str, str]:
        """The pod's labels."""
        return self._state.links(self._request).label_class.labels

    @property
    def spec(self) -> PodSpec:
        """The pod's spec, defaults filled in."""
        return self._request.spec

    @property
    def priority(self) -> int:
        """The pod's priority."""
        return self._request.priority

    @property
    def requests(self) -> Mapping[str, int]:
        """What it asks for in all: milli-CPU, bytes or pieces by resource, zeros left out."""
        names = self._state.resources.values
        return {names[resource]: amount for resource, amount in self._request.amounts}


class NodeView:
    """A node as a rule sees it."""

    __slots__ = ("_reads", "_slot", "_state")

    def __init__(self, state: ClusterState, slot: int, reads: Reads) -> None:
        self._state, self._slot, self._reads = state, slot, reads

    @property
    def name(self) -> str:
        """The node's name."""
        return self._state.nodes.name_of[self._slot]

    @property
    def labels(self) -> Mapping[str, str]:
        """The node's labels."""
        return self._state.node(self._slot).metadata.labels

    @property
    def taints(self) -> tuple[Taint, ...]:
        """The node's taints."""
        return self._state.node(self._slot).spec.taints

    @property
    def unschedulable(self) -> bool:
        """Whether the node is cordoned."""
        return self._state.node(self._slot).spec.unschedulable

    @property
    def allocatable(self) -> Mapping[str, int]:
        """What pods may take: milli-CPU, bytes or pieces by resource; `pods` is their number."""
        return self._amounts(self._state.allocatable[:, self._slot].tolist())

    @property
    def requested(self) -> Mapping[str, int]:
        """What pods take, in the same units."""
        self._check("requested")
        return self._amounts(self._state.requested[:, self._slot].tolist())

    @property
    def pods(self) -> tuple[PodView, ...]:
        """The pods that are bound to the node or about to be."""
        self._check("pods")
        placed = self._state.pods_on(self.name)
        return tuple(PodView(self._state, entry.request) for entry in placed)

    def _check(self, what: str) -> None:
        if self._reads not in _ABOUT_PODS:
            raise UndeclaredReadError(
                f"node.{what} changes as pods come and go: a rule that looks at it has to say "
                "reads = Reads.USAGE"
            )

    def _amounts(self, row: list[int]) -> Mapping[str, int]:
        names = self._state.resources.values
        hidden = FIXED_RESOURCES[len(NATIVE_RESOURCES) :]
        return {n: a for n, a in zip(names, row, strict=True) if a and n not in hidden}


class PerNodeFilter:
    """A hard rule, one node at a time."""

    name: ClassVar[str]
    reads: ClassVar[Reads] = Reads.NODE
    is_resolvable: ClassVar[bool] = False
    """Whether removing pods from a node might make it pass, so that preemption may try."""

    def refuse(self, pod: PodView, node: NodeView) -> str | None:
        """Return why the pod may not go to the node, in words that fit behind a number; or None."""
        raise NotImplementedError(f"{type(self).__name__} has to have a method refuse")

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Return a code per node, which stands for the reason."""
        slots = state.slots[nodes].tolist()
        return np.array([self.filter_one(state, request, slot) for slot in slots], dtype=np.int64)

    def filter_one(self, state: ClusterState, request: PodRequest, slot: int) -> int:
        """Return the code of one node."""
        if not state.exists[slot]:
            return 0
        view = NodeView(state, slot, self.reads)
        reason = self.refuse(PodView(state, request), view)
        return 0 if reason is None else self._reasons.intern(reason)

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return the reason that a code stands for."""
        return Rejection(self.name, (self._reasons.values[code],), resolvable=self.is_resolvable)

    @cached_property
    def _reasons(self) -> Interner[str]:
        """Every reason so far; the first stands for none."""
        return Interner(("",))


class PerNodeScore:
    """A soft rule, one node at a time."""

    name: ClassVar[str]
    reads: ClassVar[Reads] = Reads.NODE
    normalization: ClassVar[Normalization] = Normalization.NONE
    """How rates become 0 to 100 over the nodes that pass; without any, they have to be that."""

    def rate(self, pod: PodView, node: NodeView) -> int:
        """Return how good the node is for the pod."""
        raise NotImplementedError(f"{type(self).__name__} has to have a method rate")

    def scores(self, state: ClusterState, request: PodRequest) -> bool:
        """Return True: every node has a rate."""
        return True

    def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
        """Return the rate of each node.

        Raises
        ------
        PlacementError
            When a rate is out of range, as kube-scheduler does.
        """
        pod = PodView(state, request)
        rates = [
            self.rate(pod, NodeView(state, slot, self.reads)) if state.exists[slot] else 0
            for slot in state.slots[nodes].tolist()
        ]
        for rate in rates:
            if self.normalization is Normalization.NONE and not 0 <= rate <= MAX_SCORE:
                raise PlacementError(
                    f'plugin "{self.name}" returns an invalid score {rate}, it should in the range '
                    "of [0, 100] after normalizing"
                )
        return np.array(rates, dtype=np.int64)
