"""A pod template names its node.

All pods made from it go to that node past the scheduler: no taint, no resource request and no
affinity is looked at on the way, the kubelet refuses what does not fit, and the controller makes
another one, without end. Use a node selector on `kubernetes.io/hostname`, or leave it to the
scheduler.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    field = workload.spec.at("nodeName")
    if workload.is_template and field.text:
        yield Problem(
            field,
            f"all pods of the template go to node {field.text}, past the scheduler and whether "
            "there is room or not; use nodeSelector or affinity",
        )


RULE = Rule("KB106", "node-name-in-template", Severity.WARNING, __doc__, of_workload=_check)
