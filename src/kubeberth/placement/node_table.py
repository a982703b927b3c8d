"""NodeTable: the nodes' own looks in columns, node axis last.

A node has a *slot*, its index in every column, for as long as it exists.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.core import Node, ResourceList
from kubeberth.api.node_labels import HOSTNAME, REGION, ZONE
from kubeberth.api.requests import is_counted, to_amounts
from kubeberth.placement.images import ImageTable
from kubeberth.placement.loads import pack, unpack
from kubeberth.placement.vocabulary import (
    FIXED_RESOURCES,
    Interner,
    LabelColumn,
    TaintList,
    to_taint_list,
)

Nodes = slice | NDArray[np.intp]
"""Which nodes to look at: a slice of all slots, or an array of slots."""


USUAL_TOPOLOGY_KEYS = (HOSTNAME, ZONE, REGION)


class NodeTable:
    """Every node's looks.

    Attributes
    ----------
    n_slots
        Length of every column; some slots may hold no node.
    exists, unschedulable
        ndarray of bool, shape (n_slots,).
    taint_list_ids
        ndarray of int32, shape (n_slots,), index in `taint_lists`.
    capacity_class_ids
        ndarray of int32, shape (n_slots,), index in `capacity_classes`; each of these is the packed
        amounts of nodes of one size. Class 0 is a node that has nothing.
    feature_set_ids
        ndarray of int32, shape (n_slots,), index in `feature_sets`: declared features.
    images
        Which nodes hold which images.
    slot_of, name_of
        Names to slots, and back.
    """

    def __init__(self) -> None:
        self.n_slots = 0
        self.slots: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self.exists: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self.unschedulable: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self.taint_list_ids: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self.taint_lists: Interner[TaintList] = Interner(((),))
        self.resources: Interner[str] = Interner(FIXED_RESOURCES)
        self.capacity_class_ids: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self.capacity_classes: Interner[int] = Interner((0,))
        # By what nodes say that they have: most nodes of a cluster say the same.
        self._class_of: dict[tuple[tuple[str, str], ...], int] = {}
        self.feature_set_ids: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self.feature_sets: Interner[frozenset[str]] = Interner((frozenset(),))
        self.images = ImageTable()
        self.slot_of: dict[str, int] = {}
        self.name_of: list[str] = []
        self._allocatable: NDArray[np.int64] = np.zeros((len(self.resources), 0), dtype=np.int64)
        self._nodes: list[Node | None] = []
        self._free_slots: list[int] = []
        # These are asked for sooner or later; at first sight a column takes a look at every node.
        self._columns = {key: LabelColumn(key, 0) for key in USUAL_TOPOLOGY_KEYS}

    @property
    def by_slot(self) -> list[Node | None]:
        """The node of each slot, None in a free one; to be read, not written."""
        return self._nodes

    def node(self, slot: int) -> Node:
        """Return the node in a slot."""
        node = self._nodes[slot]
        if node is None:
            raise KeyError(f"no node in slot {slot}")
        return node

    @property
    def names(self) -> Iterable[str]:
        """The names of all nodes."""
        return self.slot_of.keys()

    @property
    def allocatable(self) -> NDArray[np.int64]:
        """Base units: ndarray of int64, shape (n_resources, n_slots)."""
        missing = len(self.resources) - len(self._allocatable)
        if missing:
            self._allocatable = np.pad(self._allocatable, ((0, missing), (0, 0)))
        return self._allocatable

    def capacity(self, class_id: int) -> tuple[int, ...]:
        """Return the amounts of one capacity class, one per resource id."""
        return unpack(self.capacity_classes.values[class_id], len(self.resources))

    def has_like(self, allocatable: ResourceList) -> bool:
        """Return whether some node has, or had, just these amounts."""
        return tuple(allocatable.items()) in self._class_of

    def _capacity_class(self, allocatable: ResourceList) -> int:
        said = tuple(allocatable.items())
        found = self._class_of.get(said)
        if found is None:
            amounts = [
                (self.resources.intern(name), amount)
                for name, amount in to_amounts(allocatable).items()
                if is_counted(name)
            ]
            found = self._class_of[said] = self.capacity_classes.intern(pack(amounts))
        return found

    def column(self, key: str) -> LabelColumn:
        """Return the column of a node label, built at first sight."""
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = LabelColumn(key, self.n_slots)
            for slot in self.slot_of.values():
                column.put(slot, self.node(slot).metadata.labels.get(key))
        return column

    def changes_domain(self, slot: int, node: Node) -> bool:
        """Return whether a new version of a node has another value of some column's label."""
        old = self.node(slot).metadata.labels
        return any(old.get(key) != node.metadata.labels.get(key) for key in self._columns)

    def add(self, node: Node) -> int:
        """Give a new node a slot, and return it."""
        if not self._free_slots:
            self._grow(self.n_slots + max(16, self.n_slots // 4))
        slot = self.slot_of[node.name] = self._free_slots.pop()
        self.name_of[slot] = node.name
        self.exists[slot] = True
        self.write(slot, node)
        return slot

    def keep(self, slot: int, node: Node) -> None:
        """Keep a new version of a node that looks like the old one."""
        self._nodes[slot] = node

    def write(self, slot: int, node: Node) -> None:
        """Write a node's looks into every column."""
        self._nodes[slot] = node
        self.unschedulable[slot] = node.spec.unschedulable
        self.taint_list_ids[slot] = self.taint_lists.intern(to_taint_list(node.spec.taints))
        class_id = self._capacity_class(node.status.allocatable)
        self.capacity_class_ids[slot] = class_id
        self.allocatable[:, slot] = self.capacity(class_id)
        declared = frozenset(node.status.declared_features)
        self.feature_set_ids[slot] = self.feature_sets.intern(declared)
        self.images.put(slot, node.status.images)
        labels = node.metadata.labels
        for key, column in self._columns.items():
            column.put(slot, labels.get(key))

    def remove(self, name: str) -> int:
        """Take a node out, and return the slot that it had."""
        slot = self.slot_of.pop(name)
        self.exists[slot] = False
        self._nodes[slot] = None
        self.images.put(slot, ())
        for column in self._columns.values():
            column.put(slot, None)
        self._free_slots.append(slot)
        return slot

    def copy(self) -> NodeTable:
        """Return a table that changes on its own from now on."""
        other = NodeTable()
        other.n_slots = self.n_slots
        other.slots = self.slots
        other.exists = self.exists.copy()
        other.unschedulable = self.unschedulable.copy()
        other.taint_list_ids = self.taint_list_ids.copy()
        other.taint_lists = self.taint_lists.copy()
        other.resources = self.resources.copy()
        other.capacity_class_ids = self.capacity_class_ids.copy()
        other.capacity_classes = self.capacity_classes.copy()
        other._class_of = self._class_of.copy()
        other.feature_set_ids = self.feature_set_ids.copy()
        other.feature_sets = self.feature_sets.copy()
        other.images = self.images.copy()
        other.slot_of = self.slot_of.copy()
        other.name_of = self.name_of.copy()
        other._allocatable = self.allocatable.copy()
        other._nodes = self._nodes.copy()
        other._free_slots = self._free_slots.copy()
        other._columns = {key: column.copy() for key, column in self._columns.items()}
        return other

    def _grow(self, n_slots: int) -> None:
        more = n_slots - self.n_slots
        self._free_slots = list(range(n_slots - 1, self.n_slots - 1, -1))
        self._nodes += [None] * more
        self.name_of += [""] * more
        self.slots = np.arange(n_slots, dtype=np.intp)
        self.exists = np.pad(self.exists, (0, more))
        self.unschedulable = np.pad(self.unschedulable, (0, more))
        self.taint_list_ids = np.pad(self.taint_list_ids, (0, more))
        self.capacity_class_ids = np.pad(self.capacity_class_ids, (0, more))
        self.feature_set_ids = np.pad(self.feature_set_ids, (0, more))
        self._allocatable = np.pad(self.allocatable, ((0, 0), (0, more)))
        for column in self._columns.values():
            column.grow(n_slots)
        self.n_slots = n_slots


def looks_the_same(old: Node, new: Node) -> bool:
    """Return whether a new version of a node, such as a heartbeat, is the same to every rule."""
    return (
        old.metadata.labels == new.metadata.labels
        and old.spec.unschedulable == new.spec.unschedulable
        and old.spec.taints == new.spec.taints
        and old.status.allocatable == new.status.allocatable
        and old.status.images == new.status.images
        and old.status.declared_features == new.status.declared_features
    )
