"""What differs between two pods' specs, as a strategic merge patch.

Lists that the API merges by a key are named here; every other list is given as a whole.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kubeberth.api.core import Pod
from kubeberth.api.default_tolerations import NOT_READY, UNREACHABLE

_MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "ports": "containerPort",
    "topologySpreadConstraints": "topologyKey",
}

Document = dict[str, Any]


def spec_patch(old: Pod, new: Pod) -> Document:
    """Return what turns the spec of one pod into that of another; empty when nothing differs."""
    return _of_mappings(_spec(old), _spec(new))


def _spec(pod: Pod) -> Document:
    document: Document = msgspec.to_builtins(pod.spec)
    # Admission adds these to every pod: no template has them, and no patch should.
    kept = [entry for entry in document.get("tolerations", ()) if not _is_added(entry)]
    document["tolerations"] = kept
    return document


def _is_added(toleration: Document) -> bool:
    is_usual = toleration.get("key") in (NOT_READY, UNREACHABLE)
    return is_usual and toleration.get("tolerationSeconds") is not None


def _of_mappings(old: Document, new: Document) -> Document:
    patch: Document = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key not in old:
            patch[key] = value
        elif old[key] != value:
            patch[key] = _of_values(key, old[key], value)
    return patch


def _of_values(key: str, old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return _of_mappings(old, new)
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        merge_key = _MERGE_KEYS.get(key)
        return list(new) if merge_key is None else _of_merged(merge_key, list(old), list(new))
    return new


def _of_merged(merge_key: str, old: list[Document], new: list[Document]) -> list[Document]:
    """Return the patch of a list that is merged entry by entry."""
    names = [entry.get(merge_key) for entry in old]
    if names != [entry.get(merge_key) for entry in new] or len(set(names)) < len(names):
        return [{"$patch": "replace"}, *new]
    return [
        {merge_key: name, **_of_mappings(before, after)}
        for name, before, after in zip(names, old, new, strict=True)
        if before != after
    ]
