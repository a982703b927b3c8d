"""Requirements on one label that no node can meet together, whatever its labels.

`nodeSelector` and node affinity must both hold, so a node selector for one zone and an affinity for
another leave no node; likewise `In` and `NotIn` of the same value, `Exists` and `DoesNotExist`, and
bounds of `Gt` and `Lt` with no number between them.

When there are several `nodeSelectorTerms` and only some of them contradict themselves, those have
no effect, and the finding is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.requirements import alternatives, conflict, preferred_terms
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    terms = alternatives(workload.spec)
    impossible = [(term, found) for term in terms if (found := conflict(term.asked))]
    is_hopeless = len(impossible) == len(terms)
    for _, found in impossible:
        message = f"{' and '.join(map(str, found))} can never hold together"
        if not is_hopeless:
            message += ", so this term never matches"
        yield Problem(found[-1].key, message, None if is_hopeless else Severity.WARNING)
    for term in preferred_terms(workload.spec):
        if found := conflict(term.asked):
            message = f"{' and '.join(map(str, found))} can never hold together"
            yield Problem(found[-1].key, f"{message}: the weight never counts", Severity.WARNING)


RULE = Rule("KB104", "contradiction", Severity.ERROR, __doc__, of_workload=_check)
