"""The `pod-template-hash` of a Deployment's ReplicaSets.

Upstream hashes a Go-syntax dump of its internal template struct, which nobody else can reproduce
(the reference says so: only stability and uniqueness matter). Ours is the same function, 32-bit
FNV-1a printed in the same alphabet, over the template as canonical JSON.
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


def safe_text(text: str) -> str:
    """Return a text's characters mapped into the safe alphabet."""
    return "".join(SAFE_ALPHABET[ord(char) % len(SAFE_ALPHABET)] for char in text)


def normal_template(template: Mapping[str, Any]) -> Any:
    """Return a template without its hash label, and without nulls.

    Two templates are of one kind when their normal forms are equal.
    """
    pruned = _prune(template)
    metadata = pruned.get("metadata", {})
    labels = {k: v for k, v in metadata.get("labels", {}).items() if k != POD_TEMPLATE_HASH}
    metadata = {k: v for k, v in metadata.items() if k not in ("labels", "creationTimestamp")}
    if labels:
        metadata["labels"] = labels
    return {**pruned, "metadata": metadata}


def _fnv1a(data: bytes) -> int:
    value = _FNV_OFFSET
    for byte in data:
        value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return value


def _prune(value: Any) -> Any:
    """Drop nulls; empty objects stay, for some of them mean something (`emptyDir: {}`)."""
    if isinstance(value, Mapping):
        return {key: _prune(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_prune(item) for item in value]
    return value
