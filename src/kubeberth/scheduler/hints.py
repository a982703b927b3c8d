"""Hints: which change of the cluster may make a pod fit that a rule has refused.

A pod that was refused waits for a change that may help; waking every pod for every change would
keep a busy scheduler busy with nothing. Waking one too many costs an attempt, one too few leaves a
pod waiting for the flush, so when in doubt: wake.

Matches kube-scheduler 1.36 (EventsToRegister and the queueing hints of each plugin), with two
additions: terms with a namespace selector see the real labels of namespaces, and a pod whose
affinity means itself is woken when the last other one goes, as it may now be the first. (Upstream
leaves it to the flush: https://github.com/kubernetes/kubernetes/issues/141354.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from kubeberth.api.core import Namespace, Node, Pod, Service, Taint
from kubeberth.api.declared_features import required_features
from kubeberth.api.policy import PodDisruptionBudget
from kubeberth.api.quantity import parse_quantity
from kubeberth.api.requests import Amounts, effective_request, occupied, to_amounts
from kubeberth.api.storage import (
    MIGRATED_PLUGINS,
    WAIT_FOR_FIRST_CONSUMER,
    CSIDriver,
    CSINode,
    CSIStorageCapacity,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
    StorageObject,
    VolumeAttachment,
)
from kubeberth.api.taints import tolerates
from kubeberth.api.workloads import ReplicaSet, ReplicationController, StatefulSet
from kubeberth.placement.observed import Observed
from kubeberth.placement.pod_volumes import PodVolumes, to_pod_volumes
from kubeberth.placement.podterm import NamespaceLabels, PodTerm
from kubeberth.placement.request import (
    HostPort,
    NodeRules,
    PodRules,
    to_host_ports,
    to_node_rules,
    to_pod_rules,
)
from kubeberth.placement.spread import SpreadConstraint, to_spread_constraints
from kubeberth.topology.names import ALLOCATIONS_ANNOTATION, LAYOUT_ANNOTATION

_CORDON = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
_ANY_ADDRESS = "0.0.0.0"
_NOTHING_ADDED = NodeRules()


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """A node came (no `old`), changed, or went (no `new`)."""

    old: Node | None
    new: Node | None


@dataclass(frozen=True, slots=True)
class PlacedPodEvent:
    """A pod came to a node (no `old`), changed there, or went from it (no `new`)."""

    old: Pod | None
    new: Pod | None


@dataclass(frozen=True, slots=True)
class OwnEvent:
    """The waiting pod itself was changed."""

    old: Pod
    new: Pod


@dataclass(frozen=True, slots=True)
class NamespaceEvent:
    """A namespace's labels changed."""

    name: str


@dataclass(frozen=True, slots=True)
class StorageEvent:
    """A claim, volume or the like came (no `old`), changed, or went (no `new`)."""

    old: StorageObject | None
    new: StorageObject | None


ClusterEvent = NodeEvent | PlacedPodEvent | OwnEvent | NamespaceEvent | StorageEvent


def news_of(old: Observed | None, new: Observed | None) -> ClusterEvent | None:
    """Return the event that a change of an object is to pods that wait; None if it is none.

    What default spreading and budgets go by wakes nobody: they only say which node is better.
    """
    match new or old:
        case Node():
            event = NodeEvent(cast(Node | None, old), cast(Node | None, new))
            return event if is_news(event) else None
        case Namespace() as namespace:
            labels = [item.metadata.labels if item else None for item in (old, new)]
            return NamespaceEvent(namespace.metadata.name) if labels[0] != labels[1] else None
        case Service() | ReplicationController() | ReplicaSet() | StatefulSet():
            return None
        case PodDisruptionBudget():
            return None
    return StorageEvent(cast(StorageObject | None, old), cast(StorageObject | None, new))


def is_news(event: NodeEvent) -> bool:
    """Return whether a node event is more than a heartbeat."""
    old, new = event.old, event.new
    if old is None or new is None:
        return True
    return (
        old.spec.unschedulable != new.spec.unschedulable
        or old.spec.taints != new.spec.taints
        or old.metadata.labels != new.metadata.labels
        or old.status.allocatable != new.status.allocatable
        or old.status.declared_features != new.status.declared_features
        or _machine(old) != _machine(new)
    )


