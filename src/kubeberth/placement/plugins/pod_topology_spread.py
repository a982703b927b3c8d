"""PodTopologySpread: keep the numbers of like pods in the domains of a topology key together.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
Matches kube-scheduler 1.36 (plugins/podtopologyspread).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress, repeat
from math import log
from operator import add
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.scheduler_config import PodTopologySpreadArgs
from kubeberth.placement.counted_nodes import PER_NODE, Inclusion
from kubeberth.placement.normalize import by_inversion
from kubeberth.placement.plugin import (
    Codes,
    DomainFilter,
    Groups,
    GroupScore,
    Normalization,
    Reads,
    Rejection,
    Scores,
)
from kubeberth.placement.request import PodRequest
from kubeberth.placement.spread import (
    HOSTNAME,
    SYSTEM_DEFAULTS,
    SpreadConstraint,
    to_spread_constraint,
)
from kubeberth.placement.spread_counter import SpreadCounter, SpreadTerm
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.vocabulary import ABSENT, LabelColumn

_MISSING_KEY, _SKEWED = 1, 2
_REASON = "node(s) didn't match pod topology spread constraints"
_REASONS = {_MISSING_KEY: f"{_REASON} (missing required label)", _SKEWED: _REASON}

_IGNORED = -1

_DEFAULT_ARGS = PodTopologySpreadArgs()

# What is remembered of sums of scores.
_MAX_ROUNDED = 4096

Mask = NDArray[np.bool_]

Counted = tuple[SpreadConstraint, SpreadCounter]
"""A constraint, and the pods that it spreads."""


class PodTopologySpread:
    """Hard rule over `DoNotSchedule` constraints, soft rule over `ScheduleAnyway` constraints.

    Pods that bring none have those of its arguments; what these select by is found from Services
    and controllers. Only those of the system put up with nodes that lack a topology key.
    """

    name: ClassVar[str] = "PodTopologySpread"
    reads: ClassVar[Reads] = Reads.CLUSTER
    normalization: ClassVar[Normalization] = Normalization.INVERTED

    def __init__(self, args: PodTopologySpreadArgs = _DEFAULT_ARGS) -> None:
        self._is_system = args.defaulting_type == "System"
        self._defaults = SYSTEM_DEFAULTS if self._is_system else args.default_constraints

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away nodes that lack a key, or where one pod more would be too many."""
        constraints = self._hard(state, request)
        if not constraints:
            return None
        codes = np.zeros(len(state.slots[nodes]), dtype=np.int64)
        # The first constraint that a node breaks gives the code, so it comes last.
        for constraint, counter in reversed(constraints):
            column = state.label_column(constraint.topology_key)
            domains = column.ids[nodes]
            counter.fit()
            limit = _limit(constraint, counter, _means_itself(state, request, constraint))
            codes[counter.counts[domains] > limit] = _SKEWED
            codes[domains == ABSENT] = _MISSING_KEY
        return codes

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return what a code means; a missing label cannot be had by removing pods."""
        return Rejection(self.name, (_REASONS[code],), resolvable=code != _MISSING_KEY)

    def scores(self, state: ClusterState, request: PodRequest) -> bool:
        """Return whether there are soft constraints."""
        return bool(self._constraints(state, request, is_hard=False))

    def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
        """Add up how many like pods share each node's domains; more domains weigh more.

        Nodes that lack a key that they ought to have get -1.
        """
        constraints = self._soft(state, request)
        columns = [state.label_column(c.topology_key) for c, _ in constraints]
        is_ignored = np.zeros(len(state.slots[nodes]), dtype=bool)
        if self._requires_all_keys(request):
            for column in columns:
                is_ignored |= column.ids[nodes] == ABSENT
        n_nodes = int(len(is_ignored) - is_ignored.sum())
        total = np.zeros(len(is_ignored), dtype=np.float64)
        for (constraint, counter), column in zip(constraints, columns, strict=True):
            domains = column.ids[nodes]
            if constraint.topology_key == HOSTNAME:
                counts, size = counter.on(nodes), n_nodes
            else:
                counts = np.array(_sums(counter, column))[domains]
                size = _n_values(domains[~is_ignored].tolist(), column)
            share = counts * log(size + 2) + float(constraint.max_skew - 1)
            total += np.where(domains == ABSENT, 0.0, share)
        raw: Scores = np.floor(total + 0.5).astype(np.int64)
        raw[is_ignored] = _IGNORED
        return raw

    # The same by domain

    def stamp(self, state: ClusterState, request: PodRequest) -> int:
        """Return how often something else than before said what the default constraints mean."""
        if request.spread:
            return 0
        state.default_selector(request)
        return state.links(request).n_defaults

    def domain_filters(self, state: ClusterState, request: PodRequest) -> list[DomainFilter]:
        """Return one filter per hard constraint."""
        return [
            _EvenEnough(
                constraint,
                counter,
                state.label_column(constraint.topology_key),
                _means_itself(state, request, constraint),
            )
            for constraint, counter in self._hard(state, request)
        ]

    def group_score(self, state: ClusterState, request: PodRequest) -> GroupScore | None:
        """Return the soft constraints together."""
        parts = [
            _Part(constraint, counter, state.label_column(constraint.topology_key))
            for constraint, counter in self._soft(state, request)
        ]
        return _Crowding(parts, self._requires_all_keys(request)) if parts else None

    # Which constraints

    def _constraints(
        self, state: ClusterState, request: PodRequest, *, is_hard: bool
    ) -> list[SpreadConstraint]:
        """Return the pod's own constraints, else the defaults if anything says what they mean."""
        constraints = request.spread
        if not constraints:
            selector = state.default_selector(request)
            if not selector.requirements:
                return []
            labels = state.links(request).label_class.labels
            constraints = tuple(
                to_spread_constraint(entry, labels, selector) for entry in self._defaults
            )
        return [entry for entry in constraints if entry.is_hard is is_hard]

    def _requires_all_keys(self, request: PodRequest) -> bool:
        return bool(request.spread) or not self._is_system

    def _hard(self, state: ClusterState, request: PodRequest) -> list[Counted]:
        constraints = self._constraints(state, request, is_hard=True)
        keys = frozenset(entry.topology_key for entry in constraints)
        return [(entry, _counter(state, request, entry, keys)) for entry in constraints]

    def _soft(self, state: ClusterState, request: PodRequest) -> list[Counted]:
        constraints = self._constraints(state, request, is_hard=False)
        keys: frozenset[str] = frozenset()
        if self._requires_all_keys(request):
            keys = frozenset(entry.topology_key for entry in constraints)
        return [
            (
                entry,
                _counter_per_node(state, request, entry)
                if entry.topology_key == HOSTNAME
                else _counter(state, request, entry, keys),
            )
            for entry in constraints
        ]


