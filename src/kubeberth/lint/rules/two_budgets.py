"""Two PodDisruptionBudgets protect the same pods.

A pod with more than one budget cannot be evicted at all: the API server answers every eviction with
an error. Of budgets that overlap, the second is told.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.budgets import protected_workloads
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Subject
from kubeberth.lint.world import World

_KIND = "PodDisruptionBudget"


def _check(subject: Subject, world: World) -> Iterator[Problem]:
    if subject.kind != _KIND:
        return
    mine = protected_workloads(subject, world)
    for other in world.subjects:
        if other is subject:
            return
        if other.kind != _KIND or other.namespace != subject.namespace:
            continue
        if other.name == subject.name:
            continue
        both = [workload for workload in protected_workloads(other, world) if workload in mine]
        if both:
            message = f"{other.shown} protects the pods of {both[0].subject.shown}, too: with two "
            yield Problem(
                subject.root.at("spec", "selector"),
                message + "budgets they cannot be evicted",
                is_key=True,
            )


RULE = Rule("KB508", "two-budgets", Severity.WARNING, __doc__, of_object=_check)
