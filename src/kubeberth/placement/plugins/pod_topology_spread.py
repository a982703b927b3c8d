"""PodTopologySpread: keep the numbers of like pods in the domains of a topology key together.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
Matches kube-scheduler 1.36 (plugins/podtopologyspread).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from math import log
from operator import add
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.core import TopologySpreadConstraint
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

Counted = tuple[SpreadConstraint, SpreadCounter]
"""A constraint, and the pods that it spreads."""


class PodTopologySpread:
    """Hard rule over `DoNotSchedule` constraints, soft rule over `ScheduleAnyway` constraints.

    Parameters
    ----------
    defaults
        Constraints of pods that bring none; what they select by is found from Services and
        controllers. None stands for those of the system, which alone put up with nodes that lack a
        topology key.
    """

    name: ClassVar[str] = "PodTopologySpread"
    reads: ClassVar[Reads] = Reads.CLUSTER
    normalization: ClassVar[Normalization] = Normalization.INVERTED

    def __init__(self, defaults: tuple[TopologySpreadConstraint, ...] | None = None) -> None:
        self._defaults = SYSTEM_DEFAULTS if defaults is None else defaults
        self._is_system = defaults is None

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
                counts = _sums(counter, column)[domains]
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
        self._seen_limit = -1
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
        view = self._counter.view
        number = view[domain] if domain < len(view) else 0
        return domain != ABSENT and number <= self._limit()

    def table(self) -> NDArray[np.bool_]:
        self._counter.fit()
        passes: NDArray[np.bool_] = self._counter.counts <= self._limit()
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
        return self.constraint.topology_key == HOSTNAME

    @property
    def least(self) -> float:
        """What every domain scores, be it empty."""
        return float(self.constraint.max_skew - 1)


class _Crowding:
    """Soft constraints: raw scores by domain, and their normalisation.

    A node's value is 1 more than the pods on it that are spread over host names, 0 when it has no
    host name.
    """

    def __init__(self, parts: list[_Part], requires_all_keys: bool) -> None:
        self._parts = parts
        self._requires_all_keys = requires_all_keys
        self._of_nodes = [part for part in parts if part.is_per_node]
        self._of_domains = [part for part in parts if not part.is_per_node]
        self.columns = tuple(part.column for part in self._of_domains)
        self.has_node_value = self.reads_sizes = bool(self._of_nodes)

    def version(self) -> int:
        version = 0
        for part in self._of_domains:
            version += part.counter.version
        return version

    def node_value(self, slot: int) -> int:
        for part in self._of_nodes:
            if part.column.view[slot] != ABSENT:
                counter = part.counter
                return 1 + counter.fit()[counter.nodes.view[slot]]
        return 0

    def node_values(self) -> NDArray[np.int64]:
        part = self._of_nodes[0]
        return np.where(part.column.ids == ABSENT, 0, 1 + part.counter.on(slice(None)))

    def scores(self, groups: Groups, node_values: list[int]) -> list[int]:
        is_ignored = self._ignored(groups, node_values)
        totals: list[float] = []
        for part in self._parts:
            if part.is_per_node:
                shares = _shares_of_nodes(part, groups.sizes, node_values, is_ignored)
            else:
                shares = _shares_of_domains(part, groups.domains(part.column), is_ignored)
            totals = list(map(add, totals, shares)) if totals else shares
        raw = [int(total + 0.5) for total in totals]
        if is_ignored:
            raw = [_IGNORED if i else value for i, value in zip(is_ignored, raw, strict=True)]
        return by_inversion(raw)

    def _ignored(self, groups: Groups, node_values: list[int]) -> list[bool]:
        """Return which groups lack a key that they ought to have; empty when none does."""
        if not self._requires_all_keys:
            return []
        by_key = [groups.domains(part.column) for part in self._of_domains]
        if self._of_nodes:
            by_key.append(node_values)
        if not any(ABSENT in domains for domains in by_key):
            return []
        return [ABSENT in domains for domains in zip(*by_key, strict=True)]


def _shares_of_nodes(
    part: _Part, sizes: list[int], values: list[int], is_ignored: list[bool]
) -> list[float]:
    size = sum(sizes)
    if is_ignored:
        size -= sum(compress(sizes, is_ignored))
    weight, least = log(size + 2), part.least
    share = {value: (value - 1) * weight + least if value else 0.0 for value in set(values)}
    return [share[value] for value in values]


def _shares_of_domains(part: _Part, domains: list[int], is_ignored: list[bool]) -> list[float]:
    counted = domains
    if is_ignored:
        counted = [d for d, ignored in zip(domains, is_ignored, strict=True) if not ignored]
    weight, least = log(_n_values(counted, part.column) + 2), part.least
    sums = _sums(part.counter, part.column)
    share = {d: int(sums[d]) * weight + least if d != ABSENT else 0.0 for d in set(domains)}
    return [share[domain] for domain in domains]


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


def _sums(counter: SpreadCounter, column: LabelColumn) -> NDArray[np.int64]:
    """Return the count of each value; as upstream, a missing label is an empty value to it."""
    counter.fit()
    empty = column.id_of("")
    if empty is None:
        return counter.counts
    sums = counter.counts.copy()
    sums[empty] += sums[ABSENT]
    return sums


def _n_values(domains: list[int], column: LabelColumn) -> int:
    """Return how many values some domains stand for; a missing label is an empty one."""
    values = set(domains)
    return len(values) - (ABSENT in values and column.id_of("") in values)
