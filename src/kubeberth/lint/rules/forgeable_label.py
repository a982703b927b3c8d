"""Pods are kept to nodes by a label that a node may set on itself.

A kubelet may set most labels on its own node. Where pods are kept apart by such a label, a node
that was broken into can draw them to itself. Labels under `node-restriction.kubernetes.io/` are out
of a node's reach.

What says where a node is (its name, zone or region) or which type it is of, what is only kept away
from, and what is merely preferred, is information; nothing is said of its operating system and
architecture. `--allow LABEL` says nothing of one more label.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubeberth.api.forgeable import ShapeError, forgeable_uses, protected_key
from kubeberth.api.node_labels import ARCH, BETA_ARCH, BETA_OS, OS
from kubeberth.api.well_known import NODE_LABELS
from kubeberth.lint.field import Field, Path
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Subject
from kubeberth.lint.world import World

# What a machine can run keeps nobody apart.
_OF_THE_MACHINE = (ARCH, BETA_ARCH, BETA_OS, OS)


def _check(subject: Subject, world: World) -> Iterator[Problem]:
    try:
        uses = forgeable_uses(subject.root.value)
    except ShapeError:
        return  # told by the rule that is about it
    for use in uses:
        if world.is_allowed(use.key) or use.key in _OF_THE_MACHINE:
            continue
        if world.nodes is not None and use.key not in world.label_keys:
            continue  # nothing is kept apart by it so far, and that is told
        is_isolation = use.is_binding and use.key not in NODE_LABELS
        is_isolation = is_isolation and not _is_avoided(subject.root.value, use.path)
        yield Problem(
            Field(None, use.path),
            f"a kubelet may set the label {use.key} on its own node; use {protected_key(use.key)}",
            None if is_isolation else Severity.INFO,
            is_key=use.path[-1] == use.key,
        )


def _is_avoided(document: Any, path: Path) -> bool:
    """Return whether pods are kept off nodes with a label, and so may be on most others."""
    expression = document
    for step in path[:-1]:
        expression = expression[step]
    return path[-1] == "key" and expression.get("operator") in ("NotIn", "DoesNotExist")


RULE = Rule("KB111", "forgeable-label", Severity.WARNING, __doc__, of_object=_check)
