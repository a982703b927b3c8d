"""Edits for TaintToleration and NodeUnschedulable: open the node, or tolerate that it is closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from kubeberth.api.core import Node, Pod, Taint, Toleration
from kubeberth.api.machines import UNSCHEDULABLE_TAINT, cordoned
from kubeberth.api.taints import shown_taint, tolerates
from kubeberth.api.well_known import is_of_state
from kubeberth.placement.remedies.commands import untaint_node
from kubeberth.placement.remedies.edit import (
    LABEL_NODE,
    REPAIR_NODE,
    TOLERATE,
    UNTAINT_NODE,
    Alternative,
    Edit,
    with_spec,
)
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState

_HARD = ("NoSchedule", "NoExecute")


def taint_edits(
    state: ClusterState, pod: Pod, request: PodRequest, slot: int
) -> Iterator[Alternative]:
    """Yield what would open a node whose taints a pod does not tolerate."""
    node = state.node(slot)
    in_the_way = untolerated(node, pod)
    of_state = [taint for taint in in_the_way if is_of_state(taint.key)]
    others = [taint for taint in in_the_way if taint not in of_state]
    opened = tuple(_repair(node, taint) for taint in of_state)
    if others:
        yield (*opened, *(_tolerate(taint) for taint in others))
    yield (*opened, *(_untaint(node, taint) for taint in others))


def cordon_edits(
    state: ClusterState, pod: Pod, request: PodRequest, slot: int
) -> Iterator[Alternative]:
    """Yield what would let pods onto a cordoned node."""
    yield (_uncordon(state.node(slot)),)


def untolerated(node: Node, pod: Pod) -> list[Taint]:
    """Return the taints of a node that keep a pod away."""
    return [
        taint
        for taint in node.spec.taints
        if taint.effect in _HARD and not any(tolerates(t, taint) for t in pod.spec.tolerations)
    ]


def _tolerate(taint: Taint) -> Edit:
    toleration = Toleration(
        key=taint.key,
        operator="Equal" if taint.value else "Exists",
        value=taint.value,
        effect=taint.effect,
    )

    def change(pod: Pod) -> Pod:
        return with_spec(pod, tolerations=(*pod.spec.tolerations, toleration))

    return Edit("tolerate-taint", f"tolerate {shown_taint(taint)}", TOLERATE, on_pod=change)


def _untaint(node: Node, taint: Taint) -> Edit:
    return Edit(
        "untaint-node",
        f"take the taint {shown_taint(taint)} off node {node.name}",
        UNTAINT_NODE,
        node=node.name,
        on_node=_without(taint),
        command=untaint_node(node.name, taint),
    )


def _repair(node: Node, taint: Taint) -> Edit:
    """Return what ends a taint that says how a node is doing."""
    if taint.key == UNSCHEDULABLE_TAINT:
        return _uncordon(node)
    text = f"see to node {node.name}, which is tainted {taint.key}, until it is well again"
    return Edit("repair-node", text, REPAIR_NODE, node=node.name, on_node=_without(taint))


def _without(taint: Taint) -> Callable[[Node], Node]:
    def change(node: Node) -> Node:
        left = tuple(t for t in node.spec.taints if (t.key, t.effect) != (taint.key, taint.effect))
        return replace(node, spec=replace(node.spec, taints=left))

    return change


def _uncordon(node: Node) -> Edit:
    return Edit(
        "uncordon-node",
        f"uncordon node {node.name}",
        LABEL_NODE,
        node=node.name,
        on_node=lambda node: cordoned(node, is_cordoned=False),
        command=f"kubectl uncordon {node.name}",
    )
