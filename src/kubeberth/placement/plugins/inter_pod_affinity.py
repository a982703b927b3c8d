"""InterPodAffinity: be near to some pods and far from others, and let them have the same wish.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
Matches kube-scheduler 1.36 (plugins/interpodaffinity).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import compress, count
from operator import add, ne
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.scheduler_config import InterPodAffinityArgs
from kubeberth.placement.counters import DomainCounter
from kubeberth.placement.normalize import by_range
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
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.vocabulary import ABSENT, LabelColumn

_AFFINITY, _ANTI_AFFINITY, _EXISTING = 1, 2, 3
_REASONS = {
    _AFFINITY: "node(s) didn't match pod affinity rules",
    _ANTI_AFFINITY: "node(s) didn't match pod anti-affinity rules",
    _EXISTING: "node(s) didn't satisfy existing pods anti-affinity rules",
}

_DEFAULT_ARGS = InterPodAffinityArgs()

Mask = NDArray[np.bool_]


class InterPodAffinity:
    """Hard rule over required terms, soft rule over preferred ones, each in both directions.

    With a weight, a required affinity term of a pod on a node also wants the pods that it means.
    """

    name: ClassVar[str] = "InterPodAffinity"
    reads: ClassVar[Reads] = Reads.CLUSTER
    normalization: ClassVar[Normalization] = Normalization.MIN_MAX

    def __init__(self, args: InterPodAffinityArgs = _DEFAULT_ARGS) -> None:
        self._hard_weight = args.hard_pod_affinity_weight
        self._ignores_others = args.ignore_preferred_terms_of_existing_pods

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away nodes that break a required term; the code is the first of three steps."""
        links = state.links(request)
        existing = [counter for counter in links.label_class.anti if counter.n_entries]
        rules = request.pod_rules
        if not (rules.required or rules.anti or existing):
            return None
        codes = np.zeros(len(state.slots[nodes]), dtype=np.int64)
        for counter in existing:
            codes[counter.on(nodes) > 0] = _EXISTING
        for term in rules.anti:
            codes[links.own_counters[term].on(nodes) > 0] = _ANTI_AFFINITY
        if rules.required:
            codes[~_meets_affinity(state, request, nodes)] = _AFFINITY
        return codes

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return what a code means; only missing affinity cannot be had by removing pods."""
        return Rejection(self.name, (_REASONS[code],), resolvable=code != _AFFINITY)

    def scores(self, state: ClusterState, request: PodRequest) -> bool:
        """Return whether any pod or term adds anything, be it 0 in sum."""
        return any(counter.n_entries for _, counter in self._wishes(state, request))

    def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
        """Add up the weights of the terms that the pods of each node's domains bring."""
        total = np.zeros(len(state.slots[nodes]), dtype=np.int64)
        for weight, counter in self._wishes(state, request):
            total += weight * counter.on(nodes)
        return total

    def _wishes(self, state: ClusterState, request: PodRequest) -> list[tuple[int, DomainCounter]]:
        """Return the counters that say how much a node is wanted, with the weight of a count."""
        if self._ignores_others and not request.pod_rules.preferred:
            return []
        links = state.links(request)
        own = links.own_counters
        wishes = [(weight, own[term]) for weight, term in request.pod_rules.preferred]
        wishes += [(1, counter) for counter in links.label_class.preferred]
        if self._hard_weight:
            wishes += [(self._hard_weight, counter) for counter in links.label_class.affinity]
        return wishes

    # The same by domain

    def criteria(self, state: ClusterState, request: PodRequest) -> Hashable:
        """Return the counters of own terms, and of those held by others that mean these pods."""
        links, rules = state.links(request), request.pod_rules
        pods, own = links.label_class, links.own_counters
        return (
            frozenset(pods.anti),
            frozenset(pods.affinity),
            frozenset(pods.preferred),
            tuple([own[term] for term in rules.required]),
            tuple([own[term] for term in rules.anti]),
            tuple([(weight, own[term]) for weight, term in rules.preferred]),
            _means_itself(state, request),
            # Counters that have been counted anew cannot be followed.
            state.census.n_recounts,
        )

    def domain_filters(self, state: ClusterState, request: PodRequest) -> list[DomainFilter]:
        """Return one filter per required term, own and held."""
        links = state.links(request)
        held = links.label_class.anti
        filters: list[DomainFilter] = [_Empty(counter, _EXISTING) for counter in held]
        own = [links.own_counters[term] for term in request.pod_rules.anti]
        filters += [_Empty(counter, _ANTI_AFFINITY) for counter in own]
        counters = [links.own_counters[term] for term in request.pod_rules.required]
        means_itself = _means_itself(state, request)
        filters += [_Inhabited(counter, counters, means_itself) for counter in counters]
        return filters

    def group_score(self, state: ClusterState, request: PodRequest) -> GroupScore | None:
        """Return the sum of the wishes, by domain."""
        wishes = self._wishes(state, request)
        return _Wishes(wishes) if wishes else None


