"""Pods are spread over places of which the cluster has one only.

All nodes that the pods may be on have the same value of the topology key.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.pod_terms import spread_constraints
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.self_terms import pinned
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    nodes = world.eligible(workload)
    if len(nodes) < 2 or (workload.replicas is not None and workload.replicas < 2):
        return
    for constraint in spread_constraints(workload.spec):
        key = constraint.topology_key.text
        places = {node.labels[key] for node in nodes if key in node.labels}
        if len(places) == 1 and pinned(workload.spec, key) is None:
            [place] = places
            message = f"all {len(nodes)} nodes for these pods have {key}={place}"
            yield Problem(constraint.topology_key, f"{message}: there is nothing to spread over")


RULE = Rule(
    "KB307", "spread-over-one", Severity.WARNING, __doc__, of_workload=_check, needs_cluster=True
)
