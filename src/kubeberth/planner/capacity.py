"""Capacity: how many more copies of a pod fit into a cluster, and what stops the next one.

Copies are placed one after the other by the engine itself until one has no node; nobody is
preempted for them. Of several shapes, each has the cluster to itself; in a mix they share it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from kubeberth.api.core import Node, Pod
from kubeberth.api.node_labels import ZONE
from kubeberth.api.requests import shown_amount, to_amounts
from kubeberth.api.scheme import CRON_JOBS, DAEMON_SETS, PODS
from kubeberth.errors import UsageError
from kubeberth.placement.decision import Decision
from kubeberth.placement.engine import Engine
from kubeberth.placement.profile import Profile
from kubeberth.placement.state import ClusterState
from kubeberth.placement.ties import FirstAdded
from kubeberth.placement.why import Obstacle
from kubeberth.placement.why_now import why_pending
from kubeberth.planner.kinds import WORKLOADS
from kubeberth.planner.manifests import Wanted
from kubeberth.planner.plan import PlanStruct
from kubeberth.planner.world import World

MAX_COPIES = 1_000_000
"""More would take minutes to count, and nobody has as many."""

_TOLD = ("cpu", "memory")
_NO_OBSTACLES: tuple[Obstacle, ...] = ()
_MAKERS = (*WORKLOADS, CRON_JOBS)

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """A pod that is to be counted."""

    name: str
    pod: Pod
    profile: Profile


class Room(PlanStruct, frozen=True):
    """How many copies of one pod fit.

    Parameters
    ----------
    zones, machines
        Copies by zone, and by what nodes have, such as `4 cpu, 16Gi memory`.
    nodes
        How many nodes have at least one.
    message
        Why the next one has no node, in kube-scheduler's words; empty when counting was ended.
    """

    name: str
    copies: int
    zones: dict[str, int]
    machines: dict[str, int]
    nodes: int
    message: str = ""
    obstacles: tuple[Obstacle, ...] = ()


class Mix(PlanStruct, frozen=True):
    """How often a set of pods fits as a whole.

    Parameters
    ----------
    rounds
        How many whole sets.
    stopped_by
        The shape that the set after them has no room for; empty when counting was ended.
    rooms
        The copies of each shape in the whole sets; only `stopped_by` says what is in the way.
    """

    parts: dict[str, int]
    rounds: int
    stopped_by: str
    rooms: tuple[Room, ...]


class Capacity(PlanStruct, frozen=True):
    """How much more fits; a mix only when one was asked for."""

    shapes: tuple[Room, ...]
    mix: Mix | None = None

    @property
    def least(self) -> int:
        """What is to be held against a bound: whole sets of the mix, else the rarest shape."""
        if self.mix is not None:
            return self.mix.rounds
        return min((room.copies for room in self.shapes), default=0)


def to_shapes(world: World, wanted: Iterable[Wanted]) -> list[Shape]:
    """Return the pods that manifests hold, and those that their workloads would make.

    Raises
    ------
    UsageError
        There is none, two are called the same, or one is of a kind that has no number of copies.
    InvalidObjectError
        An API server would refuse a pod.
    """
    shapes: dict[str, Shape] = {}
    for item in wanted:
        if item.resource is not PODS and item.resource not in _MAKERS:
            continue
        if item.resource is DAEMON_SETS:
            raise UsageError("a DaemonSet has one pod on each node: it has no number of copies")
        name = str(item.document["metadata"].get("name") or "pod")
        if name in shapes:
            raise UsageError(f'two of the pods are called "{name}": ask about one at a time')
        pod = _admitted(world, _pod_document(item, name))
        profile = world.placing.profile_of(pod)
        if profile is None:
            raise UsageError(f'{name}: no scheduler here is called "{pod.spec.scheduler_name}"')
        shapes[name] = Shape(name, pod, profile)
    if not shapes:
        raise UsageError("the manifests hold no pod, and nothing that makes pods")
    return list(shapes.values())


def is_counted(item: Wanted) -> bool:
    """Return whether a manifest is a shape, as opposed to something of the cluster."""
    return item.resource is PODS or item.resource in _MAKERS


def measure(
    state: ClusterState,
    shapes: Sequence[Shape],
    parts: Mapping[str, int] | None = None,
    most: int = MAX_COPIES,
    watch: Callable[[int], None] = lambda _: None,
) -> Capacity:
    """Return how many more copies fit.

    Parameters
    ----------
    state
        The cluster; it stays as it is.
    parts
        How many of each shape make a set, by name; None for no mix.
    most
        Where to stop counting.
    watch
        Told how many copies have been placed.

    Raises
    ------
    UsageError
        The mix names a shape that is not there.
    """
    rooms = tuple(_fill(state, shape, most, watch) for shape in shapes)
    return Capacity(rooms, None if parts is None else _fill_mix(state, shapes, parts, most, watch))


def _fill(state: ClusterState, shape: Shape, most: int, watch: Callable[[int], None]) -> Room:
    trial = state.fork()
    engine = Engine(trial, shape.profile, FirstAdded())
    nodes: Counter[str] = Counter()
    last: Decision | None = None
    for number, decision in enumerate(engine.place_all(_copies(shape, most)), 1):
        if decision.node is None:
            last = decision
            break
        nodes[decision.node] += 1
        watch(number)
    return _room(trial, shape, nodes, last)


def _fill_mix(
    state: ClusterState,
    shapes: Sequence[Shape],
    parts: Mapping[str, int],
    most: int,
    watch: Callable[[int], None],
) -> Mix:
    by_name = {shape.name: shape for shape in shapes}
    for name in parts:
        if name not in by_name:
            known = ", ".join(by_name)
            raise UsageError(
                f'--mix: no pod of the manifests is called "{name}"; there is: {known}'
            )
    trial = state.fork()
    engines = {name: Engine(trial, by_name[name].profile, FirstAdded()) for name in parts}
    copies = {name: _copies(by_name[name], most) for name in parts}
    whole: dict[str, Counter[str]] = {name: Counter() for name in parts}
    rounds, n_placed = 0, 0
    while n_placed < most:
        found: dict[str, Counter[str]] = {name: Counter() for name in parts}
        for name in (name for name, n in parts.items() for _ in range(n)):
            # Placed and assumed, so that the next one finds what is left.
            decision = next(engines[name].place_all((next(copies[name]),)))
            if decision.node is None:
                rooms = _rooms(trial, by_name, whole, {name: decision})
                return Mix(dict(parts), rounds, name, rooms)
            found[name][decision.node] += 1
            n_placed += 1
            watch(n_placed)
        for name, nodes in found.items():
            whole[name] += nodes
        rounds += 1
    return Mix(dict(parts), rounds, "", _rooms(trial, by_name, whole, {}))


def _rooms(
    state: ClusterState,
    shapes: Mapping[str, Shape],
    whole: Mapping[str, Counter[str]],
    failures: Mapping[str, Decision],
) -> tuple[Room, ...]:
    return tuple(
        _room(state, shapes[name], nodes, failures.get(name)) for name, nodes in whole.items()
    )


def _room(state: ClusterState, shape: Shape, nodes: Counter[str], failed: Decision | None) -> Room:
    zones: Counter[str] = Counter()
    machines: Counter[str] = Counter()
    for name in state.node_names:
        node = _node(state, name)
        # Where none fits is as good to know as where many do.
        zones[node.metadata.labels.get(ZONE, "")] += nodes[name]
        machines[_machine(node)] += nodes[name]
    message, obstacles = "", _NO_OBSTACLES
    if failed is not None:
        message = failed.failure.message if failed.failure else ""
        if state.n_nodes:
            obstacles = why_pending(state, shape.pod, shape.profile).obstacles
    return Room(
        shape.name,
        nodes.total(),
        dict(sorted(zones.items())),
        dict(sorted(machines.items())),
        sum(n > 0 for n in nodes.values()),
        message,
        obstacles,
    )


def _node(state: ClusterState, name: str) -> Node:
    slot = state.slot_of(name)
    assert slot is not None  # its name is one of the state's own
    return state.node(slot)


def _machine(node: Node) -> str:
    """Return what sets a node apart from those of another size."""
    there = to_amounts(node.status.allocatable)
    extra = sorted(name for name in there if "/" in name and there[name])
    return ", ".join(
        f"{shown_amount(name, there.get(name, 0))} {name}" for name in (*_TOLD, *extra)
    )


def _copies(shape: Shape, most: int) -> Iterator[Pod]:
    meta = shape.pod.metadata
    for number in range(1, most + 1):
        name = f"{shape.name}-{number}"
        yield replace(shape.pod, metadata=replace(meta, name=name, uid=name))


def _pod_document(item: Wanted, name: str) -> Document:
    """Return the pod of a manifest, or the one that its template makes, without a node."""
    document = item.document
    if item.resource is CRON_JOBS:
        document = document.get("spec", {}).get("jobTemplate") or {}
    if item.resource is not PODS:
        document = document.get("spec", {}).get("template") or {}
    meta, spec = dict(document.get("metadata") or {}), dict(document.get("spec") or {})
    spec.pop("nodeName", None)
    kept = {key: meta[key] for key in ("labels", "annotations") if key in meta}
    namespace = item.document["metadata"].get("namespace", "default")
    return {
        "apiVersion": "v1",
        "kind": PODS.kind,
        "metadata": {**kept, "name": f"{name}-copy", "namespace": namespace},
        "spec": spec,
    }


def _admitted(world: World, document: Document) -> Pod:
    """Return a pod as the cluster's API server would store it; the cluster does not keep it."""
    world.objects.know_namespace(document["metadata"]["namespace"])
    key = world.objects.create(PODS, document)
    pod: Pod | None = world.objects.get(PODS, key)
    assert pod is not None  # it has just been made
    world.objects.remove(PODS, key)
    # Each copy would bring a claim of its own, whose volume is made where the copy is.
    volumes = tuple(volume for volume in pod.spec.volumes if volume.ephemeral is None)
    return replace(pod, spec=replace(pod.spec, volumes=volumes))
