"""A spread constraint does not count the pods that it is to spread.

The selector does not match the labels of the template. Placing one of the pods changes no count, so
the constraint either has no effect on how they are spread, or keeps them all off the same places.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.pod_terms import spread_constraints
from kubeberth.lint.requirements import conflict
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.self_terms import counts_itself
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    for constraint in spread_constraints(workload.spec):
        selector = constraint.selector
        if selector.is_absent or conflict(selector.asked) or counts_itself(workload, constraint):
            continue
        near = selector.near_miss(workload.labels)
        hint = f"; the pods have {near[1]}" if near is not None else ""
        message = f"{selector} does not match the pods themselves{hint}"
        yield Problem(selector.field, message, is_key=True)


RULE = Rule("KB302", "spread-misses-itself", Severity.WARNING, __doc__, of_workload=_check)
