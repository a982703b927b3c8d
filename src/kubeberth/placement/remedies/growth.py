"""Edits that make the cluster larger: one node more, of a make that is there, or larger."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec.structs import replace

from kubeberth.api.core import Node
from kubeberth.api.machines import made_like
from kubeberth.api.node_labels import HOSTNAME, ZONE
from kubeberth.api.requests import shown_amount, to_amounts
from kubeberth.api.storage import CSINode
from kubeberth.api.well_known import is_reserved
from kubeberth.placement.remedies.edit import ADD_NODE, Alternative, Edit
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState

_MAX_MODELS = 12
_TOLD = ("cpu", "memory")
# A node that is larger, or other than all that are there, is more to ask for.
_OTHER_MAKE = 1.0


def new_nodes(state: ClusterState, request: PodRequest) -> Iterator[Alternative]:
    """Yield new nodes: of every make that is there, the smallest first; then made to measure."""
    models = _models(state, request)
    for slot in models:
        yield (_added(state, state.node(slot), state.node(slot), ""),)
    for slot in models:
        model = state.node(slot)
        fitted, how, effort = _fitted(state, model, request)
        if how:
            yield (_added(state, model, fitted, how, effort),)


def _models(state: ClusterState, request: PodRequest) -> list[int]:
    """Return one node of each make: size, taints, zone, and the labels that the pod looks at."""
    slots = np.flatnonzero(state.exists)
    if not len(slots):
        return []
    rules = request.node_rules
    keys = {ZONE, *(entry.key for entry in rules.selector)}
    keys.update(entry.key for term in rules.required or () for entry in term.labels)
    columns = [state.label_column(key).ids for key in sorted(keys - {HOSTNAME})]
    rows = (state.nodes.capacity_class_ids, state.taint_list_ids, *columns)
    table = np.stack([np.asarray(row)[slots].astype(np.int64) for row in rows])
    _, firsts = np.unique(table, axis=1, return_index=True)
    found = slots[np.sort(firsts)].tolist()
    size = {slot: int(state.allocatable[:, slot].max()) for slot in found}
    return sorted(found, key=lambda slot: size[slot])[-_MAX_MODELS:]


def _fitted(state: ClusterState, model: Node, request: PodRequest) -> tuple[Node, str, float]:
    """Return a node that has what a pod asks for, what is otherwise about it, and how much."""
    labels = dict(model.metadata.labels)
    wanted = {e.key: min(e.values) for e in request.node_rules.selector}
    wanted = {k: v for k, v in wanted.items() if k != HOSTNAME and labels.get(k) != v}
    there = to_amounts(model.status.allocatable)
    more = {
        name: asked
        for name, asked in (
            (state.resources.values[resource], asked) for resource, asked in request.amounts
        )
        if asked > there.get(name, 0)
    }
    texts = {n: f"{v}m" if n == "cpu" else str(v) for n, v in more.items()}
    allocatable = {**model.status.allocatable, **texts}
    node = replace(
        model,
        metadata=replace(model.metadata, labels={**labels, **wanted}),
        status=replace(model.status, allocatable=allocatable),
    )
    parts = [f"at least {shown_amount(name, value)} {name}" for name, value in more.items()]
    parts += [f"the label {key}={value}" for key, value in wanted.items()]
    n_fixed = sum(map(is_reserved, wanted))
    return node, " and ".join(parts), _OTHER_MAKE + len(parts) + n_fixed


def _added(state: ClusterState, model: Node, make: Node, how: str, effort: float = 0.0) -> Edit:
    name = next(
        name
        for number in range(1, state.n_nodes + 2)
        if state.slot_of(name := f"{model.name}-new-{number}") is None
    )
    there = to_amounts(model.status.allocatable)
    size = ", ".join(f"{shown_amount(r, there[r])} {r}" for r in _TOLD if r in there)
    zone = model.metadata.labels.get(ZONE)
    make_text = f"{model.name} ({', '.join(filter(None, (size, zone)))})"
    text = f"add a node like {make_text}" + (f", but with {how}" if how else "")
    csi_node = state.storage.csi_nodes.get(model.name)
    drivers: tuple[CSINode, ...] = ()
    if csi_node is not None:
        drivers = (replace(csi_node, metadata=replace(csi_node.metadata, name=name)),)
    return Edit(
        "add-node",
        text,
        ADD_NODE + effort,
        node_comes=made_like(make, name),
        volumes_come=drivers,
    )
