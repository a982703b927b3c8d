"""DefaultStorageClass: a claim that names no class gets the one that is marked as default.

Matches `plugin/pkg/admission/storage/storageclass/setdefault` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubeberth.api.scheme import PERSISTENT_VOLUME_CLAIMS, STORAGE_CLASSES
from kubeberth.api.storage import BETA_CLASS, IS_DEFAULT_CLASS
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin, Reader


def is_default(storage_class: Document) -> bool:
    """Return whether a class is marked as the default one."""
    annotations = storage_class["metadata"].get("annotations") or {}
    return any(annotations.get(name) == "true" for name in IS_DEFAULT_CLASS)


def newest(classes: Iterable[Document]) -> Document:
    """Return the newest of several default classes; of these the first by name."""
    by_name = sorted(classes, key=lambda found: str(found["metadata"]["name"]))
    return max(by_name, key=lambda found: str(found["metadata"].get("creationTimestamp", "")))


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
        annotations = claim["metadata"].get("annotations") or {}
        if BETA_CLASS in annotations or claim["spec"].get("storageClassName") is not None:
            return
        classes = [c for c in self._reader.find_all(STORAGE_CLASSES) if is_default(c)]
        if classes:
            claim["spec"]["storageClassName"] = newest(classes)["metadata"]["name"]
