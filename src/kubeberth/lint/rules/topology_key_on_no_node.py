"""No node has the label that a topology key names.

Required pod affinity is then never met. Required anti-affinity and spreading with `ScheduleAnyway`
have no effect, and spreading with `DoNotSchedule` lets no pod be placed.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.well_known import meant_label
from kubeberth.lint.field import Field
from kubeberth.lint.pod_terms import PodTerm, pod_terms, spread_constraints
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    for term in pod_terms(workload.spec, workload.namespace):
        yield from _of_key(term.topology_key, world, *_of_term(term))
    for constraint in spread_constraints(workload.spec):
        if constraint.is_hard:
            yield from _of_key(constraint.topology_key, world, "no pod can be placed")
        else:
            outcome = "nothing is spread"
            yield from _of_key(constraint.topology_key, world, outcome, Severity.WARNING)


def _of_term(term: PodTerm) -> tuple[str, Severity | None]:
    if term.is_anti:
        return "nothing is kept apart", Severity.WARNING
    if term.is_required:
        return "no pod can be placed", None
    return "the preference has no effect", Severity.WARNING


def _of_key(
    field: Field, world: World, outcome: str, severity: Severity | None = None
) -> Iterator[Problem]:
    if field.text and field.text not in world.label_keys:
        meant = meant_label(field.text, world.label_keys)
        hint = f"; did you mean {meant}?" if meant else ""
        message = f"no node has the topology key {field.text}, so {outcome}{hint}"
        yield Problem(field, message, severity)


RULE = Rule(
    "KB201",
    "topology-key-on-no-node",
    Severity.ERROR,
    __doc__,
    of_workload=_check,
    needs_cluster=True,
)
