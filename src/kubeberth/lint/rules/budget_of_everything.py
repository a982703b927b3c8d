"""A PodDisruptionBudget that protects every pod of its namespace.

An empty `selector` selects all pods there, those of other workloads and of Jobs as well: one that
is not ready keeps all others from being evicted.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.label_selector import label_selector
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Subject
from kubeberth.lint.world import World


def _check(subject: Subject, world: World) -> Iterator[Problem]:
    selector = label_selector(subject.root.at("spec", "selector"))
    if subject.kind == "PodDisruptionBudget" and selector.is_empty:
        message = f"an empty selector protects every pod of namespace {subject.namespace} together"
        yield Problem(selector.field, message, is_key=True)


RULE = Rule("KB507", "budget-of-everything", Severity.WARNING, __doc__, of_object=_check)
