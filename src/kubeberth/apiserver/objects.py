"""Objects between documents and the store's bytes.

A stored value is the object's JSON without its version: `{"kind":K,"apiVersion":V,"metadata":{...`.
These three come first, in this order, and the metadata are in the order in which Go writes them, so
that the version can be spliced in behind the uid without parsing.

Who owns the fields stands behind that: a line feed, where the metadata end, a line feed, and the
JSON of `managedFields`. Most who read an object do not care, and so do not parse it: in a document
it is a `msgspec.Raw`, which is written as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import msgspec

from kubeberth.api.custom.structural import set_defaults
from kubeberth.api.known_specs import Stored
from kubeberth.api.scheme import Resource
from kubeberth.apiserver.storage.store import Entry
from kubeberth.apiserver.views import VIEWS

Document = dict[str, Any]
# `metav1.ObjectMeta`, in its own order.
METADATA_FIELDS = (
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)
_STORED_METADATA = tuple(
    name for name in METADATA_FIELDS if name not in ("resourceVersion", "managedFields")
)
_HEAD = frozenset(("kind", "apiVersion", "metadata"))
# No text before it holds this: quotes within a JSON string are escaped.
_UID = b'"uid":"'
_OWNERS = b',"managedFields":'
encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder().decode
_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def key_of(resource: Resource, namespace: str, name: str) -> str:
    """Return the store's key of an object."""
    if resource.namespaced:
        return f"{resource.storage_key}/{namespace}/{name}"
    return f"{resource.storage_key}/{name}"


def prefix_of(resource: Resource, namespace: str = "") -> str:
    """Return what the keys of the objects of a namespace, or of all, start with."""
    if resource.namespaced and namespace:
        return f"{resource.storage_key}/{namespace}/"
    return f"{resource.storage_key}/"


def pack(resource: Resource, document: Document) -> bytes:
    """Return the value that is stored for a document."""
    if resource.stored_as is not None:
        document = VIEWS[resource.api_version].to_stored(document)
    elif resource.custom is not None:
        document = {**document, "apiVersion": f"{resource.group}/{resource.custom.storage_version}"}
    return packed(document)


def packed(document: Document) -> bytes:
    """Return the value that is stored for a document in the version in which it is stored."""
    metadata = document["metadata"]
    owners = metadata.get("managedFields")
    stored = encode({name: metadata[name] for name in _STORED_METADATA if name in metadata})
    rest = {name: part for name, part in document.items() if name not in _HEAD}
    head = b'{"kind":%s,"apiVersion":%s,"metadata":%s' % (
        encode(document["kind"]),
        encode(document["apiVersion"]),
        stored,
    )
    value = head + b"," + encode(rest)[1:] if rest else head + b"}"
    return b"%s\n%d\n%s" % (value, len(head) - 1, encode(owners)) if owners else value


def object_json(value: bytes) -> bytes:
    """Return the JSON in a stored value, without the version and who owns the fields."""
    end = value.find(b"\n")
    return value if end < 0 else value[:end]


def ordered(metadata: Document) -> Document:
    """Return metadata in the order in which Go writes them."""
    return {name: metadata[name] for name in METADATA_FIELDS if name in metadata}


def stored_document(entry: Entry, revision: int = 0) -> Document:
    """Return the document of an entry in the version in which it is stored."""
    value, _, tail = entry.value.partition(b"\n")
    document: Document = decode(value)
    document["metadata"]["resourceVersion"] = str(revision or entry.revision)
    if tail:
        document["metadata"]["managedFields"] = msgspec.Raw(tail[tail.index(b"\n") + 1 :])
    return document


def unpack(resource: Resource, entry: Entry, revision: int = 0) -> Document:
    """Return the document of an entry, with the version of its write, or the given one."""
    document = stored_document(entry, revision)
    if resource.stored_as is not None:
        return VIEWS[resource.api_version].from_stored(document)
    return _as_shown(resource, document) if resource.custom is not None else document


def _as_shown(resource: Resource, document: Document) -> Document:
    """Return a stored custom object in the version of the resource, with today's defaults.

    If webhooks convert between versions, it has been converted: see `conversion.py`.
    """
    custom = resource.custom
    assert custom is not None
    document["apiVersion"] = resource.api_version
    if custom.schema.has_defaults:
        set_defaults(document, custom.schema)
    return document


def _head(resource: Resource) -> bytes:
    return b'{"kind":"%s","apiVersion":"%s",' % (
        resource.kind.encode(),
        resource.api_version.encode(),
    )


class Wire:
    """Writes the stored objects of one resource as clients get them, if possible unparsed."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._head = _head(resource)
        has_defaults = resource.custom is not None and resource.custom.schema.has_defaults
        self._is_view = resource.stored_as is not None or has_defaults

    @property
    def shows_as_stored(self) -> bool:
        """Whether every entry holds what clients get."""
        return not self._is_view and self._resource.custom is None

    def _is_shown_as_stored(self, entry: Entry) -> bool:
        """Return whether an entry holds what clients get: this version, and nothing to add."""
        return not self._is_view and entry.value.startswith(self._head)

    def object(self, entry: Entry, revision: int = 0) -> bytes:
        """Return the JSON of an object."""
        if self._is_shown_as_stored(entry):
            return b"".join(_versioned(entry, 0, revision or entry.revision))
        return encode(self._document(entry, revision))

    def stored(self, entry: Entry) -> Stored | None:
        """Return what a replacement of an object need not say anew; None if that is not known."""
        if self._resource.custom is not None or not self._is_shown_as_stored(entry):
            return None
        text, _, tail = entry.value.partition(b"\n")
        return Stored(_split(text), tail[tail.index(b"\n") + 1 :] if tail else b"")

    def items(self, entries: Iterable[Entry]) -> Iterator[bytes | memoryview]:
        """Yield the JSON of the objects in a list, which tells kinds that are built in once.

        In pieces to be joined: long lists are copied once, not once for every step.
        """
        is_custom = self._resource.custom is not None  # their items tell the kind each
        separator = b""
        for entry in entries:
            yield separator
            separator = b","
            if not self._is_shown_as_stored(entry):
                document = self._document(entry)
                if not is_custom:
                    del document["kind"], document["apiVersion"]
                yield encode(document)
            elif is_custom:
                yield from _versioned(entry, 0, entry.revision)
            else:
                yield b"{"
                yield from _versioned(entry, len(self._head), entry.revision)

    def _document(self, entry: Entry, revision: int = 0) -> Document:
        document = unpack(self._resource, entry, revision)
        return document | {"metadata": ordered(document["metadata"])}


@lru_cache(maxsize=1024)  # custom resources come and go
def wire_of(resource: Resource) -> Wire:
    """Return what writes the objects of a resource."""
    return Wire(resource)


def _versioned(entry: Entry, start: int, revision: int) -> tuple[bytes | memoryview, ...]:
    """Return a stored value from `start` on, with a version and who owns the fields, in pieces."""
    text = entry.value
    value = memoryview(text)
    uid = text.index(b'"', text.index(_UID) + len(_UID)) + 1
    version = b',"resourceVersion":"%d"' % revision
    # No JSON that is stored has a line break in it.
    last = text.find(b"\n", uid)
    if last < 0:
        return value[start:uid], version, value[uid:]
    first = text.index(b"\n", last + 1)
    end = int(text[last + 1 : first])
    owners = value[first + 1 :]
    return value[start:uid], version, value[uid:end], _OWNERS, owners, value[end:last]
