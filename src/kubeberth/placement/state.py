"""ClusterState: the cluster in columns, node axis last; changed by deltas alone.

Input: deltas from the scheduler's cache or from a planner. Output: columns and counters that the
rules read. A node has a *slot*, its index in every column, for as long as it exists.

Rule 1: what a pod takes is added once when it is put on an existing node, and subtracted once.
Rule 2: a pod whose node does not exist (yet, or any more) is remembered and takes nothing.
Rule 3: every change of a node's own looks is in `node_log`, every change of what its pods take in
`usage_log`. Counters change for whole domains at once and are in no log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.core import Node, Pod
from kubeberth.api.requests import is_counted, occupied, to_amounts
from kubeberth.placement.census import Census, Holding
from kubeberth.placement.changelog import ChangeLog
from kubeberth.placement.counters import DomainCounter
from kubeberth.placement.delta import (
    Delta,
    NamespacePut,
    NamespaceRemoved,
    NodePut,
    NodeRemoved,
    PodPut,
    PodRemoved,
)
from kubeberth.placement.podterm import NamespaceLabels, PodTerm
from kubeberth.placement.request import (
    HostPort,
    PodRequest,
    PodRules,
    compile_request,
    template_key,
    to_pod_rules,
    to_scoring_vector,
    to_vector,
)
from kubeberth.placement.vocabulary import (
    NATIVE_RESOURCES,
    Interner,
    LabelColumn,
    TaintList,
    to_taint_list,
)

Nodes = slice | NDArray[np.intp]
"""Which nodes to look at: a slice of all slots, or an array of slots."""

_NOWHERE = -1
# Templates without a pod on any node are kept for pods to come, up to this many.
_MAX_IDLE_TEMPLATES = 2048


@dataclass(slots=True, eq=False)
class PlacedPod:
    """A pod that is bound or assumed, and what was added for it."""

    pod: Pod
    node_name: str
    slot: int
    request: PodRequest
    taken: NDArray[np.int64]
    scoring_taken: NDArray[np.int64]


class ClusterState:
    """The cluster as the rules see it.

    Attributes
    ----------
    n_slots
        Length of every column; some slots may hold no node.
    exists
        ndarray of bool, shape (n_slots,).
    allocatable, requested
        ndarray of int64, shape (n_resources, n_slots), base units; row `PODS` counts pods.
    scoring_requested
        ndarray of int64, shape (2, n_slots): milli-CPU and bytes with the defaults for pods that
        say nothing.
    unschedulable
        ndarray of bool, shape (n_slots,).
    taint_list_ids
        ndarray of int32, shape (n_slots,), index in `taint_lists`.
    ports_in_use
        Slots of the nodes on which a host port is taken.
    """

    def __init__(self) -> None:
        self.n_slots = 0
        self.slots: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self.exists: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self.unschedulable: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self.taint_list_ids: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self.resources: Interner[str] = Interner(NATIVE_RESOURCES)
        self.allocatable: NDArray[np.int64] = np.zeros((len(self.resources), 0), dtype=np.int64)
        self.requested: NDArray[np.int64] = np.zeros((len(self.resources), 0), dtype=np.int64)
        self.scoring_requested: NDArray[np.int64] = np.zeros((2, 0), dtype=np.int64)
        self.taint_lists: Interner[TaintList] = Interner(((),))
        self.ports_in_use: dict[HostPort, set[int]] = {}
        self.node_log = ChangeLog()
        self.usage_log = ChangeLog()
        self._nodes: list[Node | None] = []
        self._slot_of: dict[str, int] = {}
        self._free_slots: list[int] = []
        self._columns: dict[str, LabelColumn] = {}
        self._pods: dict[str, PlacedPod] = {}
        self._by_node: dict[str, dict[str, PlacedPod]] = {}
        self._census = Census(self.label_column)
        self._templates: dict[bytes, PodRequest] = {}

    # Reading

    @property
    def n_nodes(self) -> int:
        """How many nodes there are."""
        return len(self._slot_of)

    @property
    def n_pods(self) -> int:
        """How many pods are known to be bound or assumed."""
        return len(self._pods)

    @property
    def node_names(self) -> Iterable[str]:
        """The names of all nodes."""
        return self._slot_of.keys()

    @property
    def namespaces(self) -> NamespaceLabels:
        """Labels of every namespace."""
        return self._census.namespaces

    def node(self, slot: int) -> Node:
        """Return the node in a slot."""
        node = self._nodes[slot]
        if node is None:
            raise KeyError(f"no node in slot {slot}")
        return node

    def slot_of(self, name: str) -> int | None:
        """Return a node's slot, or None when there is no such node."""
        return self._slot_of.get(name)

    def node_of(self, pod_key: str) -> str | None:
        """Return where a pod is bound or assumed, or None."""
        placed = self._pods.get(pod_key)
        return placed.node_name if placed else None

    def pods_on(self, name: str) -> Iterable[PlacedPod]:
        """Return the pods on a node, in the order in which they were put there."""
        return self._by_node.get(name, {}).values()

    def label_column(self, key: str) -> LabelColumn:
        """Return the column of a node label, built at first sight."""
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = LabelColumn(key, self.n_slots)
            for slot in self._slot_of.values():
                column.put(slot, self.node(slot).metadata.labels.get(key))
        return column

    def request(self, pod: Pod) -> PodRequest:
        """Return the template of a pod to be placed."""
        request = self._template(pod, is_placed=False)
        if not request.own_counters:
            for term in request.pod_rules.own_terms:
                if term not in request.own_counters:
                    counter = request.own_counters[term] = self._census.matching(term)
                    counter.n_users += 1
        return request

    # Changing

    def apply(self, delta: Delta) -> None:
        """Make one change."""
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
                self._census.put_namespace(name, labels)
            case NamespaceRemoved(name):
                self._census.put_namespace(name, None)

    def apply_all(self, deltas: Iterable[Delta]) -> None:
        """Make changes, one after the other."""
        for delta in deltas:
            self.apply(delta)

    @contextmanager
    def without(self, pods: Iterable[PlacedPod]) -> Iterator[None]:
        """Leave some pods out of account for a while; afterwards everything is as before."""
        absent = [placed for placed in pods if placed.slot != _NOWHERE]
        for placed in absent:
            self._count(placed, -1)
        try:
            yield
        finally:
            for placed in absent:
                self._count(placed, +1)

    # Nodes

    def _put_node(self, node: Node) -> None:
        slot = self._slot_of.get(node.name)
        if slot is None:
            slot = self._take_slot()
            self._slot_of[node.name] = slot
            self._write_node(slot, node)
            self.exists[slot] = True
            for placed in self.pods_on(node.name):
                placed.slot = slot
                self._count(placed, +1)
            return
        old = self.node(slot)
        if _looks_the_same(old, node):
            self._nodes[slot] = node
            return
        moves = any(
            old.metadata.labels.get(key) != node.metadata.labels.get(key) for key in self._columns
        )
        # Sums belong to domains, so pods leave the old domain before the node's labels change.
        with self.without(list(self.pods_on(node.name)) if moves else ()):
            self._write_node(slot, node)

    def _write_node(self, slot: int, node: Node) -> None:
        self._nodes[slot] = node
        self.unschedulable[slot] = node.spec.unschedulable
        self.taint_list_ids[slot] = self.taint_lists.intern(to_taint_list(node.spec.taints))
        amounts = to_amounts(node.status.allocatable)
        ids = {self.resources.intern(n): a for n, a in amounts.items() if is_counted(n)}
        self._fit_resources()
        self.allocatable[:, slot] = 0
        for resource, amount in ids.items():
            self.allocatable[resource, slot] = amount
        labels = node.metadata.labels
        for key, column in self._columns.items():
            column.put(slot, labels.get(key))
        self.node_log.add(slot, self.n_slots)
        self.usage_log.add(slot, self.n_slots)

    def _remove_node(self, name: str) -> None:
        slot = self._slot_of.pop(name, None)
        if slot is None:
            return
        for placed in self.pods_on(name):
            self._count(placed, -1)
            placed.slot = _NOWHERE
        self.exists[slot] = False
        self._nodes[slot] = None
        for column in self._columns.values():
            column.put(slot, None)
        self._free_slots.append(slot)
        self.node_log.add(slot, self.n_slots)

    def _take_slot(self) -> int:
        if not self._free_slots:
            self._grow(self.n_slots + max(16, self.n_slots // 4))
        return self._free_slots.pop()

    def _grow(self, n_slots: int) -> None:
        more = n_slots - self.n_slots
        self._free_slots = list(range(n_slots - 1, self.n_slots - 1, -1))
        self._nodes += [None] * more
        self.slots = np.arange(n_slots, dtype=np.intp)
        self.exists = np.pad(self.exists, (0, more))
        self.unschedulable = np.pad(self.unschedulable, (0, more))
        self.taint_list_ids = np.pad(self.taint_list_ids, (0, more))
        self.allocatable = np.pad(self.allocatable, ((0, 0), (0, more)))
        self.requested = np.pad(self.requested, ((0, 0), (0, more)))
        self.scoring_requested = np.pad(self.scoring_requested, ((0, 0), (0, more)))
        for column in self._columns.values():
            column.grow(n_slots)
        self.n_slots = n_slots

    def _fit_resources(self) -> None:
        missing = len(self.resources) - len(self.allocatable)
        if missing:
            self.allocatable = np.pad(self.allocatable, ((0, missing), (0, 0)))
            self.requested = np.pad(self.requested, ((0, missing), (0, 0)))

    # Pods

    def _put_pod(self, pod: Pod, node_name: str) -> None:
        request = self._template(pod, is_placed=True)
        taken, scoring_taken = request.taken, request.scoring_taken
        if _has_own_sizes(pod):
            taken, scoring_taken = to_vector(occupied(pod), self.resources), to_scoring_vector(pod)
            self._fit_resources()
        placed = self._pods.get(pod.metadata.key)
        if placed is not None:
            if _takes_the_same(placed, node_name, request, taken, scoring_taken):
                placed.pod = pod
                return
            self._remove_pod(pod.metadata.key)
        slot = self._slot_of.get(node_name, _NOWHERE)
        request.n_placed += 1
        placed = PlacedPod(pod, node_name, slot, request, taken, scoring_taken)
        self._pods[pod.metadata.key] = placed
        self._by_node.setdefault(node_name, {})[pod.metadata.key] = placed
        if slot != _NOWHERE:
            self._count(placed, +1)

    def _remove_pod(self, key: str) -> None:
        placed = self._pods.pop(key, None)
        if placed is None:
            return
        on_node = self._by_node[placed.node_name]
        del on_node[key]
        if not on_node:
            del self._by_node[placed.node_name]
        if placed.slot != _NOWHERE:
            self._count(placed, -1)
        placed.request.n_placed -= 1

    def _count(self, placed: PlacedPod, sign: int) -> None:
        """Add (+1) or subtract (-1) everything that a pod takes on its node."""
        slot, request = placed.slot, placed.request
        taken = placed.taken
        self.requested[: len(taken), slot] += taken if sign > 0 else -taken
        self.scoring_requested[:, slot] += sign * placed.scoring_taken
        pods = request.label_class
        pods.on_slots[slot] += sign
        if not pods.on_slots[slot]:
            del pods.on_slots[slot]
        for counter in pods.counted_by:
            counter.add(slot, sign, sign)
        for counter, amount in request.held:
            counter.add(slot, sign * amount, sign)
        for port in request.host_ports:
            self._count_port(port, slot, sign)
        self.usage_log.add(slot, self.n_slots)

    def _count_port(self, port: HostPort, slot: int, sign: int) -> None:
        """Note a host port as taken or free.

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

    # Templates

    def _template(self, pod: Pod, *, is_placed: bool) -> PodRequest:
        key = template_key(pod, self._census.key_of(pod), is_placed=is_placed)
        request = self._templates.get(key)
        return request or self._new_template(pod, is_placed=is_placed)

    def _new_template(self, pod: Pod, *, is_placed: bool) -> PodRequest:
        rules = to_pod_rules(pod)
        self._look_at(rules.label_keys - self._census.keys)
        class_key = self._census.key_of(pod)
        key = template_key(pod, class_key, is_placed=is_placed)
        request = self._templates[key] = compile_request(
            pod,
            key,
            self._census.class_of(class_key),
            rules,
            self.resources,
            is_placed=is_placed,
        )
        request.label_class.n_users += 1
        request.held = self._hold(rules)
        self._fit_resources()
        if len(self._templates) % _MAX_IDLE_TEMPLATES == 0:
            self._drop_idle_templates(keep=request)
        return request

    def _hold(self, rules: PodRules) -> tuple[tuple[DomainCounter, int], ...]:
        held = []
        for holding, term, amount in _holdings(rules):
            counter = self._census.held(holding, term)
            counter.n_users += 1
            held.append((counter, amount))
        return tuple(held)

    def _look_at(self, keys: set[str]) -> None:
        """Tell pods apart by more labels: those that carry one leave their classes for new ones."""
        if not keys:
            return
        self._census.keys |= keys
        affected = [
            placed
            for placed in self._pods.values()
            if not keys.isdisjoint(placed.pod.metadata.labels)
        ]
        for placed in affected:
            if placed.slot != _NOWHERE:
                self._count(placed, -1)
            placed.request.n_placed -= 1
            placed.request = self._template(placed.pod, is_placed=True)
            placed.request.n_placed += 1
            if placed.slot != _NOWHERE:
                self._count(placed, +1)

    def _drop_idle_templates(self, keep: PodRequest) -> None:
        idle = [r for r in self._templates.values() if not r.n_placed and r is not keep]
        for request in idle[: -_MAX_IDLE_TEMPLATES // 2]:
            del self._templates[request.key]
            for term in request.own_counters:
                self._census.release_matching(term)
            for holding, term, _ in _holdings(request.pod_rules):
                self._census.release_held(holding, term)
            self._census.release_class(request.label_class)


def _holdings(rules: PodRules) -> Iterator[tuple[Holding, PodTerm, int]]:
    for term in rules.held_anti:
        yield "anti", term, 1
    for term in rules.held_affinity:
        yield "affinity", term, 1
    for weight, term in rules.held_preferred:
        yield "preferred", term, weight


def _looks_the_same(old: Node, new: Node) -> bool:
    """Return whether a new version of a node, such as a heartbeat, is the same to every rule."""
    return (
        old.metadata.labels == new.metadata.labels
        and old.spec.unschedulable == new.spec.unschedulable
        and old.spec.taints == new.spec.taints
        and old.status.allocatable == new.status.allocatable
    )


def _takes_the_same(
    placed: PlacedPod,
    node_name: str,
    request: PodRequest,
    taken: NDArray[np.int64],
    scoring_taken: NDArray[np.int64],
) -> bool:
    """Return whether a new version of a placed pod, such as "now running", changes no sum."""
    return (
        placed.node_name == node_name
        and placed.request is request
        and np.array_equal(placed.taken, taken)
        and np.array_equal(placed.scoring_taken, scoring_taken)
    )


def _has_own_sizes(pod: Pod) -> bool:
    """Return whether the kubelet reports sizes, which may differ from the template's."""
    status = pod.status
    return (
        status.resources is not None
        or any(entry.resources is not None for entry in status.container_statuses)
        or any(entry.resources is not None for entry in status.init_container_statuses)
    )
