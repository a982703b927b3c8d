"""VolumeUse: which volumes the pods of each node use, and how many each driver has attached there.

Who uses which claim is counted as pods come and go. What a claim counts as for a driver depends on
claims, volumes and classes as they are now, so this is worked out anew, per node, for the nodes
that a change may concern, when somebody asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.storage import (
    CSINode,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
    StorageObject,
    VolumeAttachment,
)
from kubeberth.placement.migration import CSI_DRIVERS
from kubeberth.placement.node_table import NodeTable
from kubeberth.placement.pod_volumes import Disk, Migratable, PodVolumes
from kubeberth.placement.storage import Storage
from kubeberth.placement.stored_volume import CsiVolume

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)

_NO_LIMIT = -1
# What the API allows; a count below zero leaves room for nothing.
_MAX_LIMIT = 2**31 - 1


class DriverColumn:
    """One driver on all nodes.

    Attributes
    ----------
    limits
        ndarray of int64, shape (n_slots,): how many volumes can be attached, -1 for any number.
    attached
        ndarray of int64, shape (n_slots,): how many are; only kept where there is a limit.
    """

    def __init__(self, n_slots: int) -> None:
        self.limits: NDArray[np.int64] = np.full(n_slots, _NO_LIMIT, dtype=np.int64)
        self.attached: NDArray[np.int64] = np.zeros(n_slots, dtype=np.int64)

    def grow(self, n_slots: int) -> None:
        """Make room for more nodes."""
        more = n_slots - len(self.limits)
        self.limits = np.pad(self.limits, (0, more), constant_values=_NO_LIMIT)
        self.attached = np.pad(self.attached, (0, more))


class VolumeUse:
    """The use of volumes in one cluster."""

    def __init__(self, storage: Storage, nodes: NodeTable) -> None:
        self._storage = storage
        self._nodes = nodes
        self._claims: dict[int, Counter[str]] = {}
        self._inline: dict[int, Counter[Migratable]] = {}
        self._slots_of_claim: dict[str, Counter[int]] = {}
        self._disks: dict[tuple[str, ...], dict[int, Counter[Disk]]] = {}
        self._users: dict[str, Counter[int]] = {}
        self._tried: Counter[str] = Counter()
        # What drivers have attached, up to date but for these nodes.
        self._n_slots = 0
        self._stale: set[int] = set()
        self._columns: dict[str, DriverColumn] = {}
        self._migrated: dict[str, NDArray[np.bool_]] = {}
        self._attached: dict[int, frozenset[tuple[str, str]]] = {}
        self._slots_of_volume: dict[tuple[str, str], set[int]] = {}

    # Pods

    def count(self, slot: int, namespace: str, volumes: PodVolumes, sign: int) -> None:
        """Add (+1) or subtract (-1) what a pod uses on its node."""
        for use in volumes.claims:
            key = f"{namespace}/{use.name}"
            _count(self._claims, slot, key, sign)
            _count(self._slots_of_claim, key, slot, sign)
            if not use.is_ephemeral:
                _count(self._users, key, slot, sign)
        for volume in volumes.migratable:
            _count(self._inline, slot, volume, sign)
        for disk in volumes.disks:
            _count(self._disks.setdefault(disk.identity, {}), slot, disk, sign)
        if volumes.claims or volumes.migratable:
            self._stale.add(slot)

    def note_trial(self, namespace: str, volumes: PodVolumes, sign: int) -> None:
        """Note that a pod is counted (+1) or left out (-1) only for the sake of a trial."""
        for use in volumes.claims:
            if not use.is_ephemeral:
                key = f"{namespace}/{use.name}"
                self._tried[key] += sign
                if not self._tried[key]:
                    del self._tried[key]

    def n_conflicts(self, claims: Iterable[str]) -> int:
        """Return how many of some claims, each for one pod only, are in use.

        As upstream, a pod that comes or goes in a trial adds or takes off one for each claim of
        such a name, whatever its namespace.
        """
        keys = set(claims)
        names = {_name(key) for key in keys}
        in_use = sum(self._n_users(key) > self._tried[key] for key in keys)
        return in_use + sum(n for key, n in self._tried.items() if _name(key) in names)

    def conflicting(self, disk: Disk) -> Iterator[int]:
        """Yield the nodes where a pod has a disk that it does not share with this one."""
        for slot, disks in self._disks.get(disk.identity, {}).items():
            if any(disk.conflicts(other) for other in disks):
                yield slot

    # Drivers

    def column(self, driver: str) -> DriverColumn | None:
        """Return how full a driver's nodes are; None when it has no limit anywhere."""
        self._refresh()
        return self._columns.get(driver)

    def attached_at(self, volume: CsiVolume) -> Iterable[int]:
        """Return the nodes, of those with a limit, where a volume is attached already."""
        self._refresh()
        return self._slots_of_volume.get((volume.driver, volume.handle), ())

    def migrated(self, plugin: str) -> NDArray[np.bool_]:
        """Return where a driver does a plugin's work: ndarray of bool, shape (n_slots,)."""
        self._refresh()
        found = self._migrated.get(plugin)
        return np.zeros(self._nodes.n_slots, dtype=bool) if found is None else found

    def note_node(self, slot: int) -> None:
        """Note that a slot has another node, or none."""
        self._stale.add(slot)

    def note(self, kind: type[StorageObject], key: str) -> None:
        """Note that an object has come, changed or gone; call it before and after it goes."""
        storage = self._storage
        if kind is PersistentVolumeClaim:
            self._stale.update(self._slots_of_claim.get(key, ()))
        elif kind is PersistentVolume:
            for claim in storage.claims_of(key):
                self._stale.update(self._slots_of_claim.get(claim, ()))
            self._note_names(storage.nodes_of(key))
        elif kind is StorageClass:
            self._stale.update(self._claims)
        elif kind is CSINode:
            self._note_names((key,))
        elif kind is VolumeAttachment and key in storage.attachments:
            self._note_names((storage.attachments[key].spec.node_name,))

    def copy(self, storage: Storage, nodes: NodeTable) -> VolumeUse:
        """Return one over copies of storage and nodes that changes on its own from now on."""
        other = VolumeUse(storage, nodes)
        other._claims = {slot: uses.copy() for slot, uses in self._claims.items()}
        other._inline = {slot: uses.copy() for slot, uses in self._inline.items()}
        other._slots_of_claim = {key: slots.copy() for key, slots in self._slots_of_claim.items()}
        other._disks = {
            identity: {slot: disks.copy() for slot, disks in slots.items()}
            for identity, slots in self._disks.items()
        }
        other._users = {key: slots.copy() for key, slots in self._users.items()}
        return other

    def _n_users(self, key: str) -> int:
        return sum(self._users.get(key, Counter()).values())

    def _note_names(self, names: Iterable[str]) -> None:
        slots = (self._nodes.slot_of.get(name) for name in names)
        self._stale.update(slot for slot in slots if slot is not None)

    def _refresh(self) -> None:
        n_slots = self._nodes.n_slots
        if n_slots > self._n_slots:
            self._stale.update(range(self._n_slots, n_slots))
            self._n_slots = n_slots
            for column in self._columns.values():
                column.grow(n_slots)
            for plugin, mask in self._migrated.items():
                self._migrated[plugin] = np.pad(mask, (0, n_slots - len(mask)))
        for slot in self._stale:
            self._recount(slot)
        self._stale.clear()

    def _recount(self, slot: int) -> None:
        csi_node = self._csi_node(slot)
        plugins = csi_node.migrated_plugins if csi_node is not None else frozenset()
        limits = {
            driver.name: min(max(driver.allocatable.count, 0), _MAX_LIMIT)
            for driver in (csi_node.spec.drivers if csi_node is not None else ())
            if driver.allocatable is not None and driver.allocatable.count is not None
        }
        volumes = self._volumes_at(slot, plugins) if limits else frozenset()
        for volume in self._attached.pop(slot, frozenset()) - volumes:
            slots = self._slots_of_volume[volume]
            slots.discard(slot)
            if not slots:
                del self._slots_of_volume[volume]
        if volumes:
            self._attached[slot] = volumes
        for volume in volumes:
            self._slots_of_volume.setdefault(volume, set()).add(slot)
        for name in limits.keys() - self._columns.keys():
            self._columns[name] = DriverColumn(self._n_slots)
        counts = Counter(driver for driver, _ in volumes)
        for name, column in self._columns.items():
            column.limits[slot] = limits.get(name, _NO_LIMIT)
            column.attached[slot] = counts[name]
        for name in plugins - self._migrated.keys():
            self._migrated[name] = np.zeros(self._n_slots, dtype=bool)
        for name, mask in self._migrated.items():
            mask[slot] = name in plugins

    def _csi_node(self, slot: int) -> CSINode | None:
        if not self._nodes.exists[slot]:
            return None
        return self._storage.csi_nodes.get(self._nodes.name_of[slot])

    def _volumes_at(self, slot: int, plugins: frozenset[str]) -> frozenset[tuple[str, str]]:
        """Return driver and handle of what pods use on a node, or what is attached to it."""
        storage = self._storage
        found = {
            (volume.driver, volume.handle)
            for key in self._claims.get(slot, ())
            if (volume := storage.csi_volume(key))
            and (not volume.plugin or volume.plugin in plugins)
        }
        for inline in self._inline.get(slot, ()):
            if inline.plugin in plugins:
                found.add((CSI_DRIVERS[inline.plugin], inline.handle))
        for attachment in storage.attached_to(self._nodes.name_of[slot]):
            name = attachment.spec.source.persistent_volume_name
            stored = storage.volumes.get(name) if name is not None else None
            source = stored.volume.spec.csi if stored is not None else None
            if source is not None and attachment.spec.attacher:
                found.add((attachment.spec.attacher, source.volume_handle))
        return frozenset(found)


def _count(counters: dict[K, Counter[V]], key: K, value: V, sign: int) -> None:
    counter = counters.get(key)
    if counter is None:
        counter = counters[key] = Counter()
    counter[value] += sign
    if not counter[value]:
        del counter[value]
        if not counter:
            del counters[key]


def _name(claim_key: str) -> str:
    return claim_key.partition("/")[2]