class _EvenEnough:
    """A hard constraint: a domain passes as long as one pod more does not make it too full."""

    is_local = False

    def __init__(
        self,
        constraint: SpreadConstraint,
        counter: SpreadCounter,
        column: LabelColumn,
        means_itself: bool,
    ) -> None:
        self.column = column
        self._constraint = constraint
        self._counter = counter
        self._means_itself = means_itself
        self._seen_limit = self._limit()
        self._n_limits = 0

    def version(self) -> int:
        return self._counter.version + self._counter.nodes.version

    def epoch(self) -> int:
        limit = self._limit()
        if limit != self._seen_limit:
            self._seen_limit = limit
            self._n_limits += 1
        return self._n_limits

    def passes(self, domain: int) -> bool:
        return domain != ABSENT and self._counter.fit()[domain] <= self._limit()

    def table(self) -> Mask:
        self._counter.fit()
        passes: Mask = self._counter.counts <= self._limit()
        passes[ABSENT] = False
        return passes

    def _limit(self) -> int:
        return _limit(self._constraint, self._counter, self._means_itself)


@dataclass(frozen=True, slots=True)
class _Part:
    """A soft constraint with what it reads."""

    constraint: SpreadConstraint
    counter: SpreadCounter
    column: LabelColumn

    @property
    def is_per_node(self) -> bool:
        """Whether each node is counted by itself."""
        return self.constraint.topology_key == HOSTNAME

    @property
    def least(self) -> float:
        """What every domain scores, be it empty."""
        return float(self.constraint.max_skew - 1)


class _Rounded(dict[float, int]):
    """Remembers rounded sums: most groups have one of a few."""

    def __missing__(self, total: float) -> int:
        if len(self) > _MAX_ROUNDED:
            self.clear()
        self[total] = rounded = int(total + 0.5)
        return rounded


