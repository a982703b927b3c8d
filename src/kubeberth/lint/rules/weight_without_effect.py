"""A preference that is alike for all nodes that come into question, so its weight changes nothing.

That is so when the preference repeats what is required anyway, and, with a cluster known, when all
nodes that meet the requirements match it, or none does.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.selectors import Requirement
from kubeberth.lint.requirements import Term, alternatives, conflict, preferred_terms
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    required = alternatives(workload.spec)
    for term in preferred_terms(workload.spec):
        if why := _why_not(term, required, workload, world):
            yield Problem(term.field.at("weight"), f"{why}: this weight changes nothing")


def _why_not(term: Term, required: list[Term], workload: Workload, world: World) -> str:
    if not term.asked or conflict(term.asked):
        return ""  # told by other rules
    wanted = {one.requirement for one in term.asked}
    if required and all(wanted <= {one.requirement for one in way.asked} for way in required):
        return "what is preferred is required anyway"
    nodes = world.candidates(workload)
    if len(nodes) < 2:
        return ""
    n_matching = sum(term.matches(node.labels) for node in nodes)
    if n_matching == len(nodes):
        return f"all {len(nodes)} nodes that come into question match"
    if n_matching == 0 and all(_is_on_a_node(one.requirement, world) for one in term.asked):
        return f"none of the {len(nodes)} nodes that come into question matches"
    return ""


def _is_on_a_node(requirement: Requirement, world: World) -> bool:
    return any(requirement.matches(node.labels) for node in world.nodes or ())


RULE = Rule("KB108", "weight-without-effect", Severity.INFO, __doc__, of_workload=_check)