class _Empty:
    """Anti-affinity: a domain passes as long as none of the pods are there."""

    is_local = True

    def __init__(self, counter: DomainCounter, code: int) -> None:
        self.column = counter.column
        self.counter, self.code = counter, code
        self.counters = [counter]

    def version(self) -> int:
        return self.counter.n_flips

    def epoch(self) -> int:
        return 0

    def passes(self, domain: int) -> bool:
        view = self.counter.view
        return domain >= len(view) or view[domain] <= 0

    def table(self) -> Mask:
        self.counter.fit()
        return self.counter.sums <= 0


class _Inhabited:
    """Affinity: a domain passes once the pods are there, or any domain for the first of a group."""

    is_local = False

    def __init__(
        self, counter: DomainCounter, counters: list[DomainCounter], means_itself: bool
    ) -> None:
        self.column = counter.column
        self._counter = counter
        self.counters = counters
        self._means_itself = means_itself

    def version(self) -> int:
        return self._counter.n_flips + self.epoch()

    def epoch(self) -> int:
        epoch = 0
        for counter in self.counters:
            epoch += counter.n_started
        return epoch

    def passes(self, domain: int) -> bool:
        if any(counter.n_entries for counter in self.counters):
            view = self._counter.view
            return domain < len(view) and view[domain] > 0
        return domain != ABSENT and self._means_itself

    def table(self) -> Mask:
        self._counter.fit()
        if any(counter.n_entries for counter in self.counters):
            return self._counter.sums > 0
        passes = np.full(len(self._counter.sums), self._means_itself)
        passes[ABSENT] = False
        return passes


class _Wishes:
    """Preferred terms in both directions: raw scores by domain, and their normalisation."""

    is_relative: ClassVar[bool] = True

    def __init__(self, wishes: list[tuple[int, DomainCounter]]) -> None:
        self._wishes = wishes
        self._of_nodes = [w for w in wishes if w[1].column.is_unique]
        self._of_domains = [w for w in wishes if not w[1].column.is_unique]
        self.columns = _columns(self._of_domains)
        self.node_columns = _columns(self._of_nodes)
        self.node_counters = [counter for _, counter in self._of_nodes]
        self.scores: Sequence[int] = ()
        self._seen_groups: Groups | None = None
        self._seen_version = -1

    def node_value(self, slot: int) -> int:
        total = 0
        for weight, counter in self._of_nodes:
            domain = counter.column.view[slot]
            view = counter.view
            if domain < len(view):
                total += weight * view[domain]
        return total

    def node_values(self) -> Scores:
        total = np.zeros(0, dtype=np.int64)
        for weight, counter in self._of_nodes:
            values = weight * counter.on(slice(None))
            total = total + values if len(total) else values
        return total

    def rescore(self, groups: Groups, node_values: Sequence[int]) -> Sequence[int] | None:
        version = 0
        for _, counter in self._of_domains:
            version += counter.version
        is_known = groups is self._seen_groups
        if is_known and version == self._seen_version:
            return ()
        self._seen_groups, self._seen_version = groups, version
        before, self.scores = self.scores, by_range(self._raw(groups, node_values))
        return list(compress(count(), map(ne, before, self.scores))) if is_known else None

    def _raw(self, groups: Groups, node_values: Sequence[int]) -> Sequence[int]:
        raw = node_values
        for weight, counter in self._of_domains:
            sums = groups.pick(counter.column, counter.fit())
            wishes = sums if weight == 1 else [weight * n_pods for n_pods in sums]
            raw = list(map(add, raw, wishes)) if raw else wishes
        return raw


def _columns(wishes: list[tuple[int, DomainCounter]]) -> tuple[LabelColumn, ...]:
    columns = {counter.column.key: counter.column for _, counter in wishes}
    return tuple(columns.values())


def _meets_affinity(state: ClusterState, request: PodRequest, nodes: Nodes) -> Mask:
    """Return where every required term finds its pods, or the pod may be the first of its kind."""
    terms = request.pod_rules.required
    own = state.links(request).own_counters
    counters = [own[term] for term in terms]
    has_keys = np.ones(len(state.slots[nodes]), dtype=bool)
    finds_pods = has_keys.copy()
    for counter in counters:
        has_keys &= counter.column.ids[nodes] != ABSENT
        finds_pods &= counter.on(nodes) > 0
    if any(counter.n_entries for counter in counters):
        return finds_pods
    # Nobody anywhere to be near to: a pod that its own terms mean may start the group.
    return has_keys if _means_itself(state, request) else np.zeros_like(has_keys)


def _means_itself(state: ClusterState, request: PodRequest) -> bool:
    pods = state.links(request).label_class
    return all(
        term.includes(pods.namespace, pods.labels, state.namespaces)
        for term in request.pod_rules.required
    )
