"""`meta/v1` as interpreters of objects read it: frozen Structs of just the fields that are used.

JSON in, Struct out: `msgspec.json.Decoder(Pod).decode(raw)`. Fields that nobody reads are skipped
while decoding, so these types say what is looked at, not what exists. What exists, and what is
valid, is the API server's business (`api/schema.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec


class ApiStruct(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False
):
    """Parent of all typed objects: immutable, camelCase on the wire, defaults left out."""


class OwnerReference(ApiStruct, frozen=True):
    """Who an object belongs to."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectReference(ApiStruct, frozen=True):
    """Another object, or with `field_path` a part of it."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    uid: str = ""
    field_path: str = ""


class ObjectMeta(ApiStruct, frozen=True):
    """`metadata` of every object."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """`namespace/name`, or `name` for what lives in no namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that manages the object, or None."""
        # Asked for every change of every object: a generator would take twice as long.
        for reference in self.owner_references:
            if reference.controller:
                return reference
        return None


class HasMetadata(Protocol):
    """Any typed object."""

    @property
    def metadata(self) -> ObjectMeta:
        """Return its metadata."""


class LabelSelectorRequirement(ApiStruct, frozen=True):
    """One `matchExpressions` entry of a label selector."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(ApiStruct, frozen=True):
    """A label query over objects; all of it must hold."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """Return the selector as the JSON object it came from."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document


class Condition(ApiStruct, frozen=True):
    """One entry of `status.conditions`, of pods, nodes and workloads alike."""

    type: str
    status: str = "Unknown"
    reason: str = ""
    message: str = ""
    observed_generation: int = 0
    last_transition_time: str | None = None
    last_heartbeat_time: str | None = None
    last_probe_time: str | None = None
    last_update_time: str | None = None


def to_documents(conditions: Iterable[Condition]) -> list[dict[str, Any]]:
    """Return conditions as JSON."""
    # Unknown is the struct's default, and defaults are left out.
    return [{**msgspec.to_builtins(each), "status": each.status} for each in conditions]
