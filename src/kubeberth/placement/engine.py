"""Engine: where a pod goes. The whole pipeline on one screen: narrow, filter, score, select.

Pure: the state is read, a Decision comes back, and whoever asked carries it out. All nodes are
looked at, none are sampled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.core import Pod
from kubeberth.placement.decision import Decision, Failure
from kubeberth.placement.explain import NO_NODES, explain_failure
from kubeberth.placement.normalize import normalize
from kubeberth.placement.plugin import PlacementError, Scores
from kubeberth.placement.profile import Profile
from kubeberth.placement.request import PodRequest
from kubeberth.placement.rows import Rows
from kubeberth.placement.select import Select
from kubeberth.placement.state import ClusterState
from kubeberth.placement.verdicts import RefusedError, judge, narrow, to_slots

# Rows take some tens of bytes per node: at 5,000 nodes this many templates take 80 MB.
_MAX_TEMPLATES = 512


class Engine:
    """Places pods by one profile; keeps per template what it has worked out so far.

    Parameters
    ----------
    select
        Chooses among equally good nodes.
    """

    def __init__(self, profile: Profile, select: Select) -> None:
        self.profile = profile
        self._select = select
        self._rows: dict[PodRequest, Rows] = {}

    def place(self, state: ClusterState, pod: Pod) -> Decision:
        """Return where the pod goes, or why it goes nowhere."""
        key, n_nodes = pod.metadata.key, state.n_nodes
        if not n_nodes:
            return Decision(key, None, 0, failure=Failure(NO_NODES))
        request = state.request(pod)
        rows = self._rows_of(request)
        rows.refresh(state)
        candidates = self._filter(state, request, rows)
        if len(candidates) == 0:
            verdicts = judge(state, request, self.profile)
            failure = explain_failure(state, request, self.profile, verdicts)
            return Decision(key, None, n_nodes, failure=failure)
        if len(candidates) == 1:
            name = state.node(int(candidates[0])).name
            return Decision(key, name, n_nodes, n_feasible=1, n_best=1)
        try:
            totals = self._score(state, rows, candidates)
        except PlacementError as error:
            failure = Failure(str(error), is_error=True)
            return Decision(key, None, n_nodes, len(candidates), failure=failure)
        slot, n_best = self._select(state, candidates, totals)
        score, name = int(totals.max()), state.node(slot).name
        return Decision(key, name, n_nodes, len(candidates), score, n_best)

    def _filter(self, state: ClusterState, request: PodRequest, rows: Rows) -> NDArray[np.intp]:
        """Return the slots of the nodes that pass every hard rule."""
        try:
            names, _ = narrow(request, self.profile)
        except RefusedError:
            return np.zeros(0, dtype=np.intp)
        passes = rows.passes(state)
        if names is not None:
            worth_a_look = np.zeros_like(passes)
            worth_a_look[to_slots(state, names)] = True
            passes &= worth_a_look
        return np.flatnonzero(passes)

    def _score(self, state: ClusterState, rows: Rows, candidates: NDArray[np.intp]) -> Scores:
        """Return the total of each candidate: ndarray of int64, shape (n_candidates,)."""
        totals = rows.plain(candidates)
        for raw, plugin, weight in rows.raw(state, candidates):
            totals += normalize(raw, plugin.normalization) * weight
        return totals

    def _rows_of(self, request: PodRequest) -> Rows:
        """Return the rows of a template; the least recently used ones make room."""
        rows = self._rows.pop(request, None) or Rows(self.profile, request)
        self._rows[request] = rows
        if len(self._rows) > _MAX_TEMPLATES:
            del self._rows[next(iter(self._rows))]
        return rows
