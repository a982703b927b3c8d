"""A node affinity term that asks for nothing, and so matches no node.

Other than an empty selector elsewhere, an empty term under `nodeSelectorTerms` matches nothing. If
all terms are empty, the pods stay pending.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.requirements import required_terms
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    terms = required_terms(workload.spec)
    empty = [term for term in terms if not term.asked]
    for term in empty:
        is_hopeless = len(empty) == len(terms)
        outcome = "no node will do" if is_hopeless else "it has no effect"
        severity = Severity.ERROR if is_hopeless else None
        yield Problem(term.field, f"an empty term matches no node: {outcome}", severity)


RULE = Rule("KB112", "empty-term", Severity.WARNING, __doc__, of_workload=_check)
