"""Edits for NodeAffinity: another value, a label for the node, or a wish in place of a demand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from kubeberth.api.core import (
    Affinity,
    Node,
    NodeAffinity,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
    PreferredSchedulingTerm,
)
from kubeberth.api.near import near_miss
from kubeberth.api.selectors import Requirement, parse_int64
from kubeberth.api.well_known import is_reserved, meant_label
from kubeberth.placement.obstacles import requirement_text
from kubeberth.placement.remedies.commands import label_node
from kubeberth.placement.remedies.edit import (
    CORRECT,
    LABEL_NODE,
    SOFTEN,
    Alternative,
    Edit,
    with_spec,
)
from kubeberth.placement.request import NodeRules, PodRequest
from kubeberth.placement.state import ClusterState

# To overwrite what a label says is more than to add one.
_OVERWRITE = 1.5
_WEIGHT = 100
_NO_AFFINITY = NodeAffinity()


def selection_edits(
    state: ClusterState, pod: Pod, request: PodRequest, slot: int
) -> Iterator[Alternative]:
    """Yield what would make the node one of those that a pod selects."""
    node, rules = state.node(slot), request.node_rules
    missed = {r.key: next(iter(r.values)) for r in unmet(node, rules.selector)}
    is_affinity_missed = rules.required is not None and not any(
        term.matches(node.name, node.metadata.labels) for term in rules.required
    )
    softened = [_soften_entry(key, value) for key, value in missed.items()]
    if is_affinity_missed:
        softened.append(_soften_affinity(pod))
    corrected = [
        _correct_entry(key, value, node) or _soften_entry(key, value)
        for key, value in missed.items()
    ]
    if is_affinity_missed:
        corrected.append(_correct_term(pod, node) or _soften_affinity(pod))
    yield tuple(corrected)
    yield tuple(softened)
    labels = [*missed.items()]
    wanted = _labels_of_term(node, rules) if is_affinity_missed else {}
    if wanted is not None and not any(map(_is_fixed, (*missed, *wanted))):
        yield tuple(_label(node, key, value) for key, value in (*labels, *wanted.items()))


def unmet(node: Node, requirements: Iterable[Requirement]) -> list[Requirement]:
    """Return the requirements that a node's labels do not meet."""
    return [entry for entry in requirements if not entry.matches(node.metadata.labels)]


def _is_fixed(key: str) -> bool:
    """Return whether a label says what a node is, so that no one should change it."""
    return is_reserved(key)


# In the pod


def _correct_entry(key: str, value: str, node: Node) -> Edit | None:
    """Return what the entry of a node selector was probably meant to be."""
    found = _meant(key, value, node.metadata.labels)
    if found is None:
        return None
    new_key, new_value = found

    def change(pod: Pod) -> Pod:
        entries = {k: v for k, v in pod.spec.node_selector.items() if k != key}
        return with_spec(pod, node_selector={**entries, new_key: new_value})

    text = f"correct nodeSelector {key}={value} to {new_key}={new_value}"
    return Edit("correct-value", text, CORRECT, on_pod=change)


