"""Topology spread as the ranking asks about it: by domain, and by groups of nodes.

The definition is in `plugins/pod_topology_spread.py`; these answers equal it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress, repeat
from operator import add
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.node_labels import HOSTNAME
from kubeberth.placement.golog import log
from kubeberth.placement.normalize import by_inversion
from kubeberth.placement.plugin import MAX_SCORE, Groups
from kubeberth.placement.spread import SpreadConstraint
from kubeberth.placement.spread_counter import SpreadCounter
from kubeberth.placement.vocabulary import ABSENT, LabelColumn

IGNORED = -1
"""Raw score of a node that lacks a key that it ought to have."""

# More than one change before the first.
_LONG_AGO = -2

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CountedConstraint:
    """A constraint of one template in one state.

    Parameters
    ----------
    counter
        The pods that it spreads; of a soft constraint over host names, node by node.
    column
        Its topology key's values.
    means_itself
        Whether a pod of the template is one of those.
    """

    constraint: SpreadConstraint
    counter: SpreadCounter
    column: LabelColumn
    means_itself: bool

    @property
    def limit(self) -> int:
        """The most pods that a domain may have before one more is put there."""
        constraint = self.constraint
        minimum = self.counter.minimum(constraint.min_domains)
        return constraint.max_skew - self.means_itself + minimum

    @property
    def is_per_node(self) -> bool:
        """Whether a soft constraint is scored node by node."""
        return self.constraint.topology_key == HOSTNAME

    @property
    def least(self) -> float:
        """What a domain without pods scores."""
        return float(self.constraint.max_skew - 1)

    def sums(self) -> Sequence[int]:
        """Return the count of each domain as it is scored.

        As upstream, nodes without the key are taken for those with an empty value.
        """
        view = self.counter.fit()
        empty = self.column.id_of("")
        if empty is None:
            return view
        sums: list[int] = view.tolist()
        sums[empty] += sums[ABSENT]
        return sums

    def n_values(self, domains: Iterable[int]) -> int:
        """Return how many values of the key some domains stand for."""
        values = set(domains)
        return len(values) - (ABSENT in values and self.column.id_of("") in values)


class EvenEnough:
    """A hard constraint: a domain passes as long as one pod more does not make it too full."""

    is_local = False

    def __init__(self, counted: CountedConstraint) -> None:
        self.column = counted.column
        self._counted = counted
        self._counter = counted.counter
        self.counters = [counted.counter]
        self._seen_limit = counted.limit
        self._n_limits = 0

    def version(self) -> int:
        """Return a number that changes with any count, or with the number of domains."""
        return self._counter.version + self._counter.nodes.version

    def epoch(self) -> int:
        """Return how often the limit has been another one."""
        limit = self._counted.limit
        if limit != self._seen_limit:
            self._seen_limit = limit
            self._n_limits += 1
        return self._n_limits

    def passes(self, domain: int) -> bool:
        """Return whether a domain takes one pod more."""
        return domain != ABSENT and self._counter.at(domain) <= self._counted.limit

    def table(self) -> Mask:
        """Return which domains do: ndarray of bool, shape (n_domains,)."""
        self._counter.fit()
        passes: Mask = self._counter.counts <= self._counted.limit
        passes[ABSENT] = False
        return passes


class Crowding:
    """Soft constraints: raw scores by domain, and their normalisation.

    A node's value is 1 more than the pods on it that are spread over host names, 0 when it has no
    host name.

    Mostly one domain has one pod more than when the same groups were scored last. Then only that
    domain's groups are added up again.
    """

    is_relative: ClassVar[bool] = True

    def __init__(self, parts: list[CountedConstraint], requires_all_keys: bool) -> None:
        self._requires_all_keys = requires_all_keys
        self._of_nodes = next((part for part in parts if part.is_per_node), None)
        self._of_domains = [part for part in parts if not part.is_per_node]
        # Sums of floats depend on the order, which is that of the pod's constraints.
        self._places = [place for place, part in enumerate(parts) if not part.is_per_node]
        self._place_of_nodes = next((p for p, part in enumerate(parts) if part.is_per_node), -1)
        self.columns = tuple(part.column for part in self._of_domains)
        self.node_columns = () if self._of_nodes is None else (self._of_nodes.column,)
        self.node_counters = [] if self._of_nodes is None else [self._of_nodes.counter]
        # Of the groups that were scored last.
        self._groups: Groups | None = None
        self._is_ignored: list[bool] = []
        self._weights: list[float] = []
        self._members: list[dict[int, list[int]]] = []
        # Whether a change of one domain concerns its groups and no others.
        self._is_plain: list[bool] = []
        self._n_nodes = -1
        self._seen: list[int] = []
        self._terms: list[list[float]] = [[] for _ in parts]
        self._raw: list[int] = []
        self._ends = (0, 0)
        self.scores: list[int] = []

    def node_value(self, slot: int) -> int:
        """Return a node's value."""
        part = self._of_nodes
        if part is None or part.column.view[slot] == ABSENT:
            return 0
        return 1 + part.counter.at(part.counter.nodes.view[slot])

    def node_values(self) -> NDArray[np.int64]:
        """Return every node's value: ndarray of int64, shape (n_slots,)."""
        part = self._of_nodes
        if part is None:
            return np.zeros(0, dtype=np.int64)
        return np.where(part.column.ids == ABSENT, 0, 1 + part.counter.on(slice(None)))

    def rescore(self, groups: Groups, node_values: Sequence[int]) -> Sequence[int] | None:
        """Bring the scores up to date; return the groups with another one, None for any."""
        if groups is not self._groups:
            self._meet(groups, node_values)
        changed = self._follow(groups, node_values)
        if changed is None:
            self._raw = self._raw_scores()
            self._normalize()
            return None
        if not changed:
            return changed
        raw, (high, low) = self._raw, self._ends
        is_within = high > 0
        for group in changed:
            total = 0.0
            for terms in self._terms:
                total += terms[group]
            raw[group] = score = int(total + 0.5)
            is_within = is_within and low <= score <= high
        if not (is_within and high in raw and low in raw):
            self._normalize()
            return None
        for group in changed:
            self.scores[group] = MAX_SCORE * (high + low - raw[group]) // high
        return changed

    def _meet(self, groups: Groups, node_values: Sequence[int]) -> None:
        """Take in what depends on nothing but which groups there are."""
        self._groups = groups
        ids = [groups.pick(column, range(column.n_values)) for column in self.columns]
        by_key = [*ids, node_values] if self.node_columns else ids
        is_ignored = [ABSENT in domains for domains in zip(*by_key, strict=True)]
        self._is_ignored = is_ignored if self._requires_all_keys and any(is_ignored) else []
        is_counted = [not ignored for ignored in self._is_ignored] or repeat(True)
        self._weights = [
            log(part.n_values(compress(domains, is_counted)) + 2)
            for part, domains in zip(self._of_domains, ids, strict=True)
        ]
        self._members = [_members(domains) for domains in ids]
        self._is_plain = [
            not self._is_ignored and part.column.id_of("") not in members
            for part, members in zip(self._of_domains, self._members, strict=True)
        ]
        self._seen = [_LONG_AGO] * len(ids)
        self._n_nodes = -1

    def _follow(self, groups: Groups, node_values: Sequence[int]) -> Sequence[int] | None:
        """Renew the terms; return the groups where one changed, None when it may be any."""
        changed: Sequence[int] | None = ()
        if self._of_nodes is not None and (groups.n_nodes != self._n_nodes or self._is_ignored):
            changed = self._follow_nodes(self._of_nodes, groups, node_values)
        for index, part in enumerate(self._of_domains):
            n_news = part.counter.version - self._seen[index]
            if not n_news:
                continue
            self._seen[index] += n_news
            latest = part.counter.latest
            if n_news > 1 or latest == ABSENT or not self._is_plain[index]:
                self._count_domains(index, part, groups)
                changed = None
                continue
            members = self._members[index].get(latest, ())
            term = part.counter.view[latest] * self._weights[index] + part.least
            terms = self._terms[self._places[index]]
            for group in members:
                terms[group] = term
            if changed is not None:
                changed = (*changed, *members) if changed else members
        return changed

    def _follow_nodes(
        self, part: CountedConstraint, groups: Groups, node_values: Sequence[int]
    ) -> Sequence[int] | None:
        """Renew the terms of node values, which depend on how many nodes there are."""
        n_nodes = groups.n_nodes
        if self._is_ignored:
            n_nodes -= sum(compress(groups.sizes, self._is_ignored))
            if n_nodes == self._n_nodes:
                return ()
        self._n_nodes = n_nodes
        weight, least = log(n_nodes + 2), part.least
        term_of = {value: (value - 1) * weight + least for value in set(node_values)}
        term_of[0] = 0.0
        self._terms[self._place_of_nodes] = [term_of[value] for value in node_values]
        return None

    def _count_domains(self, index: int, part: CountedConstraint, groups: Groups) -> None:
        weight, least = self._weights[index], part.least
        terms = [number * weight + least for number in part.sums()]
        terms[ABSENT] = 0.0
        self._terms[self._places[index]] = list(groups.pick(part.column, terms))

    def _raw_scores(self) -> list[int]:
        totals, *others = self._terms
        for terms in others:
            totals = list(map(add, totals, terms))
        raw = [int(total + 0.5) for total in totals]
        if self._is_ignored:
            raw = [IGNORED if i else score for i, score in zip(self._is_ignored, raw, strict=True)]
        return raw

    def _normalize(self) -> None:
        raw = self._raw
        self._ends = max(raw), min(raw)
        self.scores = by_inversion(raw)


def _members(domains: Sequence[int]) -> dict[int, list[int]]:
    """Return the groups of each domain."""
    members: dict[int, list[int]] = {}
    for group, domain in enumerate(domains):
        members.setdefault(domain, []).append(group)
    return members
