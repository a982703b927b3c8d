"""A pod affinity term or spread constraint without a label selector, which selects no pod.

An absent `labelSelector` selects nothing, an empty one (`{}`) everything. Required affinity is then
never met, and anti-affinity and spreading have no effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.pod_terms import pod_terms, spread_constraints
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    for term in pod_terms(workload.spec, workload.namespace):
        if term.field.exists and term.selector.is_absent:
            is_fatal = term.is_required and not term.is_anti
            outcome = "no pod can be placed" if is_fatal else "it has no effect"
            message = f"{term.word} without labelSelector selects no pod: {outcome}"
            yield Problem(term.field, message, Severity.ERROR if is_fatal else None)
    for constraint in spread_constraints(workload.spec):
        if constraint.selector.is_absent:
            yield Problem(
                constraint.field,
                "a spread constraint without labelSelector counts no pod: it has no effect",
            )


RULE = Rule("KB206", "absent-selector", Severity.WARNING, __doc__, of_workload=_check)
