"""Volumes that are made for claims: a simulated provisioner.

Does for storage classes that name it what an external provisioner does in a real cluster, with the
same annotations and events; there are no disks behind the volumes.

Rule 1: a claim whose class waits gets its volume when the scheduler has chosen a node.
Rule 2: a volume can be reached from the nodes that agree with its own in one label, by default the
zone. Where nothing waits for a pod, claims are spread over the zones by their names.
Rule 3: a volume that is released goes, unless its class says `Retain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32

import msgspec

from kubeberth.api.core import Node
from kubeberth.api.meta import HasMetadata
from kubeberth.api.node_labels import ZONE
from kubeberth.api.scheme import (
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    STORAGE_CLASSES,
    Resource,
)
from kubeberth.api.storage import (
    IS_DEFAULT_CLASS,
    NO_PROVISIONER,
    PROVISIONED_BY,
    SELECTED_NODE,
    WAIT_FOR_FIRST_CONSUMER,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
)
from kubeberth.controllers.action import (
    CreateObject,
    DeleteObject,
    Failure,
    Outcome,
    PatchObject,
    RecordEvent,
    Told,
)
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.reconciler import Reconciler

PROVISIONER = "simulated.kubeberth.io"
# Parameter of a class: the label in which nodes agree that reach the same volumes.
TOPOLOGY_KEY = "topologyKey"


def reconcile_claim(
    claim: PersistentVolumeClaim, storage_class: StorageClass, nodes: Mapping[str, Node]
) -> Outcome:
    """Return the volume that a claim of a simulated class waits for."""
    if claim.spec.volume_name or claim.metadata.deletion_timestamp is not None:
        return Outcome()
    key = storage_class.parameters.get(TOPOLOGY_KEY, ZONE)
    if storage_class.volume_binding_mode != WAIT_FOR_FIRST_CONSUMER:
        return _provision(claim, storage_class, key, _spread(claim, storage_class, key, nodes))
    name = claim.metadata.annotations.get(SELECTED_NODE)
    if name is None:
        return Outcome()
    node = nodes.get(name)
    if node is None:
        # The scheduler has to choose another one.
        patch = {"metadata": {"annotations": {SELECTED_NODE: None}}}
        me = ref_of(PERSISTENT_VOLUME_CLAIMS, claim)
        return Outcome((PatchObject(me, patch, if_present=True),))
    return _provision(claim, storage_class, key, node.metadata.labels.get(key))


def _spread(
    claim: PersistentVolumeClaim,
    storage_class: StorageClass,
    key: str,
    nodes: Mapping[str, Node],
) -> str | None:
    """Return the place of a volume that no pod has been asked about; None without places."""
    places = {node.metadata.labels[key] for node in nodes.values() if key in node.metadata.labels}
    terms = storage_class.allowed_topologies
    allowed = {
        value
        for term in terms
        for requirement in term.match_label_expressions
        if requirement.key == key
        for value in requirement.values
    }
    fitting = sorted(places & allowed if allowed else places)
    return fitting[crc32(claim.metadata.name.encode()) % len(fitting)] if fitting else None


def _provision(
    claim: PersistentVolumeClaim, storage_class: StorageClass, key: str, place: str | None
) -> Outcome:
    me = ref_of(PERSISTENT_VOLUME_CLAIMS, claim)
    body = new_volume(claim, storage_class, key, place)
    name = body["metadata"]["name"]
    begun = f'External provisioner is provisioning volume for claim "{claim.metadata.key}"'
    trouble = f'failed to provision volume with StorageClass "{storage_class.metadata.name}": '
    creation = Told(
        me,
        (CreateObject(PERSISTENT_VOLUMES, body, if_absent=True),),
        ("ProvisioningSucceeded", f"Successfully provisioned volume {name}"),
        ("ProvisioningFailed", trouble),
    )
    return Outcome((RecordEvent(me, "Provisioning", begun), creation))


def new_volume(
    claim: PersistentVolumeClaim, storage_class: StorageClass, key: str, place: str | None
) -> dict[str, Any]:
    """Return a volume for a claim, in one place or everywhere."""
    name, wanted = volume_name(claim), claim.spec
    spec: dict[str, Any] = {
        "capacity": {"storage": wanted.resources.requests.get("storage", "0")},
        "accessModes": list(wanted.access_modes),
        "claimRef": msgspec.to_builtins(ref_of(PERSISTENT_VOLUME_CLAIMS, claim).reference()),
        "persistentVolumeReclaimPolicy": storage_class.reclaim_policy or "Delete",
        "storageClassName": storage_class.metadata.name,
        "volumeMode": wanted.volume_mode or "Filesystem",
        "csi": {"driver": storage_class.provisioner, "volumeHandle": name},
    }
    if place is not None:
        term = {"matchExpressions": [{"key": key, "operator": "In", "values": [place]}]}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [term]}}
    return {"metadata": {"name": name, "annotations": {PROVISIONED_BY: PROVISIONER}}, "spec": spec}


def volume_name(claim: PersistentVolumeClaim) -> str:
    """Return what the volume that is made for a claim is called."""
    return f"pvc-{claim.metadata.uid}"


def reconcile_volume(volume: PersistentVolume) -> Outcome:
    """Return the end of a volume that was made here, when its claim has gone."""
    meta = volume.metadata
    is_over = volume.status.phase == "Released" and meta.deletion_timestamp is None
    is_kept = volume.spec.persistent_volume_reclaim_policy != "Delete"
    if meta.annotations.get(PROVISIONED_BY) != PROVISIONER or is_kept or not is_over:
        return Outcome()
    return Outcome((DeleteObject(ref_of(PERSISTENT_VOLUMES, volume)),))


def default_class(name: str) -> dict[str, Any]:
    """Return the storage class that claims have which name none."""
    return {
        "metadata": {"name": name, "annotations": {IS_DEFAULT_CLASS[0]: "true"}},
        "provisioner": PROVISIONER,
        "volumeBindingMode": WAIT_FOR_FIRST_CONSUMER,
        "allowVolumeExpansion": True,
    }


class ProvisioningReconciler(Reconciler):
    """Feeds `reconcile_claim` from the cache; keys are claims.

    Parameters
    ----------
    stands_in
        Make volumes of every class that has a provisioner, not only of the simulated ones.
    """

    name = PROVISIONER
    account = "volume-provisioner"
    resource = PERSISTENT_VOLUME_CLAIMS
    follows = (STORAGE_CLASSES, NODES)

    def __init__(self, *, stands_in: bool = False) -> None:
        self._stands_in = stands_in

    def keys_behind(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the claims that wait, when their class or nodes come."""
        if resource == NODES and old is not None and new is not None:
            return []
        claims = cache.all(PERSISTENT_VOLUME_CLAIMS).items()
        return [key for key, claim in claims if not claim.spec.volume_name]

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return the volume that the claim waits for."""
        claim = cache.get(PERSISTENT_VOLUME_CLAIMS, key)
        if claim is None or cache.get(PERSISTENT_VOLUMES, volume_name(claim)) is not None:
            return Outcome()
        storage_class = cache.get(STORAGE_CLASSES, claim.class_name)
        if storage_class is None or not self._makes(storage_class.provisioner):
            return Outcome()
        return reconcile_claim(claim, storage_class, cache.all(NODES))

    def _makes(self, provisioner: str) -> bool:
        if self._stands_in:
            return provisioner != NO_PROVISIONER
        return provisioner == PROVISIONER


class ReclaimReconciler(Reconciler):
    """Feeds `reconcile_volume` from the cache; keys are volumes."""

    name = PROVISIONER
    account = "volume-provisioner"
    resource = PERSISTENT_VOLUMES

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return whether the volume must go."""
        volume = cache.get(PERSISTENT_VOLUMES, key)
        return Outcome() if volume is None else reconcile_volume(volume)


class DefaultClassReconciler(Reconciler):
    """Makes a default storage class at the start, in a cluster that has none at all."""

    name = PROVISIONER
    account = "volume-provisioner"
    resource = STORAGE_CLASSES

    def __init__(self, class_name: str) -> None:
        self.seeds: tuple[str, ...] = (class_name,)

    def keys(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return nothing: who takes the class away later does not want it."""
        return []

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return the class, unless there is one."""
        if cache.all(STORAGE_CLASSES):
            return Outcome()
        return Outcome((CreateObject(STORAGE_CLASSES, default_class(key), if_absent=True),))
