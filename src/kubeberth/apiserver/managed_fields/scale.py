"""Ownership through `/scale`: who owns the replicas of a workload owns those of its Scale.

Matches `managedfields.ScaleHandler` of Kubernetes 1.36.
"""

from __future__ import annotations

from dataclasses import replace

from kubeberth.apiserver.managed_fields import entries
from kubeberth.apiserver.managed_fields.entries import Stored
from kubeberth.apiserver.managed_fields.field_set import difference, from_paths, has

SCALE_VERSION = "autoscaling/v1"
REPLICAS = ("f:spec", "f:replicas")
_OWNED = from_paths([REPLICAS])


def to_scale(parent: Stored) -> Stored:
    """Return the entries of a Scale, from those of its workload."""
    found = {}
    for key, entry in entries.read(parent).items():
        if has(entry.fields, REPLICAS):
            found[key] = replace(entry.owning(_OWNED), api_version=SCALE_VERSION)
    return entries.write(found)


def to_parent(parent: Stored, scale: Stored, api_version: str) -> Stored:
    """Return the entries of a workload after a write of its Scale."""
    left = {}
    for entry in entries.read(scale).values():
        version = api_version if entry.api_version == SCALE_VERSION else entry.api_version
        as_parent = replace(entry, api_version=version)
        left[as_parent.key] = as_parent
    result = {}
    for key, entry in entries.read(parent).items():
        kept = entry
        if has(entry.fields, REPLICAS) and left.pop(key, None) is None:
            kept = entry.owning(difference(entry.fields, _OWNED))
        if kept.fields:
            result[key] = kept
    for key, entry in left.items():
        if has(entry.fields, REPLICAS):
            # A new entry has no time: so does upstream leave it.
            result[key] = replace(entry.owning(_OWNED), time="")
    return entries.write(result)
