"""`Gt` or `Lt` asks for a label that is no number on any node that has it.

Both compare whole numbers; a value such as `8Gi` or `v2` is neither greater nor less than anything,
and a node with it never matches.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.near import listed
from kubeberth.api.selectors import parse_int64
from kubeberth.lint.requirements import alternatives, preferred_terms
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    terms = (*alternatives(workload.spec), *preferred_terms(workload.spec))
    for asked in (asked for term in terms for asked in term.asked):
        requirement = asked.requirement
        there = world.label_values(requirement.key)
        if requirement.operator not in ("Gt", "Lt") or not there:
            continue
        if all(parse_int64(value) is None for value in there):
            yield Problem(
                asked.key,
                f"{requirement.operator} compares whole numbers, but {requirement.key} is "
                f"{listed(there)} on the nodes that have it",
            )


RULE = Rule(
    "KB105", "no-number-on-nodes", Severity.ERROR, __doc__, of_workload=_check, needs_cluster=True
)
