"""PodTopologySpread: keep the numbers of like pods in the domains of a topology key together.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
Matches kube-scheduler 1.36 (plugins/podtopologyspread).
"""

from __future__ import annotations

from math import log
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.scheduler_config import PodTopologySpreadArgs
from kubeberth.placement.counted_nodes import PER_NODE, Inclusion
from kubeberth.placement.plugin import Codes, Normalization, Reads, Rejection, Scores
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
                counts = _sums(counter, column)[domains]
                size = _n_values(domains[~is_ignored].tolist(), column)
            share = counts * log(size + 2) + float(constraint.max_skew - 1)
            total += np.where(domains == ABSENT, 0.0, share)
        raw: Scores = np.floor(total + 0.5).astype(np.int64)
        raw[is_ignored] = _IGNORED
        return raw

    # Which constraints

    def _constraints(
        self, state: ClusterState, request: PodRequest, *, is_hard: bool
    ) -> list[SpreadConstraint]:
        """Return the pod's own constraints, else the defaults if anything says what they mean."""
        constraints = request.spread
        if not request.spec.topology_spread_constraints:
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


def _counter(
    state: ClusterState, request: PodRequest, constraint: SpreadConstraint, keys: frozenset[str]
) -> SpreadCounter:
    """Return the counter of a constraint, over the nodes that have all of some keys."""
    key, rules = constraint.topology_key, request.node_rules
    inclusion = Inclusion(
        # Nodes without the constraint's own key are in no domain anyway.
        keys - {key},
        rules.selector if constraint.honors_affinity else (),
        rules.required if constraint.honors_affinity else None,
        request.tolerations if constraint.honors_taints else None,
    )
    term = SpreadTerm(request.namespace, constraint.selector, key, inclusion)
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
