"""Machines of nodes, as manifests describe them.

A manifest of the kind Machine says what the nodes that it names are made of:

    apiVersion: kubeberth.io/v1
    kind: Machine
    metadata: {name: two-sockets}
    nodes: [worker-1, worker-2]     # the node two-sockets, when left out
    numaNodes: [...]
    devices: [...]
    kubeletConfiguration: {...}

It becomes an annotation of their Nodes, which therefore can be copied with all that is known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubeberth.api.quantity import QuantityError, parse_quantity
from kubeberth.errors import UsageError
from kubeberth.topology.description import DescriptionError
from kubeberth.topology.layout import Layout, layout_from, parse_layout
from kubeberth.topology.names import API_VERSION, LAYOUT_ANNOTATION, MACHINE_KIND

Document = Mapping[str, Any]

_PARTS = ("numaNodes", "devices", "kubeletConfiguration")
_FIELDS = ("apiVersion", "kind", "metadata", "nodes", *_PARTS)


def with_machines(documents: Iterable[Document]) -> Iterator[Document]:
    """Yield the Nodes among documents with the machines that others describe for them.

    A machine of a node that no document is about makes one.

    Raises
    ------
    UsageError
        There can be no such machine, or a node has two.
    """
    nodes: list[Document] = []
    machines: list[Document] = []
    for document in documents:
        (machines if document.get("kind") == MACHINE_KIND else nodes).append(document)
    layouts = layouts_of(machines)
    for node in nodes:
        own = layouts.pop(_name(node), None)
        yield node if own is None else _with_layout(node, own)
    for name, layout in layouts.items():
        yield _with_layout({"kind": "Node", "metadata": {"name": name}}, layout)


def layouts_of(machines: Iterable[Document], known: Iterable[str] = ()) -> dict[str, Document]:
    """Return the layouts that Machines describe, by the names of their nodes.

    Parameters
    ----------
    known
        Nodes that have a machine already.

    Raises
    ------
    UsageError
        There can be no such machine, or a node has two.
    """
    layouts: dict[str, Document] = {}
    for machine in machines:
        for name, layout in _layouts(machine):
            if name in layouts or name in known:
                raise UsageError(f'node "{name}" has two machines')
            layouts[name] = layout
    return layouts


def as_registered(node: Document, layout: Document) -> dict[str, Any]:
    """Return a Node with a layout, and with the amounts that its kubelet gives with that.

    Raises
    ------
    UsageError
        The Node says of its capacity what its machine does not have.
    """
    described, found = _with_layout(node, layout), layout_from(layout)
    status = node.get("status") or {}
    if not isinstance(status, Mapping):
        return described  # for whoever takes it in to refuse
    capacity, allocatable = status.get("capacity") or {}, status.get("allocatable") or {}
    if not isinstance(capacity, Mapping) or not isinstance(allocatable, Mapping):
        return described
    _check_capacity(found, capacity, f'node "{_name(node)}"')
    capacity, allocatable = with_amounts(found, capacity, allocatable)
    return {**described, "status": {**status, "capacity": capacity, "allocatable": allocatable}}


def with_amounts(
    layout: Layout, capacity: Mapping[str, str], allocatable: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the capacity and allocatable of a Node with what follows from its layout."""
    pods = {"pods": str(layout.configuration.max_pods)}
    return (
        {**capacity, **layout.capacity(), **pods},
        {**allocatable, **layout.allocatable(), **pods},
    )


def _layouts(document: Document) -> Iterator[tuple[str, Document]]:
    """Yield the nodes that a Machine names, each with the layout."""
    name = _name(document)
    if not name:
        raise UsageError("a Machine has no metadata.name")
    where = f'machine "{name}"'
    if document.get("apiVersion") != API_VERSION:
        raise UsageError(f"{where}: apiVersion must be {API_VERSION}")
    for field in document:
        if field not in _FIELDS:
            raise UsageError(f"{where}: there is no field {field}")
    nodes = document.get("nodes", [name])
    if not isinstance(nodes, list) or not nodes or not all(isinstance(n, str) for n in nodes):
        raise UsageError(f"{where}: nodes must be a list of names")
    layout = {field: document[field] for field in _PARTS if field in document}
    try:
        layout_from(layout)
    except DescriptionError as error:
        raise UsageError(f"{where}: {error}") from None
    for node in nodes:
        yield node, layout


def _name(document: Document) -> str:
    """Return the name of an object; empty when it has none."""
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return name if isinstance(name, str) else ""


def _with_layout(node: Document, layout: Document) -> dict[str, Any]:
    metadata = node["metadata"]
    annotations = metadata.get("annotations") or {}
    if not isinstance(annotations, Mapping):
        return dict(node)  # for whoever takes it in to refuse
    described = {**annotations, LAYOUT_ANNOTATION: json.dumps(layout, separators=(",", ":"))}
    return {**node, "metadata": {**metadata, "annotations": described}}


def layout_of(
    annotations: Mapping[str, str], capacity: Mapping[str, str], where: str
) -> Layout | None:
    """Return the layout in a Node's annotations.

    Parameters
    ----------
    capacity
        What the Node says of its capacity: it must be the machine's.
    where
        The node, for errors.
    """
    text = annotations.get(LAYOUT_ANNOTATION)
    if text is None:
        return None
    try:
        layout = parse_layout(text)
    except DescriptionError as error:
        raise UsageError(f"{where}: annotation {LAYOUT_ANNOTATION}: {error}") from None
    _check_capacity(layout, capacity, where)
    return layout


def _check_capacity(layout: Layout, capacity: Mapping[str, object], where: str) -> None:
    for name, amount in layout.capacity().items():
        said = capacity.get(name)
        if said is None:
            continue
        try:
            is_same = parse_quantity(str(said)).nanos == parse_quantity(amount).nanos
        except QuantityError:
            is_same = False
        if not is_same:
            raise UsageError(
                f"{where}: status.capacity.{name}: {said}, but its machine has {amount}"
            )
