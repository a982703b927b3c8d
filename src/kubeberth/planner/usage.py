"""Usage: what pods take of each node, at one moment of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubeberth.api.core import Node
from kubeberth.api.node_labels import ZONE
from kubeberth.placement.state import ClusterState
from kubeberth.placement.vocabulary import FIXED_RESOURCES, NATIVE_RESOURCES
from kubeberth.planner.plan import Amount, NodeUse

_PODS = "pods"
# What counts for scores alone is nothing that a node has.
_SCORED = frozenset(FIXED_RESOURCES) - frozenset(NATIVE_RESOURCES)


@dataclass(frozen=True, slots=True)
class Taken:
    """A node at one moment: what there is, and what is taken, in base units."""

    zone: str
    allocatable: dict[str, int]
    requested: dict[str, int]
    closed: str = ""


def taken(state: ClusterState) -> dict[str, Taken]:
    """Return every node by name, as it is now."""
    names = state.resources.values
    shown = [i for i, name in enumerate(names) if name not in _SCORED]
    allocatable, requested = state.allocatable.T.tolist(), state.requested.T.tolist()
    found = {}
    for name in state.node_names:
        slot = state.slot_of(name)
        if slot is None:
            continue
        there, used = allocatable[slot], requested[slot]
        node = state.node(slot)
        found[name] = Taken(
            node.metadata.labels.get(ZONE, ""),
            {names[i]: there[i] for i in shown if there[i] or used[i]},
            {names[i]: used[i] for i in shown if there[i] or used[i]},
            _why_closed(node),
        )
    return found


def _why_closed(node: Node) -> str:
    ready = node.condition("Ready")
    is_ready = ready is None or ready.status == "True"
    reasons = ("cordoned" * node.spec.unschedulable, "not ready" * (not is_ready))
    return ", ".join(filter(None, reasons))


def zone_of(nodes: Mapping[str, Taken], name: str) -> str:
    """Return the zone of a node; empty when it is in none, or there is no such node."""
    return nodes[name].zone if name in nodes else ""


def compared(
    before: dict[str, Taken], after: dict[str, Taken], drained: frozenset[str]
) -> tuple[NodeUse, ...]:
    """Return every node with what is taken of it before and after, by zone and name."""
    nodes = [
        _compared(name, before.get(name), after.get(name), name in drained)
        for name in (*before, *(name for name in after if name not in before))
    ]
    return tuple(sorted(nodes, key=lambda node: (node.zone, node.name)))


def _compared(name: str, before: Taken | None, after: Taken | None, is_drained: bool) -> NodeUse:
    known = after or before or Taken("", {}, {})
    was, is_ = (before.requested if before else {}), (after.requested if after else {})
    resources = {
        resource: Amount(amount, was.get(resource, 0), is_.get(resource, 0))
        for resource, amount in known.allocatable.items()
        if resource != _PODS
    }
    change = "drained" if is_drained else ""
    if before is None or after is None:
        change = "added" if before is None else "removed"
    return NodeUse(
        name,
        known.zone,
        resources,
        was.get(_PODS, 0),
        is_.get(_PODS, 0),
        change,
        "" if is_drained else known.closed,
    )
