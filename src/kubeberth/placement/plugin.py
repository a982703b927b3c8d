"""What a placement rule looks like to the engine.

A rule is an object without state of its own. It answers for many nodes at once, for all of them or
for those that changed: `nodes` is a slice or an array of slots, and an answer has one entry for
each of these nodes. What a rule reads decides when its answer may be kept:

    Reads.NODE      the node's own looks (labels, taints, name): kept until the node changes
    Reads.USAGE     what the pods on the node take: kept until a pod comes or goes there
    Reads.CLUSTER   anything else, such as counters over domains: asked anew for every decision

Most decisions change one node, and arrays of one element cost ten times what plain numbers do; so
rules that read usage answer for a single node as well. Both answers must be equal
(tests/unit/placement/test_one_node.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes

Codes = NDArray[np.int64]
"""One code per node: 0 passes, anything else is the rule's own number for why not."""

Scores = NDArray[np.int64]

MAX_SCORE = 100


class Reads(Enum):
    """What a rule's answer for one node depends on, besides the pod."""

    NODE = "node"
    USAGE = "usage"
    CLUSTER = "cluster"


class Normalization(Enum):
    """How raw scores become 0..100 over the feasible nodes."""

    NONE = "none"
    DEFAULT = "default"
    REVERSED = "reversed"
    MIN_MAX = "min-max"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one node, or the pod as a whole, was refused.

    Parameters
    ----------
    plugin
        Name of the rule; empty when the node was never looked at.
    resolvable
        Whether removing pods might help: `Unschedulable` as opposed to
        `UnschedulableAndUnresolvable`.
    """

    plugin: str
    reasons: tuple[str, ...]
    resolvable: bool

    @property
    def code(self) -> str:
        """kube-scheduler's name for it."""
        return "Unschedulable" if self.resolvable else "UnschedulableAndUnresolvable"


class PlacementError(Exception):
    """An attempt that ends with an internal error, as upstream's would."""


class NarrowPlugin(Protocol):
    """Names the only nodes worth a look."""

    name: ClassVar[str]

    def narrow(self, request: PodRequest) -> frozenset[str] | Rejection | None:
        """Return node names, or why no node can do, or None for all nodes."""


class FilterPlugin(Protocol):
    """A hard rule."""

    name: ClassVar[str]
    reads: ClassVar[Reads]

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Return a code per node; None when every node passes."""

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return what a code other than 0 means."""


@runtime_checkable
class UsageFilter(FilterPlugin, Protocol):
    """A hard rule that reads usage."""

    def filter_one(self, state: ClusterState, request: PodRequest, slot: int) -> int:
        """Return the code of one node."""


class ScorePlugin(Protocol):
    """A soft rule."""

    name: ClassVar[str]
    reads: ClassVar[Reads]
    normalization: ClassVar[Normalization]

    def scores(self, state: ClusterState, request: PodRequest) -> bool:
        """Return whether the rule has anything to say about this pod.

        Raises
        ------
        PlacementError
            When the attempt has to end here.
        """

    def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
        """Return a raw score per node."""


@runtime_checkable
class UsageScore(ScorePlugin, Protocol):
    """A soft rule that reads usage."""

    def score_one(self, state: ClusterState, request: PodRequest, slot: int) -> int:
        """Return the raw score of one node."""
