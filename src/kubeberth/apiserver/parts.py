"""What a request reaches through a part of an object; all else is set back as it was; pure.

Matches the strategies of `pods/ephemeralcontainers`, `pods/resize` and
`certificatesigningrequests/approval` in `pkg/registry` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubeberth.apiserver.objects import Document

_KEPT_METADATA = (
    "annotations",
    "deletionTimestamp",
    "finalizers",
    "generation",
    "labels",
    "ownerReferences",
    "selfLink",
)
_RESIZED = ("resources", "resizePolicy")


def keep_all_but_ephemeral_containers(new: Document, old: Document) -> None:
    """Undo every change but those of the ephemeral containers."""
    wanted = new["spec"].get("ephemeralContainers")
    _keep_metadata_and_status(new, old)
    new["spec"] = _with(old["spec"], "ephemeralContainers", wanted)


def keep_all_but_resources(new: Document, old: Document) -> None:
    """Undo every change but those of what the pod and its containers ask for."""
    lists = [
        (field, new["spec"].get(field) or [], old["spec"].get(field) or [])
        for field in ("containers", "initContainers")
    ]
    if any(len(wanted) != len(found) for _, wanted, found in lists):
        return  # for validation to refuse
    _keep_metadata_and_status(new, old)
    spec = _with(old["spec"], "resources", new["spec"].get("resources"))
    for field, wanted, found in lists:
        if found:
            spec[field] = _resized(wanted, found)
    new["spec"] = spec


def keep_all_but_decision(new: Document, old: Document) -> None:
    """Undo every change of a request for a certificate but those of its conditions."""
    new["spec"] = old["spec"]
    status = {**(new.get("status") or {})}
    new["status"] = _with(status, "certificate", (old.get("status") or {}).get("certificate"))


def _resized(wanted: list[Document], found: list[Document]) -> list[Document]:
    if [c.get("name") for c in wanted] != [c.get("name") for c in found]:
        return wanted  # for validation to refuse
    resized = []
    for new, old in zip(wanted, found, strict=True):
        container = old
        for field in _RESIZED:
            container = _with(container, field, new.get(field))
        resized.append(container)
    return resized


def _keep_metadata_and_status(new: Document, old: Document) -> None:
    for field in _KEPT_METADATA:
        new["metadata"] = _with(new["metadata"], field, old["metadata"].get(field))
    if "status" in old:
        new["status"] = old["status"]


def _with(holder: Document, field: str, value: Any) -> Document:
    """Return a copy with a field set, or taken out when there is nothing to say."""
    if value is None:
        return {name: other for name, other in holder.items() if name != field}
    return {**holder, field: value}


# By the name of the part.
KEEP_REST: dict[str, Callable[[Document, Document], None]] = {
    "approval": keep_all_but_decision,
    "ephemeralcontainers": keep_all_but_ephemeral_containers,
    "resize": keep_all_but_resources,
}
