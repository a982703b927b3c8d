"""A toleration of a taint that no node has.

It allows nothing. Key, value and effect must all be as the taint's; without an effect all effects
are tolerated, and `operator: Exists` takes any value. Taints that Kubernetes puts on nodes in
trouble are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.core import Taint
from kubeberth.api.near import listed, near_miss
from kubeberth.api.taints import shown_taint, tolerates
from kubeberth.api.well_known import is_of_state
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.tolerations import Toleration, tolerations
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    for toleration in tolerations(workload.spec):
        if not toleration.key or is_of_state(toleration.key):
            continue
        if any(tolerates(toleration, taint) for taint in world.taints):
            continue
        hint = _hint(toleration, world.taints)
        severity = Severity.WARNING if hint else None
        yield Problem(toleration.field, f"no node has the taint {toleration}{hint}", severity)


def _hint(toleration: Toleration, taints: frozenset[Taint]) -> str:
    same_key = [taint for taint in taints if taint.key == toleration.key]
    if same_key:
        return f"; nodes have {listed(map(shown_taint, same_key))}"
    near = near_miss(toleration.key, (taint.key for taint in taints))
    return f"; did you mean {near}?" if near else ""


RULE = Rule(
    "KB401",
    "toleration-of-no-taint",
    Severity.INFO,
    __doc__,
    of_workload=_check,
    needs_cluster=True,
)
