"""Explain: verdicts in words, kube-scheduler's own.

The message of a pod that fits nowhere, and the whole table of a decision: who was refused by which
rule and why, what every rule scored every node. Matches kube-scheduler 1.36 (framework/types.go,
FitError; preemption/preemption.go).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from kubeberth.api.core import Pod
from kubeberth.placement.decision import Failure
from kubeberth.placement.normalize import normalize
from kubeberth.placement.plugin import PlacementError, Rejection
from kubeberth.placement.profile import Profile
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState
from kubeberth.placement.verdicts import Verdicts, first_rejection, judge

NO_NODES = "no nodes available to schedule pods"
NO_VICTIMS = "No preemption victims found for incoming pod"
NO_HELP = "Preemption is not helpful for scheduling"
NO_CLAIMS = "no new claims to deallocate"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about one decision, by node name.

    Parameters
    ----------
    refused
        Why the pod was refused as a whole, before any node was looked at.
    scores
        Rule, node, and the normalised score times the rule's weight; rules that have nothing to
        say about the pod are left out.
    totals
        Node and sum of its scores.
    failure
        Set when no node fits or the attempt ends with an error.
    """

    n_nodes: int
    feasible: tuple[str, ...] = ()
    rejected: Mapping[str, Rejection] = field(default_factory=dict)
    refused: Rejection | None = None
    scores: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    totals: Mapping[str, int] = field(default_factory=dict)
    failure: Failure | None = None

    @property
    def best(self) -> tuple[str, ...]:
        """Names of the nodes with the highest total, sorted."""
        highest = max(self.totals.values(), default=0)
        return tuple(sorted(name for name, total in self.totals.items() if total == highest))


def explain(state: ClusterState, pod: Pod, profile: Profile) -> Explanation:
    """Return the whole story of placing a pod now."""
    if not state.n_nodes:
        return Explanation(0, failure=Failure(NO_NODES))
    request = state.request(pod)
    verdicts = judge(state, request, profile)
    feasible = () if verdicts.refused else tuple(_names(state, verdicts.feasible))
    if not feasible:
        return Explanation(
            state.n_nodes,
            rejected=_rejected(state, request, profile, verdicts),
            refused=verdicts.refused,
            failure=explain_failure(state, request, profile, verdicts),
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
    state: ClusterState, request: PodRequest, profile: Profile, verdicts: Verdicts
) -> Failure:
    """Return why no node fits."""
    if verdicts.refused is not None:
        text = ", ".join(verdicts.refused.reasons)
        # The dynamic resources plugin, asked to help after such a refusal, fails like this.
        message = f"0/{state.n_nodes} nodes are available: {text}. not found"
        return Failure(message, frozenset((verdicts.refused.plugin,)))
    histogram: Counter[str] = Counter()
    rejected_by = set(verdicts.narrowed_by)
    for rejection, slots in verdicts.groups(state, request, profile):
        for reason in rejection.reasons:
            histogram[reason] += len(slots)
        if rejection.plugin:
            rejected_by.add(rejection.plugin)
    tail = _preemption_text(state, request, profile, verdicts)
    tail = f" {NO_CLAIMS}, preemption: {tail}" if tail else ""
    return Failure(_no_fit(state.n_nodes, histogram) + tail, frozenset(rejected_by))


def _no_fit(n_nodes: int, histogram: Counter[str]) -> str:
    # Sorted as text, so "10 x" comes before "2 y".
    counted = ", ".join(sorted(f"{count} {reason}" for reason, count in histogram.items()))
    return f"0/{n_nodes} nodes are available:" + (f" {counted}." if counted else "")


def _preemption_text(
    state: ClusterState, request: PodRequest, profile: Profile, verdicts: Verdicts
) -> str:
    """Return why making room would not help; empty when it would."""
    if request.preemption_policy == "Never":
        return "not eligible due to preemptionPolicy=Never."
    histogram: Counter[str] = Counter()
    for rejection, slots in verdicts.groups(state, request, profile):
        if not rejection.resolvable:
            histogram[NO_HELP] += len(slots)
            continue
        for slot in slots.tolist():
            obstacles = _obstacles_without_victims(state, request, profile, slot)
            if not obstacles:
                return ""
            histogram.update(obstacles)
    return _no_fit(state.n_nodes, histogram)


def _obstacles_without_victims(
    state: ClusterState, request: PodRequest, profile: Profile, slot: int
) -> tuple[str, ...]:
    """Return what would keep the pod off a node even without all pods of lower priority."""
    victims = [
        placed
        for placed in state.pods_on(state.node(slot).name)
        if placed.priority < request.priority
    ]
    if not victims:
        return (NO_VICTIMS,)
    with state.without(victims):
        nodes = np.array([slot], dtype=np.intp)
        rejection = first_rejection(state, request, profile, nodes)
    return rejection.reasons if rejection else ()


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
