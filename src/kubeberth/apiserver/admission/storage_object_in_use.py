"""StorageObjectInUseProtection: volumes and claims stay until nobody uses them any more.

Matches `plugin/pkg/admission/storage/storageobjectinuseprotection` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.api.scheme import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from kubeberth.apiserver.admission.chain import Attributes, Plugin

FINALIZERS = {
    PERSISTENT_VOLUMES.plural: "kubernetes.io/pv-protection",
    PERSISTENT_VOLUME_CLAIMS.plural: "kubernetes.io/pvc-protection",
}


class StorageObjectInUseProtection(Plugin):
    """Adds the finalizer that a controller takes away from what is unused."""

    resources = (PERSISTENT_VOLUMES, PERSISTENT_VOLUME_CLAIMS)

    async def admit(self, attributes: Attributes) -> None:
        """Protect a new volume or claim."""
        document = attributes.document
        finalizer = FINALIZERS.get(attributes.resource.group_resource)
        if document is None or finalizer is None or attributes.operation != "CREATE":
            return
        finalizers = document["metadata"].get("finalizers", [])
        if finalizer not in finalizers:
            document["metadata"]["finalizers"] = [*finalizers, finalizer]
