"""Two PodDisruptionBudgets protect the same pods.

A pod with more than one budget cannot be evicted at all: the API server answers every eviction with
an error. Of budgets that overlap, the second is told.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.budgets import protected_workloads
from kubeberth.lint.label_selector import label_selector
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Subject, Workload
from kubeberth.lint.world import World

_KIND = "PodDisruptionBudget"


def _check(subject: Subject, world: World) -> Iterator[Problem]:
    if subject.kind != _KIND:
        return
    for workload in protected_workloads(subject, world):
        other = _other_budget(subject, workload, world)
        if other is not None:
            message = f"{other.shown} protects the pods of {workload.subject.shown}, too: with two "
            yield Problem(
                subject.root.at("spec", "selector"),
                message + "budgets they cannot be evicted",
                is_key=True,
            )
            return


def _other_budget(subject: Subject, workload: Workload, world: World) -> Subject | None:
    """Return a budget before this one that protects a workload, too."""
    for other in world.all_of(_KIND):
        if other is subject:
            return None
        is_another = other.namespace == subject.namespace and other.name != subject.name
        selector = label_selector(other.root.at("spec", "selector"))
        if is_another and selector.matches(workload.labels):
            return other
    return None


RULE = Rule("KB508", "two-budgets", Severity.WARNING, __doc__, of_object=_check)
