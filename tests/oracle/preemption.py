"""Preemption, plainly: take a copy of the cluster, remove pods, and look again.

Works on the objects alone, as the rest of the plain evaluator.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.oracle.evaluator import evaluate, rejection
from tests.oracle.objects import Cluster, label_selector_holds
from tests.oracle.room import allocatable, checked_request
from tests.oracle.spread import NO_LABEL

from kubeberth.api.core import Node, Pod

UNRESOLVABLE = {
    "node(s) were unschedulable",
    "node(s) had untolerated taint(s)",
    "node(s) didn't match Pod's node affinity/selector",
    "node(s) didn't match scheduler-enforced node affinity",
    "node(s) didn't match pod affinity rules",
    "node(s) had no available volume zone",
    "node(s) didn't match Pod's required features",
    NO_LABEL,
}


@dataclass
class Room:
    """Whom a node gives up, the most important first, and how many of them a budget would keep."""

    victims: list[str]
    n_violations: int


@dataclass
class Outcome:
    """What looking for victims came to; `obstacles` counts reasons."""

    not_eligible: str
    rooms: dict[str, Room]
    obstacles: dict[str, int]
    best: list[str]


def preempt(cluster: Cluster, pod: Pod) -> Outcome:
    answer = evaluate(cluster, pod)
    if pod.spec.preemption_policy == "Never":
        return Outcome("not eligible due to preemptionPolicy=Never.", {}, {}, [])
    if makes_room_already(cluster, pod):
        text = "not eligible due to a terminating pod on the nominated node."
        return Outcome(text, {}, {}, [])
    rooms: dict[str, Room] = {}
    obstacles: dict[str, int] = {}
    for node in cluster.nodes.values():
        if is_hopeless(cluster, pod, node, answer.rejected[node.name]):
            found: Room | tuple[str, ...] = ("Preemption is not helpful for scheduling",)
        else:
            found = make_room(cluster, pod, node)
        if isinstance(found, Room):
            rooms[node.name] = found
        else:
            for reason in found:
                obstacles[reason] = obstacles.get(reason, 0) + 1
    return Outcome("", rooms, obstacles, least_harm(cluster, rooms))


def is_hopeless(
    cluster: Cluster, pod: Pod, node: Node, rejected: tuple[str, tuple[str, ...]]
) -> bool:
    plugin, reasons = rejected
    if plugin == "NodeResourcesFit":
        asked = checked_request(cluster, pod)
        return any(amount > allocatable(node, name) for name, amount in asked.items())
    return plugin == "VolumeBinding" or bool(UNRESOLVABLE.intersection(reasons))


def makes_room_already(cluster: Cluster, pod: Pod) -> bool:
    name = cluster.nominated.get(pod.metadata.key, (pod, ""))[1]
    if name not in cluster.nodes:
        return False
    node = cluster.nodes[name]
    rejected = rejection(cluster, pod, node)
    assert rejected
    if is_hopeless(cluster, pod, node, rejected):
        return False
    return any(
        other.is_terminating
        and other.priority < pod.priority
        and any(c.reason == "PreemptionByScheduler" for c in other.status.conditions)
        for other in cluster.on(name)
    )


def make_room(cluster: Cluster, pod: Pod, node: Node) -> Room | tuple[str, ...]:
    lower = [other for other in cluster.on(node.name) if other.priority < pod.priority]
    if not lower:
        return ("No preemption victims found for incoming pod",)
    lower.sort(key=importance)
    rejected = rejection(cluster.without(lower), pod, node)
    if rejected:
        return rejected[1]
    protected = [other for other in lower if other in breaking(cluster, lower)]
    unprotected = [other for other in lower if other not in protected]
    victims: list[Pod] = []
    gone = list(lower)
    for other in protected + unprotected:
        fewer = [one for one in gone if one is not other]
        if rejection(cluster.without(fewer), pod, node):
            victims.append(other)
        else:
            gone = fewer
    victims.sort(key=importance)
    return Room(
        [victim.metadata.key for victim in victims],
        sum(victim in protected for victim in victims),
    )


def importance(pod: Pod) -> tuple[int, bool, str]:
    return -pod.priority, pod.status.start_time is None, pod.status.start_time or ""


def breaking(cluster: Cluster, lower: list[Pod]) -> list[Pod]:
    left = {name: budget.status.disruptions_allowed for name, budget in cluster.budgets.items()}
    found = []
    for pod in lower:
        for name, budget in cluster.budgets.items():
            selector = budget.spec.selector
            if budget.metadata.namespace != pod.metadata.namespace or not pod.metadata.labels:
                continue
            if selector is None or not (selector.match_labels or selector.match_expressions):
                continue
            if not label_selector_holds(selector, pod.metadata.labels):
                continue
            if pod.metadata.name in budget.status.disrupted_pods:
                continue
            left[name] -= 1
            if left[name] < 0 and pod not in found:
                found.append(pod)
    return found


def least_harm(cluster: Cluster, rooms: dict[str, Room]) -> list[str]:
    def harm(name: str) -> tuple[int, int, int, int]:
        room = rooms[name]
        priorities = [cluster.pods[key][0].priority for key in room.victims]
        total = sum(priority + 2**31 for priority in priorities)
        return room.n_violations, max(priorities), total, len(priorities)

    def first_start(name: str) -> tuple[bool, str]:
        pods = [cluster.pods[key][0] for key in rooms[name].victims]
        highest = max(pod.priority for pod in pods)
        return min(importance(pod)[1:] for pod in pods if pod.priority == highest)

    least = min(map(harm, rooms), default=None)
    names = [name for name in rooms if harm(name) == least]
    latest = max(map(first_start, names), default=None)
    return sorted(name for name in names if first_start(name) == latest)
