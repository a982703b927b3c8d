"""Which storage class a claim gets that names none.

Matches `plugin/pkg/admission/storage/storageclass/setdefault` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubeberth.api.storage import BETA_CLASS, IS_DEFAULT_CLASS

Document = dict[str, Any]


def fill_in_class(claim: Document, classes: Iterable[Document]) -> None:
    """Give a new claim the default class, if there is one; an empty name asks for none."""
    annotations = claim["metadata"].get("annotations") or {}
    if BETA_CLASS in annotations or claim["spec"].get("storageClassName") is not None:
        return
    defaults = [found for found in classes if is_default(found)]
    if defaults:
        claim["spec"]["storageClassName"] = newest(defaults)["metadata"]["name"]


def is_default(storage_class: Document) -> bool:
    """Return whether a class is marked as the default one."""
    annotations = storage_class["metadata"].get("annotations") or {}
    return any(annotations.get(name) == "true" for name in IS_DEFAULT_CLASS)


def newest(classes: Iterable[Document]) -> Document:
    """Return the newest of several default classes; of these the first by name."""
    by_name = sorted(classes, key=lambda found: str(found["metadata"]["name"]))
    return max(by_name, key=lambda found: str(found["metadata"].get("creationTimestamp", "")))
