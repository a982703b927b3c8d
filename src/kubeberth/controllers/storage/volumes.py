"""Volumes and claims: who is bound to whom, and what may go.

Matches Kubernetes 1.36 (`pkg/controller/volume/persistentvolume`, `pvcprotection` and
`pvprotection`). Volumes that do not exist yet are made elsewhere (`volume_provisioning.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from kubeberth.api.core import Pod
from kubeberth.api.meta import HasMetadata
from kubeberth.api.quantity import parse_quantity
from kubeberth.api.scheme import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    STORAGE_CLASSES,
    Resource,
)
from kubeberth.api.selectors import from_label_selector
from kubeberth.api.storage import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    NO_PROVISIONER,
    SELECTED_NODE,
    WAIT_FOR_FIRST_CONSUMER,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
)
from kubeberth.controllers.action import Action, Failure, Outcome, PatchObject, RecordEvent
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.reconciler import Reconciler

VOLUME_FINALIZER = "kubernetes.io/pv-protection"
CLAIM_FINALIZER = "kubernetes.io/pvc-protection"


def reconcile_volume(volume: PersistentVolume, claim: PersistentVolumeClaim | None) -> Outcome:
    """Return what a volume needs, given the claim that it names."""
    ref, phase = ref_of(PERSISTENT_VOLUMES, volume), _phase_of(volume, claim)
    actions: list[Action] = []
    if volume.status.phase != phase:
        actions.append(PatchObject(ref, {"status": {"phase": phase}}, "status", if_present=True))
    if phase != "Bound" and (done := _unprotected(volume, VOLUME_FINALIZER)) is not None:
        actions.append(PatchObject(ref, done, if_present=True))
    return Outcome(tuple(actions))


def _phase_of(volume: PersistentVolume, claim: PersistentVolumeClaim | None) -> str:
    reference = volume.spec.claim_ref
    if reference is None or not reference.uid:
        return "Available"
    if claim is None or claim.metadata.uid != reference.uid:
        return "Released"
    return "Bound" if claim.spec.volume_name == volume.metadata.name else volume.status.phase


def _unprotected(item: HasMetadata, finalizer: str) -> dict[str, Any] | None:
    """Return the patch that lets a deleted object go; None when nothing holds it here."""
    meta = item.metadata
    if meta.deletion_timestamp is None or finalizer not in meta.finalizers:
        return None
    others = [name for name in meta.finalizers if name != finalizer]
    return {"metadata": {"uid": meta.uid, "finalizers": others or None}}


def reconcile_claim(
    claim: PersistentVolumeClaim,
    volume: PersistentVolume | None,
    others: Iterable[PersistentVolume],
    *,
    storage_class: StorageClass | None,
    is_used: bool,
) -> Outcome:
    """Return what a claim needs.

    Parameters
    ----------
    volume
        The one that it names.
    others
        Volumes that it could be bound to.
    storage_class
        Its class, if there is such a class.
    is_used
        Whether a pod on a node has it.
    """
    ref = ref_of(PERSISTENT_VOLUME_CLAIMS, claim)
    if not is_used and (done := _unprotected(claim, CLAIM_FINALIZER)) is not None:
        return Outcome((PatchObject(ref, done, if_present=True),))
    if claim.metadata.deletion_timestamp is not None:
        return Outcome()
    if not claim.spec.volume_name:
        # One whose class waits is left to the scheduler until a pod needs it: it gets no other
        # volume here than one that was made, or set aside, for it.
        waits = (
            storage_class is not None
            and storage_class.volume_binding_mode == WAIT_FOR_FIRST_CONSUMER
        )
        own = [v for v in others if _is_set_aside(v, claim)]
        chosen = _smallest(claim, own if waits or own else others)
        if chosen is not None:
            return Outcome(tuple(_bind(claim, chosen)))
        return Outcome(tuple(_explain(claim, storage_class, waits=waits)))
    if volume is None:
        return Outcome() if claim.status.phase != "Bound" else Outcome((_tell(claim, "Lost"),))
    owner = volume.spec.claim_ref
    is_mine = owner is not None and owner.uid == claim.metadata.uid
    if is_mine and claim.status.phase != "Bound":
        return Outcome((_tell(claim, "Bound", volume),))
    return Outcome()


def _tell(
    claim: PersistentVolumeClaim, phase: str, volume: PersistentVolume | None = None
) -> PatchObject:
    status: dict[str, Any] = {"phase": phase}
    if volume is not None:
        spec = volume.spec
        status |= {"accessModes": list(spec.access_modes), "capacity": dict(spec.capacity)}
    ref = ref_of(PERSISTENT_VOLUME_CLAIMS, claim)
    return PatchObject(ref, {"status": status}, "status", if_present=True)


def _explain(
    claim: PersistentVolumeClaim, storage_class: StorageClass | None, *, waits: bool
) -> Iterator[RecordEvent]:
    """Yield what is told of a claim for which there is no volume yet."""
    me, name = ref_of(PERSISTENT_VOLUME_CLAIMS, claim), claim.class_name
    if not name:
        message = "no persistent volumes available for this claim and no storage class is set"
        yield RecordEvent(me, "FailedBinding", message)
    elif storage_class is None:
        message = f'storageclass.storage.k8s.io "{name}" not found'
        yield RecordEvent(me, "ProvisioningFailed", message, "Warning")
    elif waits and SELECTED_NODE not in claim.metadata.annotations:
        message = "waiting for first consumer to be created before binding"
        yield RecordEvent(me, "WaitForFirstConsumer", message)
    elif storage_class.provisioner == NO_PROVISIONER:
        message = f"no volume plugin matched name: {NO_PROVISIONER}"
        yield RecordEvent(me, "ProvisioningFailed", message, "Warning")
    else:
        message = (
            "Waiting for a volume to be created either by the external provisioner "
            f"'{storage_class.provisioner}' or manually by the system administrator. If volume "
            "creation is delayed, please verify that the provisioner is running and correctly "
            "registered."
        )
        yield RecordEvent(me, "ExternalProvisioning", message)


def _is_set_aside(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Return whether a volume is for this claim and no other."""
    reference, meta = volume.spec.claim_ref, claim.metadata
    return (
        reference is not None
        and (reference.namespace, reference.name) == (meta.namespace, meta.name)
        and reference.uid in ("", meta.uid)
    )


