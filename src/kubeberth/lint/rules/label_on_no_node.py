"""A label that no node has is required.

The pods stay pending until somebody labels a node. Look at the spelling, capital letters and the
domain before the `/`; `kubectl get nodes --show-labels` lists what there is.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.well_known import meant_label
from kubeberth.lint.requirements import alternatives, preferred_terms
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    known = world.label_keys
    seen = set()
    required = [asked for term in alternatives(workload.spec) for asked in term.asked]
    preferred = [asked for term in preferred_terms(workload.spec) for asked in term.asked]
    for asked in (*required, *preferred):
        key, path = asked.requirement.key, asked.key.path
        if not asked.is_label or asked.requirement.matches({}) or key in known or path in seen:
            continue
        seen.add(path)
        meant = meant_label(key, known)
        hint = f"; did you mean {meant}?" if meant else ""
        message = f"no node has the label {key}{hint}"
        severity = None if asked in required else Severity.WARNING
        yield Problem(asked.key, message, severity, is_key=asked.is_entry)


RULE = Rule(
    "KB101", "label-on-no-node", Severity.ERROR, __doc__, of_workload=_check, needs_cluster=True
)
