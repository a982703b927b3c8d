"""Rows: what the rules said about every node for one template, kept while it holds.

The answers of rules that read a node's looks or its pods are kept, and asked anew only for nodes
that changed since the template was last used. Rules that read counters over domains are asked for
every decision.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.changelog import ChangeLog
from kubeberth.placement.plugin import (
    FilterPlugin,
    Normalization,
    PlacementError,
    Reads,
    ScorePlugin,
    Scores,
    UsageFilter,
    UsageScore,
)
from kubeberth.placement.profile import Profile
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes

_NEVER = -1
# Up to so many changed nodes are asked about one by one; measured, arrays win from some 20 on.
_MAX_ONE_BY_ONE = 16
_ZERO: Scores = np.zeros(1, dtype=np.int64)

RawScores = Iterator[tuple[Scores, ScorePlugin, int]]


class Rows:
    """One template's answers on one cluster."""

    def __init__(self, profile: Profile, request: PodRequest) -> None:
        self._request = request
        self._looks = _Kept(profile, request, Reads.NODE)
        self._usage = _Kept(profile, request, Reads.USAGE)
        self._filters = [p for p in profile.filters if p.reads is Reads.CLUSTER]
        self._scores = [(p, weight) for p, weight in profile.scores if p.reads is Reads.CLUSTER]

    def refresh(self, state: ClusterState) -> None:
        """Ask again about the nodes that have changed."""
        self._looks.refresh(state, state.node_log)
        self._usage.refresh(state, state.usage_log)

    def passes(self, state: ClusterState) -> NDArray[np.bool_]:
        """Return which nodes pass all filters: ndarray of bool, shape (n_slots,)."""
        passes: NDArray[np.bool_] = state.exists & self._looks.passes
        passes &= self._usage.passes
        for plugin in self._filters:
            codes = plugin.filter(state, self._request, slice(None))
            if codes is not None:
                passes &= codes == 0
        return passes

    def plain(self, candidates: NDArray[np.intp]) -> Scores:
        """Return the weighted sum of the scores that need no normalisation."""
        if self._looks.has_plain:
            return self._looks.plain[candidates] + self._usage.plain[candidates]
        return self._usage.plain[candidates]

    def raw(self, state: ClusterState, candidates: NDArray[np.intp]) -> RawScores:
        """Yield raw scores to be normalised over the candidates, with their rule and weight.

        A row of zeros comes as a single one.

        Raises
        ------
        PlacementError
            When a rule ends the attempt.
        """
        yield from self._looks.raw_scores(candidates)
        yield from self._usage.raw_scores(candidates)
        for plugin, weight in self._scores:
            if plugin.scores(state, self._request):
                yield plugin.score(state, self._request, candidates), plugin, weight


class _Kept:
    """The answers of the rules that read the same thing.

    Attributes
    ----------
    passes
        ndarray of bool, shape (n_slots,): nodes that all these filters let through.
    plain
        ndarray of int64, shape (n_slots,): weighted sum of the scores that need no normalisation.
    """

    def __init__(self, profile: Profile, request: PodRequest, reads: Reads) -> None:
        scores = [(p, weight) for p, weight in profile.scores if p.reads is reads]
        self._request = request
        self._seen = _NEVER
        self._filters: list[FilterPlugin] = [p for p in profile.filters if p.reads is reads]
        self._plain = [entry for entry in scores if entry[0].normalization is Normalization.NONE]
        self._raw = [entry for entry in scores if entry[0].normalization is not Normalization.NONE]
        self._rows: dict[str, Scores] = {}
        self._is_zero: dict[str, bool] = {}
        self._error: PlacementError | None = None
        self._single = False
        self._single_filters: list[UsageFilter] = []
        self._single_scores: list[tuple[UsageScore, int]] = []
        self.passes: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self.plain: Scores = np.zeros(0, dtype=np.int64)

    @property
    def has_plain(self) -> bool:
        """Whether any rule contributes to `plain`."""
        return bool(self._plain)

    def refresh(self, state: ClusterState, log: ChangeLog) -> None:
        """Ask again about the nodes in the log."""
        if self._seen == _NEVER or len(self.passes) != state.n_slots:
            self._start(state)
        nodes = log.since(self._seen, state.n_slots)
        self._seen = log.end
        if isinstance(nodes, slice) or len(nodes) > (_MAX_ONE_BY_ONE if self._single else 0):
            self._ask(state, nodes)
        else:
            for slot in nodes.tolist():
                self._ask_one(state, slot)

    def raw_scores(self, candidates: NDArray[np.intp]) -> RawScores:
        """Yield the kept raw scores of the candidates."""
        if self._error is not None:
            raise self._error
        for plugin, weight in self._raw:
            row = self._rows[plugin.name]
            yield (_ZERO if self._is_zero[plugin.name] else row[candidates]), plugin, weight

    def _start(self, state: ClusterState) -> None:
        n_slots, self._seen = state.n_slots, _NEVER
        self._drop_silent(state)
        self._single_filters = [p for p in self._filters if isinstance(p, UsageFilter)]
        self._single_scores = [(p, w) for p, w in self._plain if isinstance(p, UsageScore)]
        self._single = not self._raw and (
            len(self._single_filters) == len(self._filters)
            and len(self._single_scores) == len(self._plain)
        )
        self.passes = np.zeros(n_slots, dtype=bool)
        self.plain = np.zeros(n_slots, dtype=np.int64)
        self._rows = {plugin.name: np.zeros(n_slots, dtype=np.int64) for plugin, _ in self._raw}

    def _drop_silent(self, state: ClusterState) -> None:
        """Leave out rules that have nothing to say about this template.

        What makes a rule of this kind speak is in the template alone, so this holds for good; and
        an error, too, only counts when it comes to scoring.
        """
        try:
            self._plain = [e for e in self._plain if e[0].scores(state, self._request)]
            self._raw = [e for e in self._raw if e[0].scores(state, self._request)]
        except PlacementError as error:
            self._error, self._plain, self._raw = error, [], []

    def _ask_one(self, state: ClusterState, slot: int) -> None:
        self.passes[slot] = not any(
            plugin.filter_one(state, self._request, slot) for plugin in self._single_filters
        )
        self.plain[slot] = sum(
            plugin.score_one(state, self._request, slot) * w for plugin, w in self._single_scores
        )

    def _ask(self, state: ClusterState, nodes: Nodes) -> None:
        passes = np.ones(len(state.slots[nodes]), dtype=bool)
        for plugin in self._filters:
            codes = plugin.filter(state, self._request, nodes)
            if codes is not None:
                passes &= codes == 0
        self.passes[nodes] = passes
        if self._plain:
            scores = (p.score(state, self._request, nodes) * w for p, w in self._plain)
            self.plain[nodes] = sum(scores, start=np.int64(0))
        for rule, _ in self._raw:
            row = self._rows[rule.name]
            row[nodes] = rule.score(state, self._request, nodes)
            self._is_zero[rule.name] = not row.any()
