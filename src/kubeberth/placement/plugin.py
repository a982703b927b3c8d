"""What a placement rule looks like to the engine.

A rule is an object without state of its own. It answers for many nodes at once, for all of them or
for those that changed: `nodes` is a slice or an array of slots, and an answer has one entry for
each of these nodes. These answers are the rule's definition; explanations come from them alone.

What a rule reads decides how often it is asked:

    Reads.NODE      the node's own looks (labels, taints, name): again when the node changes, and,
                    when the rule is `Relative`, when others have changed enough
    Reads.LOAD      the amounts that pods take on the node: again when they change
    Reads.USAGE     anything else about the pods on the node, such as ports: again when a pod
                    comes or goes there
    Reads.CLUSTER   anything else, such as counters over domains: for every decision

Most decisions change one node, and an array of one element costs ten times what a number does. So
rules may answer in smaller pieces as well, and the ranking uses these: `LoadFilter`, `LoadScore`,
`UsageFilter`, and, for rules over the domains of topology keys, `DomainRule`. A small answer must
equal the large one (tests/property).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.core import Pod
from kubeberth.placement.counters import DomainCounter
from kubeberth.placement.request import PodRequest
from kubeberth.placement.reservation import Reservation
from kubeberth.placement.spread_counter import SpreadCounter
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.vocabulary import LabelColumn

T = TypeVar("T")

Amounts = Sequence[int]
"""One amount per resource id."""

Codes = NDArray[np.int64]
"""One code per node: 0 passes, anything else is the rule's own number for why not."""

Scores = NDArray[np.int64]

Columns = NDArray[np.int64]
"""Amounts of many nodes, in base units: shape (n_resources, n_nodes)."""

MAX_SCORE = 100

# A total shares 60 bits with the number of its node, so that sorting handles one small int.
MAX_TOTAL = 1 << 38


class Reads(Enum):
    """What a rule's answer for one node depends on, besides the pod."""

    NODE = "node"
    LOAD = "load"
    USAGE = "usage"
    CLUSTER = "cluster"


class Normalization(Enum):
    """How raw scores become 0..100 over the feasible nodes."""

    NONE = "none"
    DEFAULT = "default"
    REVERSED = "reversed"
    MIN_MAX = "min-max"
    INVERTED = "inverted"


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


class Plugin(Protocol):
    """Anything that takes part in a decision."""

    name: ClassVar[str]


@runtime_checkable
class PreEnqueuePlugin(Protocol):
    """Keeps pods out of the queue."""

    name: ClassVar[str]

    def pre_enqueue(self, pod: Pod) -> Rejection | None:
        """Return why the pod must wait, or None."""


@runtime_checkable
class PreFilterPlugin(Protocol):
    """Looks at the pod before any node is looked at."""

    name: ClassVar[str]
    reads: ClassVar[Reads]

    def pre_filter(
        self, state: ClusterState, request: PodRequest
    ) -> frozenset[str] | Rejection | None:
        """Return the only nodes worth a look, or why no node can do, or None for all nodes."""


@runtime_checkable
class FilterPlugin(Protocol):
    """A hard rule."""

    name: ClassVar[str]
    reads: ClassVar[Reads]

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Return a code per node; None when every node passes."""

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return what a code other than 0 means."""


@runtime_checkable
class Selective(Protocol):
    """A rule that has nothing to say about most templates."""

    def concerns(self, request: PodRequest) -> bool:
        """Return whether the rule can ever refuse this template a node.

        The engine asks once per template and drops the rule for good, so the answer must lie in
        the template alone.
        """


@runtime_checkable
class Impartial(Protocol):
    """A rule that says what of a template it goes by.

    Templates that are the same to every rule share what has been worked out about nodes. For a rule
    that does not say, each template is like no other.
    """

    def criteria(self, state: ClusterState, request: PodRequest) -> Hashable:
        """Return all of a template that any answer depends on.

        A rule that reads CLUSTER adds which counters it looks at; what these count may change.
        """


@runtime_checkable
class LoadFilter(FilterPlugin, Protocol):
    """A hard rule that reads loads: how many pods there are, and what the template asks for."""

    def filter_load(
        self, state: ClusterState, request: PodRequest, capacity: Amounts, used: Amounts
    ) -> int:
        """Return the code of a node with that much of each resource, so much of it in use."""

    def filter_amounts(
        self, state: ClusterState, request: PodRequest, capacity: Columns, used: Columns
    ) -> Codes:
        """Return the codes of many such nodes."""


