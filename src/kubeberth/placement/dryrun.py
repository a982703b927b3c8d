"""Dry run: what it takes to make one node free, found by trying.

Matches kube-scheduler 1.36 (defaultpreemption, SelectVictimsOnNode).
"""

from __future__ import annotations

from kubeberth.placement.disruption import Budget, violations
from kubeberth.placement.importance import by_importance
from kubeberth.placement.node_filter import NodeFilter, Refusal
from kubeberth.placement.placed import PlacedPod
from kubeberth.placement.state import ClusterState
from kubeberth.placement.trial import Trial
from kubeberth.placement.victims import Candidate


def dry_run(
    state: ClusterState, node_filter: NodeFilter, lower: list[PlacedPod], slot: int
) -> Candidate | Refusal:
    """Return what it takes to make a node free, or which rule refuses the pod even then.

    Parameters
    ----------
    lower
        The pods of lower priority on the node, the most important first.
    """
    with Trial(state) as trial:
        for placed in lower:
            trial.remove(placed)
        refusal = node_filter.refusal(slot)
        if refusal is not None:
            return refusal
        return _reprieve(trial, node_filter, slot, lower, tuple(state.budgets.values()))


def _reprieve(
    trial: Trial,
    node_filter: NodeFilter,
    slot: int,
    lower: list[PlacedPod],
    budgets: tuple[Budget, ...],
) -> Candidate:
    """Put back as many pods as the node bears, those first that a budget would keep."""
    is_violating = violations(budgets, lower)
    order = sorted(range(len(lower)), key=lambda index: not is_violating[index])
    victims = []
    for index in order:
        trial.put_back(lower[index])
        if not node_filter.passes(slot):
            trial.remove(lower[index])
            victims.append(index)
    # Equals stay in the order in which they were not reprieved.
    return Candidate(
        slot,
        tuple(by_importance(lower[index] for index in victims)),
        sum(is_violating[index] for index in victims),
    )
