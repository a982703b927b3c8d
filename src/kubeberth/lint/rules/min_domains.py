"""`minDomains` asks for more places than the cluster has.

As long as there are fewer, the emptiest place counts as having no pod, so that each place takes
`maxSkew` pods and no more; the rest stay pending, even if there is room.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.pod_terms import spread_constraints
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    nodes = world.eligible(workload)
    for constraint in spread_constraints(workload.spec):
        field, key = constraint.field.at("minDomains"), constraint.topology_key.text
        places = {node.labels[key] for node in nodes if key in node.labels}
        room = len(places) * constraint.max_skew
        if not constraint.is_hard or not places or (field.number or 0) <= len(places):
            continue
        message = f"minDomains is {field.number}, but there are {len(places)} of {key}"
        if workload.replicas is not None and workload.replicas > room:
            yield Problem(field, f"{message}: only {room} of {workload.replicas} replicas can run")
        else:
            message += f": each takes {constraint.max_skew} at most"
            yield Problem(field, message, Severity.INFO)


RULE = Rule("KB305", "min-domains", Severity.ERROR, __doc__, of_workload=_check, needs_cluster=True)