def _machine(node: Node) -> tuple[str | None, ...]:
    """Return what a node says of its machine, and of who has what of it."""
    annotations = node.metadata.annotations
    return annotations.get(LAYOUT_ANNOTATION), annotations.get(ALLOCATIONS_ANNOTATION)


def label_of(event: ClusterEvent) -> str:
    """Return the name of an event, as kube-scheduler's metrics have them."""
    match event:
        case NodeEvent(old, new):
            return f"Node{_action(old, new)}"
        case PlacedPodEvent(old, new):
            return f"AssignedPod{_action(old, new)}"
        case OwnEvent():
            return "PodUpdate"
        case NamespaceEvent():
            return "NamespaceUpdate"
        case StorageEvent(old, new):
            kind = type(new or old).__name__
            short = {"PersistentVolume": "Pv", "PersistentVolumeClaim": "Pvc"}
            return f"{short.get(kind, kind)}{_action(old, new)}"


def _action(old: object, new: object) -> str:
    return "Add" if old is None else "Delete" if new is None else "Update"


class Waiting:
    """A waiting pod, with its rules compiled when first asked for.

    Parameters
    ----------
    added
        What its profile requires of nodes for every pod.
    """

    def __init__(self, pod: Pod, added: NodeRules = _NOTHING_ADDED) -> None:
        self.pod = pod
        self.added = added

    @cached_property
    def node_rules(self) -> NodeRules:
        """NodeSelector and node affinity."""
        return to_node_rules(self.pod.spec)

    @cached_property
    def pod_rules(self) -> PodRules:
        """Inter-pod affinity."""
        return to_pod_rules(self.pod.metadata.namespace, self.pod.spec)

    @cached_property
    def spread(self) -> tuple[SpreadConstraint, ...]:
        """Its own topology spread constraints that are hard."""
        pod = self.pod
        compiled = to_spread_constraints(pod.spec.topology_spread_constraints, pod.metadata.labels)
        return tuple(entry for entry in compiled if entry.is_hard)

    @cached_property
    def request(self) -> Amounts:
        """What it asks for, zeros left out."""
        return {name: amount for name, amount in effective_request(self.pod).items() if amount}

    @cached_property
    def volumes(self) -> PodVolumes:
        """What matters of its volumes."""
        return to_pod_volumes(self.pod)

    @cached_property
    def host_ports(self) -> frozenset[HostPort]:
        """Host ports that it wants."""
        return to_host_ports(self.pod.spec)


Hint = Callable[[ClusterEvent, Waiting, NamespaceLabels], bool]


def may_help(
    plugin: str, event: ClusterEvent, waiting: Waiting, namespaces: NamespaceLabels
) -> bool:
    """Return whether an event may change the mind of the rule that refused a pod."""
    hint = _HINTS.get(plugin)
    if hint is None:
        return True
    if isinstance(event, StorageEvent):
        storage_hint = _STORAGE_HINTS.get(plugin)
        return storage_hint is not None and storage_hint(event, waiting)
    # Upstream wakes pods of nearly every rule for any taint that changes anywhere.
    if plugin not in _OWN_TAINT_RULE and _changes_taints(event):
        return True
    return hint(event, waiting, namespaces)


def _changes_taints(event: ClusterEvent) -> bool:
    if not isinstance(event, NodeEvent) or event.old is None or event.new is None:
        return False
    uncordoned = event.old.spec.unschedulable and not event.new.spec.unschedulable
    return uncordoned or event.old.spec.taints != event.new.spec.taints


def _scheduling_gates(event: ClusterEvent, waiting: Waiting, _: NamespaceLabels) -> bool:
    return isinstance(event, OwnEvent) and not event.new.spec.scheduling_gates


def _node_unschedulable(event: ClusterEvent, waiting: Waiting, _: NamespaceLabels) -> bool:
    match event:
        case NodeEvent(old, new) if new is not None:
            return not new.spec.unschedulable and (old is None or old.spec.unschedulable)
        case OwnEvent(_, new):
            return any(tolerates(toleration, _CORDON) for toleration in new.spec.tolerations)
    return False


