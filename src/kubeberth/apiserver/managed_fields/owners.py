"""What an update or an apply does to the fields of all managers.

Rule 1: an update takes what it adds or changes from everybody, and what it removes nobody owns.
Rule 2: an apply owns what its configuration claims. What another manager owns and the apply would
        change is a conflict, unless it is forced; what has the same value is owned together.
Rule 3: what a manager applied before and applies no more goes, unless somebody else owns it.
Rule 4: fields that the endpoint does not write (`reset`) are nobody's through it.

Matches `merge.Updater` of `sigs.k8s.io/structured-merge-diff`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from kubeberth.apiserver.managed_fields.compare import Comparison, compare, fields_of
from kubeberth.apiserver.managed_fields.entries import UPDATE, Entries, Entry, Key
from kubeberth.apiserver.managed_fields.field_set import (
    Node,
    Path,
    difference,
    intersection,
    paths_of,
    recursive_difference,
    union,
)
from kubeberth.apiserver.managed_fields.merge import merge, with_named, without
from kubeberth.apiserver.managed_fields.shape import Shape

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Through what an object is written.

    Parameters
    ----------
    reset
        The fields that the endpoint does not write.
    """

    shape: Shape
    api_version: str
    subresource: str
    reset: Node


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that an apply would change, and its owner."""

    manager: Key
    path: Path


class FieldConflictsError(Exception):
    """An apply would change what others own."""

    def __init__(self, conflicts: list[FieldConflict]) -> None:
        super().__init__(f"{len(conflicts)} conflicts")
        self.conflicts = conflicts


# Nobody owns these: they are what the object is, or the server's.
UNTRACKED_METADATA = (
    "clusterName",
    "creationTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
)
_UNTRACKED: Node = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {".": {}, **{f"f:{name}": {} for name in UNTRACKED_METADATA}},
}


def update(
    endpoint: Endpoint, owners: Entries, live: Object, new: Object, manager: str, now: str
) -> Entries:
    """Return the owners after an update; only a manager that takes fields gets a new time."""
    found = compare(endpoint.shape, live, new).without(endpoint.reset)
    taken = difference(found.changed, _UNTRACKED)
    entry = Entry(manager, UPDATE, endpoint.api_version, endpoint.subresource, now, taken)
    after = _after(owners, found, but=entry.key)
    if (before := owners.get(entry.key)) is not None:
        kept = before.owning(difference(before.fields, found.removed))
        entry = replace(kept.owning(union(kept.fields, taken)), time=now) if taken else kept
    if entry.fields:
        after[entry.key] = entry
    return after


def _after(owners: Entries, found: Comparison, but: Key) -> Entries:
    """Return the other owners without what a manager has changed or taken away."""
    changed, removed = found
    after = {}
    for key, entry in owners.items():
        if key != but:
            fields = difference(difference(entry.fields, changed), removed)
            if fields:
                after[key] = entry.owning(fields)
    return after


def apply(
    endpoint: Endpoint, owners: Entries, live: Object, config: Object, entry: Entry, *, force: bool
) -> tuple[Object, Entries]:
    """Return the object with a configuration applied, and its owners.

    Parameters
    ----------
    entry
        The applying manager, without its fields; its time counts if the object changes.

    Raises
    ------
    FieldConflictsError
        Others own what would change.
    """
    shape, key = endpoint.shape, entry.key
    last = owners.get(key)
    claimed = recursive_difference(fields_of(shape, config), endpoint.reset)
    owners = owners | {key: entry.owning(claimed)}
    new = merge(shape, live, config)
    if last is not None and last.fields:
        new = _pruned(shape, new, owners, last.fields)
    found = compare(shape, live, new).without(endpoint.reset)
    conflicts = _conflicts(owners, found, key)
    if conflicts and not force:
        raise FieldConflictsError(conflicts)
    after = _after(owners, found, but=key)
    claimed = difference(claimed, _UNTRACKED)
    if claimed:
        # As upstream: who only joins in what is there already gets no time.
        time = entry.time if new != live else last.time if last else ""
        after[key] = replace(entry.owning(claimed), time=time)
    return new, after


def _conflicts(owners: Entries, found: Comparison, applier: Key) -> list[FieldConflict]:
    changed = found.changed
    if not changed:
        return []
    return [
        FieldConflict(key, path)
        for key, entry in sorted(owners.items())
        if key != applier
        for path in paths_of(intersection(entry.fields, changed))
    ]


def _pruned(shape: Shape, merged: Object, owners: Entries, last: Node) -> Object:
    """Return the merged object without what was applied last time and is nobody's any more.

    Taking a list element away takes all in it; what others own of it, and what nobody applied, is
    given back.
    """
    last = with_named(shape, last)
    pruned = without(shape, merged, last) or {}
    owned: Node = {}
    for entry in owners.values():
        owned = union(owned, entry.fields)
    all_fields = with_named(shape, fields_of(shape, merged))
    kept = union(with_named(shape, fields_of(shape, pruned)), with_named(shape, owned))
    pruned = without(shape, merged, difference(all_fields, kept)) or {}
    gone = difference(all_fields, with_named(shape, fields_of(shape, pruned)))
    result: Object = without(shape, merged, intersection(gone, last)) or {}
    return result
