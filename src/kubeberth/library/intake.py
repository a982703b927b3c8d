"""Intake: documents in, accepted objects out; what an API server would refuse is an error here."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from kubeberth.api.scheme import Resource
from kubeberth.api.validation.field_error import not_supported
from kubeberth.errors import InvalidObjectError
from kubeberth.library.kinds import RESOURCES
from kubeberth.library.stored import to_stored

T = TypeVar("T")

Document = dict[str, Any]

# The largest object that etcd, and so any API server, takes.
MAX_BYTES = 1536 * 1024


@dataclass(frozen=True, slots=True)
class Accepted:
    """An object as it is stored."""

    resource: Resource
    document: Document

    @property
    def kind(self) -> str:
        """Its kind."""
        return self.resource.kind

    @property
    def name(self) -> str:
        """Its name."""
        name: str = self.document["metadata"]["name"]
        return name

    @property
    def namespace(self) -> str:
        """Its namespace; empty for what lives in none."""
        namespace: str = self.document["metadata"].get("namespace", "")
        return namespace if self.resource.namespaced else ""

    @property
    def key(self) -> str:
        """`namespace/name`, or `name`."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def to(self, convert: Callable[[Document], T]) -> T:
        """Return what a conversion makes of the document.

        Raises
        ------
        InvalidObjectError
            When a field that the type cannot do without is missing.
        """
        try:
            return convert(self.document)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `$.")
            raise self.refuse(where.rstrip("`"), what) from error

    def refuse(self, field: str, reason: str) -> InvalidObjectError:
        """Return the error of an object that cannot be taken in after all."""
        return InvalidObjectError(self.kind, self.namespace, self.name, [(field, reason)])


def accept(document: Document, priority_classes: Collection[Document]) -> Accepted:
    """Return a document as an API server would store it, settled as its controllers leave it.

    Raises
    ------
    InvalidObjectError
        When it would be refused.
    """
    resource = _resource_of(document)
    _check_size(document)
    stored = to_stored(resource, document, priority_classes)
    faults = (*((path, "unknown field") for path in stored.unknown_fields), *stored.faults)
    if faults:
        raise _refusal(stored.document, *faults)
    _settle(document, stored.document)
    return Accepted(resource, stored.document)


def find_resource(document: Document) -> Resource | None:
    """Return the resource whose object a document is, None when it is of none that matters here."""
    kind = document.get("kind")
    resource = RESOURCES.get(kind) if isinstance(kind, str) else None
    if resource is None or resource.api_version != document.get("apiVersion"):
        return None
    return resource


def _resource_of(document: Document) -> Resource:
    resource = find_resource(document)
    if resource is not None:
        return resource
    kind, api_version = document.get("kind"), document.get("apiVersion")
    for field, value in (("kind", kind), ("apiVersion", api_version)):
        if value is None:
            raise _refusal(document, (field, "Required value"))
    other = RESOURCES.get(kind) if isinstance(kind, str) else None
    if other is not None:
        fault = not_supported("apiVersion", api_version, (other.api_version,))
        raise _refusal(document, (fault.field, fault.body))
    known = ", ".join(sorted(RESOURCES))
    why = f"does not matter for placing pods; what does: {known}"
    raise _refusal(document, ("kind", why))


def _check_size(document: Document) -> None:
    try:
        n_bytes = len(msgspec.json.encode(document))
    except ValueError as error:
        raise _refusal(document, ("", str(error))) from error
    if n_bytes > MAX_BYTES:
        why = f"Too long: may not be more than {MAX_BYTES} bytes, and is {n_bytes}"
        raise _refusal(document, ("", why))


def _refusal(document: Document, *faults: tuple[str, str]) -> InvalidObjectError:
    meta = document.get("metadata")
    known = meta if isinstance(meta, dict) else {}
    namespace, name = str(known.get("namespace", "")), str(known.get("name", ""))
    return InvalidObjectError(str(document.get("kind") or "object"), namespace, name, faults)


def _settle(sent: Document, stored: Document) -> None:
    """Have a volume that says nothing of itself available, as its controller soon would."""
    if stored["kind"] == "PersistentVolume" and not (sent.get("status") or {}).get("phase"):
        is_claimed = (stored.get("spec") or {}).get("claimRef") is not None
        stored["status"]["phase"] = "Bound" if is_claimed else "Available"
