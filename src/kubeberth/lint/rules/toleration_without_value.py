"""A toleration with a key, but neither a value nor `operator: Exists`.

The operator is `Equal` if none is given, and the value empty, so only a taint without a value is
tolerated. Most taints have one.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.well_known import is_reserved
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.tolerations import tolerations
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    if world.nodes is not None:
        return  # then it is known which taints there are, and told which are not tolerated
    for toleration in tolerations(workload.spec):
        key = toleration.key
        if key and not is_reserved(key) and toleration.operator == "Equal" and not toleration.value:
            message = f"tolerates the taint {key} only if it has no value; for any value add "
            yield Problem(toleration.field, message + "operator: Exists")


RULE = Rule("KB405", "toleration-without-value", Severity.INFO, __doc__, of_workload=_check)
