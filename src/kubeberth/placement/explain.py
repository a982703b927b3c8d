"""Explain: verdicts in words, kube-scheduler's own.

The message of a pod that fits nowhere, and the whole table of a decision: who was refused by which
rule and why, what every rule scored every node. Matches kube-scheduler 1.36 (framework/types.go,
FitError; preemption/preemption.go).
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from kubeberth.api.core import Pod
from kubeberth.placement.decision import Failure, Nomination
from kubeberth.placement.explanation import Explanation
from kubeberth.placement.normalize import normalize
from kubeberth.placement.plugin import PlacementError, Rejection
from kubeberth.placement.preemption import NO_HELP, PREEMPTION, Preemption, VictimSearch
from kubeberth.placement.profile import Profile
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState
from kubeberth.placement.verdicts import Verdicts, judge
from kubeberth.placement.victims import Candidate

NO_NODES = "no nodes available to schedule pods"
_CLAIMS = "DynamicResources"
NO_CLAIMS = "no new claims to deallocate"


def explain(state: ClusterState, pod: Pod, profile: Profile) -> Explanation:
    """Return the whole story of placing a pod now."""
    if not state.n_nodes:
        return Explanation(0, failure=Failure(NO_NODES))
    key, request = pod.metadata.key, state.request(pod)
    verdicts = judge(state, request, profile, key)
    feasible = () if verdicts.refused else tuple(_names(state, verdicts.feasible))
    if not feasible:
        search = Preemption(state, profile).search(request, verdicts, key)
        found = [to_nomination(state, option.candidate()) for option in search.options]
        return Explanation(
            state.n_nodes,
            rejected=_rejected(state, request, profile, verdicts),
            refused=verdicts.refused,
            failure=explain_failure(state, request, profile, verdicts, search),
            candidates=tuple(sorted(found, key=lambda nomination: nomination.node)),
            nominated=tuple(sorted(state.nodes.name_of[best.slot] for best in search.best)),
        )
    rejected = _rejected(state, request, profile, verdicts)
    scores: dict[str, dict[str, int]] = {}
    try:
        scores = _scores(state, request, profile, verdicts)
    except PlacementError as error:
        if len(feasible) > 1:
            failure = Failure(str(error), is_error=True)
            return Explanation(state.n_nodes, feasible, rejected, failure=failure)
    totals = {name: sum(row[name] for row in scores.values()) for name in feasible}
    return Explanation(state.n_nodes, feasible, rejected, None, scores, totals)


def explain_failure(
    state: ClusterState,
    request: PodRequest,
    profile: Profile,
    verdicts: Verdicts,
    search: VictimSearch,
) -> Failure:
    """Return why no node fits."""
    if verdicts.refused is not None:
        text = ", ".join(verdicts.refused.reasons)
        message = f"0/{state.n_nodes} nodes are available: {text}."
        if _CLAIMS in profile.post_filters:
            # Asked to help after such a refusal, the dynamic resources plugin fails like this.
            message += " not found"
        elif PREEMPTION in profile.post_filters:
            no_help = _no_fit(state.n_nodes, Counter({NO_HELP: state.n_nodes}))
            message += f" preemption: {no_help}"
        rejected_by = frozenset((verdicts.refused.plugin,))
        return Failure(message, rejected_by, keeps_nomination=True)
    histogram: Counter[str] = Counter()
    rejecting = set(verdicts.narrowed_by)
    for rejection, slots in verdicts.groups(state, request, profile):
        for reason in rejection.reasons:
            histogram[reason] += len(slots)
        if rejection.plugin:
            rejecting.add(rejection.plugin)
    message = _no_fit(state.n_nodes, histogram)
    if not search.is_successful:
        why_not = search.not_eligible or _no_fit(state.n_nodes, search.obstacles)
        says = {_CLAIMS: NO_CLAIMS, PREEMPTION: f"preemption: {why_not}"}
        said = [says[name] for name in profile.post_filters if name in says]
        message += f" {', '.join(said)}" if said else ""
    return Failure(message, frozenset(rejecting), keeps_nomination=bool(search.not_eligible))


def to_nomination(state: ClusterState, candidate: Candidate) -> Nomination:
    """Return a candidate by the names of its node and victims."""
    return Nomination(
        state.nodes.name_of[candidate.slot],
        tuple(victim.key for victim in candidate.victims),
        candidate.n_violations,
    )


def _no_fit(n_nodes: int, histogram: Counter[str]) -> str:
    # Sorted as text, so "10 x" comes before "2 y".
    counted = ", ".join(sorted(f"{count} {reason}" for reason, count in histogram.items()))
    return f"0/{n_nodes} nodes are available:" + (f" {counted}." if counted else "")


def _rejected(
    state: ClusterState, request: PodRequest, profile: Profile, verdicts: Verdicts
) -> dict[str, Rejection]:
    if verdicts.refused is not None:
        return {}
    return {
        name: rejection
        for rejection, slots in verdicts.groups(state, request, profile)
        for name in _names(state, slots)
    }


def _scores(
    state: ClusterState, request: PodRequest, profile: Profile, verdicts: Verdicts
) -> dict[str, dict[str, int]]:
    slots = verdicts.feasible
    names = list(_names(state, slots))
    table = {}
    for plugin, weight in profile.scores:
        if plugin.scores(state, request):
            raw = plugin.score(state, request, slots)
            weighted = normalize(raw, plugin.normalization) * weight
            table[plugin.name] = dict(zip(names, weighted.tolist(), strict=True))
    return table


def _names(state: ClusterState, slots: np.ndarray[tuple[int], np.dtype[np.intp]]) -> list[str]:
    return [state.node(slot).name for slot in slots.tolist()]
