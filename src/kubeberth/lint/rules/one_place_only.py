"""Pods are spread or kept apart over places, but pinned to one of them.

A node selector or affinity leaves one zone, or one node, only, so there is nothing to spread over,
and of pods that turn each other down only the first is placed.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.pod_terms import pod_terms, spread_constraints
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.self_terms import is_of_itself, pinned
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    if workload.replicas is not None and workload.replicas < 2:
        return
    for constraint in spread_constraints(workload.spec):
        pin = pinned(workload.spec, constraint.topology_key.text)
        if pin is not None and constraint.field.at("nodeAffinityPolicy").text != "Ignore":
            message = f"{pin} leaves one place only: there is nothing to spread over"
            yield Problem(constraint.topology_key, message)
    for term in pod_terms(workload.spec, workload.namespace):
        pin = pinned(workload.spec, term.topology_key.text)
        if pin is not None and term.is_anti and is_of_itself(workload, term):
            outcome = "only one pod can run" if term.is_required else "nothing can be kept apart"
            severity = Severity.ERROR if term.is_required else None
            message = f"{pin} leaves one place only: {outcome}"
            yield Problem(term.topology_key, message, severity)


RULE = Rule("KB301", "one-place-only", Severity.WARNING, __doc__, of_workload=_check)
