"""A label of nodes that has a new name.

New nodes may come without the old one: cloud providers and kubelets write it only for as long as
they want to, and control planes have lost `node-role.kubernetes.io/master` with Kubernetes 1.24.
`--fix` writes the new name.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.node_labels import RENAMED
from kubeberth.api.well_known import RENAMED_ROLES
from kubeberth.lint.field import Field
from kubeberth.lint.pod_terms import pod_terms, spread_constraints
from kubeberth.lint.requirements import alternatives, preferred_terms
from kubeberth.lint.rule import Problem, Replacement, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World

_SUCCESSORS = {**{old: new for old, (_, new) in RENAMED.items()}, **RENAMED_ROLES}


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    spec = workload.spec
    seen = set()
    for term in (*alternatives(spec), *preferred_terms(spec)):
        for asked in term.asked:
            if asked.key.path not in seen:
                seen.add(asked.key.path)
                yield from _of_key(asked.key, asked.requirement.key, is_key=asked.is_entry)
    for key in (
        *(term.topology_key for term in pod_terms(spec, workload.namespace)),
        *(constraint.topology_key for constraint in spread_constraints(spec)),
    ):
        yield from _of_key(key, key.text)


def _of_key(field: Field, label: str, *, is_key: bool = False) -> Iterator[Problem]:
    successor = _SUCCESSORS.get(label)
    if successor is not None:
        replacement = Replacement(field, successor, is_key)
        message = f"the label {label} is deprecated; use {successor}"
        yield Problem(field, message, is_key=is_key, replacement=replacement)


RULE = Rule(
    "KB109",
    "deprecated-label",
    Severity.WARNING,
    __doc__,
    of_workload=_check,
    is_fixable=True,
)
