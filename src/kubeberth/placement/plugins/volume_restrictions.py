"""VolumeRestrictions: some volumes cannot be had by two pods at once.

Rule: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes
Matches kube-scheduler 1.36 (plugins/volumerestrictions).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from kubeberth.api.storage import READ_WRITE_ONCE_POD
from kubeberth.placement.plugin import Codes, Reads, Rejection
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes

_DISK_CONFLICT, _IN_USE = 1, 2
_REASONS = {
    _DISK_CONFLICT: "node(s) had no available disk",
    _IN_USE: "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode "
    "already in-use by another pod",
}


class VolumeRestrictions:
    """Hard rule over inline disks, and over claims that are for one pod only."""

    name: ClassVar[str] = "VolumeRestrictions"
    reads: ClassVar[Reads] = Reads.CLUSTER

    def concerns(self, request: PodRequest) -> bool:
        """Return whether the pod has claims or such disks."""
        return bool(request.volumes.claims or request.volumes.disks)

    def pre_filter(
        self, state: ClusterState, request: PodRequest
    ) -> frozenset[str] | Rejection | None:
        """Refuse a pod that names a claim which does not exist."""
        for use in request.volumes.claims:
            if not use.is_ephemeral and state.storage.claim(request.claim_key(use)) is None:
                reason = f'persistentvolumeclaim "{use.name}" not found'
                return Rejection(self.name, (reason,), resolvable=False)
        return None

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away nodes with a pod that has the disk, and all while one has the claim."""
        exclusive = _exclusive_claims(state, request)
        if not exclusive and not request.volumes.disks:
            return None
        codes = np.zeros(state.n_slots, dtype=np.int64)
        if state.volume_use.n_conflicts(exclusive) > 0:
            codes[:] = _IN_USE
        for disk in request.volumes.disks:
            codes[list(state.volume_use.conflicting(disk))] = _DISK_CONFLICT
        return codes[nodes]

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return what a code means."""
        return Rejection(self.name, (_REASONS[code],), resolvable=True)


def _exclusive_claims(state: ClusterState, request: PodRequest) -> list[str]:
    keys = (request.claim_key(use) for use in request.volumes.claims if not use.is_ephemeral)
    found = ((key, state.storage.claim(key)) for key in keys)
    return [
        key
        for key, claim in found
        if claim is not None and READ_WRITE_ONCE_POD in claim.spec.access_modes
    ]