@runtime_checkable
class UsageFilter(FilterPlugin, Protocol):
    """A hard rule that reads usage, and can answer for a single node."""

    def filter_one(self, state: ClusterState, request: PodRequest, slot: int) -> int:
        """Return the code of one node."""


@runtime_checkable
class ReservePlugin(Protocol):
    """Says what a pod has to be promised before it goes to the node that was chosen."""

    name: ClassVar[str]

    def reserve(
        self, state: ClusterState, request: PodRequest, slot: int
    ) -> tuple[Reservation, ...]:
        """Return what the pod is promised on a node that has passed."""


@runtime_checkable
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
class LoadScore(ScorePlugin, Protocol):
    """A soft rule that reads loads."""

    def score_load(
        self, state: ClusterState, request: PodRequest, capacity: Amounts, used: Amounts
    ) -> int:
        """Return the raw score of a node with that much of each resource, so much in use."""


@runtime_checkable
class Relative(Protocol):
    """A rule over looks whose answer for a node depends on what other nodes look like, too."""

    def basis(self, state: ClusterState, request: PodRequest) -> object:
        """Return a value that differs when answers may differ for nodes that have not changed."""


class DomainFilter(Protocol):
    """A hard rule as it looks to the values of one topology key.

    Attributes
    ----------
    is_local
        Whether a pod that comes or goes can only change the answer for its own domain.
    """

    column: LabelColumn
    is_local: bool

    @property
    def counters(self) -> Sequence[DomainCounter | SpreadCounter]:
        """What a pod must be counted by to change an answer at all."""

    def version(self) -> int:
        """Return a number that changes whenever an answer may; the census' pulse beats then."""

    def epoch(self) -> int:
        """Return a number that changes whenever answers may for domains where no pod came or went.

        Only asked when the rule is not local.
        """

    def passes(self, domain: int) -> bool:
        """Return whether nodes in a domain pass."""

    def table(self) -> NDArray[np.bool_]:
        """Return which domains pass: ndarray of bool, shape (n_domains,)."""


@runtime_checkable
class Exclusion(DomainFilter, Protocol):
    """A hard rule that a domain passes as long as nothing is counted there.

    Attributes
    ----------
    code
        Of a node that fails it; where a node fails several of one rule, the last one's counts.
    """

    counter: DomainCounter
    code: int


class Groups(Protocol):
    """The nodes that pass, grouped by all that normalised scores depend on.

    Attributes
    ----------
    n_nodes
        How many there are in all groups together.
    """

    n_nodes: int

    @property
    def sizes(self) -> Sequence[int]:
        """How many nodes are in each group."""

    def pick(self, column: LabelColumn, table: Sequence[T]) -> Sequence[T]:
        """Return, for each group, its domain's entry in a table with one entry per domain."""


class GroupScore(Protocol):
    """A soft rule as it looks to groups of nodes."""

    @property
    def scores(self) -> Sequence[int]:
        """Each group's score, normalised over the groups: 0..100."""

    @property
    def columns(self) -> tuple[LabelColumn, ...]:
        """Topology keys by whose values nodes are grouped."""

    @property
    def node_columns(self) -> tuple[LabelColumn, ...]:
        """Topology keys with a value per node; what they contribute is the `node_value`."""

    @property
    def node_counters(self) -> Sequence[DomainCounter | SpreadCounter]:
        """What a pod must be counted by to change the value of its node."""

    @property
    def is_relative(self) -> bool:
        """Whether a group that is alone always has the same score."""

    def node_value(self, slot: int) -> int:
        """Return a node's value."""

    def node_values(self) -> NDArray[np.int64]:
        """Return every node's value: ndarray of int64, shape (n_slots,)."""

    def rescore(self, groups: Groups, node_values: Sequence[int]) -> Sequence[int] | None:
        """Bring the scores up to date.

        Returns
        -------
        The indices of the groups whose score may be another one than before; None when that is any
        group, and always when these are not the groups of the last time.
        """


@runtime_checkable
class DomainRule(Impartial, Protocol):
    """A rule that reads the cluster through topology keys only.

    What the methods below return is good as long as the criteria are the same.
    """

    name: ClassVar[str]
    reads: ClassVar[Reads]

    def domain_filters(self, state: ClusterState, request: PodRequest) -> Sequence[DomainFilter]:
        """Return the hard rules, which a node must all pass."""

    def group_score(self, state: ClusterState, request: PodRequest) -> GroupScore | None:
        """Return the soft rule, or None when it has nothing to say now."""
