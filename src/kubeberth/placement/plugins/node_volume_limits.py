"""NodeVolumeLimits: a CSI driver attaches only so many volumes to a node.

Rule: https://kubernetes.io/docs/concepts/storage/storage-limits/
Matches kube-scheduler 1.36 (plugins/nodevolumelimits).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.migration import CSI_DRIVERS
from kubeberth.placement.plugin import Codes, Reads, Rejection
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.stored_volume import CsiVolume

_TOO_MANY, _NO_CLAIM = 1, 2


class NodeVolumeLimits:
    """Hard rule over the volumes that are attached to a node."""

    name: ClassVar[str] = "NodeVolumeLimits"
    reads: ClassVar[Reads] = Reads.CLUSTER

    def concerns(self, request: PodRequest) -> bool:
        """Return whether the pod has volumes that drivers count."""
        return bool(request.volumes.claims or request.volumes.migratable)

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away nodes to which not all of the pod's volumes can be attached."""
        if _missing_claim(state, request):
            return np.full(len(state.slots[nodes]), _NO_CLAIM, dtype=np.int64)
        volumes = _volumes(state, request)
        codes = None
        for driver in {volume.driver for volume in volumes}:
            column = state.volume_use.column(driver)
            if column is None:
                continue
            new = _n_new(state, [volume for volume in volumes if volume.driver == driver])
            is_full = (column.limits >= 0) & (new > 0) & (column.attached + new > column.limits)
            found = is_full[nodes].astype(np.int64)
            codes = found if codes is None else codes | found
        return codes

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return what a code means."""
        if code == _TOO_MANY:
            return Rejection(self.name, ("node(s) exceed max volume count",), resolvable=True)
        name = _missing_claim(state, request)
        reason = (
            f'looking up PVC {request.namespace}/{name}: persistentvolumeclaim "{name}" not found'
        )
        return Rejection(self.name, (reason,), resolvable=False)


def _missing_claim(state: ClusterState, request: PodRequest) -> str:
    for use in request.volumes.claims:
        if state.storage.claim(request.claim_key(use)) is None:
            return use.name
    return ""


def _volumes(state: ClusterState, request: PodRequest) -> list[CsiVolume]:
    """Return the pod's volumes that drivers count, each once."""
    found = [state.storage.csi_volume(request.claim_key(use)) for use in request.volumes.claims]
    found += [
        CsiVolume(CSI_DRIVERS[inline.plugin], inline.handle, inline.plugin)
        for inline in request.volumes.migratable
    ]
    once = {(volume.driver, volume.handle): volume for volume in found if volume is not None}
    return list(once.values())


def _n_new(state: ClusterState, volumes: list[CsiVolume]) -> NDArray[np.int64]:
    """Return how many volumes would be attached: ndarray of int64, shape (n_slots,)."""
    use = state.volume_use
    total = np.zeros(state.n_slots, dtype=np.int64)
    for volume in volumes:
        is_new = (
            use.migrated(volume.plugin).copy()
            if volume.plugin
            else np.ones(state.n_slots, dtype=bool)
        )
        is_new[list(use.attached_at(volume))] = False
        total += is_new
    return total
