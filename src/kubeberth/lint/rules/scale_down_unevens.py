"""Spreading is required of pods that are scaled down.

Who scales down does not look at spread constraints: the pods that stay may be uneven, and then new
ones are held to the skew that the others left. Nothing evens them out but a descheduler, or a
rollout.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.pod_terms import spread_constraints
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.self_terms import counts_itself
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    for scaler in world.scalers_of(workload):
        for constraint in spread_constraints(workload.spec):
            if constraint.is_hard and counts_itself(workload, constraint):
                yield Problem(
                    constraint.field,
                    f"{scaler.shown} may scale down, which leaves the pods uneven, and new ones "
                    "pending where the skew does not allow them",
                )


RULE = Rule("KB306", "scale-down-unevens", Severity.INFO, __doc__, of_workload=_check)
