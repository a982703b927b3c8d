"""Selectors over labels, one requirement at a time."""

from __future__ import annotations

from collections.abc import Mapping

from kubeberth.api.core import Node, NodeSelectorRequirement, NodeSelectorTerm
from kubeberth.api.meta import LabelSelector

Labels = Mapping[str, str]


def node_term_holds(term: NodeSelectorTerm, node: Node) -> bool:
    if not term.match_expressions and not term.match_fields:
        return False
    for requirement in term.match_expressions:
        if not requirement_holds(requirement, node.metadata.labels):
            return False
    return all(requirement_holds(r, {"metadata.name": node.name}) for r in term.match_fields)


def requirement_holds(requirement: NodeSelectorRequirement, labels: Labels) -> bool:
    present = requirement.key in labels
    value = labels.get(requirement.key, "")
    if requirement.operator == "In":
        return present and value in requirement.values
    if requirement.operator == "NotIn":
        return not (present and value in requirement.values)
    if requirement.operator == "Exists":
        return present
    if requirement.operator == "DoesNotExist":
        return not present
    try:
        number, limit = int(value), int(requirement.values[0])
    except ValueError:
        return False
    return present and (number > limit if requirement.operator == "Gt" else number < limit)


def label_selector_holds(selector: LabelSelector | None, labels: Labels) -> bool:
    if selector is None:
        return False
    for key, value in selector.match_labels.items():
        if labels.get(key) != value:
            return False
    for requirement in selector.match_expressions:
        as_node = NodeSelectorRequirement(
            key=requirement.key, operator=requirement.operator, values=requirement.values
        )
        if not requirement_holds(as_node, labels):
            return False
    return True
