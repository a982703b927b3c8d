"""Remedy and Conflict: what would help a pod, and which of its rules cannot be met, as data."""

from __future__ import annotations

from typing import Any

import msgspec


class Remedy(msgspec.Struct, frozen=True, rename="camel"):
    """Changes with which a pod fits; it has been placed with them to make sure.

    Parameters
    ----------
    kinds
        Of the changes, such as `label-node`; names that stay.
    text
        What to do, in words.
    node
        Where the pod goes then.
    effort
        How large the changes are: below 4 a field of the pod, then a node, then several changes.
    moved
        By pod that has to leave and is made again, the node that takes it then; empty when none
        does.
    patch
        What changes in the pod, as a strategic merge patch; empty when nothing does.
    objects
        What comes into the cluster, as manifests: a node, a volume.
    commands
        What to type, in that order, where that can be said.
    """

    kinds: tuple[str, ...]
    text: str
    node: str
    effort: float
    moved: dict[str, str] = {}
    patch: dict[str, Any] = {}
    objects: tuple[dict[str, Any], ...] = ()
    commands: tuple[str, ...] = ()


class ConflictingRule(msgspec.Struct, frozen=True, rename="camel"):
    """A rule of a conflict, and how many nodes meet it when it is the pod's only one."""

    text: str
    nodes: int


class Conflict(msgspec.Struct, frozen=True, rename="camel"):
    """Rules of a pod that no node meets together; without any one of them, some node does."""

    rules: tuple[ConflictingRule, ...]
