"""A pod template has scheduling gates.

Its pods are not placed until somebody removes the gates from each of them. That is as it should be
where a controller does so; without one they stay pending.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.near import listed
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    field = workload.spec.at("schedulingGates")
    gates = [gate.at("name").text for gate in field.each()]
    if workload.is_template and gates:
        message = f"no pod is placed before somebody removes its gate {listed(gates)}"
        yield Problem(field, message, is_key=True)


RULE = Rule("KB510", "gated-template", Severity.INFO, __doc__, of_workload=_check)
