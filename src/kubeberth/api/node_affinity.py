"""Whether one node meets what a pod's spec asks of nodes: its selector and required affinity.

Matches `component-helpers/scheduling/corev1/nodeaffinity` of Kubernetes 1.36. Many nodes at a time,
as when placing a pod, are the engine's (`placement/node_match.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from kubeberth.api.core import Affinity, Node, NodeSelectorRequirement, NodeSelectorTerm
from kubeberth.api.selectors import Requirement


class Spec(Protocol):
    """What is asked of a pod's spec."""

    @property
    def node_selector(self) -> Mapping[str, str]:
        """Return labels that a node must have."""

    @property
    def affinity(self) -> Affinity | None:
        """Return its affinities."""


def matches_node(spec: Spec, node: Node) -> bool:
    """Return whether the node meets the nodeSelector and the required node affinity."""
    labels = node.metadata.labels
    if not spec.node_selector.items() <= labels.items():
        return False
    affinity = spec.affinity
    required = (
        affinity.node_affinity.required_during_scheduling_ignored_during_execution
        if affinity is not None and affinity.node_affinity is not None
        else None
    )
    if required is None:
        return True
    fields = {"metadata.name": node.metadata.name}
    return any(_meets(term, labels, fields) for term in required.node_selector_terms)


def _meets(term: NodeSelectorTerm, labels: Mapping[str, str], fields: Mapping[str, str]) -> bool:
    """Return whether all of a term holds; an empty one matches no node."""
    if not term.match_expressions and not term.match_fields:
        return False
    return all(_holds(entry, labels) for entry in term.match_expressions) and all(
        _holds(entry, fields) for entry in term.match_fields
    )


def _holds(entry: NodeSelectorRequirement, values: Mapping[str, str]) -> bool:
    return Requirement(entry.key, entry.operator, frozenset(entry.values)).matches(values)
