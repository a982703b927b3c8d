"""ClusterState: the cluster as the rules see it; changed by deltas alone.

Input: deltas from the scheduler's cache or from a planner. Output: columns and counters that the
rules read.

Rule 1: what a pod takes is added once when it is put on an existing node, and subtracted once.
Rule 2: a pod whose node does not exist (yet, or any more) is remembered and takes nothing.
Rule 3: every change of a node's own looks is in `node_log`, every change of its pods, and of those
nominated to it, in `usage_log`. Counters change for whole domains at once and are in no log.
Rule 4: what a trial changes is put back before anything else happens, and is in no log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import msgspec
import numpy as np
from numpy.typing import NDArray

from kubeberth.api.core import Node, Pod, PodSpec
from kubeberth.api.disruption_target import DISRUPTION_TARGET, PREEMPTION_BY_SCHEDULER
from kubeberth.api.meta import ObjectMeta
from kubeberth.api.selectors import Selector, from_label_selector
from kubeberth.api.storage import StorageObject
from kubeberth.placement.census import Census, Labels
from kubeberth.placement.changelog import ChangeLog, UsageLog
from kubeberth.placement.counted_nodes import CountedNodesBook
from kubeberth.placement.default_selectors import ControllerRef, DefaultSelectors
from kubeberth.placement.delta import (
    ControllerPut,
    ControllerRemoved,
    Delta,
    NamespacePut,
    NamespaceRemoved,
    NodePut,
    NodeRemoved,
    Nominated,
    NominationCleared,
    PdbPut,
    PdbRemoved,
    PodPut,
    PodRemoved,
    ServicePut,
    ServiceRemoved,
    StoragePut,
    StorageRemoved,
)
from kubeberth.placement.disruption import Budget, to_budget
from kubeberth.placement.links import (
    Links,
    link,
    link_own_terms,
    link_spread,
    unlink,
    unlink_spread,
)
from kubeberth.placement.loads import capacity_class_of, to_matrix
from kubeberth.placement.node_table import Nodes, NodeTable, looks_the_same
from kubeberth.placement.nominations import Nominations
from kubeberth.placement.placed import NOWHERE, PlacedPod
from kubeberth.placement.pod_volumes import NO_VOLUMES, PodVolumes, to_pod_volumes
from kubeberth.placement.podterm import NamespaceLabels
from kubeberth.placement.request import (
    NO_POD_RULES,
    HostPort,
    PodRequest,
    compile_request,
    template_key,
    to_load,
    to_pod_rules,
)
from kubeberth.placement.reservation import Reservation
from kubeberth.placement.soundness import check_node, check_pod, check_storage
from kubeberth.placement.spread import label_keys
from kubeberth.placement.spread_counter import SpreadCounter, SpreadTerm
from kubeberth.placement.storage import Storage
from kubeberth.placement.vocabulary import SCORED_CPU, Interner, LabelColumn, TaintList
from kubeberth.placement.volume_use import VolumeUse

__all__ = ["ClusterState", "Nodes", "PlacedPod"]

MAX_IDLE_TEMPLATES = 2048
"""So many templates without a pod on any node are kept for pods to come."""


class ClusterState:
    """The cluster in columns and counters.

    Attributes
    ----------
    nodes
        The nodes' own looks.
    loads
        What the pods of each slot take, one packed int each; see `loads.py`.
    ports_in_use
        Slots of the nodes on which a host port is taken.
    census
        Which pods there are, by label class, and what counts them.
    storage, volume_use
        Claims, volumes and the like, and which of them pods use where.
    nominations
        Pods that wait for room on a node.
    budgets
        Disruption budgets by `namespace/name`.
    node_log, usage_log
        See rule 3.
    """

    def __init__(self) -> None:
        self.nodes = NodeTable()
        self.loads: list[int] = []
        self.ports_in_use: dict[HostPort, set[int]] = {}
        self.node_log = ChangeLog()
        self.usage_log = UsageLog()
        self._requested: NDArray[np.int64] = np.zeros((0, 0), dtype=np.int64)
        self._unpacked = -1
        self._tried: set[int] = set()
        self.nominations = Nominations()
        self.budgets: dict[str, Budget] = {}
        self._pods: dict[str, PlacedPod] = {}
        self._by_node: dict[str, dict[str, PlacedPod]] = {}
        self._counted_nodes = CountedNodesBook(self.nodes)
        self.census = Census(self.label_column, self._counted_nodes)
        self._selectors = DefaultSelectors()
        self.storage = Storage()
        self.volume_use = VolumeUse(self.storage, self.nodes)
        self._templates: dict[bytes, PodRequest] = {}
        self._links: dict[PodRequest, Links] = {}

    # Reading

    @property
    def n_nodes(self) -> int:
        """How many nodes there are."""
        return len(self.nodes.slot_of)

    @property
    def n_slots(self) -> int:
        """Length of every column; some slots may hold no node."""
        return self.nodes.n_slots

    @property
    def slots(self) -> NDArray[np.intp]:
        """Every slot's own number."""
        return self.nodes.slots

    @property
    def exists(self) -> NDArray[np.bool_]:
        """Which slots hold a node: ndarray of bool, shape (n_slots,)."""
        return self.nodes.exists

    @property
    def unschedulable(self) -> NDArray[np.bool_]:
        """Which nodes are cordoned: ndarray of bool, shape (n_slots,)."""
        return self.nodes.unschedulable

    @property
    def taint_list_ids(self) -> NDArray[np.int32]:
        """Index in `taint_lists`: ndarray of int32, shape (n_slots,)."""
        return self.nodes.taint_list_ids

    @property
    def taint_lists(self) -> Interner[TaintList]:
        """Every distinct list of taints."""
        return self.nodes.taint_lists

    @property
    def resources(self) -> Interner[str]:
        """Names of the resources, in the order of their ids."""
        return self.nodes.resources

    @property
    def allocatable(self) -> NDArray[np.int64]:
        """Base units: ndarray of int64, shape (n_resources, n_slots)."""
        return self.nodes.allocatable

    @property
    def requested(self) -> NDArray[np.int64]:
        """What pods take: ndarray of int64, shape (n_resources, n_slots); row `PODS` counts them.

        Unpacked from the loads when somebody asks, of those nodes that have changed.
        """
        n_slots, n_resources = self.n_slots, len(self.resources)
        changed = self.usage_log.since(self._unpacked, n_slots // 2)
        if changed is None or self._requested.shape != (n_resources, n_slots):
            self._requested = np.ascontiguousarray(to_matrix(self.loads, n_resources))
        elif changed or self._tried:
            slots = list(self._tried.union(changed))
            loads = [self.loads[slot] for slot in slots]
            self._requested[:, slots] = to_matrix(loads, n_resources)
        self._unpacked = self.usage_log.end
        self._tried.clear()
        return self._requested

    @property
    def scoring_requested(self) -> NDArray[np.int64]:
        """What CPU and memory count for in scores: ndarray of int64, shape (2, n_slots)."""
        return self.requested[SCORED_CPU : SCORED_CPU + 2]

    @property
    def n_pods(self) -> int:
        """How many pods are known to be bound or assumed."""
        return len(self._pods)

    @property
    def node_names(self) -> Iterable[str]:
        """The names of all nodes."""
        return self.nodes.names

    @property
    def namespaces(self) -> NamespaceLabels:
        """Labels of every namespace."""
        return self.census.namespaces

    @property
    def lowest_priority(self) -> int:
        """The lowest priority of a pod on any node, or of a nominated one."""
        placed = [request.priority for request, links in self._links.items() if links.n_placed]
        return min(placed, default=0)

    def node(self, slot: int) -> Node:
        """Return the node in a slot."""
        return self.nodes.node(slot)

    @property
    def nominated_slots(self) -> list[int]:
        """Slots of the nodes to which pods are nominated, in ascending order."""
        slot_of = self.nodes.slot_of
        return sorted(slot_of[name] for name in self.nominations.node_names if name in slot_of)

    def nominated_on(self, slot: int, priority: int, key: str) -> list[PlacedPod]:
        """Return the other pods nominated to a node that a pod has to fit the node with.

        Parameters
        ----------
        priority, key
            Of the pod that is to be placed.
        """
        return [
            msgspec.structs.replace(nominated, slot=slot)
            for nominated in self.nominations.on(self.nodes.name_of[slot])
            if nominated.priority >= priority and nominated.key != key
        ]

    def slot_of(self, name: str) -> int | None:
        """Return a node's slot, or None when there is no such node."""
        return self.nodes.slot_of.get(name)

    def node_of(self, pod_key: str) -> str | None:
        """Return where a pod is bound or assumed, or None."""
        placed = self._pods.get(pod_key)
        return placed.node_name if placed else None

    def placed(self, pod_key: str) -> PlacedPod | None:
        """Return a pod that is bound or assumed, or None."""
        return self._pods.get(pod_key)

    def pods_on(self, name: str) -> Iterable[PlacedPod]:
        """Return the pods on a node, in the order in which they were put there."""
        return self._by_node.get(name, {}).values()

    def label_column(self, key: str) -> LabelColumn:
        """Return the column of a node label, built at first sight."""
        return self.nodes.column(key)

    def request(self, pod: Pod) -> PodRequest:
        """Return the template of a pod to be placed.

        Raises
        ------
        InvalidObjectError
            When the pod asks for an amount that cannot be counted.
        """
        meta, spec = pod.metadata, pod.spec
        labels: Labels = meta.labels
        if not self.census.left_out.isdisjoint(labels):
            labels = self.census.visible(labels)
        volumes = to_pod_volumes(pod) if spec.volumes else NO_VOLUMES
        key = template_key(meta, labels, spec, volumes, spec.node_name)
        request = self._templates.get(key)
        if request is None:
            check_pod(pod)
            request = self._new_template(meta, spec, volumes, spec.node_name)
        if request.pod_rules is not NO_POD_RULES:
            links = self._links[request]
            if not links.counts_own_terms:
                link_own_terms(self.census, request, links)
        return request

    def links(self, request: PodRequest) -> Links:
        """Return a template's label class and counters in this state."""
        return self._links[request]

    def default_selector(self, request: PodRequest) -> Selector:
        """Return what a template's default constraints select by; empty when it has none."""
        links = self._links[request]
        version = self._selectors.version(request.namespace)
        if links.selectors_version != version:
            links.selectors_version = version
            labels = links.label_class.labels
            found = self._selectors.selector(request.namespace, labels, request.controller)
            if found != links.default_selector:
                links.default_selector = found
                unlink_spread(self.census, links)
        return links.default_selector

    def spread_counter(self, request: PodRequest, term: SpreadTerm) -> SpreadCounter:
        """Return the counter of the pods that a constraint of a template spreads."""
        return link_spread(self.census, self._links[request], term)

    # Changing

    def apply(self, delta: Delta) -> None:
        """Make one change.

        Raises
        ------
        InvalidObjectError
            When an object has an amount that cannot be counted; then nothing has changed.
        """
        match delta:
            case PodPut(pod, node_name):
                self._put_pod(pod, node_name)
            case PodRemoved(key):
                self._remove_pod(key)
            case NodePut(node):
                self._put_node(node)
            case NodeRemoved(name):
                self._remove_node(name)
            case NamespacePut(name, labels):
                self.census.put_namespace(name, labels)
            case NamespaceRemoved(name):
                self.census.put_namespace(name, None)
            case StoragePut(item):
                self._put_storage(item)
            case StorageRemoved(kind, key):
                self.volume_use.note(kind, key)
                self.storage.remove(kind, key)
            case Nominated(pod, node_name):
                self._nominate(pod, node_name)
            case NominationCleared(key):
                self._clear_nomination(key)
            case PdbPut(budget):
                self._put_budget(budget.metadata.key, to_budget(budget))
            case PdbRemoved(key):
                self.budgets.pop(key, None)
            case ServicePut(namespace, name, selector):
                self._put_service(namespace, name, selector)
            case ServiceRemoved(namespace, name):
                self._put_service(namespace, name, None)
            case ControllerPut(kind, namespace, name, selector):
                self._put_controller(namespace, (kind, name), from_label_selector(selector))
            case ControllerRemoved(kind, namespace, name):
                self._put_controller(namespace, (kind, name), None)

    def apply_all(self, deltas: Iterable[Delta]) -> None:
        """Make changes, one after the other."""
        for delta in deltas:
            self.apply(delta)

    def assume(
        self,
        key: str,
        labels: Labels,
        request: PodRequest,
        slot: int,
        reservations: tuple[Reservation, ...] = (),
    ) -> None:
        """Put a pod on a node: PodPut for one whose template and node have just been found.

        Parameters
        ----------
        reservations
            What it is promised; kept from others until the pod goes.
        """
        if key in self._pods:
            self._remove_pod(key)
        if self.nominations.pods:
            self._clear_nomination(key)
        links = self._links[request]
        node_name = self.nodes.name_of[slot]
        shared = links.label_class.share(labels)
        placed = PlacedPod(key, node_name, slot, request, shared, request.load)
        if reservations:
            placed = msgspec.structs.replace(placed, reservations=reservations)
            self.storage.reserve(key, reservations)
        self._enter(placed, links)

    def count(self, placed: PlacedPod, sign: int) -> None:
        """Add (+1) or subtract (-1) what a pod takes, in a trial that takes it back.

        As upstream, this adds to the counts for spreading even what they do not count otherwise:
        pods that are terminating, and those that an empty selector means.
        """
        links = self._links[placed.request]
        self._count(placed, links, sign)
        self.volume_use.note_trial(placed.request.namespace, placed.request.volumes, sign)
        for counter in links.label_class.spread_uncounted:
            counter.add(placed.slot, sign)
        self._tried.add(placed.slot)

    def count_port(self, port: HostPort, slot: int, sign: int) -> None:
        """Note a host port as taken (+1) or free (-1).

        As upstream, a node's ports are a set: of two pods that were bound by hand to the same
        port, either one frees it.
        """
        users = self.ports_in_use.setdefault(port, set())
        if sign > 0:
            users.add(slot)
            return
        users.discard(slot)
        if not users:
            del self.ports_in_use[port]

    @contextmanager
    def _lifted(self, pods: Iterable[PlacedPod]) -> Iterator[None]:
        """Take pods off the counters while their node changes; they are in none of its domains."""
        lifted = list(pods)
        for placed in lifted:
            self._count(placed, self._links[placed.request], -1)
        yield
        for placed in lifted:
            self._count(placed, self._links[placed.request], +1)

    def fork(self) -> ClusterState:
        """Return a copy that changes on its own from now on; this one stays as it is."""
        other = ClusterState()
        other.nodes = self.nodes.copy()
        other._grow()
        other.loads = self.loads.copy()
        other.ports_in_use = {port: users.copy() for port, users in self.ports_in_use.items()}
        other.nominations = self.nominations.copy()
        other.budgets = self.budgets.copy()
        other._pods = self._pods.copy()
        other._by_node = {name: pods.copy() for name, pods in self._by_node.items()}
        other.storage = self.storage.copy()
        other.volume_use = self.volume_use.copy(other.storage, other.nodes)
        other._counted_nodes = self._counted_nodes.copy(other.nodes)
        other._selectors = self._selectors.copy()
        copied = self.census.copy(other.label_column, other._counted_nodes)
        other.census = copied.census
        other._templates = self._templates.copy()
        other._links = {request: links.copy(copied) for request, links in self._links.items()}
        return other

    # Nodes

    def _put_node(self, node: Node) -> None:
        slot = self.nodes.slot_of.get(node.name)
        if slot is not None and looks_the_same(self.nodes.node(slot), node):
            self.nodes.keep(slot, node)
            return
        if not self.nodes.has_like(node.status.allocatable):
            check_node(node)
        if slot is None:
            slot = self.nodes.add(node)
            if len(self.loads) < self.n_slots:
                self._grow()
            self._counted_nodes.renew(slot)
            self._note_looks(slot)
            for placed in list(self.pods_on(node.name)):
                self._move(placed, slot)
            return
        # Sums belong to domains, so pods leave the old domain before the node's looks change.
        moves = self.nodes.changes_domain(slot, node) or (
            self._counted_nodes.reads_taints
            and self.nodes.node(slot).spec.taints != node.spec.taints
        )
        with self._lifted(self.pods_on(node.name) if moves else ()):
            self.nodes.write(slot, node)
            self._counted_nodes.renew(slot)
        self._note_looks(slot)

    def _note_looks(self, slot: int) -> None:
        old_class = capacity_class_of(self.loads[slot])
        self.loads[slot] += int(self.nodes.capacity_class_ids[slot]) - old_class
        self.node_log.add(slot)
        self.usage_log.add(slot)
        self.volume_use.note_node(slot)

    def _grow(self) -> None:
        self.loads += [0] * (self.n_slots - len(self.loads))
        for log in (self.node_log, self.usage_log):
            log.keep(self.n_slots)
        self._counted_nodes.grow()

    def _remove_node(self, name: str) -> None:
        slot = self.nodes.slot_of.get(name)
        if slot is None:
            return
        for placed in list(self.pods_on(name)):
            self._move(placed, NOWHERE)
        self.nodes.remove(name)
        self._counted_nodes.renew(slot)
        self.node_log.add(slot)
        self.volume_use.note_node(slot)

    def _move(self, placed: PlacedPod, slot: int) -> None:
        """Count a pod on a node that has come, or no more on one that goes."""
        self._change(placed, -1)
        moved = msgspec.structs.replace(placed, slot=slot)
        self._replace(moved)
        self._change(moved, +1)

    # Pods

    def _put_pod(self, pod: Pod, node_name: str) -> None:
        key = pod.metadata.key
        placed = self._to_placed(pod, node_name)
        if self.nominations.pods:
            self._clear_nomination(key)
        known = self._pods.get(key)
        if known is not None and known.node_name != node_name:
            self._remove_pod(key)
            known = None
        if known is None:
            self._enter(placed, self._links[placed.request])
            return
        if known.reservations:
            placed = msgspec.structs.replace(placed, reservations=known.reservations)
        if known.request is placed.request and known.load == placed.load:
            self._replace(placed)
            if placed.slot != NOWHERE and not _looks_the_same(known, placed):
                self.usage_log.add(placed.slot)
        else:
            self._exchange(known, placed)

    def _exchange(self, placed: PlacedPod, other: PlacedPod) -> None:
        """Put a pod that takes something else in the place of what it was."""
        self._change(placed, -1)
        self._links[placed.request].n_placed -= 1
        self._links[other.request].n_placed += 1
        self._replace(other)
        self._change(other, +1)

    def _to_placed(self, pod: Pod, node_name: str) -> PlacedPod:
        meta = pod.metadata
        volumes = to_pod_volumes(pod) if pod.spec.volumes else NO_VOLUMES
        key = template_key(meta, self.census.visible(meta.labels), pod.spec, volumes, "")
        request = self._templates.get(key)
        has_own_sizes = _has_own_sizes(pod)
        if request is None or has_own_sizes:
            check_pod(pod)
        if request is None:
            request = self._new_template(meta, pod.spec, volumes, "")
        return PlacedPod(
            meta.key,
            node_name,
            self.nodes.slot_of.get(node_name, NOWHERE),
            request,
            self._links[request].label_class.share(meta.labels),
            to_load(pod, self.resources) if has_own_sizes else request.load,
            pod.status.start_time,
            pod.is_terminating and _makes_way(pod),
        )

    def _enter(self, placed: PlacedPod, links: Links) -> None:
        key, slot = placed.key, placed.slot
        self._pods[key] = placed
        on_node = self._by_node.get(placed.node_name)
        if on_node is None:
            self._by_node[placed.node_name] = {key: placed}
        else:
            on_node[key] = placed
        links.n_placed += 1
        if slot != NOWHERE:
            self._count(placed, links, +1)
            self.usage_log.add(slot, links)

    def _remove_pod(self, key: str) -> None:
        placed = self._pods.pop(key, None)
        if placed is None:
            return
        on_node = self._by_node[placed.node_name]
        del on_node[key]
        if not on_node:
            del self._by_node[placed.node_name]
        self._change(placed, -1)
        self._links[placed.request].n_placed -= 1
        if placed.reservations:
            self.storage.release(key, placed.reservations)

    def _replace(self, placed: PlacedPod) -> None:
        """Know something else about a pod."""
        self._pods[placed.key] = self._by_node[placed.node_name][placed.key] = placed

    def _change(self, placed: PlacedPod, sign: int) -> None:
        """Count a pod in (+1) or out (-1) where its node is there, and note it."""
        if placed.slot != NOWHERE:
            links = self._links[placed.request]
            self._count(placed, links, sign)
            self.usage_log.add(placed.slot, links)

    def _count(self, placed: PlacedPod, links: Links, sign: int) -> None:
        """Add (+1) or subtract (-1) everything that a pod takes on its node."""
        slot, request = placed.slot, placed.request
        self.loads[slot] += placed.load if sign > 0 else -placed.load
        pods = links.label_class
        on_slots = pods.on_slots
        number = on_slots.get(slot, 0) + sign
        if number:
            on_slots[slot] = number
        else:
            del on_slots[slot]
        for counter in pods.counted_by:
            counter.add(slot, sign, sign)
        for spread_counter in pods.spread:
            spread_counter.add(slot, sign)
        for counter, amount in links.held:
            counter.add(slot, sign * amount, sign)
        if request.host_ports:
            for port in request.host_ports:
                self.count_port(port, slot, sign)
        if request.volumes is not NO_VOLUMES:
            self.volume_use.count(slot, request.namespace, request.volumes, sign)

    # Nominations and budgets

    def _put_budget(self, key: str, budget: Budget) -> None:
        self._look_at(budget.label_keys)
        self.budgets[key] = budget

    def _nominate(self, pod: Pod, node_name: str) -> None:
        nominated = self._to_placed(pod, node_name)
        self._clear_nomination(pod.metadata.key)
        self._links[nominated.request].n_placed += 1
        self.nominations.put(nominated)
        self._note_nomination(nominated)

    def _clear_nomination(self, key: str) -> None:
        nominated = self.nominations.remove(key)
        if nominated is not None:
            self._links[nominated.request].n_placed -= 1
            self._note_nomination(nominated)

    def _note_nomination(self, nominated: PlacedPod) -> None:
        slot = self.nodes.slot_of.get(nominated.node_name)
        if slot is not None:
            self.usage_log.add(slot)

    # Other objects

    def _put_storage(self, item: StorageObject) -> None:
        check_storage(item)
        kind, key = type(item), item.metadata.key
        self.volume_use.note(kind, key)
        self.storage.put(item)
        self.volume_use.note(kind, key)

    def _put_service(self, namespace: str, name: str, selector: Labels | None) -> None:
        self._look_at(set(selector or ()))
        if self._selectors.put_service(namespace, name, selector):
            self.census.version += 1

    def _put_controller(
        self, namespace: str, ref: ControllerRef, selector: Selector | None
    ) -> None:
        self._look_at({entry.key for entry in selector.requirements} if selector else set())
        if self._selectors.put_controller(namespace, ref, selector):
            self.census.version += 1

    # Templates

    def _new_template(
        self, meta: ObjectMeta, spec: PodSpec, volumes: PodVolumes, node_name: str
    ) -> PodRequest:
        rules = to_pod_rules(meta.namespace, spec)
        self._look_at(rules.label_keys | label_keys(spec.topology_spread_constraints))
        visible = self.census.visible(meta.labels)
        key = template_key(meta, visible, spec, volumes, node_name)
        request = compile_request(key, meta, spec, volumes, node_name, rules, self.resources)
        self._templates[key] = request
        self._links[request] = link(self.census, request, visible)
        if len(self._templates) % MAX_IDLE_TEMPLATES == 0:
            self._drop_idle_templates(keep=request)
        return request

    def _look_at(self, keys: set[str]) -> None:
        """Tell pods apart by more labels: those that carry one leave their classes for new ones."""
        found = self.census.look_at(keys)
        if not found:
            return
        for placed in [p for p in self._pods.values() if not found.isdisjoint(p.labels)]:
            self._change(placed, -1)
            told_apart = self._with_own_template(placed)
            self._replace(told_apart)
            self._change(told_apart, +1)
        nominated = self.nominations.pods.values()
        for placed in [p for p in nominated if not found.isdisjoint(p.labels)]:
            self.nominations.put(self._with_own_template(placed))

    def _with_own_template(self, placed: PlacedPod) -> PlacedPod:
        """Return a pod with the template of the labels that pods are told apart by now."""
        old = placed.request
        self._links[old].n_placed -= 1
        visible = self.census.visible(placed.labels)
        meta = msgspec.structs.replace(old.meta, labels=placed.labels)
        key = template_key(meta, visible, old.spec, old.volumes, "")
        request = self._templates.get(key)
        if request is None:
            request = self._new_template(meta, old.spec, old.volumes, "")
        self._links[request].n_placed += 1
        return msgspec.structs.replace(placed, request=request)

    def _drop_idle_templates(self, keep: PodRequest) -> None:
        idle = [r for r, links in self._links.items() if not links.n_placed and r is not keep]
        for request in idle[: -MAX_IDLE_TEMPLATES // 2]:
            del self._templates[request.key]
            unlink(self.census, request, self._links.pop(request))
        # Whoever asks on behalf of one of these has to do so on behalf of another.
        self.census.version += 1


def _looks_the_same(one: PlacedPod, other: PlacedPod) -> bool:
    """Return whether two versions of a pod are the same to whoever looks for victims."""
    return (one.labels, one.start_time, one.makes_way) == (
        other.labels,
        other.start_time,
        other.makes_way,
    )


def _makes_way(pod: Pod) -> bool:
    why = pod.condition(DISRUPTION_TARGET)
    return why is not None and why.status == "True" and why.reason == PREEMPTION_BY_SCHEDULER


def _has_own_sizes(pod: Pod) -> bool:
    """Return whether the kubelet reports sizes, which may differ from the template's."""
    status = pod.status
    return (
        status.resources is not None
        or any(entry.resources is not None for entry in status.container_statuses)
        or any(entry.resources is not None for entry in status.init_container_statuses)
    )