def _node_name(event: ClusterEvent, waiting: Waiting, _: NamespaceLabels) -> bool:
    return isinstance(event, NodeEvent) and event.old is None


def _taint_toleration(event: ClusterEvent, waiting: Waiting, _: NamespaceLabels) -> bool:
    match event:
        case NodeEvent(old, new) if new is not None:
            return _is_tolerated(waiting.pod, new) and not (
                old is not None and _is_tolerated(waiting.pod, old)
            )
        case OwnEvent(before, after):
            return before.spec.tolerations != after.spec.tolerations
    return False


def _is_tolerated(pod: Pod, node: Node) -> bool:
    return all(
        any(tolerates(toleration, taint) for toleration in pod.spec.tolerations)
        for taint in node.spec.taints
        if taint.effect in ("NoSchedule", "NoExecute")
    )


def _node_affinity(event: ClusterEvent, waiting: Waiting, _: NamespaceLabels) -> bool:
    if not isinstance(event, NodeEvent) or event.new is None:
        return False
    return _suits(waiting, event.new) and (event.old is None or not _suits(waiting, event.old))


def _suits(waiting: Waiting, node: Node) -> bool:
    rules = (waiting.node_rules, waiting.added)
    return all(entry.allow(node.name, node.metadata.labels) for entry in rules)


def _node_ports(event: ClusterEvent, waiting: Waiting, _: NamespaceLabels) -> bool:
    match event:
        case NodeEvent(None, _):
            return True
        case PlacedPodEvent(old, None) if old is not None:
            return any(
                freed[1:] == wanted[1:]
                and (freed[0] == wanted[0] or _ANY_ADDRESS in (freed[0], wanted[0]))
                for freed in to_host_ports(old.spec)
                for wanted in waiting.host_ports
            )
    return False


def _node_resources_fit(event: ClusterEvent, waiting: Waiting, _: NamespaceLabels) -> bool:
    match event:
        case NodeEvent(old, new) if new is not None:
            return _makes_room(old, new, waiting.request)
        case PlacedPodEvent(old, new) if old is not None:
            return new is None or _shrank(occupied(old), occupied(new), waiting.request)
        case OwnEvent(before, after):
            wanted = effective_request(before)
            return _shrank(wanted, effective_request(after), wanted)
    return False


def _makes_room(old: Node | None, new: Node, request: Amounts) -> bool:
    has = to_amounts(new.status.allocatable)
    if has.get("pods", 0) < 1 or any(has.get(name, 0) < n for name, n in request.items()):
        return False
    if old is None:
        return True
    had = to_amounts(old.status.allocatable)
    return any(has.get(name, 0) > had.get(name, 0) for name in ("pods", *request))


def _shrank(before: Amounts, after: Amounts, request: Amounts) -> bool:
    return any(after.get(name, 0) < before.get(name, 0) for name in request)


def _volume_restrictions(event: ClusterEvent, waiting: Waiting, _: NamespaceLabels) -> bool:
    match event:
        case NodeEvent(None, _):
            return True
        case PlacedPodEvent(old, None) if old is not None:
            return old.metadata.namespace == waiting.pod.metadata.namespace and _shares(
                to_pod_volumes(old), waiting.volumes
            )
    return False


def _shares(freed: PodVolumes, wanted: PodVolumes) -> bool:
    return not {use.name for use in freed.claims}.isdisjoint(
        use.name for use in wanted.claims
    ) or any(disk.conflicts(other) for disk in freed.disks for other in wanted.disks)


def _node_volume_limits(event: ClusterEvent, waiting: Waiting, _: NamespaceLabels) -> bool:
    match event:
        case PlacedPodEvent(old, None) if old is not None:
            freed = to_pod_volumes(old)
            return bool(freed.claims or freed.migratable)
    return False


def _place_of_volumes(event: ClusterEvent, waiting: Waiting, _: NamespaceLabels) -> bool:
    """Volumes can be reached from nodes with the right labels, which only nodes bring."""
    match event:
        case NodeEvent(old, new) if new is not None:
            return old is None or old.metadata.labels != new.metadata.labels
    return False


