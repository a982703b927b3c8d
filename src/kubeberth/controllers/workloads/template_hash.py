"""Hashes of pod templates: `pod-template-hash`, and what ControllerRevisions are named after.

For ReplicaSets and daemons upstream hashes a Go-syntax dump of its internal template struct, which
nobody else can reproduce (the reference says so: only stability and uniqueness matter). Ours is the
same function, 32-bit FNV-1a printed in the same alphabet, over the template as canonical JSON.
The revisions of a StatefulSet are hashed as JSON upstream too, and so have the same names here.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import msgspec

from kubeberth.api.workloads import POD_TEMPLATE_HASH

_FNV_OFFSET, _FNV_PRIME = 0x811C9DC5, 0x01000193
# Letters and digits that cannot form a bad word, nor be mistaken for each other.
SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Mapping[str, Any], collision_count: int | None) -> str:
    """Return the hash of a pod template; the count tells apart those that collided."""
    data = msgspec.json.encode(normal_template(template), order="deterministic")
    if collision_count is not None:
        data += struct.pack("<Q", collision_count)
    return safe_text(str(_fnv1a(data)))


def revision_hash(data: Mapping[str, Any], collision_count: int) -> str:
    """Return the hash of what a StatefulSet's revision holds (`pkg/controller/history`)."""
    return safe_text(str(_fnv1(_go_json(data) + str(collision_count).encode())))


def _go_json(document: Mapping[str, Any]) -> bytes:
    """Return JSON as Go writes it: keys in order, and nothing that HTML might mistake."""
    text = msgspec.json.encode(document, order="sorted").decode()
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode()


def safe_text(text: str) -> str:
    """Return a text's characters mapped into the safe alphabet."""
    return "".join(SAFE_ALPHABET[ord(char) % len(SAFE_ALPHABET)] for char in text)


def normal_template(template: Mapping[str, Any]) -> Any:
    """Return a template without its hash label, and without nulls.

    Two templates are of one kind when their normal forms are equal.
    """
    normal = pruned(template)
    metadata = normal.get("metadata", {})
    labels = {k: v for k, v in metadata.get("labels", {}).items() if k != POD_TEMPLATE_HASH}
    metadata = {k: v for k, v in metadata.items() if k not in ("labels", "creationTimestamp")}
    if labels:
        metadata["labels"] = labels
    return {**normal, "metadata": metadata}


def _fnv1a(data: bytes) -> int:
    value = _FNV_OFFSET
    for byte in data:
        value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return value


def _fnv1(data: bytes) -> int:
    value = _FNV_OFFSET
    for byte in data:
        value = (value * _FNV_PRIME & 0xFFFFFFFF) ^ byte
    return value


def pruned(value: Any) -> Any:
    """Drop nulls; empty objects stay, for some of them mean something (`emptyDir: {}`)."""
    if isinstance(value, Mapping):
        return {key: pruned(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [pruned(item) for item in value]
    return value
