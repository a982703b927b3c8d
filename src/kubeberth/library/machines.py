"""Machines in manifests: what their Nodes have of them, as kubelets would register it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kubeberth.api.node_labels import default_labels
from kubeberth.api.scheme import NODES
from kubeberth.errors import ManifestError, UsageError
from kubeberth.topology.machine_manifests import as_registered, layouts_of

Document = dict[str, Any]


def equipped(
    items: Iterable[tuple[Document, str]], machines: Iterable[Document]
) -> Iterator[tuple[Document, str]]:
    """Yield documents, each with where it came from: Nodes with the machines described for them.

    A machine of a node that no document is about makes one.

    Raises
    ------
    ManifestError
        There can be no such machine, a node has two, or says that it has something else.
    """
    try:
        layouts = layouts_of(machines)
        for document, source in items:
            name = _node_name(document)
            layout = layouts.pop(name, None) if name else None
            yield (document if layout is None else as_registered(document, layout)), source
        for name, layout in layouts.items():
            yield as_registered(_bare_node(name), layout), ""
    except UsageError as error:
        raise ManifestError(str(error)) from None


def _node_name(document: Document) -> str:
    """Return the name of a Node; empty of what is none, or has none that could be one."""
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if document.get("kind") == NODES.kind and isinstance(name, str) else ""


def _bare_node(name: str) -> Document:
    return {
        "apiVersion": NODES.api_version,
        "kind": NODES.kind,
        "metadata": {"name": name, "labels": default_labels(name)},
    }