def _is_own_claim(event: StorageEvent, waiting: Waiting) -> bool:
    """Return whether a claim that came or changed is one of the pod's."""
    claim, meta = event.new, waiting.pod.metadata
    return (
        isinstance(claim, PersistentVolumeClaim)
        and claim.metadata.namespace == meta.namespace
        and any(use.name == claim.metadata.name for use in waiting.volumes.claims)
    )


def _claim_came(event: StorageEvent, waiting: Waiting) -> bool:
    return event.old is None and _is_own_claim(event, waiting)


def _limits_rose(event: StorageEvent, waiting: Waiting) -> bool:
    match event:
        case StorageEvent(old, CSINode() as new):
            return old is None or (isinstance(old, CSINode) and _has_more_room(old, new))
        case StorageEvent(VolumeAttachment(), None):
            return bool(waiting.volumes.claims or waiting.volumes.migratable)
    return _claim_came(event, waiting)


def _has_more_room(old: CSINode, new: CSINode) -> bool:
    before = {driver.name: driver.allocatable for driver in old.spec.drivers}
    for driver in new.spec.drivers:
        had, has = before.get(driver.name), driver.allocatable
        if has is None or has.count is None:
            continue
        if had is None or had.count is None or has.count > had.count:
            return True
    return False


def _volumes_may_bind(event: StorageEvent, waiting: Waiting) -> bool:
    match event:
        case StorageEvent(old, StorageClass() as new):
            before = old.allowed_topologies if isinstance(old, StorageClass) else None
            return before != new.allowed_topologies
        case StorageEvent(_, PersistentVolume()):
            return True
        case StorageEvent(old, CSINode() as new):
            return old is None or (
                old.metadata.annotations.get(MIGRATED_PLUGINS)
                != new.metadata.annotations.get(MIGRATED_PLUGINS)
            )
        case StorageEvent(old, CSIStorageCapacity() as new):
            return not isinstance(old, CSIStorageCapacity) or _limit(old) < _limit(new)
        case StorageEvent(CSIDriver() as old, CSIDriver() as new):
            return bool(old.spec.storage_capacity) and not new.spec.storage_capacity
    return _is_own_claim(event, waiting)


def _limit(capacity: CSIStorageCapacity) -> int:
    amount = capacity.maximum_volume_size or capacity.capacity
    return parse_quantity(amount).nanos if amount else 0


def _zones_may_fit(event: StorageEvent, waiting: Waiting) -> bool:
    match event:
        case StorageEvent(None, StorageClass() as new):
            return new.volume_binding_mode == WAIT_FOR_FIRST_CONSUMER
        case StorageEvent(old, PersistentVolume() as new):
            return old is None or old.metadata.labels != new.metadata.labels
    return _is_own_claim(event, waiting)


def _node_declared_features(event: ClusterEvent, waiting: Waiting, _: NamespaceLabels) -> bool:
    match event:
        case NodeEvent(old, new) if new is not None:
            return old is None or old.status.declared_features != new.status.declared_features
        case OwnEvent(before, after):
            return required_features(before.spec) != required_features(after.spec)
    return False


def _pod_topology_spread(event: ClusterEvent, waiting: Waiting, _: NamespaceLabels) -> bool:
    constraints = waiting.spread
    if not constraints:
        return True  # refused by hard constraints of the profile, which are not known here
    match event:
        case OwnEvent(before, after):
            return _matches_differently(constraints, before, after) or (
                before.spec.tolerations != after.spec.tolerations
                and any(entry.honors_taints for entry in constraints)
            )
        case NodeEvent(old, new):
            return _moves_spread(constraints, old, new)
        case PlacedPodEvent(old, new):
            pods = [pod for pod in (old, new) if pod is not None]
            if any(pod.metadata.namespace != waiting.pod.metadata.namespace for pod in pods):
                return False
            if old is not None and new is not None:
                return _matches_differently(constraints, old, new)
            return any(
                entry.selector.matches(pod.metadata.labels) for pod in pods for entry in constraints
            )
    return False


def _matches_differently(
    constraints: tuple[SpreadConstraint, ...], before: Pod, after: Pod
) -> bool:
    return any(
        entry.selector.matches(before.metadata.labels)
        is not entry.selector.matches(after.metadata.labels)
        for entry in constraints
    )


