"""Objects in the form that a client asked for: themselves, their metadata alone, or a Table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from kubeberth.api import schema
from kubeberth.api.scheme import Resource
from kubeberth.apiserver.media import Form
from kubeberth.apiserver.objects import Document, encode, ordered, unpack, wire_of
from kubeberth.apiserver.storage.store import Entry
from kubeberth.apiserver.table import to_table
from kubeberth.errors import BadRequestError, NotAcceptableError

INITIAL_EVENTS_END = {"k8s.io/initial-events-end": "true"}


def partial(document: Document, version: str = "v1") -> Document:
    """Return the metadata of an object."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": document["metadata"],
    }


class Writer:
    """Writes the objects of one resource in one form.

    Parameters
    ----------
    include_object
        What the rows of a Table carry: Metadata, Object or None.
    now
        The wall clock, for ages in Tables.
    """

    def __init__(
        self, resource: Resource, form: Form, now: Callable[[], float], include_object: str = ""
    ) -> None:
        self._resource = resource
        self._form = form
        self._now = now
        self._include_object = include_object or "Metadata"
        self.is_table = form.as_kind == "Table"
        if self.is_table and include_object not in ("", "Metadata", "Object", "None"):
            raise BadRequestError(
                "Unable to convert to Table as requested: includeObject: Invalid value: "
                f"\"{include_object}\": must be 'Metadata', 'Object', 'None', or empty"
            )
        self._wire = wire_of(resource)
        self.key = (resource.api_version, form.as_kind, form.version, self._include_object)

    @property
    def writes_objects(self) -> bool:
        """Whether the form can hold a single object."""
        return self._form.as_kind != "PartialObjectMetadataList"

    def entry(self, entry: Entry, revision: int = 0) -> bytes:
        """Return one stored object, with the version of its write or the given one."""
        if not self._form.as_kind:
            return self._wire.object(entry, revision)
        return self.document(unpack(self._resource, entry, revision))

    def document(self, document: Document) -> bytes:
        """Return one object."""
        if not self._form.as_kind:
            return encode(document | {"metadata": ordered(document["metadata"])})
        if self.is_table:
            version = document["metadata"].get("resourceVersion", "")
            return encode(self._table([document], {"resourceVersion": version}))
        if self._form.as_kind == "PartialObjectMetadata":
            return encode(partial(document, self._form.version))
        raise NotAcceptableError(
            f"you requested {self._form.as_kind}, but the requested object is not a list"
        )

    def entries(
        self, entries: Sequence[Entry], metadata: dict[str, Any]
    ) -> Iterator[bytes | memoryview]:
        """Return a list, in pieces."""
        resource = self._resource
        if not self._form.as_kind:
            head = encode(
                {
                    "kind": resource.list_kind,
                    "apiVersion": resource.api_version,
                    "metadata": metadata,
                }
            )
            items: Iterable[bytes | memoryview] = self._wire.items(entries)
            if not self._wire.shows_as_stored:
                items = list(items)  # what fails shall fail before the answer has begun
            return chain((head[:-1], b',"items":['), items, (b"]}",))
        documents = [unpack(resource, entry) for entry in entries]
        if self.is_table:
            return iter((encode(self._table(documents, metadata)),))
        if self._form.as_kind == "PartialObjectMetadata":
            raise NotAcceptableError(
                "you requested PartialObjectMetadata, but the requested object is a list"
            )
        version = self._form.version
        found = {
            "kind": "PartialObjectMetadataList",
            "apiVersion": f"meta.k8s.io/{version}",
            "metadata": metadata,
            # Go prints an empty list of these as null.
            "items": [partial(document, version) for document in documents] or None,
        }
        return iter((encode(found),))

    def bookmark(self, revision: int, *, ends_initial_events: bool) -> bytes:
        """Return an object that tells nothing but a version."""
        resource = self._resource
        metadata: dict[str, Any] = {"resourceVersion": str(revision)}
        if ends_initial_events:
            metadata["annotations"] = INITIAL_EVENTS_END
        if self._form.as_kind.startswith("PartialObjectMetadata"):
            return encode(partial({"metadata": metadata}, self._form.version))
        if self.is_table:
            table = self._table([], {"resourceVersion": str(revision)})
            cells = [""] * len(table["columnDefinitions"])
            table["rows"] = [{"cells": cells, "object": partial({"metadata": metadata})}]
            return encode(table)
        definition = (
            schema.definition_of(resource.api_version, resource.kind)
            if resource.custom is None
            else None
        )
        empty = definition.empty() if definition is not None else {}
        head = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        return encode(head | {k: v for k, v in empty.items() if k not in head})

    def without_columns(self, line: bytes) -> bytes:
        """Return a Table without its column definitions, as all but the first of a watch are."""
        start = line.find(b'"columnDefinitions":[')
        end = line.find(b'],"rows":', start)
        if start < 0 or end < 0:
            return line
        return line[:start] + b'"columnDefinitions":null' + line[end + 1 :]

    def _table(self, documents: list[Document], metadata: dict[str, Any]) -> dict[str, Any]:
        include = self._include_object
        table: dict[str, Any] = to_table(self._resource, documents, include, self._now())
        table["apiVersion"] = f"meta.k8s.io/{self._form.version}"
        table["metadata"] = metadata
        if include == "Metadata":
            for row in table["rows"]:
                row["object"]["apiVersion"] = table["apiVersion"]
        return table
