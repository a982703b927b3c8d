"""A toleration of a taint that has a new name.

Since Kubernetes 1.25 control planes have `node-role.kubernetes.io/control-plane`, and no longer
`node-role.kubernetes.io/master`. `--fix` writes the new name.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.well_known import RENAMED_ROLES
from kubeberth.lint.rule import Problem, Replacement, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.tolerations import tolerations
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    every = tolerations(workload.spec)
    keys = {toleration.key for toleration in every}
    for toleration in every:
        successor = RENAMED_ROLES.get(toleration.key)
        # Who tolerates both means clusters of any age.
        if successor is not None and successor not in keys:
            field = toleration.field.at("key")
            message = f"no node has the taint {toleration.key} any more; tolerate {successor}"
            yield Problem(field, message, replacement=Replacement(field, successor))


RULE = Rule(
    "KB406",
    "deprecated-taint",
    Severity.WARNING,
    __doc__,
    of_workload=_check,
    is_fixable=True,
)
