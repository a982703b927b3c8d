"""A spread constraint that allows as much skew as there are replicas.

`maxSkew` is by how many pods places may differ. All replicas in one place differ from an empty one
by their number, so a larger skew than that allows everything.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.pod_terms import spread_constraints
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.self_terms import counts_itself
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    replicas = workload.replicas
    if replicas is None or replicas < 2 or any(world.scalers_of(workload)):
        return
    for constraint in spread_constraints(workload.spec):
        is_own = counts_itself(workload, constraint) and not constraint.selector.is_empty
        if constraint.is_hard and is_own and constraint.max_skew >= replicas:
            yield Problem(
                constraint.field.at("maxSkew"),
                f"a maxSkew of {constraint.max_skew} lets all {replicas} replicas share one place",
            )


RULE = Rule("KB304", "skew-without-effect", Severity.WARNING, __doc__, of_workload=_check)
