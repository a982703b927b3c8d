"""A label is required with a value that no node has.

There are nodes with the label, but none whose value is allowed. The pods stay pending; a preference
changes nothing. A value that is the text `true` or a number must be quoted in YAML.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.near import listed, near_miss
from kubeberth.lint.requirements import Asked, alternatives, preferred_terms
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    seen = set()
    required = [asked for term in alternatives(workload.spec) for asked in term.asked]
    preferred = [asked for term in preferred_terms(workload.spec) for asked in term.asked]
    for asked in (*required, *preferred):
        if asked.requirement.operator != "In" or asked.values.path in seen:
            continue
        seen.add(asked.values.path)
        there = world.label_values(asked.requirement.key)
        if there and not asked.requirement.values & there:
            severity = None if asked in required else Severity.WARNING
            yield Problem(asked.values, _message(asked, there), severity)


def _message(asked: Asked, there: set[str]) -> str:
    wanted = sorted(asked.requirement.values)
    what = f"no node has {asked}" if asked.is_label else f"no node is called {listed(wanted)}"
    near = next(filter(None, (near_miss(value, there) for value in wanted)), "")
    others = f"; nodes have {listed(there)}" if asked.is_label else f"; there are {listed(there)}"
    return f"{what}; did you mean {near}?" if near else f"{what}{others}"


RULE = Rule(
    "KB102", "value-on-no-node", Severity.ERROR, __doc__, of_workload=_check, needs_cluster=True
)
