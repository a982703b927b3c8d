"""Generic ephemeral volumes: a claim for each volume of a pod that brings a claim's template.

Matches Kubernetes 1.36 (`pkg/controller/volume/ephemeral`). Claims go with their pod: it owns them,
and garbage collection does the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubeberth.api.core import Pod
from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import PERSISTENT_VOLUME_CLAIMS, PODS, Resource
from kubeberth.api.storage import PersistentVolumeClaim
from kubeberth.api.volumes import EphemeralVolumeSource, Volume
from kubeberth.controllers.action import (
    Action,
    CreateObject,
    Failure,
    Outcome,
    RecordEvent,
    Stop,
    Told,
)
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.reconciler import Reconciler

FAILED = "FailedBinding"


def reconcile(pod: Pod, claims: Mapping[str, PersistentVolumeClaim]) -> Outcome:
    """Return the claims that a pod lacks.

    Parameters
    ----------
    claims
        Those of its namespace, by key.
    """
    if pod.is_terminating:
        return Outcome()
    return Outcome(tuple(_missing(pod, claims)))


def claim_name(pod: Pod, volume: Volume) -> str:
    """Return the name of the claim that is made for a volume."""
    return f"{pod.metadata.name}-{volume.name}"


def _claim_names(pod: Pod) -> Iterator[str]:
    return (claim_name(pod, volume) for volume in pod.spec.volumes if volume.ephemeral is not None)


def _users_of(cache: Cache, claim: HasMetadata | None) -> Iterator[str]:
    """Yield the pods that want a claim of this name made for them."""
    if claim is not None:
        for key, pod in cache.in_namespace(PODS, claim.metadata.namespace).items():
            if claim.metadata.name in _claim_names(pod):
                yield key


def _missing(pod: Pod, claims: Mapping[str, PersistentVolumeClaim]) -> Iterator[Action]:
    me = ref_of(PODS, pod)
    for volume in pod.spec.volumes:
        if volume.ephemeral is None:
            continue
        name = claim_name(pod, volume)
        claim = claims.get(f"{me.namespace}/{name}")
        if claim is None:
            creation = CreateObject(
                PERSISTENT_VOLUME_CLAIMS, _new_claim(pod, name, volume.ephemeral), me.namespace
            )
            trouble = f"ephemeral volume {volume.name}: create PVC {name}: "
            yield Told(me, (creation,), None, (FAILED, trouble))
        elif not _is_owned(claim, pod):
            why = (
                f"ephemeral volume {volume.name}: PVC {me.namespace}/{name} was not created for "
                f"pod {me.namespace}/{me.name} (pod is not owner)"
            )
            yield RecordEvent(me, FAILED, why, "Warning")
            yield Stop(FAILED, why)


def _is_owned(claim: PersistentVolumeClaim, pod: Pod) -> bool:
    owner = claim.metadata.controller
    return owner is not None and owner.uid == pod.metadata.uid


def _new_claim(pod: Pod, name: str, source: EphemeralVolumeSource) -> dict[str, Any]:
    template = source.volume_claim_template
    given = template.get("metadata") or {}
    kept = {field: given[field] for field in ("labels", "annotations") if given.get(field)}
    owner = ref_of(PODS, pod).owner_reference()
    return {
        "apiVersion": "v1",
        "kind": PERSISTENT_VOLUME_CLAIMS.kind,
        "metadata": {
            **kept,
            "name": name,
            "namespace": pod.metadata.namespace,
            "ownerReferences": [owner],
        },
        "spec": template.get("spec") or {},
    }


class EphemeralVolumeReconciler(Reconciler):
    """Feeds `reconcile` from the cache; keys are pods."""

    # By this name upstream tells its events.
    name = "ephemeral_volume"
    account = "ephemeral-volume-controller"
    resource = PODS
    follows = (PERSISTENT_VOLUME_CLAIMS,)

    def keys(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the pod that is new, or that has lost a claim of its own."""
        if resource != self.resource:
            return _users_of(cache, old) if new is None else ()
        if not isinstance(new, Pod):
            return ()
        is_known = old is not None and old.metadata.uid == new.metadata.uid
        return (new.metadata.key,) if not is_known and any(_claim_names(new)) else ()

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what the pod needs."""
        pod: Pod | None = cache.get(PODS, key)
        if pod is None:
            return Outcome()
        claims = cache.in_namespace(PERSISTENT_VOLUME_CLAIMS, pod.metadata.namespace)
        return reconcile(pod, claims)
