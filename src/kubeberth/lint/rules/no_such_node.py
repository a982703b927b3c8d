"""A pod is assigned to a node that the cluster does not have.

It stays pending, and is deleted after a while: nobody looks for another node for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.near import did_you_mean
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    field = workload.spec.at("nodeName")
    names = {node.name for node in world.nodes or ()}
    if field.text and field.text not in names:
        yield Problem(field, f"there is no node {field.text}{did_you_mean(field.text, names)}")


RULE = Rule(
    "KB107", "no-such-node", Severity.ERROR, __doc__, of_workload=_check, needs_cluster=True
)
