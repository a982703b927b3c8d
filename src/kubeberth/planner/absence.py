"""Absence: on which nodes nobody runs pods, or tells of them."""

from __future__ import annotations

from kubeberth.api.core import Node


def absence(node: Node | None, name: str) -> str:
    """Return why nobody runs the pods of a node; empty when somebody does."""
    if node is None:
        return f'there is no node "{name}"'
    ready = node.condition("Ready")
    return "" if ready is None or ready.status == "True" else f'node "{name}" is not ready'
