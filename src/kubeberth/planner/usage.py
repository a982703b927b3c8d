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


class Usage:
    """What there is on the nodes at one moment, and what is taken; worked out if it is asked for.

    Who only wants to know why a pod has no node does not.
    """

    def __init__(self, state: ClusterState) -> None:
        self._resources = list(state.resources.values)
        self._allocatable, self._requested = state.allocatable.copy(), state.requested.copy()
        slots = {name: state.slot_of(name) for name in state.node_names}
        self._nodes = {
            name: (slot, state.node(slot)) for name, slot in slots.items() if slot is not None
        }

    def taken(self) -> dict[str, Taken]:
        """Return every node by name, as it was then."""
        names = self._resources
        shown = [i for i, name in enumerate(names) if name not in _SCORED]
        allocatable, requested = self._allocatable.T.tolist(), self._requested.T.tolist()
        found = {}
        for name, (slot, node) in self._nodes.items():
            there, used = allocatable[slot], requested[slot]
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
