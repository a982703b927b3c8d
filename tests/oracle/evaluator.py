"""The plain evaluator: kube-scheduler's rules one node and one pod at a time, obviously right.

It works on the objects alone and shares no code with the engine but their types and the parsing of
quantities. Slow on purpose; the engine must agree with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tests.oracle import storage
from tests.oracle.objects import (
    Cluster,
    Labels,
    image_names,
    is_tolerated,
    label_selector_holds,
    node_rules_hold,
    node_term_holds,
)
from tests.oracle.spread import spread_scores, spread_trouble

from kubeberth.api.core import Node, Pod, PodAffinityTerm
from kubeberth.api.quantity import int_value, milli_value

DEFAULTS = {"cpu": 100, "memory": 200 * 1024 * 1024}


@dataclass
class Answer:
    """Rejections by node as (plugin, reasons), and weighted scores by plugin and node.

    `refused` is set when the pod is refused before any node is looked at.
    """

    rejected: dict[str, tuple[str, tuple[str, ...]]]
    scores: dict[str, dict[str, int]]
    refused: tuple[str, tuple[str, ...]] | None = None

    @property
    def totals(self) -> dict[str, int]:
        totals: dict[str, int] = {}
        for scores in self.scores.values():
            for name, score in scores.items():
                totals[name] = totals.get(name, 0) + score
        return totals

    @property
    def best(self) -> list[str]:
        highest = max(self.totals.values(), default=0)
        return sorted(name for name, total in self.totals.items() if total == highest)


def evaluate(cluster: Cluster, pod: Pod) -> Answer:
    refused = storage.refusal(cluster.stored, pod)
    if refused is not None:
        return Answer({}, {}, refused)
    _, own = cluster.nominated.get(pod.metadata.key, (pod, ""))
    if own in cluster.nodes and not rejection(cluster, pod, cluster.nodes[own]):
        return Answer({}, score(cluster, pod, [cluster.nodes[own]]))
    rejected = {}
    for node in cluster.nodes.values():
        found = rejection(cluster, pod, node)
        if found is not None:
            rejected[node.name] = found
    feasible = [node for node in cluster.nodes.values() if node.name not in rejected]
    return Answer(rejected, score(cluster, pod, feasible) if feasible else {})


def rejection(cluster: Cluster, pod: Pod, node: Node) -> tuple[str, tuple[str, ...]] | None:
    """A node has to pass with the pods nominated to it, and without them."""
    guests = {
        key: (other, name)
        for key, (other, name) in cluster.nominated.items()
        if name == node.name and other.priority >= pod.priority and key != pod.metadata.key
    }
    crowded = cluster.with_guests(guests)
    return first_rejection(crowded, pod, node) or first_rejection(cluster, pod, node)


# Hard rules


def first_rejection(cluster: Cluster, pod: Pod, node: Node) -> tuple[str, tuple[str, ...]] | None:
    cordon = ("node.kubernetes.io/unschedulable", "", "NoSchedule")
    if node.spec.unschedulable and not is_tolerated(cordon, pod.spec.tolerations):
        return "NodeUnschedulable", ("node(s) were unschedulable",)
    for taint in node.spec.taints:
        key = (taint.key, taint.value, taint.effect)
        hard = taint.effect in ("NoSchedule", "NoExecute")
        if hard and not is_tolerated(key, pod.spec.tolerations):
            return "TaintToleration", ("node(s) had untolerated taint(s)",)
    if not node_rules_hold(pod, node):
        return "NodeAffinity", ("node(s) didn't match Pod's node affinity/selector",)
    short = shortages(cluster, pod, node)
    if short:
        return "NodeResourcesFit", short
    about_volumes = storage.first_rejection(cluster, pod, node)
    if about_volumes is not None:
        return about_volumes
    reason = spread_trouble(cluster, pod, node)
    if reason:
        return "PodTopologySpread", (reason,)
    reason = neighbour_trouble(cluster, pod, node)
    if reason:
        return "InterPodAffinity", (reason,)
    if not features_needed(pod) <= set(node.status.declared_features):
        return "NodeDeclaredFeatures", ("node(s) didn't match Pod's required features",)
    return None


def features_needed(pod: Pod) -> set[str]:
    needed = set()
    for container in (*pod.spec.containers, *pod.spec.init_containers):
        if any(rule.action == "RestartAllContainers" for rule in container.restart_policy_rules):
            needed.add("RestartAllContainersOnContainerExits")
    if pod.spec.host_network and pod.spec.host_users is False:
        needed.add("UserNamespacesHostNetworkSupport")
    return needed


def request(pod: Pod, defaults: Mapping[str, int] | None = None) -> dict[str, int]:
    """Sum of containers, or the largest init container: these pods have no sidecars."""

    def amounts(container: object) -> dict[str, int]:
        found = dict(defaults or {})
        for name, text in container.resources.requests.items():  # type: ignore[attr-defined]
            found[name] = milli_value(text) if name == "cpu" else int_value(text)
        return found

    total: dict[str, int] = {}
    for container in pod.spec.containers:
        for name, amount in amounts(container).items():
            total[name] = total.get(name, 0) + amount
    for container in pod.spec.init_containers:
        for name, amount in amounts(container).items():
            total[name] = max(total.get(name, 0), amount)
    return total


def allocatable(node: Node, name: str) -> int:
    text = node.status.allocatable.get(name, "0")
    return milli_value(text) if name == "cpu" else int_value(text)


def used(cluster: Cluster, node: Node, name: str, defaults: Mapping[str, int] | None = None) -> int:
    return sum(request(pod, defaults).get(name, 0) for pod in cluster.on(node.name))


def shortages(cluster: Cluster, pod: Pod, node: Node) -> tuple[str, ...]:
    short = []
    if len(cluster.on(node.name)) + 1 > allocatable(node, "pods"):
        short.append("Too many pods")
    for name, amount in request(pod).items():
        if amount > 0 and amount > allocatable(node, name) - used(cluster, node, name):
            short.append(f"Insufficient {name}")
    return tuple(sorted(short))


def neighbour_trouble(cluster: Cluster, pod: Pod, node: Node) -> str:
    like, unlike = required_terms(pod)
    labels = node.metadata.labels
    if like and not affinity_holds(cluster, pod, node, like):
        return "node(s) didn't match pod affinity rules"
    for term in unlike:
        for other, home in cluster.placed():
            if own_term_means(cluster, term, pod, other) and share(term.topology_key, labels, home):
                return "node(s) didn't match pod anti-affinity rules"
    for other, home in cluster.placed():
        for term in required_terms(other)[1]:
            if held_term_means(cluster, term, other, pod) and share(
                term.topology_key, labels, home
            ):
                return "node(s) didn't satisfy existing pods anti-affinity rules"
    return ""


def affinity_holds(
    cluster: Cluster, pod: Pod, node: Node, terms: tuple[PodAffinityTerm, ...]
) -> bool:
    labels = node.metadata.labels
    if any(term.topology_key not in labels for term in terms):
        return False
    friends = [
        home
        for other, home in cluster.placed()
        if all(own_term_means(cluster, term, pod, other) for term in terms)
    ]
    keys = {term.topology_key for term in terms}
    if not any(key in home.metadata.labels for home in friends for key in keys):
        return all(own_term_means(cluster, term, pod, pod) for term in terms)
    return all(any(share(term.topology_key, labels, home) for home in friends) for term in terms)


def required_terms(pod: Pod) -> tuple[tuple[PodAffinityTerm, ...], tuple[PodAffinityTerm, ...]]:
    affinity = pod.spec.affinity
    like = affinity and affinity.pod_affinity
    unlike = affinity and affinity.pod_anti_affinity
    return (
        like.required_during_scheduling_ignored_during_execution if like else (),
        unlike.required_during_scheduling_ignored_during_execution if unlike else (),
    )


def preferred_terms(pod: Pod) -> list[tuple[int, PodAffinityTerm]]:
    affinity = pod.spec.affinity
    like = affinity and affinity.pod_affinity
    unlike = affinity and affinity.pod_anti_affinity
    return [
        (sign * entry.weight, entry.pod_affinity_term)
        for sign, rules in ((1, like), (-1, unlike))
        if rules
        for entry in rules.preferred_during_scheduling_ignored_during_execution
    ]


def share(key: str, labels: Labels, home: Node) -> bool:
    return key in labels and labels[key] == home.metadata.labels.get(key)


def own_term_means(cluster: Cluster, term: PodAffinityTerm, owner: Pod, other: Pod) -> bool:
    return _means(term, owner, other, cluster.namespaces.get(other.metadata.namespace, {})) or (
        _means(term, owner, other, {})
    )


def held_term_means(cluster: Cluster, term: PodAffinityTerm, owner: Pod, other: Pod) -> bool:
    return _means(term, owner, other, cluster.namespaces.get(other.metadata.namespace, {}))


def _means(term: PodAffinityTerm, owner: Pod, other: Pod, namespace_labels: Labels) -> bool:
    if term.namespaces or term.namespace_selector is not None:
        covered = other.metadata.namespace in term.namespaces or label_selector_holds(
            term.namespace_selector, namespace_labels
        )
    else:
        covered = other.metadata.namespace == owner.metadata.namespace
    return covered and label_selector_holds(term.label_selector, other.metadata.labels)


# Soft rules


def score(cluster: Cluster, pod: Pod, feasible: list[Node]) -> dict[str, dict[str, int]]:
    scores = {
        "TaintToleration": by_share({n.name: soft_taints(pod, n) for n in feasible}, reverse=True),
        "NodeResourcesFit": {n.name: least_allocated(cluster, pod, n) for n in feasible},
        "ImageLocality": {n.name: images_at_hand(cluster, pod, n) for n in feasible},
    }
    weights = {
        "TaintToleration": 3,
        "NodeAffinity": 2,
        "PodTopologySpread": 2,
        "InterPodAffinity": 2,
    }
    affinity = pod.spec.affinity and pod.spec.affinity.node_affinity
    if affinity and affinity.preferred_during_scheduling_ignored_during_execution:
        raw = {n.name: preferred_nodes(pod, n) for n in feasible}
        scores["NodeAffinity"] = by_share(raw, reverse=False)
    spread = spread_scores(cluster, pod, feasible)
    if spread:
        scores["PodTopologySpread"] = spread
    pairs = wishes(cluster, pod)
    if pairs:
        scores["InterPodAffinity"] = by_range({n.name: wanted(pairs, n) for n in feasible})
    if any(request(pod).get(name) for name in ("cpu", "memory")):
        scores["NodeResourcesBalancedAllocation"] = {
            n.name: balanced(cluster, pod, n) for n in feasible
        }
    return {
        plugin: {name: value * weights.get(plugin, 1) for name, value in row.items()}
        for plugin, row in scores.items()
    }


def by_share(raw: dict[str, int], *, reverse: bool) -> dict[str, int]:
    highest = max(raw.values())
    if highest == 0:
        return dict.fromkeys(raw, 100 if reverse else 0)
    shares = {name: value * 100 // highest for name, value in raw.items()}
    return {name: 100 - value if reverse else value for name, value in shares.items()}


def by_range(raw: dict[str, int]) -> dict[str, int]:
    low, high = min(raw.values()), max(raw.values())
    if low == high:
        return dict.fromkeys(raw, 0)
    return {name: int(100.0 * ((value - low) / (high - low))) for name, value in raw.items()}


def soft_taints(pod: Pod, node: Node) -> int:
    return sum(
        not is_tolerated((taint.key, taint.value, taint.effect), pod.spec.tolerations)
        for taint in node.spec.taints
        if taint.effect == "PreferNoSchedule"
    )


def preferred_nodes(pod: Pod, node: Node) -> int:
    affinity = pod.spec.affinity and pod.spec.affinity.node_affinity
    assert affinity
    return sum(
        entry.weight
        for entry in affinity.preferred_during_scheduling_ignored_during_execution
        if node_term_holds(entry.preference, node)
    )


def least_allocated(cluster: Cluster, pod: Pod, node: Node) -> int:
    scores = []
    for name in ("cpu", "memory"):
        capacity = allocatable(node, name)
        if capacity:
            taken = used(cluster, node, name, DEFAULTS) + request(pod, DEFAULTS)[name]
            scores.append(max(capacity - taken, 0) * 100 // capacity)
    return sum(scores) // len(scores) if scores else 0


def balanced(cluster: Cluster, pod: Pod, node: Node) -> int:
    def balance(extra: Mapping[str, int]) -> int:
        shares = [
            min(1.0, (used(cluster, node, name) + extra.get(name, 0)) / allocatable(node, name))
            for name in ("cpu", "memory")
            if allocatable(node, name)
        ]
        deviation = abs(shares[0] - shares[1]) / 2 if len(shares) == 2 else 0.0
        return int((1 - deviation) * 100)

    return math.floor(50 + (50 + balance(request(pod)) - balance({})) / 2)


def images_at_hand(cluster: Cluster, pod: Pod, node: Node) -> int:
    containers = [*pod.spec.init_containers, *pod.spec.containers]
    wanted_images = [container.image for container in containers]
    wanted_images += [volume.image.reference for volume in pod.spec.volumes if volume.image]
    total = 0
    for name in wanted_images:
        full = name if ":" in name.split("/")[-1] else name + ":latest"
        if full in image_names(node):
            holders = sum(full in image_names(other) for other in cluster.nodes.values())
            total += int(cluster.image_sizes[full] * (holders / len(cluster.nodes)))
    low, high = 23 * 2**20, 1000 * 2**20 * len(containers)
    return 100 * (min(max(total, low), high) - low) // (high - low)


def wishes(cluster: Cluster, pod: Pod) -> dict[tuple[str, str], int]:
    pairs: dict[tuple[str, str], int] = {}

    def wish(term: PodAffinityTerm, home: Node, weight: int) -> None:
        value = home.metadata.labels.get(term.topology_key)
        if value is not None:
            pair = term.topology_key, value
            pairs[pair] = pairs.get(pair, 0) + weight

    for other, home in cluster.placed():
        for weight, term in preferred_terms(pod):
            if own_term_means(cluster, term, pod, other):
                wish(term, home, weight)
        for term in required_terms(other)[0]:
            if held_term_means(cluster, term, other, pod):
                wish(term, home, 1)
        for weight, term in preferred_terms(other):
            if held_term_means(cluster, term, other, pod):
                wish(term, home, weight)
    return pairs


def wanted(pairs: Mapping[tuple[str, str], int], node: Node) -> int:
    return sum(
        weight for (key, value), weight in pairs.items() if node.metadata.labels.get(key) == value
    )
