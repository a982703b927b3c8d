"""Rows: one look at every node, rule by rule, for every decision.

Nothing is kept, so nothing can be stale: for the pods that name the few nodes worth a look, for
templates that concern rules which do not say what they depend on, and for those to which nodes look
so different that the groups of a `Ranking` would be more work.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.node_filter import NodeFilter
from kubeberth.placement.normalize import normalize
from kubeberth.placement.plugin import Scores
from kubeberth.placement.profile import Profile
from kubeberth.placement.request import PodRequest
from kubeberth.placement.search import Choice
from kubeberth.placement.state import ClusterState
from kubeberth.placement.ties import TieBreak
from kubeberth.placement.verdicts import narrow, to_slots


class Rows:
    """One template's answers on one cluster.

    Raises
    ------
    RefusedError
        From `best`, when a rule refuses the pod as a whole.
    """

    def __init__(
        self, state: ClusterState, profile: Profile, request: PodRequest, ties: TieBreak
    ) -> None:
        self._state = state
        self._profile = profile
        self._request = request
        self._ties = ties

    def best(self) -> Choice | None:
        """Return the best node, None when no node passes."""
        candidates = self._passing(self._worth_a_look())
        if len(candidates) == 0:
            return None
        totals = self._totals(candidates) if len(candidates) > 1 else np.zeros(1, dtype=np.int64)
        total = int(totals.max())
        best = candidates[totals == total]
        slot = int(best[np.argmin(self._ties.ranks(best))])
        return slot, total, len(candidates)

    def _worth_a_look(self) -> NDArray[np.intp]:
        names, _ = narrow(self._state, self._request, self._profile)
        if names is None:
            return np.flatnonzero(self._state.exists)
        return to_slots(self._state, names)

    def _passing(self, nodes: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return those of some nodes that pass every hard rule."""
        for plugin in self._profile.filters:
            codes = plugin.filter(self._state, self._request, nodes)
            if codes is not None:
                nodes = nodes[codes == 0]
        if not self._state.nominations.pods:
            return nodes
        node_filter = NodeFilter(self._state, self._profile, self._request, "")
        passes = np.ones(len(nodes), dtype=bool)
        for place in np.flatnonzero(np.isin(nodes, self._state.nominated_slots)):
            passes[place] = node_filter.passes(int(nodes[place]))
        return nodes[passes]

    def _totals(self, candidates: NDArray[np.intp]) -> Scores:
        """Return the total of each candidate: ndarray of int64, shape (n_candidates,)."""
        totals = np.zeros(len(candidates), dtype=np.int64)
        for plugin, weight in self._profile.scores:
            if plugin.scores(self._state, self._request):
                raw = plugin.score(self._state, self._request, candidates)
                totals += normalize(raw, plugin.normalization) * weight
        return totals
