"""Volumes: makes good what a pod has been promised, before it is bound.

    BindClaim        the volume is given to the claim, the claim is told which volume it has
    ProvisionClaim   the claim is told its node; whoever makes volumes takes it from there

Then the binding waits until every claim is bound. Matches PreBind of VolumeBinding in
kube-scheduler 1.36, but that the claim, too, is told: there no other component does it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from kubeberth.api.core import Pod
from kubeberth.api.scheme import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from kubeberth.api.storage import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    SELECTED_NODE,
    PersistentVolumeClaim,
)
from kubeberth.client.client import Client
from kubeberth.errors import ConflictError, ServerTimeoutError
from kubeberth.placement.reservation import BindClaim, ProvisionClaim, Reservation

# How long a claim may take to be bound: `bindTimeoutSeconds`, by default.
BIND_TIMEOUT_S = 600.0


class Volumes:
    """Binds claims, and knows when they are bound.

    Parameters
    ----------
    claims
        What the watch shows, by `namespace/name`.
    """

    def __init__(self, client: Client, claims: Mapping[str, PersistentVolumeClaim]) -> None:
        self._client = client
        self._claims = claims
        self._changed = asyncio.Event()

    def claim_changed(self) -> None:
        """Let those who wait for claims look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def prepare(self, pod: Pod, reservations: Sequence[Reservation]) -> None:
        """Make promises good, and return when all claims are bound.

        Raises
        ------
        BerthError
            Something could not be written, or took too long.
        """
        for promise in reservations:
            if isinstance(promise, BindClaim):
                await self._bind(promise)
            else:
                await self._select_node(promise)
        keys = [promise.claim for promise in reservations]
        try:
            async with asyncio.timeout(BIND_TIMEOUT_S):
                await self._until_bound(keys)
        except TimeoutError as error:
            raise ServerTimeoutError("binding volumes: context deadline exceeded") from error

    async def _bind(self, promise: BindClaim) -> None:
        claim = self._claim(promise.claim)
        meta = claim.metadata
        reference = {
            "kind": "PersistentVolumeClaim",
            "apiVersion": "v1",
            "namespace": meta.namespace,
            "name": meta.name,
            "uid": meta.uid,
        }
        await self._client.patch(
            PERSISTENT_VOLUMES,
            promise.volume,
            {
                "metadata": {"annotations": {BOUND_BY_CONTROLLER: "yes"}},
                "spec": {"claimRef": reference},
            },
        )
        annotations = {BOUND_BY_CONTROLLER: "yes", BIND_COMPLETED: "yes"}
        await self._tell(claim, annotations, {"volumeName": promise.volume})

    async def _select_node(self, promise: ProvisionClaim) -> None:
        await self._tell(self._claim(promise.claim), {SELECTED_NODE: promise.node}, {})

    async def _tell(
        self, claim: PersistentVolumeClaim, annotations: dict[str, str], spec: dict[str, str]
    ) -> None:
        meta = claim.metadata
        change = {"metadata": {"uid": meta.uid, "annotations": annotations}, "spec": spec}
        await self._client.patch(PERSISTENT_VOLUME_CLAIMS, meta.name, change, meta.namespace)

    def _claim(self, key: str) -> PersistentVolumeClaim:
        claim = self._claims.get(key)
        if claim is None:
            name = key.partition("/")[2]
            raise ConflictError(f'binding volumes: persistentvolumeclaim "{name}" not found')
        return claim

    async def _until_bound(self, keys: Sequence[str]) -> None:
        while not all(self._claim(key).is_bound for key in keys):
            await self._changed.wait()
