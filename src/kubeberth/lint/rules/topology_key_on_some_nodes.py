"""Some of the nodes that pods may be on lack the label that a topology key names.

Required anti-affinity does not hold between pods on such nodes: any number of them may be there.
Required affinity and spreading with `DoNotSchedule` place nothing on them.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.near import listed
from kubeberth.lint.field import Field
from kubeberth.lint.pod_terms import pod_terms, spread_constraints
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    for term in pod_terms(workload.spec, workload.namespace):
        if term.is_required:
            outcome = "pods there are not kept apart" if term.is_anti else "no pod goes there"
            severity = Severity.WARNING if term.is_anti else None
            yield from _of_key(workload, world, term.topology_key, outcome, severity)
    for constraint in spread_constraints(workload.spec):
        if constraint.is_hard:
            key = constraint.topology_key
            yield from _of_key(workload, world, key, "no pod goes there", None)


def _of_key(
    workload: Workload, world: World, key: Field, outcome: str, severity: Severity | None
) -> Iterator[Problem]:
    nodes = world.eligible(workload)
    lacking = [node.name for node in nodes if key.text not in node.labels]
    if lacking and len(lacking) < len(nodes):
        message = (
            f"{len(lacking)} of {len(nodes)} nodes lack the topology key {key.text}, and {outcome}:"
            f" {listed(lacking)}"
        )
        yield Problem(key, message, severity)


RULE = Rule(
    "KB202",
    "topology-key-on-some-nodes",
    Severity.INFO,
    __doc__,
    of_workload=_check,
    needs_cluster=True,
)
