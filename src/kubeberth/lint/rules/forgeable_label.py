"""Pods are kept to nodes by a label that a node may set on itself.

A kubelet may set most labels on its own node. Where pods are kept apart by such a label, a node
that was broken into can draw them to itself. Labels under `node-restriction.kubernetes.io/` are out
of a node's reach.

What only says what a node is (its operating system, architecture, name, zone, region or instance
type), and what is merely preferred, is information. `--allow LABEL` says nothing of a label.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.forgeable import ShapeError, forgeable_uses, protected_key
from kubeberth.api.well_known import NODE_LABELS
from kubeberth.lint.field import Field
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Subject
from kubeberth.lint.world import World


def _check(subject: Subject, world: World) -> Iterator[Problem]:
    try:
        uses = forgeable_uses(subject.root.value)
    except ShapeError:
        return  # told by the rule that is about it
    for use in uses:
        if world.is_allowed(use.key):
            continue
        is_isolation = use.is_binding and use.key not in NODE_LABELS
        yield Problem(
            Field(None, use.path),
            f"a kubelet may set the label {use.key} on its own node; use {protected_key(use.key)}",
            None if is_isolation else Severity.INFO,
            is_key=use.path[-1] == use.key,
        )


RULE = Rule("KB111", "forgeable-label", Severity.WARNING, __doc__, of_object=_check)
