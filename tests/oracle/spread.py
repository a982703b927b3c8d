"""Topology spread, the plain way: pods are counted anew for every node that is looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.oracle.objects import (
    Cluster,
    Labels,
    is_tolerated,
    label_selector_holds,
    node_rules_hold,
)

from kubeberth.api.core import Node, Pod
from kubeberth.api.meta import LabelSelector

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
NO_LABEL = "node(s) didn't match pod topology spread constraints (missing required label)"
SKEWED = "node(s) didn't match pod topology spread constraints"


@dataclass
class Constraint:
    key: str
    max_skew: int
    is_hard: bool
    selectors: list[LabelSelector | None]
    min_domains: int = 1
    affinity_policy: str = "Honor"
    taints_policy: str = "Ignore"


def constraints_of(cluster: Cluster, pod: Pod) -> tuple[list[Constraint], bool]:
    """Return the constraints, and whether nodes must have all their keys."""
    own = []
    for entry in pod.spec.topology_spread_constraints:
        selectors = [entry.label_selector]
        if entry.label_selector is not None:
            labels = pod.metadata.labels
            pairs = {key: labels[key] for key in entry.match_label_keys if key in labels}
            selectors += [LabelSelector(match_labels=pairs)] if pairs else []
        own.append(
            Constraint(
                entry.topology_key,
                entry.max_skew,
                entry.when_unsatisfiable == "DoNotSchedule",
                selectors,
                entry.min_domains or 1,
                entry.node_affinity_policy or "Honor",
                entry.node_taints_policy or "Ignore",
            )
        )
    if own:
        return own, True
    selectors = default_selectors(cluster, pod)
    if not any(map(says_anything, selectors)):
        return [], False
    if cluster.settings.defaults is not None:
        return [
            Constraint(
                entry.topology_key,
                entry.max_skew,
                entry.when_unsatisfiable == "DoNotSchedule",
                selectors,
            )
            for entry in cluster.settings.defaults
        ], True
    return [Constraint(HOST, 3, False, selectors), Constraint(ZONE, 5, False, selectors)], False


def default_selectors(cluster: Cluster, pod: Pod) -> list[LabelSelector | None]:
    namespace, labels = pod.metadata.namespace, pod.metadata.labels
    of_services: dict[str, str] = {}
    for (home, _), selector in cluster.services.items():
        if home == namespace and all(labels.get(k) == v for k, v in selector.items()):
            of_services |= selector
    owner = next((ref for ref in pod.metadata.owner_references if ref.controller), None)
    version = "v1" if owner and owner.kind == "ReplicationController" else "apps/v1"
    if owner is None or owner.api_version != version:
        return [LabelSelector(match_labels=of_services)]
    found = cluster.controllers.get((owner.kind, namespace, owner.name))
    if found and owner.kind == "ReplicationController":
        return [LabelSelector(match_labels=of_services | found.match_labels)]
    return [LabelSelector(match_labels=of_services)] + ([found] if found else [])


def says_anything(selector: LabelSelector | None) -> bool:
    return selector is not None and bool(selector.match_labels or selector.match_expressions)


def means(constraint: Constraint, labels: Labels) -> bool:
    return all(label_selector_holds(selector, labels) for selector in constraint.selectors)


def n_pods(cluster: Cluster, pod: Pod, constraint: Constraint, node: Node) -> int:
    def is_meant(other: Pod) -> bool:
        same_namespace = other.metadata.namespace == pod.metadata.namespace
        return same_namespace and means(constraint, other.metadata.labels)

    def is_counted(other: Pod) -> bool:
        leaves = other.metadata.deletion_timestamp is not None
        return any(map(says_anything, constraint.selectors)) and not leaves

    def n_uncounted(pods: dict[str, tuple[Pod, str]]) -> int:
        here = [other for other, name in pods.values() if name == node.name]
        return sum(is_meant(other) and not is_counted(other) for other in here)

    number = sum(is_meant(other) and is_counted(other) for other in cluster.on(node.name))
    # Trials count what nobody else counts.
    return number + n_uncounted(cluster.guests) - n_uncounted(cluster.evicted)


def takes_part(pod: Pod, constraint: Constraint, node: Node) -> bool:
    if constraint.affinity_policy == "Honor" and not node_rules_hold(pod, node):
        return False
    return constraint.taints_policy == "Ignore" or all(
        is_tolerated((taint.key, taint.value, taint.effect), pod.spec.tolerations)
        for taint in node.spec.taints
        if taint.effect != "PreferNoSchedule"
    )


def has_keys(node: Node, constraints: list[Constraint]) -> bool:
    return all(constraint.key in node.metadata.labels for constraint in constraints)


def spread_trouble(cluster: Cluster, pod: Pod, node: Node) -> str:
    hard = [c for c in constraints_of(cluster, pod)[0] if c.is_hard]
    for constraint in hard:
        if constraint.key not in node.metadata.labels:
            return NO_LABEL
        numbers: dict[str, int] = {}
        for other in cluster.nodes.values():
            if has_keys(other, hard) and takes_part(pod, constraint, other):
                value = other.metadata.labels[constraint.key]
                numbers[value] = numbers.get(value, 0) + n_pods(cluster, pod, constraint, other)
        fewest = min(numbers.values(), default=0)
        if len(numbers) < constraint.min_domains:
            fewest = 0
        here = numbers.get(node.metadata.labels[constraint.key], 0)
        if here + means(constraint, pod.metadata.labels) - fewest > constraint.max_skew:
            return SKEWED
    return ""


def spread_scores(cluster: Cluster, pod: Pod, feasible: list[Node]) -> dict[str, int]:
    constraints, needs_all = constraints_of(cluster, pod)
    soft = [constraint for constraint in constraints if not constraint.is_hard]
    if not soft:
        return {}
    counted = [node for node in feasible if has_keys(node, soft) or not needs_all]
    raw = {node.name: raw_score(cluster, pod, soft, needs_all, counted, node) for node in counted}
    high, low = max(raw.values(), default=0), min(raw.values(), default=0)
    scores = dict.fromkeys((node.name for node in feasible), 0)
    for name, value in raw.items():
        scores[name] = 100 * (high + low - value) // high if high else 100
    return scores


def raw_score(
    cluster: Cluster,
    pod: Pod,
    soft: list[Constraint],
    needs_all: bool,
    counted: list[Node],
    node: Node,
) -> int:
    total = 0.0
    for constraint in soft:
        value = node.metadata.labels.get(constraint.key)
        if value is None:
            continue
        if constraint.key == HOST:
            size, number = len(counted), n_pods(cluster, pod, constraint, node)
        else:
            size = len({other.metadata.labels.get(constraint.key, "") for other in counted})
            number = sum(
                n_pods(cluster, pod, constraint, other)
                for other in cluster.nodes.values()
                if (has_keys(other, soft) or not needs_all)
                and takes_part(pod, constraint, other)
                and other.metadata.labels.get(constraint.key, "") == value
            )
        total += number * math.log(size + 2) + (constraint.max_skew - 1)
    return math.floor(total + 0.5)
