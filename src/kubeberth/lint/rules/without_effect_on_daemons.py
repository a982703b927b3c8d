"""A wish that changes nothing for the pods of a DaemonSet.

The controller makes a pod for each node and assigns it there: no node is preferred to another, and
nothing is spread. Required affinity and anti-affinity do hold.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.pod_terms import spread_constraints
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World

_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    if not workload.is_daemon_set:
        return
    for kind in ("nodeAffinity", "podAffinity", "podAntiAffinity"):
        field = workload.spec.at("affinity", kind, _PREFERRED)
        if any(field.each()):
            message = "a DaemonSet has a pod on each node, so preferences change nothing"
            yield Problem(field, message, is_key=True)
    for constraint in spread_constraints(workload.spec):
        if constraint.is_hard:
            message = "a DaemonSet has a pod on each node; one that is held to a skew stays pending"
            yield Problem(constraint.field, message, Severity.WARNING)
        else:
            message = "a DaemonSet has a pod on each node, so it cannot be spread"
            yield Problem(constraint.field, message)


RULE = Rule("KB509", "without-effect-on-daemons", Severity.INFO, __doc__, of_workload=_check)