def _moves_spread(
    constraints: tuple[SpreadConstraint, ...], old: Node | None, new: Node | None
) -> bool:
    """Return whether a node joins or leaves the domains, moves between them, or is tainted anew."""
    keys = {entry.topology_key for entry in constraints}
    had_keys, has_keys = (
        node is not None and keys <= node.metadata.labels.keys() for node in (old, new)
    )
    if old is None or new is None or not (had_keys and has_keys):
        return had_keys is not has_keys
    before, after = old.metadata.labels, new.metadata.labels
    return old.spec.taints != new.spec.taints or any(before[key] != after[key] for key in keys)


def _inter_pod_affinity(event: ClusterEvent, waiting: Waiting, namespaces: NamespaceLabels) -> bool:
    match event:
        case OwnEvent(before, after):
            return before.metadata.labels != after.metadata.labels
        case NodeEvent(old, new):
            return new is not None and _moves_domains(old, new, waiting.pod_rules)
        case PlacedPodEvent(old, new):
            return _changes_neighbours(old, new, waiting, namespaces)
        case NamespaceEvent():
            return True
    return False


def _moves_domains(old: Node | None, new: Node, rules: PodRules) -> bool:
    """Return whether a node is new or has another value of a key that matters.

    Terms that other pods hold matter as well and are not known here, so a pod without terms of
    its own is woken by every change of labels.
    """
    if old is None:
        return True
    before, after = old.metadata.labels, new.metadata.labels
    keys = {term.topology_key for term in (*rules.required, *rules.anti)}
    if not rules.required:
        keys |= before.keys() | after.keys()
    return any(before.get(key) != after.get(key) for key in keys)


def _changes_neighbours(
    old: Pod | None, new: Pod | None, waiting: Waiting, namespaces: NamespaceLabels
) -> bool:
    rules = waiting.pod_rules
    was_liked, is_liked = (_meets_all(rules.required, pod, namespaces) for pod in (old, new))
    if is_liked and not was_liked:
        return True
    if was_liked and not is_liked and _meets_all(rules.required, waiting.pod, namespaces):
        return True
    was_shunned, is_shunned = (_meets_any(rules.anti, pod, namespaces) for pod in (old, new))
    if was_shunned and not is_shunned:
        return True
    if old is None or new is not None:
        return False
    return _meets_any(
        to_pod_rules(old.metadata.namespace, old.spec).held_anti, waiting.pod, namespaces
    )


def _meets_all(terms: tuple[PodTerm, ...], pod: Pod | None, namespaces: NamespaceLabels) -> bool:
    return bool(terms) and pod is not None and all(_means(t, pod, namespaces) for t in terms)


def _meets_any(terms: tuple[PodTerm, ...], pod: Pod | None, namespaces: NamespaceLabels) -> bool:
    return pod is not None and any(_means(term, pod, namespaces) for term in terms)


def _means(term: PodTerm, pod: Pod, namespaces: NamespaceLabels) -> bool:
    return term.includes(pod.metadata.namespace, pod.metadata.labels, namespaces)


_HINTS: Mapping[str, Hint] = {
    "SchedulingGates": _scheduling_gates,
    "NodeUnschedulable": _node_unschedulable,
    "NodeName": _node_name,
    "TaintToleration": _taint_toleration,
    "NodeAffinity": _node_affinity,
    "NodePorts": _node_ports,
    "NodeResourcesFit": _node_resources_fit,
    "VolumeRestrictions": _volume_restrictions,
    "NodeVolumeLimits": _node_volume_limits,
    "VolumeBinding": _place_of_volumes,
    "VolumeZone": _place_of_volumes,
    "PodTopologySpread": _pod_topology_spread,
    "InterPodAffinity": _inter_pod_affinity,
    "NodeDeclaredFeatures": _node_declared_features,
}
_STORAGE_HINTS: Mapping[str, Callable[[StorageEvent, Waiting], bool]] = {
    "VolumeRestrictions": _claim_came,
    "NodeVolumeLimits": _limits_rose,
    "VolumeBinding": _volumes_may_bind,
    "VolumeZone": _zones_may_fit,
}
_OWN_TAINT_RULE = frozenset(
    (
        "SchedulingGates",
        "NodeUnschedulable",
        "TaintToleration",
        "NodeVolumeLimits",
        "PodTopologySpread",
    )
)
