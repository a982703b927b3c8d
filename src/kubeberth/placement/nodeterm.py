"""Node selector terms, compiled: what a node must look like.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
Matches kube-scheduler 1.36 (component-helpers/scheduling/corev1/nodeaffinity): a term that does not
parse matches no node, and so does an empty one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubeberth.api.core import NodeSelectorRequirement, NodeSelectorTerm
from kubeberth.api.names import label_value_errors, qualified_name_errors
from kubeberth.api.selectors import Requirement, parse_int64


class NodeTermError(ValueError):
    """A node selector term that does not parse."""


@dataclass(frozen=True, slots=True)
class NameRequirement:
    """A `matchFields` entry: `metadata.name` is, or is not, this name."""

    name: str
    negated: bool

    def matches(self, name: str) -> bool:
        """Return whether a node of that name meets it."""
        return (name == self.name) is not self.negated


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """Requirements on labels and name that must all hold; never empty."""

    labels: tuple[Requirement, ...] = ()
    names: tuple[NameRequirement, ...] = ()

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """Return whether a node of that name, with these labels, meets all of it."""
        return all(entry.matches(labels) for entry in self.labels) and all(
            entry.matches(name) for entry in self.names
        )


def compile_term(term: NodeSelectorTerm) -> NodeTerm | None:
    """Return the compiled term, or None for an empty one, which matches nothing.

    Raises
    ------
    NodeTermError
        When kube-scheduler could not parse it either.
    """
    if not term.match_expressions and not term.match_fields:
        return None
    return NodeTerm(
        tuple(_label_requirement(entry) for entry in term.match_expressions),
        tuple(_name_requirement(entry) for entry in term.match_fields),
    )


def _label_requirement(entry: NodeSelectorRequirement) -> Requirement:
    for error in qualified_name_errors(entry.key):
        raise NodeTermError(f'key: Invalid value: "{entry.key}": {error}')
    _check_values(entry)
    return Requirement(entry.key, entry.operator, frozenset(entry.values))


def _check_values(entry: NodeSelectorRequirement) -> None:
    values = entry.values
    match entry.operator:
        case "In" | "NotIn":
            if not values:
                raise NodeTermError(
                    "values: Invalid value: []: for 'in', 'notin' operators, "
                    "values set can't be empty"
                )
        case "Exists" | "DoesNotExist":
            if values:
                raise NodeTermError("values: Invalid value: values set must be empty for exists")
        case "Gt" | "Lt":
            if len(values) != 1 or parse_int64(values[0]) is None:
                raise NodeTermError(
                    "values[0]: Invalid value: for 'Gt', 'Lt' operators, "
                    "the value must be an integer"
                )
        case _:
            raise NodeTermError(f'"{entry.operator}" is not a valid label selector operator')
    for index, value in enumerate(values):
        for error in label_value_errors(value):
            raise NodeTermError(f'values[{index}][{entry.key}]: Invalid value: "{value}": {error}')


def _name_requirement(entry: NodeSelectorRequirement) -> NameRequirement:
    if entry.key != "metadata.name":
        raise NodeTermError(f'"{entry.key}" is not a valid field label')
    if entry.operator not in ("In", "NotIn") or len(entry.values) != 1:
        raise NodeTermError(f'"{entry.operator}" is not a valid field selector operator')
    return NameRequirement(entry.values[0], entry.operator == "NotIn")


def names_worth_a_look(terms: tuple[NodeSelectorTerm, ...]) -> frozenset[str] | None:
    """Return the only node names that required terms can match, or None when any might.

    Every term must name nodes by `metadata.name In`; within one term all such lists must agree.
    """
    found: set[str] = set()
    for term in terms:
        lists = [
            frozenset(entry.values)
            for entry in term.match_fields
            if entry.key == "metadata.name" and entry.operator == "In"
        ]
        if not lists:
            return None
        found |= frozenset.intersection(*lists)
    return frozenset(found)
