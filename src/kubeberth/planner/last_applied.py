"""Last applied: what a manifest takes away by not saying it any more, as kubectl apply does.

kubectl writes the manifest that it applied last into an annotation. What that one said, and the
next one does not, goes; what neither says, somebody else has said, and it stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kubeberth.api.schema import LIST, OBJECT, Definition, Field
from kubeberth.apiserver.patch.strategic import DELETE_FROM_LIST, PATCH, RETAIN_KEYS

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

Document = dict[str, Any]


def last_applied(document: Mapping[str, Any]) -> Document | None:
    """Return the manifest that was applied last; None when nobody knows it."""
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    try:
        manifest = msgspec.json.decode(annotations.get(LAST_APPLIED, ""))
    except msgspec.DecodeError:
        return None
    return manifest if isinstance(manifest, dict) else None


def patch_between(last: Document, sent: Document, definition: Definition | None) -> Document:
    """Return what applying one manifest after another changes, as a strategic merge patch."""
    patch: Document = {key: None for key in last if key not in sent}
    for key, value in sent.items():
        field = definition.fields.get(key) if definition else None
        patch |= _of_field(key, last.get(key), value, field)
    return patch


def _of_field(key: str, last: Any, sent: Any, field: Field | None) -> Document:
    if isinstance(sent, dict):
        fields = last if isinstance(last, dict) else {}
        return {key: _kept(patch_between(fields, sent, _within(field)), sent, field)}
    if not isinstance(sent, list) or field is None or not field.merges:
        return {key: sent}
    entries = last if isinstance(last, list) else []
    if field.merge_key:
        return {key: _of_elements(entries, sent, field)}
    gone = [entry for entry in entries if entry not in sent]
    return {key: sent, **({f"{DELETE_FROM_LIST}/{key}": gone} if gone else {})}


def _of_elements(last: list[Any], sent: list[Any], field: Field) -> list[Any]:
    """Return the patch of a list whose elements are known by one of their fields."""
    name = field.merge_key
    known = {entry[name]: entry for entry in last if isinstance(entry, dict) and name in entry}
    changed = []
    for entry in sent:
        if not isinstance(entry, dict) or name not in entry:
            changed.append(entry)
            continue
        before = known.pop(entry[name], {})
        changed.append(_kept(patch_between(before, entry, _within(field)), entry, field))
    return [*changed, *({name: value, PATCH: "delete"} for value in known)]


def _kept(patch: Document, sent: Document, field: Field | None) -> Document:
    """Return the patch of a union: of what there was, no more stays than is said now."""
    return {**patch, RETAIN_KEYS: list(sent)} if field is not None and field.retains_keys else patch


def _within(field: Field | None) -> Definition | None:
    """Return the definition of an object, or of the elements of a list."""
    if field is None:
        return None
    shape = field.type.element if field.code == LIST else field.type
    return shape.definition if shape is not None and shape.code == OBJECT else None
