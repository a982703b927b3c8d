"""Anti-affinity whose selector is meant for the pods themselves, but misses them by a slip.

The labels of the template differ from the selector in the spelling of one label, and no other pod
is selected. Replicas are not kept apart.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.pod_terms import pod_terms
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    for term in pod_terms(workload.spec, workload.namespace):
        if not term.is_anti or next(world.meant_by(term), None) is not None:
            continue
        near = term.selector.near_miss(workload.labels)
        if near is not None:
            asked, meant = near
            yield Problem(
                asked.values,
                f"no pod has {asked}, so nothing is kept apart; the pods have {meant}",
                is_key=asked.is_entry and not meant.startswith(f"{asked.requirement.key}="),
            )


RULE = Rule("KB209", "anti-affinity-misses-itself", Severity.WARNING, __doc__, of_workload=_check)
