"""Outcome: what a world looks like at the end of a plan, against how it was at the start."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kubeberth.api.core import Pod
from kubeberth.api.meta import OwnerReference
from kubeberth.api.scheme import CRON_JOBS, PODS, Resource
from kubeberth.api.workloads import is_active
from kubeberth.placement.why import Obstacle
from kubeberth.placement.why_now import why_pending
from kubeberth.planner.kinds import WORKLOADS, WRITTEN
from kubeberth.planner.manifests import Reading
from kubeberth.planner.placing import Waiting
from kubeberth.planner.plan import Pending, Plan, PlannedPod, Removed, Stuck, Warned, Workload
from kubeberth.planner.questions import Blocked
from kubeberth.planner.rollouts import n_wanted, rollout_trouble
from kubeberth.planner.uncalled import uncalled
from kubeberth.planner.usage import Taken, Usage, compared, zone_of
from kubeberth.planner.world import World

# Looking into what keeps a pod off every node takes as long as deciding a hundred times.
MAX_LOOKED_INTO = 20

# A pod on its own is a workload of one; a cron job is one by the pods of its jobs.
_MAKERS = frozenset((*WORKLOADS, PODS, CRON_JOBS))
_BY_KIND = {resource.kind: resource for resource in WORKLOADS}

Drained = tuple[list[Pod], list[Blocked]]


@dataclass(slots=True)
class Books:
    """How a world was at the start, and what was done to it since.

    Parameters
    ----------
    pending
        The pods that had no node; see `_identity`.
    placed
        UIDs of the pods that had been given a node by then.
    preempted
        The UIDs of the victims that there had been.
    concerned
        What the manifests and questions are about.
    """

    before: Usage
    pending: frozenset[tuple[str, str]]
    placed: frozenset[str]
    preempted: frozenset[str]
    concerned: dict[tuple[Resource, str], None] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    lost: list[Pod] = field(default_factory=list)
    drained: dict[str, Drained] = field(default_factory=dict)

    @classmethod
    def open(cls, world: World) -> Books:
        """Write down how a world is."""
        pending = frozenset(_identity(entry.pod) for entry in world.waiting)
        gone = frozenset(victim.pod.metadata.uid for victim in world.preempted)
        return cls(Usage(world.placing.state), pending, frozenset(world.ran), gone)


def _identity(pod: Pod) -> tuple[str, str]:
    """Return the key of a pod and whose it is: another's may come to be called the same."""
    owner = pod.metadata.controller
    return pod.metadata.key, "" if owner is None else owner.uid


def to_plan(world: World, books: Books, wanted: Reading) -> Plan:
    """Return what has become of a world."""
    owners = _Owners(world)
    after = Usage(world.placing.state).taken()
    pods = [*_placed(world, books, owners, after), *_waiting(world, books, owners)]
    return Plan(
        nodes=compared(books.before.taken(), after, frozenset(books.drained)),
        pods=tuple(pods),
        pending=tuple(_pending(world, owners)),
        workloads=tuple(_workloads(world, books, owners, after, {p.workload for p in pods})),
        removed=tuple(_removed(world, books, owners)),
        stuck=tuple(_stuck(world, books)),
        unchanged=tuple(books.unchanged),
        passed_over=dict(wanted.passed_over),
        left_out=wanted.left_out,
        uncalled=tuple(uncalled(world.objects, WRITTEN)),
        warnings=tuple(dict.fromkeys(books.warnings)),
        came_to_rest=world.came_to_rest,
    )


class _Owners:
    """Knows what each pod is a pod of."""

    def __init__(self, world: World) -> None:
        self._control = world.control
        self._tops: dict[str, tuple[str, str]] = {}

    def top(self, pod: Pod) -> tuple[str, str]:
        """Return kind and name of the topmost controller; of the pod itself when it has none."""
        owner = pod.metadata.controller
        if owner is None:
            return PODS.kind, pod.metadata.name
        found = self._tops.get(owner.uid)
        if found is None:
            found = self._tops[owner.uid] = self._above(pod.metadata.namespace, owner)
        return found

    def label(self, pod: Pod) -> str:
        """Return `Kind/name` of the topmost controller."""
        return "/".join(self.top(pod))

    def is_cared_for(self, pod: Pod) -> bool:
        """Return whether something makes another pod in the place of this one."""
        return pod.metadata.controller is not None

    def _above(self, namespace: str, owner: OwnerReference) -> tuple[str, str]:
        item = self._control.owner(namespace, owner)
        above = None if item is None else item.metadata.controller
        return (owner.kind, owner.name) if above is None else self._above(namespace, above)


