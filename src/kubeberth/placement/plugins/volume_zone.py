"""VolumeZone: a pod goes to the zone and region that its volumes are labelled with.

Rule: https://kubernetes.io/docs/reference/labels-annotations-taints/#topologykubernetesiozone
Matches kube-scheduler 1.36 (plugins/volumezone).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from kubeberth.api.node_labels import BETA_REGION, BETA_ZONE, REGION, ZONE
from kubeberth.api.selectors import Requirement
from kubeberth.api.storage import PersistentVolumeClaim
from kubeberth.placement.node_match import Mask
from kubeberth.placement.plugin import Codes, Reads, Rejection
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.stored_volume import TOPOLOGY_LABELS
from kubeberth.placement.vocabulary import ABSENT

_SUCCESSOR = {BETA_ZONE: ZONE, BETA_REGION: REGION}


class VolumeZone:
    """Hard rule over the zone labels of the volumes of the pod's claims."""

    name: ClassVar[str] = "VolumeZone"
    reads: ClassVar[Reads] = Reads.CLUSTER

    def concerns(self, request: PodRequest) -> bool:
        """Return whether the pod names claims."""
        return any(not use.is_ephemeral for use in request.volumes.claims)

    def pre_filter(
        self, state: ClusterState, request: PodRequest
    ) -> frozenset[str] | Rejection | None:
        """Refuse a pod with a claim whose volume cannot be known."""
        for use in request.volumes.claims:
            fault = "" if use.is_ephemeral else _fault(state, request, use.name)
            if fault:
                return Rejection(self.name, (fault,), resolvable=False)
        return None

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away nodes in other zones; nodes without any such label pass."""
        labels = list(_labels(state, request))
        if not labels:
            return None
        passes = np.ones(len(state.slots[nodes]), dtype=bool)
        for key, values in labels:
            passes &= _is_in(state, key, values, nodes)
        is_anywhere = np.zeros(len(passes), dtype=bool)
        for key in TOPOLOGY_LABELS:
            is_anywhere |= state.label_column(key).ids[nodes] != ABSENT
        return (is_anywhere & ~passes).astype(np.int64)

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return what code 1 means."""
        return Rejection(self.name, ("node(s) had no available volume zone",), resolvable=False)


def _fault(state: ClusterState, request: PodRequest, name: str) -> str:
    """Return why the zone of a claim cannot be known; empty when it can, or does not matter."""
    if not name:
        return "PersistentVolumeClaim had no name"
    storage = state.storage
    claim = storage.claim(f"{request.namespace}/{name}")
    if claim is None:
        return f'persistentvolumeclaim "{name}" not found'
    if claim.spec.volume_name:
        if claim.spec.volume_name in storage.volumes:
            return ""
        return f'persistentvolume "{claim.spec.volume_name}" not found'
    return _class_fault(state, claim)


def _class_fault(state: ClusterState, claim: PersistentVolumeClaim) -> str:
    if not claim.class_name:
        return "PersistentVolumeClaim had no pv name and storageClass name"
    storage_class = state.storage.classes.get(claim.class_name)
    if storage_class is None:
        return f'storageclass.storage.k8s.io "{claim.class_name}" not found'
    if storage_class.volume_binding_mode is None:
        return f'VolumeBindingMode not set for StorageClass "{claim.class_name}"'
    return "" if state.storage.waits_for_consumer(claim) else "PersistentVolume had no name"


def _labels(state: ClusterState, request: PodRequest) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the zones and regions of the pod's volumes, by label."""
    storage = state.storage
    for use in request.volumes.claims:
        claim = None if use.is_ephemeral else storage.claim(request.claim_key(use))
        stored = storage.volumes.get(claim.spec.volume_name) if claim is not None else None
        if stored is not None:
            yield from stored.topology


def _is_in(state: ClusterState, key: str, values: frozenset[str], nodes: Nodes) -> Mask:
    """Return which nodes have one of the values, under the label or the one that replaced it."""
    column = state.label_column(key)
    found: Mask = column.table(Requirement(key, "In", values))[column.ids[nodes]]
    successor = _SUCCESSOR.get(key)
    if successor is None:
        return found
    newer = state.label_column(successor)
    is_in_newer = newer.table(Requirement(successor, "In", values))[newer.ids[nodes]]
    return np.where(column.ids[nodes] == ABSENT, is_in_newer, found)
