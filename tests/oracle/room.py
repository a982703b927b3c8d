"""What a pod asks for, what a node has, and what its room is worth, the plain way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from tests.oracle.objects import Cluster

from kubeberth.api.core import Node, Pod
from kubeberth.api.quantity import int_value, milli_value

DEFAULTS = {"cpu": 100, "memory": 200 * 1024 * 1024}


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


def checked_request(cluster: Cluster, pod: Pod) -> dict[str, int]:
    """What a node must have: resources with a domain may be ignored."""
    settings = cluster.settings
    asked = request(pod)
    for name in list(asked):
        domain, slash, _ = name.partition("/")
        if slash and (name in settings.ignored or domain in settings.ignored_groups):
            del asked[name]
    return asked


def shortages(cluster: Cluster, pod: Pod, node: Node) -> tuple[str, ...]:
    short = []
    if len(cluster.on(node.name)) + 1 > allocatable(node, "pods"):
        short.append("Too many pods")
    for name, amount in checked_request(cluster, pod).items():
        if amount > 0 and amount > allocatable(node, name) - used(cluster, node, name):
            short.append(f"Insufficient {name}")
    return tuple(sorted(short))


def counts(pod: Pod, node: Node, name: str) -> bool:
    """A resource counts where the node has it; one with a domain, for pods that ask for it."""
    return allocatable(node, name) > 0 and ("/" not in name or request(pod).get(name, 0) > 0)


def room_score(cluster: Cluster, pod: Pod, node: Node) -> int:
    settings = cluster.settings
    scores = []
    for name, weight in settings.resources.items():
        if counts(pod, node, name):
            capacity = allocatable(node, name)
            taken = used(cluster, node, name, DEFAULTS) + request(pod, DEFAULTS).get(name, 0)
            scores.append((of_resource(cluster, taken, capacity), weight))
    if settings.strategy == "RequestedToCapacityRatio":
        scores = [(value, weight) for value, weight in scores if value > 0]
    if not scores:
        return 0
    mean = sum(value * weight for value, weight in scores) / sum(weight for _, weight in scores)
    if settings.strategy == "RequestedToCapacityRatio":
        return math.floor(mean + 0.5)
    return math.floor(mean)


def of_resource(cluster: Cluster, taken: int, capacity: int) -> int:
    settings = cluster.settings
    if settings.strategy == "LeastAllocated":
        return max(capacity - taken, 0) * 100 // capacity
    if settings.strategy == "MostAllocated":
        return min(taken, capacity) * 100 // capacity
    percent = 100 if taken > capacity else taken * 100 // capacity
    points = settings.shape
    for (from_u, from_s), (to_u, to_s) in pairwise(points):
        if from_u < percent <= to_u:
            rise = (to_s - from_s) * 10 * (percent - from_u)
            return from_s * 10 + math.trunc(rise / (to_u - from_u))
    return (points[0] if percent <= points[0][0] else points[-1])[1] * 10


def balance_change(cluster: Cluster, pod: Pod, node: Node) -> int:
    def balance(extra: Mapping[str, int]) -> int:
        shares = [
            min(1.0, (used(cluster, node, name) + extra.get(name, 0)) / allocatable(node, name))
            for name in cluster.settings.balanced
            if counts(pod, node, name)
        ]
        if len(shares) < 2:
            deviation = 0.0
        elif len(shares) == 2:
            deviation = abs(shares[0] - shares[1]) / 2
        else:
            total = 0.0
            for share in shares:
                total += share
            mean, total = total / len(shares), 0.0
            for share in shares:
                total += (share - mean) * (share - mean)
            deviation = math.sqrt(total / len(shares))
        return int((1 - deviation) * 100)

    return math.floor(50 + (50 + balance(request(pod)) - balance({})) / 2)
