"""A spread constraint counts old and new pods of a rollout together.

While a Deployment is rolled out, the pods that are about to go still count, so the new ones are
placed around them, and are uneven once these are gone. `matchLabelKeys: [pod-template-hash]` counts
each revision by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.pod_terms import spread_constraints
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.self_terms import counts_itself
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    is_rolled = workload.subject.root.at("spec", "strategy", "type").text != "Recreate"
    if workload.kind != "Deployment" or not is_rolled or (workload.replicas or 0) < 2:
        return
    for constraint in spread_constraints(workload.spec):
        is_apart = "pod-template-hash" in constraint.match_label_keys.values
        if constraint.is_hard and not is_apart and counts_itself(workload, constraint):
            yield Problem(
                constraint.field,
                "during a rollout old and new pods are counted together, and what is left may be "
                "uneven; add matchLabelKeys: [pod-template-hash]",
            )


RULE = Rule("KB303", "rollout-counts-old-pods", Severity.INFO, __doc__, of_workload=_check)
