"""VolumeBinding: a pod goes where its claims have, or can get, their volumes.

Rule: https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode
Matches kube-scheduler 1.36 (plugins/volumebinding), without the gate StorageCapacityScoring.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from kubeberth.api.storage import PersistentVolumeClaim
from kubeberth.placement.claim_binding import (
    BIND_CONFLICT,
    NO_SPACE,
    NODE_CONFLICT,
    VOLUME_GONE,
    check_bound,
    check_waiting,
    reservations_on,
)
from kubeberth.placement.plugin import Codes, Reads, Rejection
from kubeberth.placement.pod_volumes import ClaimUse
from kubeberth.placement.request import PodRequest
from kubeberth.placement.reservation import Reservation
from kubeberth.placement.state import ClusterState, Nodes

_REASONS = {
    NODE_CONFLICT: "node(s) didn't match PersistentVolume's node affinity",
    BIND_CONFLICT: "node(s) didn't find available persistent volumes to bind",
    NO_SPACE: "node(s) did not have enough free storage",
    VOLUME_GONE: "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
}


class VolumeBinding:
    """Hard rule over claims, and what is promised to them once their pod is placed."""

    name: ClassVar[str] = "VolumeBinding"
    reads: ClassVar[Reads] = Reads.CLUSTER

    def concerns(self, request: PodRequest) -> bool:
        """Return whether the pod has claims."""
        return bool(request.volumes.claims)

    def pre_filter(
        self, state: ClusterState, request: PodRequest
    ) -> frozenset[str] | Rejection | None:
        """Refuse a pod with a claim that no node could help."""
        for use in request.volumes.claims:
            fault = _fault(state, request, use)
            if fault:
                return Rejection(self.name, (fault,), resolvable=False)
        for claim in _claims(state, request):
            if not claim.is_bound and not _waits(state, claim):
                reason = "pod has unbound immediate PersistentVolumeClaims"
                return Rejection(self.name, (reason,), resolvable=False)
        return None

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away nodes from which a claim's volume is out of reach, or can come to none."""
        claims = _claims(state, request)
        if not claims:
            return None
        codes = check_bound(state, [claim for claim in claims if claim.is_bound], nodes)
        waiting = _waiting(state, claims)
        return codes | check_waiting(state, waiting, nodes) if waiting else codes

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return the reasons whose bits are set."""
        reasons = tuple(reason for bit, reason in _REASONS.items() if code & bit)
        return Rejection(self.name, reasons, resolvable=False)

    def reserve(
        self, state: ClusterState, request: PodRequest, slot: int
    ) -> tuple[Reservation, ...]:
        """Return what the pod's claims are promised on a node that has passed."""
        waiting = _waiting(state, _claims(state, request))
        return reservations_on(state, waiting, slot)


def _fault(state: ClusterState, request: PodRequest, use: ClaimUse) -> str:
    """Return why a claim is of no use on any node; empty when it may be."""
    claim = state.storage.claim(request.claim_key(use))
    if claim is None:
        if use.is_ephemeral:
            return (
                "waiting for ephemeral volume controller to create the "
                f'persistentvolumeclaim "{use.name}"'
            )
        return f'persistentvolumeclaim "{use.name}" not found'
    if claim.status.phase == "Lost":
        volume = claim.spec.volume_name
        return (
            f'persistentvolumeclaim "{use.name}" bound to non-existent persistentvolume "{volume}"'
        )
    if claim.metadata.deletion_timestamp is not None:
        return f'persistentvolumeclaim "{use.name}" is being deleted'
    if use.is_ephemeral and not _is_owned(claim, request.volumes.pod_uid):
        pod = f"{request.namespace}/{request.volumes.pod_name}"
        return f"PVC {claim.metadata.key} was not created for pod {pod} (pod is not owner)"
    return ""


def _is_owned(claim: PersistentVolumeClaim, pod_uid: str) -> bool:
    controller = claim.metadata.controller
    return controller is not None and controller.uid == pod_uid


def _claims(state: ClusterState, request: PodRequest) -> list[PersistentVolumeClaim]:
    found = (state.storage.claim(request.claim_key(use)) for use in request.volumes.claims)
    return [claim for claim in found if claim is not None]


def _waiting(
    state: ClusterState, claims: Sequence[PersistentVolumeClaim]
) -> list[PersistentVolumeClaim]:
    return [claim for claim in claims if not claim.is_bound and _waits(state, claim)]


def _waits(state: ClusterState, claim: PersistentVolumeClaim) -> bool:
    """Return whether a claim waits for its pod; one that names a volume waits for that."""
    return not claim.spec.volume_name and state.storage.waits_for_consumer(claim)
