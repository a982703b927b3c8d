"""Questions: what is to happen to a cluster besides the manifests, and how it is carried out.

    --scale web=6          a workload gets another size
    --add-nodes 3:kube-01  nodes come, of the same make as one that is there
    --without zone-b       a zone is gone, from one moment to the next
    --drain kube-02        a node is emptied as `kubectl drain` does, asking disruption budgets

Sizes and new nodes count from the start; zones go and nodes are drained when everything has found
its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from kubeberth.api.core import Node, Pod
from kubeberth.api.machines import cordoned, made_like
from kubeberth.api.near import did_you_mean
from kubeberth.api.node_labels import ZONE
from kubeberth.api.scheme import NODES, POD_DISRUPTION_BUDGETS, PODS, Resource
from kubeberth.apiserver import eviction
from kubeberth.errors import ApiError, UsageError
from kubeberth.library.pods import belongs_to_node
from kubeberth.planner.kinds import WORKLOADS
from kubeberth.planner.snapshot import as_json
from kubeberth.planner.world import World

_SHORT = {
    "deploy": "deployment",
    "sts": "statefulset",
    "rs": "replicaset",
    "rc": "replicationcontroller",
}


@dataclass(frozen=True, slots=True)
class NewNodes:
    """So many nodes of the same make as another one; without a name, as the first one."""

    count: int
    like: str = ""


@dataclass(frozen=True, slots=True)
class Questions:
    """What is to happen.

    Parameters
    ----------
    scale
        How many pods a workload is to have, by `name`, `kind/name` or `kind/namespace/name`.
    drain, without
        Names of nodes, and of zones.
    """

    scale: tuple[tuple[str, int], ...] = ()
    add_nodes: tuple[NewNodes, ...] = ()
    drain: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Blocked:
    """A pod that cannot be evicted from a node, and why."""

    pod: Pod
    why: str


def add_nodes(world: World, wanted: NewNodes) -> None:
    """Have more nodes.

    Raises
    ------
    UsageError
        There is no node to make them like.
    """
    model = _node(world, wanted.like) if wanted.like else next(world.objects.all(NODES), None)
    if model is None:
        raise UsageError("the cluster has no node to make them like")
    number = 0
    for _ in range(wanted.count):
        while world.objects.get(NODES, name := f"{model.name}-new-{number}") is not None:
            number += 1
        world.objects.put(NODES, as_json(made_like(model, name)))


def scale(world: World, name: str, size: int) -> tuple[Resource, str]:
    """Give a workload another size; return which one it is.

    Raises
    ------
    UsageError
        None is called so, several are, or it is of no size.
    """
    resource, key = find_workload(world, name)
    field = "parallelism" if resource.kind == "Job" else "replicas"
    if resource.kind == "DaemonSet":
        raise UsageError(f"--scale {name}: a DaemonSet is as large as there are nodes")
    sub = "" if resource.kind == "Job" else "scale"
    world.objects.patch(resource, key, {"spec": {field: size}}, sub=sub)
    return resource, key


def find_workload(world: World, name: str) -> tuple[Resource, str]:
    """Return the one workload that `name`, `kind/name` or `kind/namespace/name` means.

    Raises
    ------
    UsageError
        There is none, or there are several.
    """
    parts = name.split("/")
    kind = _SHORT.get(parts[0].lower(), parts[0].lower()) if len(parts) > 1 else ""
    namespace = parts[1] if len(parts) > 2 else ""
    found = [
        (resource, item.metadata.key)
        for resource in WORKLOADS
        if not kind or kind in (resource.kind.lower(), resource.plural)
        for item in world.objects.all(resource)
        if item.metadata.name == parts[-1]
        and namespace in ("", item.metadata.namespace)
        and (kind or item.metadata.controller is None)
    ]
    if not found:
        others = (item.metadata.name for each in WORKLOADS for item in world.objects.all(each))
        raise UsageError(f'no workload is called "{name}"{did_you_mean(parts[-1], others)}')
    if len(found) > 1:
        names = ", ".join(f"{resource.kind.lower()}/{key}" for resource, key in found)
        raise UsageError(f'"{name}" may be any of {names}; say which one')
    return found[0]


def lose_zones(world: World, zones: Iterable[str]) -> list[Pod]:
    """Let the nodes of zones vanish, and everything that is on them; return the pods.

    As in a live cluster, nodes are gone first, for others to see, and then their pods are.

    Raises
    ------
    UsageError
        No node is in a zone of that name.
    """
    gone = {node.name: None for zone in zones for node in _nodes_in(world, zone)}
    for name in gone:
        world.objects.remove(NODES, name)
    if gone:
        world.settle()
    lost = [pod for pod in world.objects.all(PODS) if pod.spec.node_name in gone]
    for pod in lost:
        world.objects.lose(pod.metadata.key)
    return lost


def _nodes_in(world: World, zone: str) -> list[Node]:
    nodes = [n for n in world.objects.all(NODES) if n.metadata.labels.get(ZONE) == zone]
    if not nodes:
        zones = sorted({n.metadata.labels.get(ZONE, "") for n in world.objects.all(NODES)})
        known = ", ".join(zone for zone in zones if zone) or "none"
        raise UsageError(f'no node is in the zone "{zone}"; the zones are: {known}')
    return nodes


def cordon(world: World, name: str) -> None:
    """Let no more pods onto a node.

    Raises
    ------
    UsageError
        There is none of that name.
    """
    world.objects.put(NODES, as_json(cordoned(_node(world, name))))


def drain(world: World, name: str) -> tuple[list[Pod], list[Blocked]]:
    """Evict the pods of a cordoned node, as far as their budgets let them go.

    As with `kubectl drain`, pods that come later, as they tolerate that it is cordoned, stay.

    Returns
    -------
    tuple of list of Pod and list of Blocked
        Those that went, and those that stay.
    """
    evicted: list[Pod] = []
    meant = {p.metadata.uid for p in world.objects.all(PODS) if p.spec.node_name == name}
    while True:
        there = [p for p in world.objects.all(PODS) if p.metadata.uid in meant]
        staying = [pod for pod in there if not belongs_to_node(pod) and not pod.is_terminating]
        blocked, gone = _evict(world, staying)
        evicted += gone
        if not gone:
            return evicted, blocked
        # Budgets let others go once those that went run elsewhere.
        world.settle()


def _evict(world: World, pods: Iterable[Pod]) -> tuple[list[Blocked], list[Pod]]:
    blocked, gone = [], []
    for pod in pods:
        why = _evict_one(world, pod)
        if why:
            blocked.append(Blocked(pod, why))
        else:
            gone.append(pod)
            world.objects.evict(pod.metadata.key)
    return blocked, gone


def _evict_one(world: World, pod: Pod) -> str:
    """Take one disruption of a pod's budget; return why there is none."""
    body: dict[str, Any] = world.objects.document(PODS, pod.metadata.key)
    budgets = [
        world.objects.document(POD_DISRUPTION_BUDGETS, budget.metadata.key)
        for budget in world.objects.all(POD_DISRUPTION_BUDGETS)
        if budget.metadata.namespace == pod.metadata.namespace
    ]
    try:
        budget = None if eviction.needs_no_budget(body) else eviction.budget_of(body, budgets)
        if budget is None or eviction.goes_unready(body, budget):
            return ""
        taken = eviction.disrupted(
            msgspec.json.decode(msgspec.json.encode(budget)), pod.metadata.name, ""
        )
    except ApiError as error:
        causes: list[dict[str, str]] = error.details.get("causes") or [{}]
        return causes[0].get("message") or str(error)
    status = {"status": {"disruptionsAllowed": taken["status"]["disruptionsAllowed"]}}
    key = f"{pod.metadata.namespace}/{budget['metadata']['name']}"
    world.objects.patch(POD_DISRUPTION_BUDGETS, key, status, sub="status")
    return ""


def _node(world: World, name: str) -> Node:
    node: Node | None = world.objects.get(NODES, name)
    if node is None:
        hint = did_you_mean(name, (each.name for each in world.objects.all(NODES)))
        raise UsageError(f'no node is called "{name}"{hint}')
    return node
