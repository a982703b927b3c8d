"""`metadata.managedFields`: read, and written in the order that upstream gives it.

Matches `k8s.io/apimachinery/pkg/util/managedfields/internal` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from kubeberth.apiserver.managed_fields import field_set
from kubeberth.apiserver.managed_fields.field_set import FieldSetError, Node

APPLY = "Apply"
UPDATE = "Update"
FIELDS_V1 = "FieldsV1"


class EntryError(ValueError):
    """A `managedFields` from outside cannot be used."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The fields that one manager owns through one operation."""

    manager: str
    operation: str
    api_version: str
    subresource: str = ""
    time: str = ""
    fields: Node = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What tells the entry from others; an applier stays the same in every version."""
        version = "" if self.operation == APPLY else self.api_version
        return Key(self.manager, self.operation, version, self.subresource)

    def owning(self, fields: Node) -> Entry:
        """Return the entry with another set of fields."""
        return self if fields is self.fields else replace(self, fields=fields)


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


def read(value: Iterable[dict[str, Any]]) -> Entries:
    """Return the entries of an object that is stored."""
    found = {}
    for item in value:
        entry = Entry(
            item["manager"],
            item["operation"],
            item["apiVersion"],
            item.get("subresource", ""),
            item.get("time", ""),
            item.get("fieldsV1", field_set.LEAF),
        )
        found[entry.key] = entry
    return found


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


def write(entries: Entries) -> list[dict[str, Any]]:
    """Return entries as an object holds them: by operation, age and name."""
    return [_written(entry) for entry in sorted(entries.values(), key=_order)]


def _order(entry: Entry) -> tuple[str, ...]:
    return entry.operation, entry.time, entry.manager, entry.api_version, entry.subresource


def _written(entry: Entry) -> dict[str, Any]:
    item: dict[str, Any] = {
        "manager": entry.manager,
        "operation": entry.operation,
        "apiVersion": entry.api_version,
    }
    if entry.time:
        item["time"] = entry.time
    item |= {"fieldsType": FIELDS_V1, "fieldsV1": entry.fields}
    if entry.subresource:
        item["subresource"] = entry.subresource
    return item


def is_same_but_time(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> bool:
    """Return whether two lists of entries differ in nothing but times, and thereby in order."""
    if len(left) != len(right):
        return False
    return {k: e.fields for k, e in read(left).items()} == {
        k: e.fields for k, e in read(right).items()
    }
