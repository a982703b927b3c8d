"""Edits for VolumeBinding: a volume that a claim can have, or the claim that was probably meant."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from kubeberth.api.core import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod
from kubeberth.api.meta import ObjectMeta, ObjectReference
from kubeberth.api.near import near_miss
from kubeberth.api.node_labels import ZONE
from kubeberth.api.storage import (
    BIND_COMPLETED,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeSpec,
    PersistentVolumeStatus,
    VolumeNodeAffinity,
)
from kubeberth.api.volumes import Volume
from kubeberth.placement.remedies.edit import ADD_VOLUME, CORRECT, Alternative, Edit, with_spec
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState


def claim_edits(state: ClusterState, pod: Pod, request: PodRequest) -> Iterator[Alternative]:
    """Yield what would give a pod its claims, wherever it goes then."""
    there = {
        key.rpartition("/")[2]
        for key in state.storage.claims
        if key.startswith(f"{request.namespace}/")
    }
    for use in request.volumes.claims:
        meant = near_miss(use.name, there) if use.name not in there else ""
        if meant:
            yield (_rename_claim(use.name, meant),)
    storage = state.storage
    known = (storage.claim(request.claim_key(use)) for use in request.volumes.claims)
    unbound = [c for c in known if c is not None and not c.is_bound]
    if unbound and not any(map(storage.waits_for_consumer, unbound)):
        yield tuple(_add_volume(claim, "", is_bound=True) for claim in unbound)


def volume_edits(
    state: ClusterState, pod: Pod, request: PodRequest, slot: int
) -> Iterator[Alternative]:
    """Yield the volumes that are missing in the part of the cluster where a node is."""
    labels = state.node(slot).metadata.labels
    zone = labels.get(ZONE, "")
    waiting = [
        claim
        for use in request.volumes.claims
        if (claim := state.storage.claim(request.claim_key(use))) is not None and not claim.is_bound
    ]
    if waiting:
        yield tuple(_add_volume(claim, zone, is_bound=False) for claim in waiting)


def _rename_claim(old: str, new: str) -> Edit:
    def renamed(volume: Volume) -> Volume:
        claim = volume.persistent_volume_claim
        if claim is None or claim.claim_name != old:
            return volume
        return replace(volume, persistent_volume_claim=replace(claim, claim_name=new))

    def change(pod: Pod) -> Pod:
        return with_spec(pod, volumes=tuple(map(renamed, pod.spec.volumes)))

    return Edit("correct-value", f"correct claimName {old} to {new}", CORRECT, on_pod=change)


def _add_volume(claim: PersistentVolumeClaim, zone: str, *, is_bound: bool) -> Edit:
    """Return a volume that a claim can have, or is bound to as soon as it is there."""
    name = f"for-{claim.metadata.namespace}-{claim.metadata.name}"
    size = claim.spec.resources.requests.get("storage", "1")
    affinity = None
    if zone:
        entry = NodeSelectorRequirement(key=ZONE, operator="In", values=(zone,))
        term = NodeSelectorTerm(match_expressions=(entry,))
        affinity = VolumeNodeAffinity(required=NodeSelector(node_selector_terms=(term,)))
    volume = PersistentVolume(
        metadata=ObjectMeta(name=name),
        spec=PersistentVolumeSpec(
            capacity={"storage": size},
            access_modes=claim.spec.access_modes,
            storage_class_name=claim.class_name,
            volume_mode=claim.spec.volume_mode,
            node_affinity=affinity,
            claim_ref=_reference(claim) if is_bound else None,
        ),
        status=PersistentVolumeStatus(phase="Bound" if is_bound else "Available"),
    )
    come = (volume, _bound(claim, name)) if is_bound else (volume,)
    modes = ", ".join(claim.spec.access_modes)
    text = (
        f"create a PersistentVolume of {size}, {modes}, for claim {claim.metadata.key}"
        + (f" of class {claim.class_name}" if claim.class_name else "")
        + (f" in zone {zone}" if zone else "")
    )
    return Edit("add-volume", text, ADD_VOLUME, volumes_come=come)


def _reference(claim: PersistentVolumeClaim) -> ObjectReference:
    meta = claim.metadata
    return ObjectReference(namespace=meta.namespace, name=meta.name, uid=meta.uid)


def _bound(claim: PersistentVolumeClaim, volume_name: str) -> PersistentVolumeClaim:
    annotations = {**claim.metadata.annotations, BIND_COMPLETED: "yes"}
    return replace(
        claim,
        metadata=replace(claim.metadata, annotations=annotations),
        spec=replace(claim.spec, volume_name=volume_name),
    )
