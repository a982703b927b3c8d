"""DefaultStorageClass: a claim that names no class gets the one that is marked as default.

Matches `plugin/pkg/admission/storage/storageclass/setdefault` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.api.default_class import fill_in_class
from kubeberth.api.scheme import PERSISTENT_VOLUME_CLAIMS, STORAGE_CLASSES
from kubeberth.apiserver.admission.chain import Attributes, Plugin, Reader


class DefaultStorageClass(Plugin):
    """Fills in the class of new claims."""

    resources = (PERSISTENT_VOLUME_CLAIMS,)

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def admit(self, attributes: Attributes) -> None:
        """Give a new claim a class; an empty name asks for none."""
        claim = attributes.document
        is_new = attributes.operation == "CREATE"
        if claim is None or not is_new:
            return
        fill_in_class(claim, self._reader.find_all(STORAGE_CLASSES))
