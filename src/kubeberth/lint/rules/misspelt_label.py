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
    for term in (*alternatives(spec), *preferred_terms(spec)):
        for asked in term.asked:
            key, path = asked.requirement.key, asked.key.path
            if path not in seen and not asked.requirement.matches({}) and "/" in key:
                seen.add(path)
                yield from _of_key(asked.key, key, is_key=asked.is_entry)
    for field in (
        *(term.topology_key for term in pod_terms(spec, workload.namespace)),
        *(constraint.topology_key for constraint in spread_constraints(spec)),
    ):
        yield from _of_key(field, field.text)


def _of_key(field: Field, key: str, *, is_key: bool = False) -> Iterator[Problem]:
    if meant := meant_label(key, NODE_LABELS):
        message = f"{key} is no label that nodes have; did you mean {meant}?"
        yield Problem(field, message, is_key=is_key)


RULE = Rule("KB110", "misspelt-label", Severity.ERROR, __doc__, of_workload=_check)
