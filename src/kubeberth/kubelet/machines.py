"""Machines of simulated nodes, as manifests describe them.

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

from kubeberth.api.quantity import parse_quantity
from kubeberth.errors import UsageError
from kubeberth.topology.description import DescriptionError
from kubeberth.topology.layout import LAYOUT_ANNOTATION, Layout, layout_from, parse_layout

MACHINE_KIND = "Machine"
API_VERSION = "kubeberth.io/v1"

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
    nodes, layouts = [], dict[str, Document]()
    for document in documents:
        if document.get("kind") != MACHINE_KIND:
            nodes.append(document)
            continue
        for name, layout in _layouts(document):
            if name in layouts:
                raise UsageError(f'node "{name}" has two machines')
            layouts[name] = layout
    for node in nodes:
        own = layouts.pop(_name(node), None)
        yield node if own is None else _with_layout(node, own)
    for name, layout in layouts.items():
        yield _with_layout({"kind": "Node", "metadata": {"name": name}}, layout)


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
    if not isinstance(nodes, list) or not all(isinstance(node, str) for node in nodes):
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


def _with_layout(node: Document, layout: Document) -> Document:
    metadata = dict(node.get("metadata") or {})
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        LAYOUT_ANNOTATION: json.dumps(layout, separators=(",", ":")),
    }
    return {**node, "metadata": metadata}


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
    for name, amount in layout.capacity().items():
        said = capacity.get(name)
        if said is not None and parse_quantity(said).nanos != parse_quantity(amount).nanos:
            raise UsageError(
                f"{where}: status.capacity.{name}: {said}, but its machine has {amount}"
            )
    return layout
