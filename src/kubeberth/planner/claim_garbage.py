"""Claims that only pods own go with them, as the garbage collector has it."""

from __future__ import annotations

from collections.abc import Iterable

from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import PERSISTENT_VOLUME_CLAIMS, PODS, Resource
from kubeberth.controllers.action import Failure, Outcome
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.garbage import GarbageReconciler

# What the keys of claims begin with.
_CLAIMS = f"{PERSISTENT_VOLUME_CLAIMS.group_resource}/"


class ClaimGarbageReconciler(GarbageReconciler):
    """Looks at claims that only pods own, and at nothing else.

    What other owners something has may be elsewhere: not all of a cluster has to be here.
    """

    def hears_of(self, resource: Resource) -> bool:
        """Return whether it is a claim, or may be one's owner."""
        return resource in (PODS, PERSISTENT_VOLUME_CLAIMS)

    def keys(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the claims among what may have to go."""
        found = super().keys(cache, resource, old, new)
        return [key for key in found if key.startswith(_CLAIMS)]

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what is to become of a claim."""
        claim = cache.get(PERSISTENT_VOLUME_CLAIMS, key.removeprefix(_CLAIMS))
        if claim is None or any(o.kind != PODS.kind for o in claim.metadata.owner_references):
            return Outcome()
        return super().reconcile(cache, key, now, failure)
