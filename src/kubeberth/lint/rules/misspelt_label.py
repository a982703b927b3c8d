"""A label or topology key in one of Kubernetes' own domains that is none, but nearly one.

Nobody but Kubernetes gives labels under `kubernetes.io` and `k8s.io` a meaning. A topology key that
no node has makes required affinity unsatisfiable, and spreading and anti-affinity without effect.
With a cluster known, KB101 and KB201 tell of every label that no node has.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.well_known import NODE_LABELS, meant_label
from kubeberth.lint.field import Field
from kubeberth.lint.pod_terms import pod_terms, spread_constraints
from kubeberth.lint.requirements import alternatives, preferred_terms
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    if world.nodes is not None:
        return  # then what no node has is told by the rules that are about it
    spec = workload.spec
    seen = set()
    for terms, severity in (
        (alternatives(spec), None),
        (preferred_terms(spec), Severity.WARNING),
    ):
        for asked in (asked for term in terms for asked in term.asked):
            key, path = asked.requirement.key, asked.key.path
            if path not in seen and not asked.requirement.matches({}) and "/" in key:
                seen.add(path)
                yield from _of_key(asked.key, key, severity, is_key=asked.is_entry)
    for term in pod_terms(spec, workload.namespace):
        severity = None if term.must_be_met else Severity.WARNING
        yield from _of_key(term.topology_key, term.topology_key.text, severity)
    for constraint in spread_constraints(spec):
        severity = None if constraint.is_hard else Severity.WARNING
        yield from _of_key(constraint.topology_key, constraint.topology_key.text, severity)


def _of_key(
    field: Field, key: str, severity: Severity | None, *, is_key: bool = False
) -> Iterator[Problem]:
    if meant := meant_label(key, NODE_LABELS):
        message = f"{key} is no label that nodes have; did you mean {meant}?"
        yield Problem(field, message, severity, is_key=is_key)


RULE = Rule("KB110", "misspelt-label", Severity.ERROR, __doc__, of_workload=_check)