class _Crowding:
    """Soft constraints: raw scores by domain, and their normalisation.

    A node's value is 1 more than the pods on it that are spread over host names, 0 when it has no
    host name.
    """

    is_relative: ClassVar[bool] = True

    def __init__(self, parts: list[_Part], requires_all_keys: bool) -> None:
        self._parts = parts
        self._requires_all_keys = requires_all_keys
        self._of_domains = [part for part in parts if not part.is_per_node]
        self._of_nodes = next((part for part in parts if part.is_per_node), None)
        self.columns = tuple(part.column for part in self._of_domains)
        self.node_columns = () if self._of_nodes is None else (self._of_nodes.column,)
        self.reads_sizes = self._of_nodes is not None
        self._rounded = _Rounded()
        # Of the groups that were asked about last.
        self._groups: Groups | None = None
        self._is_ignored: list[bool] = []
        self._weights: list[float] = []
        self._n_nodes = -1
        self._of_values: list[float] = []

    def version(self) -> int:
        version = 0
        for part in self._of_domains:
            version += part.counter.version
        return version

    def node_value(self, slot: int) -> int:
        part = self._of_nodes
        if part is None or part.column.view[slot] == ABSENT:
            return 0
        return 1 + part.counter.fit()[part.counter.nodes.view[slot]]

    def node_values(self) -> NDArray[np.int64]:
        part = self._of_nodes
        if part is None:
            return np.zeros(0, dtype=np.int64)
        return np.where(part.column.ids == ABSENT, 0, 1 + part.counter.on(slice(None)))

    def scores(self, groups: Groups, node_values: list[int]) -> list[int]:
        if groups is not self._groups:
            self._meet(groups, node_values)
        totals: Sequence[float] = ()
        shares: Sequence[float]
        weights = iter(self._weights)
        for part in self._parts:
            if part.is_per_node:
                shares = self._shares_of_nodes(part, groups.sizes, node_values)
            else:
                shares = groups.pick(part.column, _shares_of_domains(part, next(weights)))
            totals = list(map(add, totals, shares)) if totals else shares
        raw = list(map(self._rounded.__getitem__, totals))
        if self._is_ignored:
            pairs = zip(raw, self._is_ignored, strict=True)
            raw = [_IGNORED if is_ignored else value for value, is_ignored in pairs]
        return by_inversion(raw)

    def _meet(self, groups: Groups, node_values: list[int]) -> None:
        """Take in what depends on nothing but which groups there are."""
        self._groups = groups
        ids = [groups.pick(column, range(column.n_values)) for column in self.columns]
        by_key = [*ids, node_values] if self.node_columns else ids
        is_ignored = [ABSENT in domains for domains in zip(*by_key, strict=True)]
        self._is_ignored = is_ignored if self._requires_all_keys and any(is_ignored) else []
        is_counted = [not ignored for ignored in self._is_ignored] or repeat(True)
        self._weights = [
            log(_n_values(compress(domains, is_counted), column) + 2)
            for domains, column in zip(ids, self.columns, strict=True)
        ]
        self._n_nodes = -1

    def _shares_of_nodes(self, part: _Part, sizes: Sequence[int], values: list[int]) -> list[float]:
        n_nodes = sum(sizes) - sum(compress(sizes, self._is_ignored))
        if n_nodes != self._n_nodes:
            self._n_nodes = n_nodes
            weight, least = log(n_nodes + 2), part.least
            share = {value: (value - 1) * weight + least for value in set(values)}
            share[0] = 0.0
            self._of_values = [share[value] for value in values]
        return self._of_values


def _shares_of_domains(part: _Part, weight: float) -> list[float]:
    """Return what each domain scores; nothing for nodes that lack the key."""
    least = part.least
    shares = [number * weight + least for number in _sums(part.counter, part.column)]
    shares[ABSENT] = 0.0
    return shares


def _counter(
    state: ClusterState, request: PodRequest, constraint: SpreadConstraint, keys: frozenset[str]
) -> SpreadCounter:
    """Return the counter of a constraint, over the nodes that have all of some keys."""
    rules = request.node_rules
    inclusion = Inclusion(
        keys,
        rules.selector if constraint.honors_affinity else (),
        rules.required if constraint.honors_affinity else None,
        request.tolerations if constraint.honors_taints else None,
    )
    term = SpreadTerm(request.namespace, constraint.selector, constraint.topology_key, inclusion)
    return state.spread_counter(request, term)


def _counter_per_node(
    state: ClusterState, request: PodRequest, constraint: SpreadConstraint
) -> SpreadCounter:
    """Return what a soft constraint over host names reads: as upstream, each node by itself."""
    term = SpreadTerm(request.namespace, constraint.selector, PER_NODE, Inclusion())
    return state.spread_counter(request, term)


def _means_itself(state: ClusterState, request: PodRequest, constraint: SpreadConstraint) -> bool:
    return constraint.selector.matches(state.links(request).label_class.labels)


def _limit(constraint: SpreadConstraint, counter: SpreadCounter, means_itself: bool) -> int:
    """Return the most pods that a domain may have before one more is put there."""
    return constraint.max_skew - means_itself + counter.minimum(constraint.min_domains)


def _sums(counter: SpreadCounter, column: LabelColumn) -> Sequence[int]:
    """Return the count of each value; as upstream, a missing label is an empty value to it."""
    view = counter.fit()
    empty = column.id_of("")
    if empty is None:
        return view
    sums = view.tolist()
    sums[empty] += sums[ABSENT]
    return sums


def _n_values(domains: Iterable[int], column: LabelColumn) -> int:
    """Return how many values some domains stand for; a missing label is an empty one."""
    values = set(domains)
    return len(values) - (ABSENT in values and column.id_of("") in values)
