"""Storage: claims, volumes and all that says where volumes are and can be.

Input: the objects as they are in the API, and the reservations of pods that are assumed. A
reservation holds until the object itself says the same, or the pod goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubeberth.api.storage import (
    SELECTED_NODE,
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
from kubeberth.placement.free_volumes import FreeVolumes
from kubeberth.placement.migration import CSI_DRIVERS
from kubeberth.placement.reservation import BindClaim, ProvisionClaim, Reservation
from kubeberth.placement.stored_volume import CsiVolume, StoredVolume, to_stored


class Storage:
    """The objects, by kind.

    Attributes
    ----------
    claims, capacities
        By `namespace/name`.
    volumes, classes, csi_nodes, drivers, attachments
        By name.
    """

    def __init__(self) -> None:
        self.claims: dict[str, PersistentVolumeClaim] = {}
        self.volumes: dict[str, StoredVolume] = {}
        self.classes: dict[str, StorageClass] = {}
        self.csi_nodes: dict[str, CSINode] = {}
        self.drivers: dict[str, CSIDriver] = {}
        self.capacities: dict[str, CSIStorageCapacity] = {}
        self.attachments: dict[str, VolumeAttachment] = {}
        self._free: dict[str, FreeVolumes] = {}
        self._meant_for: dict[str, set[str]] = {}
        self._claims_on: dict[str, set[str]] = {}
        self._attached_to: dict[str, set[str]] = {}
        self._attachments_of: dict[str, set[str]] = {}
        # Promises: who holds each one, and what is in force of them.
        self._holders: dict[Reservation, set[str]] = {}
        self._taken: dict[str, str] = {}
        self._promised: dict[str, set[str]] = {}
        self._selected: dict[str, str] = {}

    # Reading

    def claim(self, key: str) -> PersistentVolumeClaim | None:
        """Return the claim `namespace/name`, or None."""
        return self.claims.get(key)

    def waits_for_consumer(self, claim: PersistentVolumeClaim) -> bool:
        """Return whether a claim is to be bound once its pod is placed."""
        storage_class = self.classes.get(claim.class_name)
        return storage_class is not None and (
            storage_class.volume_binding_mode == WAIT_FOR_FIRST_CONSUMER
        )

    def selected_node(self, claim: PersistentVolumeClaim) -> str | None:
        """Return the node for which a volume is being made, or None."""
        selected = self._selected.get(claim.metadata.key)
        return claim.metadata.annotations.get(SELECTED_NODE) if selected is None else selected

    def meant_for(self, claim: PersistentVolumeClaim) -> list[StoredVolume]:
        """Return the volumes that name a claim, or are promised to it, by name."""
        key = claim.metadata.key
        names = self._meant_for.get(key, set()) | self._promised.get(key, set())
        found = [self.volumes[name] for name in sorted(names) if name in self.volumes]
        return [stored for stored in found if self._is_for(stored.volume, claim)]

    def free(self, class_name: str) -> FreeVolumes:
        """Return the volumes of a class that nobody has."""
        found = self._free.get(class_name)
        if found is None:
            found = self._free[class_name] = FreeVolumes()
        return found

    def attached_to(self, node_name: str) -> Iterator[VolumeAttachment]:
        """Yield the attachments to a node."""
        for name in self._attached_to.get(node_name, ()):
            yield self.attachments[name]

    def csi_volume(self, claim_key: str) -> CsiVolume | None:
        """Return what a driver counts for a claim; None when none does.

        A claim without a volume counts as a volume of its own, of its class's driver.
        """
        claim = self.claims.get(claim_key)
        if claim is None:
            return None
        stored = self.volumes.get(claim.spec.volume_name)
        if stored is not None:
            return stored.csi
        storage_class = self.classes.get(claim.class_name)
        if storage_class is None or not storage_class.provisioner:
            return None
        provisioner = storage_class.provisioner
        driver = CSI_DRIVERS.get(provisioner)
        if driver is None:
            return CsiVolume(provisioner, f"claim:{claim_key}")
        return CsiVolume(driver, f"claim:{claim_key}", provisioner)

    def claims_of(self, volume_name: str) -> Iterable[str]:
        """Return the keys of the claims that name a volume."""
        return self._claims_on.get(volume_name, ())

    def nodes_of(self, volume_name: str) -> set[str]:
        """Return the names of the nodes to which a volume is attached."""
        names = self._attachments_of.get(volume_name, ())
        return {self.attachments[name].spec.node_name for name in names}

    # Changing

    def put(self, item: StorageObject) -> None:
        """Enter an object, or a new version of it; its sizes are known to be quantities."""
        match item:
            case PersistentVolumeClaim():
                self._drop_claim(item.metadata.key)
                self._put_claim(item)
            case PersistentVolume():
                stored = to_stored(item)
                self._drop_volume(item.metadata.name)
                self._put_volume(stored)
            case VolumeAttachment():
                self._drop_attachment(item.metadata.name)
                self._put_attachment(item)
            case StorageClass():
                self.classes[item.metadata.name] = item
            case CSINode():
                self.csi_nodes[item.metadata.name] = item
            case CSIDriver():
                self.drivers[item.metadata.name] = item
            case CSIStorageCapacity():
                self.capacities[item.metadata.key] = item

    def remove(self, kind: type[StorageObject], key: str) -> None:
        """Take an object out, by `namespace/name` or name; nothing happens when it is not there."""
        if kind is PersistentVolumeClaim:
            self._drop_claim(key)
        elif kind is PersistentVolume:
            self._drop_volume(key)
        elif kind is VolumeAttachment:
            self._drop_attachment(key)
        elif kind is StorageClass:
            self.classes.pop(key, None)
        elif kind is CSINode:
            self.csi_nodes.pop(key, None)
        elif kind is CSIDriver:
            self.drivers.pop(key, None)
        else:
            self.capacities.pop(key, None)

    def reserve(self, pod_key: str, reservations: Iterable[Reservation]) -> None:
        """Keep what a pod has been promised from others."""
        for promise in reservations:
            self._holders.setdefault(promise, set()).add(pod_key)
            if isinstance(promise, BindClaim):
                self._take(promise.volume, promise.claim)
                self._promised.setdefault(promise.claim, set()).add(promise.volume)
            else:
                self._selected[promise.claim] = promise.node

    def release(self, pod_key: str, reservations: Iterable[Reservation]) -> None:
        """Give back what a pod has been promised, unless another pod shares the promise."""
        for promise in reservations:
            holders = self._holders.get(promise)
            if holders is None or pod_key not in holders:
                continue
            holders.remove(pod_key)
            if not holders and isinstance(promise, BindClaim):
                self._end_promise_of(promise.volume)
            elif not holders:
                self._end_selection_for(promise.claim)

    def copy(self) -> Storage:
        """Return one that changes on its own from now on."""
        other = Storage()
        other.claims, other.volumes = self.claims.copy(), self.volumes.copy()
        other.classes, other.csi_nodes = self.classes.copy(), self.csi_nodes.copy()
        other.drivers, other.capacities = self.drivers.copy(), self.capacities.copy()
        other.attachments = self.attachments.copy()
        other._free = {name: free.copy() for name, free in self._free.items()}
        other._meant_for = _deep(self._meant_for)
        other._claims_on = _deep(self._claims_on)
        other._attached_to = _deep(self._attached_to)
        other._attachments_of = _deep(self._attachments_of)
        other._holders = {promise: pods.copy() for promise, pods in self._holders.items()}
        other._taken, other._selected = self._taken.copy(), self._selected.copy()
        other._promised = _deep(self._promised)
        return other

    def _put_claim(self, claim: PersistentVolumeClaim) -> None:
        key = claim.metadata.key
        self.claims[key] = claim
        if claim.spec.volume_name:
            self._claims_on.setdefault(claim.spec.volume_name, set()).add(key)
        if claim.spec.volume_name or SELECTED_NODE in claim.metadata.annotations:
            self._end_selection_for(key)

    def _drop_claim(self, key: str) -> None:
        claim = self.claims.pop(key, None)
        if claim is not None and claim.spec.volume_name:
            _discard(self._claims_on, claim.spec.volume_name, key)

    def _put_volume(self, stored: StoredVolume) -> None:
        volume = stored.volume
        name, owner = volume.metadata.name, volume.spec.claim_ref
        self.volumes[name] = stored
        if owner is not None:
            self._meant_for.setdefault(f"{owner.namespace}/{owner.name}", set()).add(name)
            self._end_promise_of(name)
        elif stored.is_free and name not in self._taken:
            self.free(volume.class_name).add(stored)

    def _drop_volume(self, name: str) -> None:
        stored = self.volumes.pop(name, None)
        if stored is None:
            return
        owner = stored.volume.spec.claim_ref
        if owner is not None:
            _discard(self._meant_for, f"{owner.namespace}/{owner.name}", name)
        elif stored.is_free and name not in self._taken:
            self._free[stored.volume.class_name].remove(stored)

    def _put_attachment(self, attachment: VolumeAttachment) -> None:
        spec, name = attachment.spec, attachment.metadata.name
        self.attachments[name] = attachment
        self._attached_to.setdefault(spec.node_name, set()).add(name)
        volume = spec.source.persistent_volume_name
        if volume is not None:
            self._attachments_of.setdefault(volume, set()).add(name)

    def _drop_attachment(self, name: str) -> None:
        attachment = self.attachments.pop(name, None)
        if attachment is None:
            return
        _discard(self._attached_to, attachment.spec.node_name, name)
        volume = attachment.spec.source.persistent_volume_name
        if volume is not None:
            _discard(self._attachments_of, volume, name)

    def _take(self, volume_name: str, claim: str) -> None:
        stored = self.volumes.get(volume_name)
        if stored is not None and stored.is_free and volume_name not in self._taken:
            self._free[stored.volume.class_name].remove(stored)
        self._taken[volume_name] = claim

    def _end_promise_of(self, volume_name: str) -> None:
        claim = self._taken.pop(volume_name, None)
        if claim is None:
            return
        self._holders.pop(BindClaim(claim, volume_name), None)
        _discard(self._promised, claim, volume_name)
        stored = self.volumes.get(volume_name)
        if stored is not None and stored.is_free:
            self.free(stored.volume.class_name).add(stored)

    def _end_selection_for(self, claim: str) -> None:
        node = self._selected.pop(claim, None)
        if node is not None:
            self._holders.pop(ProvisionClaim(claim, node), None)

    def _is_for(self, volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
        """Return whether a volume names this very claim and not an earlier one of its name."""
        owner = volume.spec.claim_ref
        if owner is None:
            return self._taken.get(volume.metadata.name) == claim.metadata.key
        return not owner.uid or owner.uid == claim.metadata.uid


def _discard(sets: dict[str, set[str]], key: str, value: str) -> None:
    members = sets.get(key)
    if members is not None:
        members.discard(value)
        if not members:
            del sets[key]


def _deep(sets: dict[str, set[str]]) -> dict[str, set[str]]:
    return {key: members.copy() for key, members in sets.items()}