def _smallest(
    claim: PersistentVolumeClaim, volumes: Iterable[PersistentVolume]
) -> PersistentVolume | None:
    fitting = [volume for volume in volumes if _fits(claim, volume)]
    return min(fitting, key=lambda v: (_size(v.spec.capacity), v.metadata.name), default=None)


def _fits(claim: PersistentVolumeClaim, volume: PersistentVolume) -> bool:
    wanted, spec = claim.spec, volume.spec
    is_own = _is_set_aside(volume, claim)
    is_free = spec.claim_ref is None and volume.status.phase == "Available"
    is_selected = wanted.selector is None or from_label_selector(wanted.selector).matches(
        volume.metadata.labels
    )
    return (
        volume.metadata.deletion_timestamp is None
        and (is_own or is_free)
        and spec.storage_class_name == claim.class_name
        and set(wanted.access_modes) <= set(spec.access_modes)
        and (wanted.volume_mode or "Filesystem") == (spec.volume_mode or "Filesystem")
        and _size(spec.capacity) >= _size(wanted.resources.requests)
        and is_selected
    )


def _size(amounts: Any) -> int:
    amount = amounts.get("storage")
    return parse_quantity(amount).nanos if amount else 0


def _bind(claim: PersistentVolumeClaim, volume: PersistentVolume) -> Iterator[Action]:
    """Yield what binds the two: the volume first, so that no other claim gets it."""
    reference = msgspec.to_builtins(ref_of(PERSISTENT_VOLUME_CLAIMS, claim).reference())
    yield PatchObject(
        ref_of(PERSISTENT_VOLUMES, volume),
        {
            "metadata": {"annotations": {BOUND_BY_CONTROLLER: "yes"}},
            "spec": {"claimRef": reference},
        },
    )
    annotations = {BIND_COMPLETED: "yes", BOUND_BY_CONTROLLER: "yes"}
    yield PatchObject(
        ref_of(PERSISTENT_VOLUME_CLAIMS, claim),
        {"metadata": {"annotations": annotations}, "spec": {"volumeName": volume.metadata.name}},
    )


class VolumeReconciler(Reconciler):
    """Feeds `reconcile_volume` from the cache; keys are volumes."""

    name = "persistentvolume-controller"
    account = "persistent-volume-binder"
    resource = PERSISTENT_VOLUMES
    follows = (PERSISTENT_VOLUME_CLAIMS,)

    def keys_behind(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the volume that a claim speaks of which changed."""
        claims = [c for c in (old, new) if isinstance(c, PersistentVolumeClaim)]
        return {claim.spec.volume_name for claim in claims if claim.spec.volume_name}

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what the volume needs."""
        volume = cache.get(PERSISTENT_VOLUMES, key)
        if volume is None:
            return Outcome()
        reference = volume.spec.claim_ref
        claim_key = "" if reference is None else f"{reference.namespace}/{reference.name}"
        return reconcile_volume(volume, cache.get(PERSISTENT_VOLUME_CLAIMS, claim_key))


class ClaimReconciler(Reconciler):
    """Feeds `reconcile_claim` from the cache; keys are claims."""

    # Upstream one controller does both, and its events are known by its name.
    name = "persistentvolume-controller"
    account = "persistent-volume-binder"
    resource = PERSISTENT_VOLUME_CLAIMS
    follows = (PERSISTENT_VOLUMES, STORAGE_CLASSES, PODS)

    def keys_behind(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the claims that lost a pod, or that may be waiting for a volume."""
        if resource == PODS:
            if isinstance(old, Pod) and (new is None or _is_over(new)):
                return [f"{old.metadata.namespace}/{name}" for name in _claims_of(old)]
            return []
        if new is None:
            return []
        claims = cache.all(PERSISTENT_VOLUME_CLAIMS).items()
        return [key for key, claim in claims if claim.status.phase != "Bound"]

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what the claim needs."""
        claim = cache.get(PERSISTENT_VOLUME_CLAIMS, key)
        if claim is None:
            return Outcome()
        storage_class = cache.get(STORAGE_CLASSES, claim.class_name)
        return reconcile_claim(
            claim,
            cache.get(PERSISTENT_VOLUMES, claim.spec.volume_name),
            cache.all(PERSISTENT_VOLUMES).values(),
            storage_class=storage_class,
            is_used=_is_used(cache, claim),
        )


def _is_used(cache: Cache, claim: PersistentVolumeClaim) -> bool:
    if claim.metadata.deletion_timestamp is None:
        return True  # nobody asks
    pods = cache.in_namespace(PODS, claim.metadata.namespace).values()
    return any(
        pod.spec.node_name and not _is_over(pod) and claim.metadata.name in _claims_of(pod)
        for pod in pods
    )


def _is_over(pod: HasMetadata) -> bool:
    return isinstance(pod, Pod) and pod.is_terminal


def _claims_of(pod: Pod) -> Iterator[str]:
    """Yield the names of the claims that a pod has, its own included."""
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim is not None:
            yield volume.persistent_volume_claim.claim_name
        elif volume.ephemeral is not None:
            yield f"{pod.metadata.name}-{volume.name}"
