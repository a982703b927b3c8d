"""Every taint is tolerated by pods that need not be on every node.

A toleration with `operator: Exists` and no key is for agents that run on every node. Other pods are
placed on control planes and on nodes set apart for somebody else with it, and stay on nodes that
are not ready, where nobody replaces them.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.tolerations import tolerations
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    if workload.is_daemon_set or not workload.is_template:
        return
    for toleration in tolerations(workload.spec):
        if toleration.is_of_everything:
            yield Problem(
                toleration.field,
                "every taint is tolerated: the pods go to control planes, too, and stay on nodes "
                "that are not ready",
            )


RULE = Rule("KB402", "tolerates-everything", Severity.WARNING, __doc__, of_workload=_check)
