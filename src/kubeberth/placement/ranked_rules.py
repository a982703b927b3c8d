"""RankedRules: a profile's rules as they concern one template, sorted by how they are asked.

looks       rules over a node's own looks: once, and again when the node changes
loads       rules over amounts: per load, which many nodes share (see `entries.py`)
node rules  hard rules over what pods are on the node, host names included: per node
shared      hard rules over topology keys that nodes share: per group of nodes
groups      soft rules that are normalised over all nodes that pass
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.entries import BASE, NO_ROOM, Ints
from kubeberth.placement.links import Links
from kubeberth.placement.loads import capacity_class_of, unpack
from kubeberth.placement.node_filter import NodeFilter
from kubeberth.placement.plugin import (
    Codes,
    DomainFilter,
    GroupScore,
    Normalization,
    PlacementError,
    ScorePlugin,
)
from kubeberth.placement.profile import Profile, concerns, criteria
from kubeberth.placement.request import PodRequest
from kubeberth.placement.rule_kinds import RuleKinds
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.ties import RANK_BITS

Mask = NDArray[np.bool_]
Key = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Looks:
    """What the rules over looks say about some nodes.

    Parameters
    ----------
    passes
        ndarray of bool, shape (n,).
    bases
        ndarray of int64, shape (n,): rank of the node, less what it earns by its looks alone.
    key
        For each part of the key by which nodes are grouped, ndarray of int64, shape (n,).
    """

    passes: Mask
    bases: Ints
    key: list[Ints]


class RankedRules:
    """One template's rules: those of a profile that concern it.

    Attributes
    ----------
    request
        One of the templates for which all this holds.
    error
        Why scoring fails for every pod of the template; only counts when there is a choice.
    size
        All of the template that rules over loads go by.
    static_scores
        Soft rules over looks; the raw scores are the first parts of a group's key.
    shared_filters
        Hard rules over shared topology keys, with the place of the domain in the key.
    group_scores
        Soft rules over topology keys, with weight, and place among the node values or None.
    node_scores
        Those of them by whose values nodes are told apart.
    is_relative
        Whether a group that is alone always has the same score.
    filter_version, epoch
        Return numbers that change when groups may open or close, and when nodes must be judged
        again that are in no log.
    """

    def __init__(
        self, state: ClusterState, profile: Profile, kinds: RuleKinds, request: PodRequest
    ) -> None:
        self._state, self._profile, self.request = state, profile, request
        self.error: PlacementError | None = None
        self.load_filters = [rule for rule in kinds.load_filters if concerns(rule, request)]
        self.size = tuple([criteria(rule, state, request) for rule in kinds.load_rules])
        self.load_scores = [e for e in kinds.load_scores if self._speaks(e[0])]
        self._look_filters = [rule for rule in kinds.look_filters if concerns(rule, request)]
        looks = [entry for entry in kinds.look_scores if self._speaks(entry[0])]
        self.static_scores = [e for e in looks if e[0].normalization is not Normalization.NONE]
        self._plain_scores = [e for e in looks if e[0].normalization is Normalization.NONE]
        self._usage_filters = [rule for rule in kinds.usage_filters if concerns(rule, request)]
        speaking = {rule.name for rule, _ in looks}
        self._relative_rules = [rule for rule in kinds.relative if rule.name in speaking]
        self._domain_rules = kinds.domain_rules
        self._weights = {rule.name: weight for rule, weight in profile.scores}
        self._names = {rule.name for rule in profile.filters}
        self._capacities: dict[int, tuple[int, ...]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Ask the rules over topology keys anew what they consist of."""
        state, request = self._state, self.request
        filters: list[DomainFilter] = []
        scores: list[tuple[GroupScore, int]] = []
        for name, rule in self._domain_rules.items():
            if name in self._names:
                filters += rule.domain_filters(state, request)
            score = rule.group_score(state, request) if name in self._weights else None
            if score is not None:
                scores.append((score, self._weights[name]))
        self._node_filters = [f for f in filters if f.column.is_unique]
        shared = [f for f in filters if not f.column.is_unique]
        columns = {f.column.key: f.column for f in shared}
        columns |= {column.key: column for score, _ in scores for column in score.columns}
        self._shared_columns = list(columns.values())
        self._unique_columns = [f.column for f in self._node_filters]
        self._unique_columns += [c for score, _ in scores for c in score.node_columns]
        n_static = len(self.static_scores)
        self.place_in_key = {key: n_static + place for place, key in enumerate(columns)}
        self.shared_filters = [(self.place_in_key[f.column.key], f) for f in shared]
        self.node_scores = [score for score, _ in scores if score.node_columns]
        places = {id(score): place for place, score in enumerate(self.node_scores)}
        self.group_scores = [(score, weight, places.get(id(score))) for score, weight in scores]
        self.has_node_rules = bool(self._node_filters or self._usage_filters)
        self._node_counters = {
            *(counter for f in self._node_filters for counter in f.counters),
            *(counter for score in self.node_scores for counter in score.node_counters),
        }
        self.has_epoch = not all(f.is_local for f in self._node_filters)
        self.filter_version = _sum_of([f.version for f in shared])
        self.epoch = _sum_of([f.epoch for f in self._node_filters if not f.is_local])
        self.is_relative = all(score.is_relative for score, _ in scores)

    # What tells that something is out of date

    def bases(self) -> list[object]:
        """Return what differs when the looks of nodes that have not changed are worth otherwise."""
        return [rule.basis(self._state, self.request) for rule in self._relative_rules]

    def columns_are_as_before(self) -> bool:
        """Return whether the same topology keys as before have a value per node."""
        return all(c.is_unique for c in self._unique_columns) and not any(
            c.is_unique for c in self._shared_columns
        )

    # Answers

    def look(self, nodes: Nodes, ranks: NDArray[np.intp]) -> Looks:
        """Return what the looks of some nodes are worth; `ranks` holds the rank of every slot."""
        state, request = self._state, self.request
        passes = state.exists[nodes].copy()
        for rule in self._look_filters:
            _keep_passing(passes, rule.filter(state, request, nodes))
        bases = ranks[nodes].astype(np.int64)
        for score, weight in self._plain_scores:
            bases -= score.score(state, request, nodes) * weight << RANK_BITS
        key = [score.score(state, request, nodes) for score, _ in self.static_scores]
        key += [column.ids[nodes].astype(np.int64) for column in self._shared_columns]
        return Looks(passes, bases, key)

    def admit_all(self, slots: NDArray[np.intp]) -> Mask:
        """Return which of some nodes pass the hard rules over what pods are on them.

        Parameters
        ----------
        slots
            In ascending order.
        """
        state, request = self._state, self.request
        # Mostly these are all nodes: a slice needs no copies of their columns.
        is_start = len(slots) > 0 and slots[-1] == len(slots) - 1
        nodes: Nodes = slice(len(slots)) if is_start else slots
        is_admitted = np.ones(len(slots), dtype=bool)
        for usage_filter in self._usage_filters:
            _keep_passing(is_admitted, usage_filter.filter(state, request, nodes))
        for domain_filter in self._node_filters:
            is_admitted &= domain_filter.table()[domain_filter.column.ids[nodes]]
        for place in np.flatnonzero(np.isin(slots, state.nominated_slots)).tolist():
            is_admitted[place] &= self.admit_beside_nominated(int(slots[place]))
        return is_admitted

    def judge_loads(self) -> Ints:
        """Return what the rules over loads say of every node: `NO_ROOM`, or what to add a base to.

        ndarray of int64, shape (n_slots,).
        """
        state, request = self._state, self.request
        has_room = np.ones(state.n_slots, dtype=bool)
        for rule in self.load_filters:
            _keep_passing(has_room, rule.filter(state, request, slice(None)))
        scores = np.zeros(state.n_slots, dtype=np.int64)
        for score, weight in self.load_scores:
            scores += score.score(state, request, slice(None)) * weight
        verdicts: Ints = np.where(has_room, (BASE - scores) << RANK_BITS, NO_ROOM)
        return verdicts

    def judge_load(self, load: int) -> int:
        """Return the same of a node with that load."""
        state, request = self._state, self.request
        n_resources = len(state.resources)
        class_id = capacity_class_of(load)
        capacity = self._capacities.get(class_id)
        if capacity is None or len(capacity) != n_resources:
            capacity = self._capacities[class_id] = state.nodes.capacity(class_id)
        used = unpack(load, n_resources)
        if any(rule.filter_load(state, request, capacity, used) for rule in self.load_filters):
            return NO_ROOM
        score = 0
        for rule, weight in self.load_scores:
            score += weight * rule.score_load(state, request, capacity, used)
        return (BASE - score) << RANK_BITS

    def care_for(self, pods: Links | None) -> bool:
        """Return whether pods on a node may mean more to these rules than the room they take.

        Parameters
        ----------
        pods
            None for whatever may have happened there.
        """
        if pods is None or self._usage_filters:
            return True
        return any(pods.adds_to(counter) for counter in self._node_counters)

    def admit(self, slot: int) -> bool:
        """Return whether a node passes the hard rules over what pods are on it."""
        for domain_filter in self._node_filters:
            if not domain_filter.passes(domain_filter.column.view[slot]):
                return False
        if not self._usage_filters:
            return True
        state, request = self._state, self.request
        return not any(rule.filter_one(state, request, slot) for rule in self._usage_filters)

    def admit_beside_nominated(self, slot: int) -> bool:
        """Return whether a node passes with the pods that are nominated to it."""
        state, request = self._state, self.request
        if not state.nominated_on(slot, request.priority, ""):
            return True
        return NodeFilter(state, self._profile, request, "").passes(slot)

    def is_open(self, key: Key) -> bool:
        """Return whether nodes of that key pass the hard rules over shared topology keys."""
        return all(rule.passes(key[place]) for place, rule in self.shared_filters)

    def _speaks(self, rule: ScorePlugin) -> bool:
        """Return whether a soft rule has something to say about this template.

        What makes a rule over looks or loads speak is in the template alone, so this holds for
        good; and an error, too, only counts when it comes to scoring.
        """
        try:
            return rule.scores(self._state, self.request)
        except PlacementError as error:
            self.error = error
            return False


def _keep_passing(passes: Mask, codes: Codes | None) -> None:
    if codes is not None:
        passes &= codes == 0


def _sum_of(numbers: list[Callable[[], int]]) -> Callable[[], int]:
    return numbers[0] if len(numbers) == 1 else lambda: sum([number() for number in numbers])
