"""An empty label selector that means every pod of the namespace.

`labelSelector: {}` selects everything. Required anti-affinity then gives the pods a place that they
share with nobody else of the namespace, and keeps others out, too, since anti-affinity holds both
ways.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.pod_terms import pod_terms, spread_constraints
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    for term in pod_terms(workload.spec, workload.namespace):
        selector = term.selector
        if term.is_anti and term.is_required and selector.is_empty and not term.narrowed_by:
            message = (
                f"an empty selector keeps every other pod out of the same {term.topology_key.text}"
            )
            yield Problem(selector.field, message, is_key=True)
    for constraint in spread_constraints(workload.spec):
        selector = constraint.selector
        if selector.is_empty and not constraint.match_label_keys.values:
            message = "an empty selector counts every pod of the namespace, not only those of "
            yield Problem(
                selector.field, message + workload.subject.shown, Severity.INFO, is_key=True
            )


RULE = Rule("KB207", "selects-everything", Severity.WARNING, __doc__, of_workload=_check)