def _placed(
    world: World, books: Books, owners: _Owners, after: Mapping[str, Taken]
) -> Iterable[PlannedPod]:
    """Yield the pods that the plan has put on nodes and that are there at the end."""
    for uid, key in world.ran.items():
        pod = None if uid in books.placed else world.objects.get(PODS, key)
        if pod is not None and pod.metadata.uid == uid and is_active(pod):
            yield PlannedPod(
                key,
                owners.label(pod),
                pod.spec.node_name,
                zone_of(after, pod.spec.node_name),
                pod.priority,
                was_pending=_identity(pod) in books.pending,
            )


def _waiting(world: World, books: Books, owners: _Owners) -> Iterable[PlannedPod]:
    for entry in world.waiting:
        key = entry.pod.metadata.key
        yield PlannedPod(
            key,
            owners.label(entry.pod),
            priority=entry.pod.priority,
            message=entry.message,
            was_pending=_identity(entry.pod) in books.pending,
        )


def _pending(world: World, owners: _Owners) -> Iterable[Pending]:
    groups: dict[tuple[str, str], list[Waiting]] = defaultdict(list)
    for entry in world.waiting:
        groups[owners.label(entry.pod), entry.message].append(entry)
    for number, ((workload, message), entries) in enumerate(groups.items()):
        looked_into = number < MAX_LOOKED_INTO and not entries[0].why_not_tried
        obstacles = _obstacles(world, entries[0].pod) if looked_into else ()
        names = tuple(entry.pod.metadata.key for entry in entries)
        yield Pending(workload, names, message, obstacles)


def _obstacles(world: World, pod: Pod) -> tuple[Obstacle, ...]:
    profile = world.placing.profile_of(pod)
    return () if profile is None else why_pending(world.placing.state, pod, profile).obstacles


def _workloads(
    world: World,
    books: Books,
    owners: _Owners,
    after: Mapping[str, Taken],
    touched: set[str],
) -> Iterable[Workload]:
    """Yield the workloads that are concerned; those of the manifests first, in their order."""
    pods_of: dict[tuple[str, str, str], list[Pod]] = {}
    for resource, key in books.concerned:
        item = world.objects.get(resource, key)
        if item is not None and resource in _MAKERS and item.metadata.controller is None:
            pods_of[resource.kind, item.metadata.namespace, item.metadata.name] = []
    waiting = {entry.pod.metadata.uid for entry in world.waiting}
    for pod in world.objects.all(PODS):
        kind, name = owners.top(pod)
        place = kind, pod.metadata.namespace, name
        is_meant = is_active(pod) or pod.metadata.uid in waiting
        if is_meant and (place in pods_of or f"{kind}/{name}" in touched):
            pods_of.setdefault(place, []).append(pod)
    zones = sorted({node.zone for node in after.values() if node.zone})
    for (kind, namespace, name), pods in pods_of.items():
        maker = _BY_KIND.get(kind)
        item = None if maker is None else world.objects.get(maker, f"{namespace}/{name}")
        nodes = Counter(pod.spec.node_name for pod in pods if pod.metadata.uid not in waiting)
        in_zone = Counter(zone_of(after, node) for node in nodes.elements())
        yield Workload(
            kind,
            namespace,
            name,
            wanted=n_wanted(item, len(pods)),
            placed=nodes.total(),
            pending=len(pods) - nodes.total(),
            zones={zone: in_zone[zone] for zone in zones},
            nodes=dict(sorted(nodes.items())),
            rollout=rollout_trouble(item),
        )


def _removed(world: World, books: Books, owners: _Owners) -> Iterable[Removed]:
    for victim in world.preempted:
        if victim.pod.metadata.uid not in books.preempted:
            yield _gone(victim.pod, owners, "preempted", victim.by.metadata.key)
    for each in world.evictions.evicted:
        yield _gone(each.pod, owners, "evicted", each.by)
    for pod in books.lost:
        yield _gone(pod, owners, "lost")
    for evicted, _ in books.drained.values():
        for pod in evicted:
            yield _gone(pod, owners, "drained")


def _gone(pod: Pod, owners: _Owners, why: str, by: str = "") -> Removed:
    returns = owners.is_cared_for(pod)
    key, node = pod.metadata.key, pod.spec.node_name
    return Removed(key, owners.label(pod), node, why, pod.priority, by, returns)


def _stuck(world: World, books: Books) -> Iterable[Stuck]:
    for node, (_, blocked) in books.drained.items():
        for pod in blocked:
            yield Stuck(f"drain of {node}", f"{pod.pod.metadata.key} stays: {pod.why}")
    for trouble in world.control.troubles:
        yield Stuck(f"{trouble.controller} {trouble.key}", trouble.message)
