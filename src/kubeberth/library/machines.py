"""Machines in manifests: what their Nodes have of them, as kubelets would register it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubeberth.api.node_labels import default_labels
from kubeberth.api.scheme import NODES
from kubeberth.errors import ManifestError, UsageError
from kubeberth.topology.names import API_VERSION, MACHINE_KIND

Document = dict[str, Any]


def is_machine(document: Mapping[str, Any]) -> bool:
    """Return whether a document describes what nodes are made of."""
    return document.get("kind") == MACHINE_KIND and document.get("apiVersion") == API_VERSION


def equipped(items: Iterable[tuple[Document, str]]) -> Iterator[tuple[Document, str]]:
    """Yield documents, each with where it came from: Nodes with the machines described for them.

    A machine of a node that no document is about makes one.

    Raises
    ------
    ManifestError
        There can be no such machine, a node has two, or says that it has something else.
    """
    others: list[tuple[Document, str]] = []
    layouts: dict[str, tuple[Mapping[str, Any], str]] = {}
    for document, source in items:
        if is_machine(document):
            for name, layout in _layouts_of(document, source, layouts):
                layouts[name] = layout, source
        else:
            others.append((document, source))
    for document, source in others:
        described = layouts.pop(_node_name(document), None)
        yield (document if described is None else _equipped(document, described[0], source)), source
    for name, (layout, source) in layouts.items():
        yield _equipped(_bare_node(name), layout, source), source


def _layouts_of(
    machine: Document, source: str, known: Iterable[str]
) -> Iterable[tuple[str, Mapping[str, Any]]]:
    from kubeberth.topology.machine_manifests import layouts_of  # late: few nodes have a machine

    try:
        return layouts_of([machine], known).items()
    except UsageError as error:
        raise ManifestError(f"{source}: {error}") from None


def _equipped(node: Document, layout: Mapping[str, Any], source: str) -> Document:
    from kubeberth.topology.machine_manifests import as_registered

    try:
        return as_registered(node, layout)
    except UsageError as error:
        raise ManifestError(f"{source}: {error}") from None


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
