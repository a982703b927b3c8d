"""What the plain evaluator is given, and how selectors and tolerations read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from tests.oracle.settings import Settings
from tests.oracle.stored import StoredObjects

from kubeberth.api.core import Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, Toleration
from kubeberth.api.meta import LabelSelector
from kubeberth.api.policy import PodDisruptionBudget

Labels = Mapping[str, str]


@dataclass
class Cluster:
    """Objects, and nothing worked out beforehand.

    Nominated pods are no pods of their nodes; `guests` and `evicted` tell which pods are there, or
    are not there, only for the sake of a trial.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    pods: dict[str, tuple[Pod, str]] = field(default_factory=dict)
    namespaces: dict[str, Labels] = field(default_factory=dict)
    services: dict[tuple[str, str], Labels] = field(default_factory=dict)
    controllers: dict[tuple[str, str, str], LabelSelector] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    budgets: dict[str, PodDisruptionBudget] = field(default_factory=dict)
    nominated: dict[str, tuple[Pod, str]] = field(default_factory=dict)
    guests: dict[str, tuple[Pod, str]] = field(default_factory=dict)
    evicted: dict[str, tuple[Pod, str]] = field(default_factory=dict)
    stored: StoredObjects = field(default_factory=StoredObjects)
    image_sizes: dict[str, int] = field(default_factory=dict)

    def put_node(self, node: Node) -> None:
        """Take a node in; an image is as large as whoever had it first said.

        A node that says the same again says nothing.
        """
        if self.nodes.get(node.name) == node:
            return
        self.remove_node(node.name)
        self.nodes[node.name] = node
        for image in node.status.images:
            for name in image.names:
                self.image_sizes.setdefault(name, image.size_bytes)

    def remove_node(self, name: str) -> None:
        """Forget a node, and the sizes of images that are nowhere else."""
        self.nodes.pop(name, None)
        left = {name for node in self.nodes.values() for name in image_names(node)}
        self.image_sizes = {k: size for k, size in self.image_sizes.items() if k in left}

    def with_guests(self, guests: dict[str, tuple[Pod, str]]) -> Cluster:
        return replace(self, pods={**self.pods, **guests}, guests=guests)

    def without(self, pods: list[Pod]) -> Cluster:
        keys = {pod.metadata.key for pod in pods}
        left = {key: placed for key, placed in self.pods.items() if key not in keys}
        return replace(self, pods=left, evicted={key: self.pods[key] for key in keys})

    def on(self, node_name: str) -> list[Pod]:
        return [pod for pod, name in self.pods.values() if name == node_name]

    def placed(self) -> list[tuple[Pod, Node]]:
        return [(pod, self.nodes[name]) for pod, name in self.pods.values() if name in self.nodes]


def image_names(node: Node) -> set[str]:
    return {name for image in node.status.images for name in image.names}


def is_tolerated(taint: tuple[str, str, str], tolerations: Iterable[Toleration]) -> bool:
    key, value, effect = taint
    for toleration in tolerations:
        if toleration.effect not in ("", effect) or toleration.key not in ("", key):
            continue
        if toleration.operator == "Exists":
            return True
        if toleration.operator in ("", "Equal") and toleration.value == value:
            return True
    return False


def node_rules_hold(pod: Pod, node: Node) -> bool:
    labels = node.metadata.labels
    for key, value in pod.spec.node_selector.items():
        if key not in labels or labels[key] != value:
            return False
    affinity = pod.spec.affinity and pod.spec.affinity.node_affinity
    required = affinity and affinity.required_during_scheduling_ignored_during_execution
    if not required:
        return True
    return any(node_term_holds(term, node) for term in required.node_selector_terms)


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
