"""PodTopologySpread: keep the numbers of like pods in the domains of a topology key together.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
Matches kube-scheduler 1.36 (plugins/podtopologyspread).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

import numpy as np

from kubeberth.api.node_labels import HOSTNAME
from kubeberth.api.scheduler_config import PodTopologySpreadArgs
from kubeberth.placement.counted_nodes import PER_NODE, Inclusion
from kubeberth.placement.golog import log
from kubeberth.placement.plugin import (
    Codes,
    DomainFilter,
    GroupScore,
    Normalization,
    Reads,
    Rejection,
    Scores,
)
from kubeberth.placement.request import PodRequest
from kubeberth.placement.spread import SYSTEM_DEFAULTS, SpreadConstraint, to_spread_constraint
from kubeberth.placement.spread_by_domain import IGNORED, CountedConstraint, Crowding, EvenEnough
from kubeberth.placement.spread_counter import SpreadTerm
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.vocabulary import ABSENT

_MISSING_KEY, _SKEWED = 1, 2
_REASON = "node(s) didn't match pod topology spread constraints"
_REASONS = {_MISSING_KEY: f"{_REASON} (missing required label)", _SKEWED: _REASON}

_DEFAULT_ARGS = PodTopologySpreadArgs()


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
        for counted in reversed(constraints):
            domains = counted.column.ids[nodes]
            counted.counter.fit()
            codes[counted.counter.counts[domains] > counted.limit] = _SKEWED
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
        is_ignored = np.zeros(len(state.slots[nodes]), dtype=bool)
        if self._requires_all_keys(request):
            for counted in constraints:
                is_ignored |= counted.column.ids[nodes] == ABSENT
        n_nodes = int(len(is_ignored) - is_ignored.sum())
        total = np.zeros(len(is_ignored), dtype=np.float64)
        for counted in constraints:
            domains = counted.column.ids[nodes]
            if counted.is_per_node:
                counts, size = counted.counter.on(nodes), n_nodes
            else:
                counts = np.array(counted.sums())[domains]
                size = counted.n_values(domains[~is_ignored].tolist())
            share = counts * log(size + 2) + counted.least
            total += np.where(domains == ABSENT, 0.0, share)
        raw: Scores = np.floor(total + 0.5).astype(np.int64)
        raw[is_ignored] = IGNORED
        return raw

    # The same by domain

    def criteria(self, state: ClusterState, request: PodRequest) -> Hashable:
        """Return the constraints with their counters."""
        hard, soft = self._hard(state, request), self._soft(state, request)
        return tuple(hard), tuple(soft), self._requires_all_keys(request)

    def domain_filters(self, state: ClusterState, request: PodRequest) -> list[DomainFilter]:
        """Return one filter per hard constraint."""
        return [EvenEnough(counted) for counted in self._hard(state, request)]

    def group_score(self, state: ClusterState, request: PodRequest) -> GroupScore | None:
        """Return the soft constraints together."""
        parts = self._soft(state, request)
        return Crowding(parts, self._requires_all_keys(request)) if parts else None

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

    def _hard(self, state: ClusterState, request: PodRequest) -> list[CountedConstraint]:
        constraints = self._constraints(state, request, is_hard=True)
        keys = frozenset(entry.topology_key for entry in constraints)
        return [_counted(state, request, entry, keys) for entry in constraints]

    def _soft(self, state: ClusterState, request: PodRequest) -> list[CountedConstraint]:
        constraints = self._constraints(state, request, is_hard=False)
        keys: frozenset[str] = frozenset()
        if self._requires_all_keys(request):
            keys = frozenset(entry.topology_key for entry in constraints)
        return [_counted(state, request, entry, keys) for entry in constraints]


def _counted(
    state: ClusterState, request: PodRequest, constraint: SpreadConstraint, keys: frozenset[str]
) -> CountedConstraint:
    """Return a constraint with the pods that it spreads, on nodes that have all of some keys."""
    key, selector = constraint.topology_key, constraint.selector
    inclusion = _inclusion(request, constraint, keys)
    if key == HOSTNAME and not constraint.is_hard:
        # As upstream, each node by itself, be it one that takes no part and share its host name.
        key, inclusion = PER_NODE, Inclusion()
    term = SpreadTerm(request.namespace, selector, key, inclusion)
    return CountedConstraint(
        constraint,
        state.spread_counter(request, term),
        state.label_column(constraint.topology_key),
        selector.matches(state.links(request).label_class.labels),
    )


def _inclusion(
    request: PodRequest, constraint: SpreadConstraint, keys: frozenset[str]
) -> Inclusion:
    rules = request.node_rules
    return Inclusion(
        keys,
        rules.selector if constraint.honors_affinity else (),
        rules.required if constraint.honors_affinity else None,
        request.tolerations if constraint.honors_taints else None,
    )
