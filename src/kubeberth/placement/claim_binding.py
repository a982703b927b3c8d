"""Claim binding: which volume a claim gets on which node, or whether one can be made there.

Matches kube-scheduler 1.36 (plugins/volumebinding/binder.go, component-helpers/storage/volume):
claims choose by size, the smallest first, each the smallest volume that is left; a volume that
names a claim is the only one for it; what finds none is provisioned. Among volumes of one size
upstream takes any, here it is the first by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.quantity import parse_quantity
from kubeberth.api.selectors import Requirement, Selector, from_label_selector
from kubeberth.api.storage import (
    NO_PROVISIONER,
    CSIStorageCapacity,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
)
from kubeberth.placement.node_match import Mask, meets_any
from kubeberth.placement.nodeterm import NodeTerm
from kubeberth.placement.reservation import BindClaim, ProvisionClaim, Reservation
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.storage import Reach, StoredVolume, size_of

# Bits of a code, in the order in which the reasons are told.
NODE_CONFLICT, BIND_CONFLICT, NO_SPACE, VOLUME_GONE = 1, 2, 4, 8

_FILESYSTEM = "Filesystem"
_EVERYTHING = Selector()


@dataclass(slots=True)
class Choices:
    """What becomes of some claims on some nodes.

    Parameters
    ----------
    codes
        ndarray of int64, shape (n,): why a node will not do, 0 where it will.
    volumes
        For each claim and volume, where the claim gets it: ndarray of bool, shape (n,).
    provisioned
        For each claim, where a volume is made for it: ndarray of bool, shape (n,).
    """

    codes: NDArray[np.int64]
    volumes: list[tuple[str, str, Mask]] = field(default_factory=list)
    provisioned: list[tuple[str, Mask]] = field(default_factory=list)


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


def reservations_on(
    state: ClusterState, claims: Sequence[PersistentVolumeClaim], slot: int
) -> Iterator[Reservation]:
    """Yield what claims are promised when their pod goes to a node."""
    choices = choose(state, claims, np.array([slot], dtype=np.intp))
    for claim, volume, where in choices.volumes:
        if where[0]:
            yield BindClaim(claim, volume)
    for claim, where in choices.provisioned:
        if where[0]:
            yield ProvisionClaim(claim, state.nodes.name_of[slot])


def choose(state: ClusterState, claims: Sequence[PersistentVolumeClaim], nodes: Nodes) -> Choices:
    """Return what becomes of claims that wait for their pod."""
    slots = state.slots[nodes]
    choices = Choices(np.zeros(len(slots), dtype=np.int64))
    left = np.ones(len(slots), dtype=bool)
    in_progress, fresh = [], []
    for claim in claims:
        selected = state.storage.selected_node(claim)
        if selected is None:
            fresh.append(claim)
            continue
        slot = state.slot_of(selected)
        left &= slots == (-1 if slot is None else slot)
        in_progress.append(claim)
    choices.codes[~left] = BIND_CONFLICT
    unmet = [(claim, left) for claim in in_progress]
    taken: dict[str, Mask] = {}
    fresh.sort(key=lambda claim: size_of(claim) or 0)
    unmet += [(claim, _match(state, claim, nodes, left, taken, choices)) for claim in fresh]
    for claim, where in unmet:
        _provision(state, claim, nodes, where & (choices.codes == 0), choices)
    return choices


def _match(
    state: ClusterState,
    claim: PersistentVolumeClaim,
    nodes: Nodes,
    left: Mask,
    taken: dict[str, Mask],
    choices: Choices,
) -> Mask:
    """Give a claim a volume that exists, and return the nodes where there is none for it."""
    storage, size = state.storage, size_of(claim) or 0
    unmet, undecided = left.copy(), left.copy()

    def give(stored: StoredVolume, where: Mask) -> None:
        name = stored.volume.metadata.name
        # The volume as it stands: upstream does not look at it through its CSI driver here.
        found = where & _meets(state, stored.reach, nodes)
        if found.any():
            choices.volumes.append((claim.metadata.key, name, found))
            taken[name] = found | taken.get(name, False)
            unmet[found] = False

    for stored in storage.meant_for(claim):
        volume = stored.volume
        if volume.class_name == claim.class_name and stored.size >= size and _suits(volume, claim):
            where = undecided & ~taken.get(volume.metadata.name, np.False_)
            give(stored, where)
            undecided &= ~where
    selector = claim.spec.selector
    wanted = _EVERYTHING if selector is None else from_label_selector(selector)
    for stored in storage.free(claim.class_name, size):
        if not undecided.any():
            break
        volume = stored.volume
        if (
            _suits(volume, claim)
            and wanted.matches(volume.metadata.labels)
            and set(claim.spec.access_modes) <= set(volume.spec.access_modes)
        ):
            give(stored, undecided & ~taken.get(volume.metadata.name, np.False_))
            undecided &= unmet
    return unmet


def _suits(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Return whether a volume is what a claim wants in what even a volume of its own must be."""
    return (
        (volume.spec.volume_mode or _FILESYSTEM) == (claim.spec.volume_mode or _FILESYSTEM)
        and (volume.spec.volume_attributes_class_name or "")
        == (claim.spec.volume_attributes_class_name or "")
        and volume.metadata.deletion_timestamp is None
    )


def _provision(
    state: ClusterState,
    claim: PersistentVolumeClaim,
    nodes: Nodes,
    where: Mask,
    choices: Choices,
) -> None:
    """Have a volume made for a claim where that can be done."""
    if not where.any():
        return
    storage_class = state.storage.classes.get(claim.class_name)
    if storage_class is None or storage_class.provisioner in ("", NO_PROVISIONER):
        choices.codes[where] = BIND_CONFLICT
        return
    allowed = where & _is_allowed(state, storage_class, nodes)
    choices.codes[where & ~allowed] = BIND_CONFLICT
    roomy = allowed & _has_room(state, storage_class, claim, nodes)
    choices.codes[allowed & ~roomy] = NO_SPACE
    choices.provisioned.append((claim.metadata.key, roomy))


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