def _meant(key: str, value: str, labels: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the label of a node that `key=value` is probably a misspelling of."""
    if key in labels:
        return (key, labels[key]) if near_miss(value, (labels[key],)) else None
    meant = meant_label(key, labels)
    return (meant, value) if meant and labels[meant] == value else None


def _soften_entry(key: str, value: str) -> Edit:
    def change(pod: Pod) -> Pod:
        entries = {k: v for k, v in pod.spec.node_selector.items() if k != key}
        pod = with_spec(pod, node_selector=entries)
        requirement = NodeSelectorRequirement(key=key, operator="In", values=(value,))
        return _prefer(pod, (NodeSelectorTerm(match_expressions=(requirement,)),))

    text = f"prefer nodes with {key}={value} rather than require them (nodeSelector)"
    return Edit("soften-node-selector", text, SOFTEN, on_pod=change)


def _soften_affinity(pod: Pod) -> Edit:
    def change(pod: Pod) -> Pod:
        affinity = _node_affinity(pod)
        required = affinity.required_during_scheduling_ignored_during_execution
        terms = () if required is None else required.node_selector_terms
        pod = _with_node_affinity(
            pod, replace(affinity, required_during_scheduling_ignored_during_execution=None)
        )
        return _prefer(pod, terms)

    text = "prefer the nodes of the required nodeAffinity rather than require them"
    return Edit("soften-node-affinity", text, SOFTEN, on_pod=change)


def _correct_term(pod: Pod, node: Node) -> Edit | None:
    """Return which misspelt value of a node affinity term keeps it from matching a node."""
    required = _node_affinity(pod).required_during_scheduling_ignored_during_execution
    terms = () if required is None else required.node_selector_terms
    for number, term in enumerate(terms):
        for index, entry in enumerate(term.match_expressions):
            meant = _meant_values(entry, node.metadata.labels)
            if meant is not None:
                return _correct_expression(number, index, entry, meant)
    return None


def _meant_values(
    entry: NodeSelectorRequirement, labels: Mapping[str, str]
) -> NodeSelectorRequirement | None:
    if entry.operator != "In" or labels.get(entry.key) in entry.values:
        return None
    for value in entry.values:
        found = _meant(entry.key, value, labels)
        if found is not None:
            values = tuple(found[1] if v == value else v for v in entry.values)
            return NodeSelectorRequirement(key=found[0], operator="In", values=values)
    return None


def _correct_expression(
    number: int, index: int, old: NodeSelectorRequirement, new: NodeSelectorRequirement
) -> Edit:
    def change(pod: Pod) -> Pod:
        affinity = _node_affinity(pod)
        required = affinity.required_during_scheduling_ignored_during_execution
        if required is None:
            return pod
        terms = list(required.node_selector_terms)
        entries = list(terms[number].match_expressions)
        entries[index] = new
        terms[number] = replace(terms[number], match_expressions=tuple(entries))
        selector = replace(required, node_selector_terms=tuple(terms))
        return _with_node_affinity(
            pod, replace(affinity, required_during_scheduling_ignored_during_execution=selector)
        )

    text = f"correct nodeAffinity {_shown(old)} to {_shown(new)}"
    return Edit("correct-value", text, CORRECT, on_pod=change)


def _shown(entry: NodeSelectorRequirement) -> str:
    return requirement_text(Requirement(entry.key, entry.operator, frozenset(entry.values)))


def _prefer(pod: Pod, terms: Iterable[NodeSelectorTerm]) -> Pod:
    affinity = _node_affinity(pod)
    wishes = tuple(
        PreferredSchedulingTerm(weight=_WEIGHT, preference=term)
        for term in terms
        # Wishes can only be about labels: a name in one is refused.
        if not term.match_fields and term.match_expressions
    )
    field = "preferred_during_scheduling_ignored_during_execution"
    there = affinity.preferred_during_scheduling_ignored_during_execution
    return _with_node_affinity(pod, replace(affinity, **{field: (*there, *wishes)}))


def _node_affinity(pod: Pod) -> NodeAffinity:
    affinity = pod.spec.affinity
    return (affinity.node_affinity if affinity else None) or _NO_AFFINITY


def _with_node_affinity(pod: Pod, affinity: NodeAffinity) -> Pod:
    whole = pod.spec.affinity or Affinity()
    return with_spec(pod, affinity=replace(whole, node_affinity=affinity))


# In the node


def _labels_of_term(node: Node, rules: NodeRules) -> dict[str, str | None] | None:
    """Return the fewest labels with which a node matches a term; None when none would do."""
    found = []
    for term in rules.required or ():
        if all(name.matches(node.name) for name in term.names):
            labels = {r.key: _label_for(r, node) for r in unmet(node, term.labels)}
            if all(is_possible for _, is_possible in labels.values()):
                found.append({key: value for key, (value, _) in labels.items()})
    return min(found, key=len, default=None)


def _label_for(requirement: Requirement, node: Node) -> tuple[str | None, bool]:
    """Return the label with which a requirement is met, and whether there is one."""
    match requirement.operator:
        case "In":
            return min(requirement.values), True
        case "NotIn" | "DoesNotExist":
            return None, True
        case "Exists":
            return "true", True
    bound = parse_int64(min(requirement.values))
    if bound is None:
        return None, False
    return str(bound + 1 if requirement.operator == "Gt" else bound - 1), True


def _label(node: Node, key: str, value: str | None) -> Edit:
    overwrites = key in node.metadata.labels and value is not None

    def change(node: Node) -> Node:
        labels = {k: v for k, v in node.metadata.labels.items() if k != key}
        if value is not None:
            labels[key] = value
        return replace(node, metadata=replace(node.metadata, labels=labels))

    if value is None:
        text = f"take the label {key} off node {node.name}"
    elif overwrites:
        text = f"label node {node.name} {key}={value}, which has {node.metadata.labels[key]} now"
    else:
        text = f"label node {node.name} {key}={value}"
    return Edit(
        "label-node",
        text,
        LABEL_NODE + _OVERWRITE * overwrites,
        node=node.name,
        on_node=change,
        command=label_node(node.name, key, value, overwrites=overwrites),
    )
