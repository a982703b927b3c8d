"""Claim binding: which volume a claim gets on which node, or whether one can be made there.

Matches kube-scheduler 1.36 (plugins/volumebinding/binder.go, component-helpers/storage/volume):
claims choose by size, the smallest first, each the smallest volume that is left; a volume that
names a claim is the only one for it; what finds none is provisioned. Among volumes of one size
upstream takes any, here it is the first by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.quantity import parse_quantity
from kubeberth.api.selectors import Requirement, from_label_selector
from kubeberth.api.storage import (
    NO_PROVISIONER,
    CSIStorageCapacity,
    PersistentVolumeClaim,
    StorageClass,
)
from kubeberth.placement.free_volumes import Demand, Stock, demand_of
from kubeberth.placement.node_match import Mask, meets_any
from kubeberth.placement.nodeterm import NodeTerm
from kubeberth.placement.reservation import BindClaim, ProvisionClaim, Reservation
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.stored_volume import Reach, StoredVolume, size_of
from kubeberth.placement.vocabulary import LabelColumn

# Bits of a code, in the order in which the reasons are told.
NODE_CONFLICT, BIND_CONFLICT, NO_SPACE, VOLUME_GONE = 1, 2, 4, 8


def check_bound(
    state: ClusterState, claims: Sequence[PersistentVolumeClaim], nodes: Nodes
) -> NDArray[np.int64]:
    """Return the codes of nodes with regard to claims that have their volumes already."""
    codes = np.zeros(len(state.slots[nodes]), dtype=np.int64)
    for claim in claims:
        stored = state.storage.volumes.get(claim.spec.volume_name)
        if stored is None:
            codes[codes == 0] = VOLUME_GONE
            break
        codes[(codes == 0) & ~_reaches(state, stored, nodes)] = NODE_CONFLICT
    return codes


def check_waiting(
    state: ClusterState, claims: Sequence[PersistentVolumeClaim], nodes: Nodes
) -> NDArray[np.int64]:
    """Return the codes of nodes with regard to claims that wait for their pod."""
    return _Matching(state, nodes).run(claims)


def reservations_on(
    state: ClusterState, claims: Sequence[PersistentVolumeClaim], slot: int
) -> tuple[Reservation, ...]:
    """Return what claims that wait for their pod are promised when it goes to a node."""
    matching = _Matching(state, np.array([slot], dtype=np.intp))
    matching.run(claims)
    name = state.nodes.name_of[slot]
    return (
        *(BindClaim(claim, volume) for claim, volume in matching.bound),
        *(ProvisionClaim(claim, name) for claim in matching.provisioned),
    )


class _Matching:
    """One pod's claims on some nodes.

    Attributes
    ----------
    codes
        ndarray of int64, shape (n,): why a node will not do, 0 where it will.
    bound, provisioned
        Claims with the volumes that they get, and claims for which one is made, on any of the
        nodes.
    """

    def __init__(self, state: ClusterState, nodes: Nodes) -> None:
        self._state, self._nodes = state, nodes
        self._slots = state.slots[nodes]
        self.codes: NDArray[np.int64] = np.zeros(len(self._slots), dtype=np.int64)
        self.bound: list[tuple[str, str]] = []
        self.provisioned: list[str] = []
        # Volumes that an earlier claim of the pod gets: where, and on their one node.
        self._taken: dict[str, Mask] = {}
        self._taken_at_home: set[str] = set()
        self._columns: dict[str, LabelColumn] = {}
        self._is_only_claim = False

    def run(self, claims: Sequence[PersistentVolumeClaim]) -> NDArray[np.int64]:
        """Find each claim a volume, and return the codes."""
        left = np.ones(len(self._slots), dtype=bool)
        in_progress, fresh = [], []
        for claim in claims:
            selected = self._state.storage.selected_node(claim)
            if selected is None:
                fresh.append(claim)
                continue
            slot = self._state.slot_of(selected)
            left &= self._slots == (-1 if slot is None else slot)
            in_progress.append(claim)
        self.codes[~left] = BIND_CONFLICT
        self._is_only_claim = len(fresh) == 1
        unmet = [(claim, left) for claim in in_progress]
        fresh.sort(key=lambda claim: size_of(claim) or 0)
        unmet += [(claim, self._match(claim, left)) for claim in fresh]
        for claim, where in unmet:
            self._provision(claim, where & (self.codes == 0))
        return self.codes

    def _match(self, claim: PersistentVolumeClaim, left: Mask) -> Mask:
        """Give a claim a volume that exists, and return the nodes where there is none for it."""
        storage, demand = self._state.storage, demand_of(claim)
        unmet, undecided = left.copy(), left.copy()
        for stored in storage.meant_for(claim):
            is_wanted = stored.volume.class_name == claim.class_name and stored.size >= demand.size
            if is_wanted and demand.suits(stored.volume):
                where = undecided & ~self._taken.get(stored.volume.metadata.name, np.False_)
                unmet &= ~self._give(claim, stored, where)
                undecided &= ~where
        free = storage.free(claim.class_name)
        if len(self._slots) == 1:
            node = self._state.node(int(self._slots[0]))
            candidates = free.near(node.metadata.labels, demand.size)
        elif self._is_only_claim:
            # Which volume it will be matters on the node that is chosen, not before.
            has_one = undecided & self._has_volume_at_home(free.stock(demand))
            undecided &= ~has_one
            unmet &= ~has_one
            candidates = free.homeless(demand.size)
        else:
            candidates = free.all(demand.size)
        self._choose(claim, demand, candidates, undecided, unmet)
        return unmet

    def _choose(
        self,
        claim: PersistentVolumeClaim,
        demand: Demand,
        candidates: Iterable[StoredVolume],
        undecided: Mask,
        unmet: Mask,
    ) -> None:
        """Give a claim the first volume that will do, on each node that is undecided."""
        n_undecided = int(np.count_nonzero(undecided))
        places = self._places()
        for stored in candidates:
            if not n_undecided:
                break
            if not demand.is_met_by(stored):
                continue
            home = self._home(stored)
            if home is None:
                name = stored.volume.metadata.name
                given = self._give(claim, stored, undecided & ~self._taken.get(name, np.False_))
                undecided &= ~given
                unmet &= ~given
                n_undecided = int(np.count_nonzero(undecided))
            elif (
                (place := places[home]) >= 0
                and undecided[place]
                and self._give_at_home(claim, stored)
            ):
                undecided[place] = unmet[place] = False
                n_undecided -= 1

    def _has_volume_at_home(self, stock: Stock) -> Mask:
        """Return the nodes with a volume that only nodes with the same label reach."""
        found = np.zeros(len(self._slots), dtype=bool)
        for key in stock.keys:
            column = self._state.label_column(key)
            found |= stock.values(column)[column.ids[self._nodes]]
        return found

    def _give(self, claim: PersistentVolumeClaim, stored: StoredVolume, where: Mask) -> Mask:
        """Give a claim a volume wherever it can be reached, and return where that is."""
        # The volume as it stands: upstream does not look at it through its CSI driver here.
        found: Mask = where & _meets(self._state, stored.reach, self._nodes)
        if found.any():
            name = stored.volume.metadata.name
            self.bound.append((claim.metadata.key, name))
            self._taken[name] = found | self._taken.get(name, np.False_)
        return found

    def _give_at_home(self, claim: PersistentVolumeClaim, stored: StoredVolume) -> bool:
        """Give a claim a volume on the one node that reaches it, if it is still to be had."""
        name = stored.volume.metadata.name
        if name in self._taken_at_home:
            return False
        self._taken_at_home.add(name)
        self.bound.append((claim.metadata.key, name))
        return True

    def _home(self, stored: StoredVolume) -> int | None:
        """Return the slot of the one node that reaches a volume, -1 for no node; None for many.

        Clusters have thousands of volumes that are disks of one node each, and to look at every
        node for each of them takes a hundred times as long.
        """
        if stored.home is None:
            return None
        key, value = stored.home
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = self._state.label_column(key)
        return column.only_slot(value)

    def _places(self) -> NDArray[np.intp]:
        """Return the place of each slot among the nodes looked at, -1 for none: slot -1, too."""
        places = np.full(self._state.n_slots + 1, -1, dtype=np.intp)
        places[self._slots] = np.arange(len(self._slots))
        return places

    def _provision(self, claim: PersistentVolumeClaim, where: Mask) -> None:
        """Have a volume made for a claim where that can be done."""
        if not where.any():
            return
        state, nodes = self._state, self._nodes
        storage_class = state.storage.classes.get(claim.class_name)
        if storage_class is None or storage_class.provisioner in ("", NO_PROVISIONER):
            self.codes[where] = BIND_CONFLICT
            return
        allowed = where & _is_allowed(state, storage_class, nodes)
        self.codes[where & ~allowed] = BIND_CONFLICT
        roomy = allowed & _has_room(state, storage_class, claim, nodes)
        self.codes[allowed & ~roomy] = NO_SPACE
        if roomy.any():
            self.provisioned.append(claim.metadata.key)


def _is_allowed(state: ClusterState, storage_class: StorageClass, nodes: Nodes) -> Mask:
    """Return the nodes that `allowedTopologies` names; an empty term names none."""
    terms = storage_class.allowed_topologies
    if not terms:
        return np.ones(len(state.slots[nodes]), dtype=bool)
    compiled = tuple(
        NodeTerm(
            tuple(
                Requirement(e.key, "In", frozenset(e.values)) for e in term.match_label_expressions
            )
        )
        for term in terms
        if term.match_label_expressions
    )
    return meets_any(state.nodes, compiled, nodes)


def _has_room(
    state: ClusterState, storage_class: StorageClass, claim: PersistentVolumeClaim, nodes: Nodes
) -> Mask:
    """Return the nodes that reach enough capacity, as far as the driver tells."""
    storage, size = state.storage, size_of(claim)
    driver = storage.drivers.get(storage_class.provisioner)
    if size is None or driver is None or not driver.spec.storage_capacity:
        return np.ones(len(state.slots[nodes]), dtype=bool)
    compiled = tuple(
        NodeTerm(from_label_selector(capacity.node_topology).requirements)
        for capacity in storage.capacities.values()
        if capacity.storage_class_name == storage_class.metadata.name
        and capacity.node_topology is not None
        and _limit(capacity) >= size
    )
    return meets_any(state.nodes, compiled, nodes)


def _limit(capacity: CSIStorageCapacity) -> int:
    """Return the largest volume that there is room for, in units of 10^-9 bytes; -1 for none."""
    text = capacity.capacity
    if capacity.maximum_volume_size is not None:
        text = capacity.maximum_volume_size
    return -1 if text is None else parse_quantity(text).nanos


def _reaches(state: ClusterState, stored: StoredVolume, nodes: Nodes) -> Mask:
    """Return which nodes can reach a volume."""
    found = _meets(state, stored.reach, nodes)
    if stored.in_tree is None or stored.migrated_reach == stored.reach:
        return found
    migrated = state.volume_use.migrated(stored.in_tree.plugin)[nodes]
    return np.where(migrated, _meets(state, stored.migrated_reach, nodes), found)


def _meets(state: ClusterState, reach: Reach, nodes: Nodes) -> Mask:
    if reach is None:
        return np.ones(len(state.slots[nodes]), dtype=bool)
    return meets_any(state.nodes, reach, nodes)
