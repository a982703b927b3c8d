"""PersistentVolumeClaimResize: a claim grows only if its class says that its volumes can.

Matches `plugin/pkg/admission/storage/persistentvolume/resize` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.api.quantity import parse_quantity
from kubeberth.api.scheme import PERSISTENT_VOLUME_CLAIMS, STORAGE_CLASSES
from kubeberth.api.storage import BETA_CLASS
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin, Reader


class PersistentVolumeClaimResize(Plugin):
    """Refuses to let a claim grow."""

    resources = (PERSISTENT_VOLUME_CLAIMS,)

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def validate(self, attributes: Attributes) -> None:
        """Look at a changed claim."""
        new, old = attributes.document, attributes.old
        if attributes.subresource:
            return
        if new is None or old is None or _asked(new) <= _asked(old):
            return
        # That only bound claims grow, validation has said before.
        name = _class_of(new)
        found = self._reader.find(STORAGE_CLASSES, "", name) if name else None
        if name != _class_of(old) or not (found or {}).get("allowVolumeExpansion"):
            raise attributes.forbid(
                "only dynamically provisioned pvc can be resized and the storageclass that "
                "provisions the pvc must support resize"
            )


def _asked(claim: Document) -> int:
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    return parse_quantity(requests.get("storage", "0")).nanos


def _class_of(claim: Document) -> str:
    annotations = claim["metadata"].get("annotations") or {}
    name: str = annotations.get(BETA_CLASS) or claim["spec"].get("storageClassName") or ""
    return name
