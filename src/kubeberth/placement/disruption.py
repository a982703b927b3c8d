"""Disruption: which pods a disruption budget would rather keep.

Matches kube-scheduler 1.36 (defaultpreemption, filterPodsWithPDBViolation). Budgets are kept where
possible, no more: preemption goes against them when nothing else makes room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kubeberth.api.policy import PodDisruptionBudget
from kubeberth.api.selectors import Selector, from_label_selector
from kubeberth.placement.placed import PlacedPod


@dataclass(frozen=True, slots=True)
class Budget:
    """One PodDisruptionBudget.

    Parameters
    ----------
    allowed
        How many of its pods may go now.
    disrupted
        Names of pods that count as gone already.
    """

    namespace: str
    selector: Selector
    allowed: int
    disrupted: frozenset[str]

    def covers(self, placed: PlacedPod) -> bool:
        """Return whether the pod would be charged to this budget."""
        return (
            bool(placed.labels)
            and self.selects(placed.request.namespace, placed.labels)
            and placed.name not in self.disrupted
        )

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Return whether pods of a namespace, with these labels, are meant; labels there must be.

        An empty selector means nothing here.
        """
        return (
            namespace == self.namespace
            and not self.selector.is_everything
            and self.selector.matches(labels)
        )

    @property
    def label_keys(self) -> set[str]:
        """Pod labels that the selector looks at."""
        return {requirement.key for requirement in self.selector.requirements}


def to_budget(document: PodDisruptionBudget) -> Budget:
    """Return what a PodDisruptionBudget says."""
    status = document.status
    return Budget(
        document.metadata.namespace,
        from_label_selector(document.spec.selector),
        status.disruptions_allowed,
        frozenset(status.disrupted_pods),
    )


def violations(budgets: Iterable[Budget], pods: Sequence[PlacedPod]) -> list[bool]:
    """Return for each pod whether its going, after that of the pods before it, breaks a budget."""
    found = [False] * len(pods)
    for budget in budgets:
        left = budget.allowed
        for index, placed in enumerate(pods):
            if budget.covers(placed):
                left -= 1
                found[index] |= left < 0
    return found
