"""Ownership of whole documents: what Kubernetes adds around updates and applies.

Matches the chain of field managers in `k8s.io/apimachinery/pkg/util/managedfields/internal` of
Kubernetes 1.36, from the outside in: entries read, versions checked, the annotation of client-side
apply kept in step, objects that were never tracked, the number of entries limited.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from kubeberth.api import schema
from kubeberth.api.codec import kind_of
from kubeberth.api.scheme import Resource
from kubeberth.apiserver.managed_fields import check, entries, owners
from kubeberth.apiserver.managed_fields.compare import compare, fields_of
from kubeberth.apiserver.managed_fields.custom_shape import CustomShape
from kubeberth.apiserver.managed_fields.entries import APPLY, UPDATE, Entries, Entry, EntryError
from kubeberth.apiserver.managed_fields.field_set import (
    Node,
    difference,
    from_paths,
    has,
    text_of,
    union,
)
from kubeberth.apiserver.managed_fields.owners import (
    Endpoint,
    FieldConflict,
    FieldConflictsError,
)
from kubeberth.apiserver.managed_fields.shape import ListKeyError, Shape, shape_of
from kubeberth.errors import ApiError, BadRequestError, ConflictError

Document = dict[str, Any]

MAX_UPDATE_MANAGERS = 10
# In one entry of this manager is what the oldest of more managers than that own.
OLD_UPDATES = "ancient-changes"
BEFORE_FIRST_APPLY = "before-first-apply"
UNKNOWN = "unknown"
MAX_NAME_BYTES = 128

# The manager for whom the annotation of client-side apply is a claim, too.
KUBECTL = "kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# More annotations than this are not allowed, so that the annotation is rather left out.
MAX_ANNOTATION_BYTES = 256 * 1024

# What `/status` does not write besides the spec.
_STATUS_RESETS: dict[str, tuple[tuple[str, ...], ...]] = {
    "Pod": (("f:metadata", "f:deletionTimestamp"), ("f:metadata", "f:ownerReferences")),
    "Deployment": (("f:metadata", "f:labels"),),
}
_sorted_json = msgspec.json.Encoder(order="sorted").encode
_json = msgspec.json.Encoder().encode

# Metadata of which only the keys say who owns what, and those that nobody owns.
_BY_KEY_ALONE = ("labels", "annotations")
_OF_NO_INFLUENCE = frozenset((*_BY_KEY_ALONE, *owners.UNTRACKED_METADATA))
# Templates in use at one time, and how large they are at most.
REMEMBERED = 1024
MAX_REMEMBERED_BYTES = 64 * 1024
_created: dict[tuple[Shape, str, str, bytes], bytes] = {}


@lru_cache(maxsize=1024)  # custom resources come and go
def endpoint_of(resource: Resource, sub: str = "") -> Endpoint:
    """Return an endpoint of a resource."""
    api_version, kind = kind_of(resource, sub)
    if resource.custom is not None and kind == resource.kind:
        shape: Shape = CustomShape(resource.custom.schema, is_object=True)
    else:
        shape = shape_of(api_version, kind)
    return Endpoint(shape, api_version, sub, _reset(resource, sub))


def _reset(resource: Resource, sub: str) -> Node:
    if sub == "scale":
        return {}
    if sub == "status":
        return from_paths([("f:spec",), *_STATUS_RESETS.get(resource.built_in_kind, ())])
    return from_paths([("f:status",)]) if resource.has_status else {}


@lru_cache(maxsize=1024)
def manager_name(field_manager: str, user_agent: str) -> str:
    """Return under which name a client owns fields: as it says, or what its program is called."""
    if field_manager:
        return field_manager
    name = ""
    for character in user_agent.partition("/")[0]:
        if not character.isprintable():
            continue
        if len((name + character).encode()) > MAX_NAME_BYTES:
            break
        name += character
    return name


def track_update(endpoint: Endpoint, live: Document, new: Document, manager: str, now: str) -> None:
    """Write into a new object who owns its fields.

    Parameters
    ----------
    live
        The object as it is stored; empty when the new one is to be created.
    """
    if not live and not new["metadata"].get("managedFields"):
        fields = _fields_of_creator(endpoint, new)
        new["metadata"].pop("managedFields", None)
        if fields:
            whose = (manager or UNKNOWN, UPDATE, endpoint.api_version, endpoint.subresource)
            entry = Entry(*whose, now)
            new["metadata"]["managedFields"] = entries.write_one(entry, fields)
        return
    before = live or _empty(endpoint, new)
    known = _live_or_new(endpoint, before, new)
    # An object without entries is not tracked, unless it is new.
    if known or not live:
        known = _limited(_updated(endpoint, known, before, new, manager or UNKNOWN, now))
    _put(new, known)


def _updated(
    endpoint: Endpoint, known: Entries, before: Document, new: Document, manager: str, now: str
) -> Entries:
    try:
        return owners.update(endpoint, known, before, new, manager, now)
    except ListKeyError:
        return {}  # what cannot be told apart cannot be owned


def _fields_of_creator(endpoint: Endpoint, new: Document) -> bytes:
    """Return, as JSON, what the creator of an object owns; empty when that is nothing.

    Objects of one template are owned alike, whatever they are called and labelled with.
    """
    metadata = new["metadata"]
    tracked = {k: v for k, v in metadata.items() if k not in _OF_NO_INFLUENCE}
    told = [metadata.get(name) and list(metadata[name]) for name in _BY_KEY_ALONE]
    text = _json((told, {**new, "metadata": tracked}))
    key = (endpoint.shape, endpoint.api_version, endpoint.subresource, text)
    fields = _created.get(key)
    if fields is None:
        after = _updated(endpoint, {}, _empty(endpoint, new), new, UNKNOWN, "")
        fields = b"".join(_sorted_json(entry.fields) for entry in after.values())
        if len(text) <= MAX_REMEMBERED_BYTES:
            if len(_created) >= REMEMBERED:
                _created.clear()
            _created[key] = fields
    return fields


def _empty(endpoint: Endpoint, new: Document) -> Document:
    definition = schema.definition_of(endpoint.api_version, new["kind"])
    empty = definition.empty() if definition is not None else {}
    return {"metadata": {}, **empty}


def _live_or_new(endpoint: Endpoint, live: Document, new: Document) -> Entries:
    """Return the entries to go on from: those that the client sends, if it makes sense of them."""
    stored = live["metadata"].get("managedFields")
    sent = new["metadata"].get("managedFields")
    if not sent or endpoint.subresource or sent == entries.plain(stored):
        return entries.read(stored)
    if len(sent) == 1 and not any(sent[0].values()):
        return {}  # one empty entry says: forget all
    try:
        return entries.parse(sent) or entries.read(stored)
    except EntryError:
        return entries.read(stored)


def _put(document: Document, known: Entries) -> None:
    document["metadata"].pop("managedFields", None)
    if known:
        document["metadata"]["managedFields"] = entries.write(known)


def _limited(known: Entries) -> Entries:
    """Return entries of which not too many are updates: the oldest become one per version."""
    updates = [entry for entry in known.values() if entry.operation == UPDATE]
    n_left = len(updates)
    if n_left <= MAX_UPDATE_MANAGERS:
        return known
    known = dict(known)
    first: dict[str, Entry] = {}
    for entry in sorted(updates, key=lambda e: (e.time, e.manager, e.api_version, e.subresource)):
        if n_left <= MAX_UPDATE_MANAGERS:
            break
        version = entry.api_version
        if version not in first:
            first[version] = entry
            continue
        bucket = Entry(OLD_UPDATES, UPDATE, version, "", entry.time)
        held = known.get(bucket.key) or known.pop(first[version].key)
        known.pop(entry.key, None)
        known[bucket.key] = bucket.owning(union(held.fields, entry.fields))
        n_left -= 1
    return known


def track_apply(
    endpoint: Endpoint, live: Document, config: Document, manager: str, now: str, *, force: bool
) -> Document:
    """Return a live object with a configuration applied, and who owns its fields.

    The result is plain JSON: it may hold nulls, and no defaults.

    Parameters
    ----------
    live
        The object as it is stored; empty when it is to be created.

    Raises
    ------
    ConflictError
        Other managers own what would change.
    ApiError
        The configuration is no object of the kind.
    """
    metadata = config.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise BadRequestError("metadata.managedFields must be nil")
    _check_config(endpoint, config)
    before = live or _empty(endpoint, config)
    known = entries.read(before["metadata"].get("managedFields"))
    before = {**before, "metadata": dict(before["metadata"])}
    before["metadata"].pop("managedFields", None)
    if not known:
        empty = _empty(endpoint, config)
        known = owners.update(endpoint, {}, empty, before, BEFORE_FIRST_APPLY, now)
    entry = Entry(manager, APPLY, endpoint.api_version, endpoint.subresource, now)
    new, known = _apply(endpoint, known, before, config, entry, force=force)
    if manager == KUBECTL:
        new = _with_last_applied(new, config)
    new = {**new, "metadata": dict(new.get("metadata") or {})}
    _put(new, known)
    return new


def _check_config(endpoint: Endpoint, config: Document) -> None:
    problems = check.problems_of(endpoint.shape, config)
    if problems:
        metadata = config.get("metadata") or {}
        name = metadata.get("name", "") if isinstance(metadata, dict) else ""
        namespace = metadata.get("namespace", "") if isinstance(metadata, dict) else ""
        group, _, version = endpoint.api_version.rpartition("/")
        raise ApiError(
            f"failed to create typed patch object ({namespace}/{name}; {group}/{version}, "
            f"Kind={config['kind']}): {problems}",
            code=500,
            reason="",
        )


def _apply(
    endpoint: Endpoint,
    known: Entries,
    live: Document,
    config: Document,
    entry: Entry,
    *,
    force: bool,
) -> tuple[Document, Entries]:
    try:
        return owners.apply(endpoint, known, live, config, entry, force=force)
    except FieldConflictsError as error:
        conflicts = error.conflicts
    if entry.manager == KUBECTL:
        own = _last_applied_fields(endpoint, live)
        conflicts = [c for c in conflicts if not has(own, c.path)]
        if not conflicts:
            return owners.apply(endpoint, known, live, config, entry, force=True)
    raise conflict_error(conflicts)


def _last_applied_fields(endpoint: Endpoint, live: Document) -> Node:
    """Return the fields that client-side apply has set, and that still are as it set them."""
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if not text:
        return {}
    try:
        applied = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    if not isinstance(applied, dict) or applied.get("apiVersion") != endpoint.api_version:
        return {}
    if check.problems_of(endpoint.shape, applied):
        return {}
    found = compare(endpoint.shape, applied, live)
    fields = fields_of(endpoint.shape, applied)
    return difference(difference(fields, found.changed), found.removed)


def _with_last_applied(document: Document, config: Document) -> Document:
    """Return a document whose annotation of client-side apply, if it has one, says the new."""
    metadata = document.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    if not annotations.get(LAST_APPLIED):
        return document
    sent = config.get("metadata") or {}
    if LAST_APPLIED in (sent.get("annotations") or {}):
        others = {k: v for k, v in sent["annotations"].items() if k != LAST_APPLIED}
        config = {**config, "metadata": {**sent, "annotations": others}}
    annotations = {**annotations, LAST_APPLIED: _sorted_json(config).decode() + "\n"}
    if sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items()) > (
        MAX_ANNOTATION_BYTES
    ):
        del annotations[LAST_APPLIED]
    return {**document, "metadata": {**metadata, "annotations": annotations}}


def conflict_error(conflicts: list[FieldConflict]) -> ConflictError:
    """Return the refusal of an apply; its causes name who owns what."""
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {conflict.manager}",
            "field": text_of(conflict.path),
        }
        for conflict in conflicts
    ]
    return ConflictError(_conflict_message(conflicts), details={"causes": causes})


def _conflict_message(conflicts: list[FieldConflict]) -> str:
    if len(conflicts) == 1:
        only = conflicts[0]
        return f"Apply failed with 1 conflict: conflict with {only.manager}: {text_of(only.path)}"
    lines = []
    for manager in sorted({conflict.manager for conflict in conflicts}):
        lines.append(f"conflicts with {manager}:")
        lines += [f"- {text_of(c.path)}" for c in conflicts if c.manager == manager]
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
