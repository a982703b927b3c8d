"""A label selector that contradicts itself, and so selects nothing.

All of `matchLabels` and `matchExpressions` must hold together.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.label_selector import LabelSelector, label_selector
from kubeberth.lint.pod_terms import pod_terms, spread_constraints
from kubeberth.lint.requirements import conflict
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Subject
from kubeberth.lint.world import World

# Whose `spec.selector` is a label selector.
_SELECTING = ("DaemonSet", "Deployment", "PodDisruptionBudget", "ReplicaSet", "StatefulSet")


def _check(subject: Subject, world: World) -> Iterator[Problem]:
    for selector, severity in _selectors(subject):
        if found := conflict(selector.asked):
            message = f"{' and '.join(map(str, found))} can never hold together"
            yield Problem(found[-1].key, f"{message}: nothing is selected", severity)


def _selectors(subject: Subject) -> Iterator[tuple[LabelSelector, Severity]]:
    """Yield every selector, and how bad it is that it selects nothing."""
    if subject.kind in _SELECTING:
        is_budget = subject.kind == "PodDisruptionBudget"
        severity = Severity.WARNING if is_budget else Severity.ERROR
        yield label_selector(subject.root.at("spec", "selector")), severity
    workload = subject.workload
    if workload is not None:
        for term in pod_terms(workload.spec, workload.namespace):
            severity = Severity.ERROR if term.must_be_met else Severity.WARNING
            yield term.selector, severity
            yield term.namespace_selector, severity
        for constraint in spread_constraints(workload.spec):
            yield constraint.selector, Severity.WARNING


RULE = Rule("KB208", "selects-nothing", Severity.ERROR, __doc__, of_object=_check)
