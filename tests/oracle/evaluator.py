"""The plain evaluator: kube-scheduler's rules one node and one pod at a time, obviously right.

It works on the objects alone and shares no code with the engine but their types and the parsing of
quantities. Slow on purpose; the engine must agree with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from tests.oracle.room import balance_change, request, room_score, shortages
from tests.oracle.spread import spread_scores, spread_trouble

from kubeberth.api.core import Node, Pod, PodAffinityTerm, PreferredSchedulingTerm


@dataclass
class Answer:
    """Rejections by node as (plugin, reasons), and weighted scores by plugin and node.

    `refused` is set when the pod is refused before any node is looked at.
    """

    feasible: list[str]
    rejected: dict[str, tuple[str, tuple[str, ...]]]
    scores: dict[str, dict[str, int]]
    refused: tuple[str, tuple[str, ...]] | None = None

    @property
    def totals(self) -> dict[str, int]:
        return {
            name: sum(scores[name] for scores in self.scores.values()) for name in self.feasible
        }

    @property
    def best(self) -> list[str]:
        highest = max(self.totals.values(), default=0)
        return sorted(name for name, total in self.totals.items() if total == highest)


def evaluate(cluster: Cluster, pod: Pod) -> Answer:
    refused = storage.refusal(cluster.stored, pod)
    if refused is not None:
        return Answer([], {}, {}, refused)
    _, own = cluster.nominated.get(pod.metadata.key, (pod, ""))
    if own in cluster.nodes and not rejection(cluster, pod, cluster.nodes[own]):
        return Answer([own], {}, score(cluster, pod, [cluster.nodes[own]]))
    rejected = {}
    for node in cluster.nodes.values():
        found = rejection(cluster, pod, node)
        if found is not None:
            rejected[node.name] = found
    feasible = [node for node in cluster.nodes.values() if node.name not in rejected]
    names = [node.name for node in feasible]
    return Answer(names, rejected, score(cluster, pod, feasible) if feasible else {})


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
    for plugin, reasons in rejections(cluster, pod, node):
        if plugin not in cluster.settings.not_filtering:
            return plugin, reasons
    return None


def rejections(cluster: Cluster, pod: Pod, node: Node) -> Iterator[tuple[str, tuple[str, ...]]]:
    cordon = ("node.kubernetes.io/unschedulable", "", "NoSchedule")
    if node.spec.unschedulable and not is_tolerated(cordon, pod.spec.tolerations):
        yield "NodeUnschedulable", ("node(s) were unschedulable",)
    for taint in node.spec.taints:
        key = (taint.key, taint.value, taint.effect)
        hard = taint.effect in ("NoSchedule", "NoExecute")
        if hard and not is_tolerated(key, pod.spec.tolerations):
            yield "TaintToleration", ("node(s) had untolerated taint(s)",)
    added = cluster.settings.added.required_during_scheduling_ignored_during_execution
    if added and not any(node_term_holds(term, node) for term in added.node_selector_terms):
        yield "NodeAffinity", ("node(s) didn't match scheduler-enforced node affinity",)
    if not node_rules_hold(pod, node):
        yield "NodeAffinity", ("node(s) didn't match Pod's node affinity/selector",)
    short = shortages(cluster, pod, node)
    if short:
        yield "NodeResourcesFit", short
    about_volumes = storage.first_rejection(cluster, pod, node)
    if about_volumes is not None:
        yield about_volumes
    reason = spread_trouble(cluster, pod, node)
    if reason:
        yield "PodTopologySpread", (reason,)
    reason = neighbour_trouble(cluster, pod, node)
    if reason:
        yield "InterPodAffinity", (reason,)
    if not features_needed(pod) <= set(node.status.declared_features):
        yield "NodeDeclaredFeatures", ("node(s) didn't match Pod's required features",)


def features_needed(pod: Pod) -> set[str]:
    needed = set()
    for container in (*pod.spec.containers, *pod.spec.init_containers):
        if any(rule.action == "RestartAllContainers" for rule in container.restart_policy_rules):
            needed.add("RestartAllContainersOnContainerExits")
    if pod.spec.host_network and pod.spec.host_users is False:
        needed.add("UserNamespacesHostNetworkSupport")
    return needed


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
    settings = cluster.settings
    scores = {
        "TaintToleration": by_share({n.name: soft_taints(pod, n) for n in feasible}, reverse=True),
        "NodeResourcesFit": {n.name: room_score(cluster, pod, n) for n in feasible},
        "ImageLocality": {n.name: images_at_hand(cluster, pod, n) for n in feasible},
    }
    preferred = preferred_node_terms(cluster, pod)
    if preferred:
        raw = {n.name: preferred_nodes(preferred, n) for n in feasible}
        scores["NodeAffinity"] = by_share(raw, reverse=False)
    spread = spread_scores(cluster, pod, feasible)
    if spread:
        scores["PodTopologySpread"] = spread
    pairs = wishes(cluster, pod)
    if pairs:
        scores["InterPodAffinity"] = by_range({n.name: wanted(pairs, n) for n in feasible})
    if any(request(pod).get(name) for name in settings.balanced):
        scores["NodeResourcesBalancedAllocation"] = {
            n.name: balance_change(cluster, pod, n) for n in feasible
        }
    return {
        plugin: {name: value * settings.weights.get(plugin, 1) for name, value in row.items()}
        for plugin, row in scores.items()
        if plugin not in settings.not_scoring
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


def preferred_node_terms(cluster: Cluster, pod: Pod) -> list[PreferredSchedulingTerm]:
    own = pod.spec.affinity and pod.spec.affinity.node_affinity
    return [
        entry
        for affinity in (cluster.settings.added, own)
        if affinity
        for entry in affinity.preferred_during_scheduling_ignored_during_execution
    ]


def preferred_nodes(preferred: list[PreferredSchedulingTerm], node: Node) -> int:
    return sum(entry.weight for entry in preferred if node_term_holds(entry.preference, node))


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

    settings = cluster.settings
    if settings.ignores_preferences and not preferred_terms(pod):
        return {}
    for other, home in cluster.placed():
        for weight, term in preferred_terms(pod):
            if own_term_means(cluster, term, pod, other):
                wish(term, home, weight)
        for term in required_terms(other)[0]:
            if settings.hard_pod_affinity_weight and held_term_means(cluster, term, other, pod):
                wish(term, home, settings.hard_pod_affinity_weight)
        for weight, term in preferred_terms(other):
            if held_term_means(cluster, term, other, pod):
                wish(term, home, weight)
    return pairs


def wanted(pairs: Mapping[tuple[str, str], int], node: Node) -> int:
    return sum(
        weight for (key, value), weight in pairs.items() if node.metadata.labels.get(key) == value
    )
