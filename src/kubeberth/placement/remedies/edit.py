"""Edit: one change that somebody could make so that a pod fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from kubeberth.api.core import Node, Pod
from kubeberth.api.storage import StorageObject

# What one change comes to. A field of the pod is less than a node, which others use, too.
CORRECT = 1.0
CHANGE_FIELD = 2.0
TOLERATE = 2.5
SOFTEN = 3.0
LABEL_NODE = 4.0
UNTAINT_NODE = 5.0
EVICT_POD = 5.0
REPAIR_NODE = 7.0
ADD_VOLUME = 6.0
ADD_NODE = 8.0
# Each further change.
MORE = 2.0


@dataclass(frozen=True, slots=True)
class Edit:
    """One change.

    Parameters
    ----------
    kind
        A name that stays, such as `label-node`.
    effort
        How large it is; see the constants.
    on_pod
        What it makes of the pod.
    node, on_node
        A node, and what it makes of it.
    evicts
        Keys of the pods that have to go.
    node_comes
        A new node.
    volumes_come
        New volumes and the like.
    command
        What carries it out; empty when it is in the pod, or cannot be said.
    """

    kind: str
    text: str
    effort: float
    on_pod: Callable[[Pod], Pod] | None = None
    node: str = ""
    on_node: Callable[[Node], Node] | None = None
    evicts: tuple[str, ...] = ()
    node_comes: Node | None = None
    volumes_come: tuple[StorageObject, ...] = ()
    command: str = ""


Alternative = tuple[Edit, ...]
"""Edits that are made together."""


def effort_of(edits: Iterable[Edit]) -> float:
    """Return how large some edits are together."""
    efforts = [edit.effort for edit in edits]
    return sum(efforts) + MORE * (len(efforts) - 1)


def edited(pod: Pod, edits: Iterable[Edit]) -> Pod:
    """Return what edits make of a pod."""
    for edit in edits:
        if edit.on_pod is not None:
            pod = edit.on_pod(pod)
    return pod


def with_spec(pod: Pod, **fields: Any) -> Pod:
    """Return a pod with other fields in its spec."""
    return replace(pod, spec=replace(pod.spec, **fields))
