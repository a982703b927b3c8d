"""`metadata.managedFields`: read, and written in the order that upstream gives it.

Matches `k8s.io/apimachinery/pkg/util/managedfields/internal` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from kubeberth.apiserver.managed_fields import field_set
from kubeberth.apiserver.managed_fields.field_set import FieldSetError, Node

APPLY = "Apply"
UPDATE = "Update"
FIELDS_V1 = "FieldsV1"
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class EntryError(ValueError):
    """A `managedFields` from outside cannot be used."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The fields that one manager owns through one operation.

    Parameters
    ----------
    json
        The fields as they are stored, if that is known.
    """

    manager: str
    operation: str
    api_version: str
    subresource: str = ""
    time: str = ""
    fields: Node = field(default_factory=dict)
    json: bytes = field(default=b"", compare=False, repr=False)

    @property
    def key(self) -> Key:
        """What tells the entry from others; an applier stays the same in every version."""
        version = "" if self.operation == APPLY else self.api_version
        return Key(self.manager, self.operation, version, self.subresource)

    def owning(self, fields: Node) -> Entry:
        """Return the entry with another set of fields."""
        return self if fields is self.fields else replace(self, fields=fields, json=b"")


class Key(NamedTuple):
    """Identity of an entry."""

    manager: str
    operation: str
    api_version: str
    subresource: str

    def __str__(self) -> str:
        """Return the manager as conflicts name it."""
        text = f'"{self.manager}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


Entries = dict[Key, Entry]


class _Item(msgspec.Struct, rename={"api_version": "apiVersion", "fields_v1": "fieldsV1"}):
    """An entry as it is stored."""

    manager: str
    operation: str
    api_version: str
    fields_v1: msgspec.Raw
    subresource: str = ""
    time: str = ""


_decode_items = msgspec.json.Decoder(list[_Item]).decode

# As an object holds them: the JSON of a list, or nothing.
Stored = msgspec.Raw | None


def read(value: Stored) -> Entries:
    """Return the entries of an object that is stored; not to be changed."""
    return _read(bytes(value)) if value else {}


# Objects that are made and changed alike, such as the pods of one template, have the same entries
# within a second, and the same sets of fields at any time. What is read of an object takes some
# 20 KB, so this is at most 10 MB.
@lru_cache(maxsize=512)
def _read(text: bytes) -> Entries:
    found = {}
    for item in _decode_items(text):
        json = bytes(item.fields_v1)
        entry = Entry(
            item.manager,
            item.operation,
            item.api_version,
            item.subresource,
            item.time,
            _fields(json),
            json,
        )
        found[entry.key] = entry
    return found


@lru_cache(maxsize=1024)
def _fields(json: bytes) -> Node:
    fields: Node = _decode(json)
    return fields


def parse(value: Iterable[dict[str, Any]]) -> Entries:
    """Return the entries that a client sends.

    Raises
    ------
    EntryError
        Some entry is malformed.
    """
    found = {}
    for index, item in enumerate(value):
        _check(item, index)
        try:
            fields = field_set.parse(item.get("fieldsV1"))
        except FieldSetError as error:
            raise EntryError(str(error)) from error
        entry = Entry(
            item.get("manager", ""),
            item["operation"],
            item["apiVersion"],
            item.get("subresource", ""),
            item.get("time") or "",
            fields,
        )
        found[entry.key] = entry
    return found


def _check(item: dict[str, Any], index: int) -> None:
    if item.get("operation") not in (APPLY, UPDATE):
        raise EntryError("operation must be `Apply` or `Update`")
    if not item.get("apiVersion"):
        raise EntryError("apiVersion must not be empty")
    kind = item.get("fieldsType")
    if not kind:
        raise EntryError(f"missing fieldsType in managed fields entry {index}")
    if kind != FIELDS_V1:
        raise EntryError(f'invalid fieldsType "{kind}" in managed fields entry {index}')


def write(entries: Entries) -> Stored:
    """Return entries as an object holds them: by operation, age and name."""
    if not entries:
        return None
    items = [_written(entry) for entry in sorted(entries.values(), key=_order)]
    return msgspec.Raw(_encode(items))


def write_one(entry: Entry, fields: bytes) -> Stored:
    """Return an only entry as an object holds it, its fields given as JSON."""
    return msgspec.Raw(_encode((_written(entry, fields),)))


def plain(value: Stored) -> list[dict[str, Any]]:
    """Return stored entries as the plain JSON that clients see and send."""
    items: list[dict[str, Any]] = _decode(value) if value else []
    return items


def _order(entry: Entry) -> tuple[str, ...]:
    return entry.operation, entry.time, entry.manager, entry.api_version, entry.subresource


def _written(entry: Entry, json: bytes = b"") -> dict[str, Any]:
    item: dict[str, Any] = {
        "manager": entry.manager,
        "operation": entry.operation,
        "apiVersion": entry.api_version,
    }
    if entry.time:
        item["time"] = entry.time
    json = json or entry.json or _encode_sorted(entry.fields)
    item |= {"fieldsType": FIELDS_V1, "fieldsV1": msgspec.Raw(json)}
    if entry.subresource:
        item["subresource"] = entry.subresource
    return item


def is_same_but_time(left: Stored, right: Stored) -> bool:
    """Return whether two lists of entries differ in nothing but times, and thereby in order."""
    mine, theirs = read(left), read(right)
    return mine.keys() == theirs.keys() and all(
        entry.fields == theirs[key].fields for key, entry in mine.items()
    )
