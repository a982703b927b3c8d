"""Intake: documents in, accepted objects out; what an API server would refuse is an error here."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from kubeberth.api.scheme import Resource
from kubeberth.errors import InvalidObjectError
from kubeberth.library.kinds import RESOURCES
from kubeberth.library.stored import Stored, to_stored

T = TypeVar("T")

Document = dict[str, Any]


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
    resource = resource_of(document)
    stored = to_stored(resource, document, priority_classes)
    faults = (*((path, "unknown field") for path in stored.unknown_fields), *stored.faults)
    if faults:
        raise _refusal(resource.kind, stored, faults)
    _settle(document, stored.document)
    return Accepted(resource, stored.document)


def is_wanted(document: Document) -> bool:
    """Return whether placing pods depends on objects of that kind."""
    kind = document.get("kind")
    resource = RESOURCES.get(kind) if isinstance(kind, str) else None
    return resource is not None and resource.api_version == document.get("apiVersion")


def resource_of(document: Document) -> Resource:
    """Return the resource whose object a document is.

    Raises
    ------
    InvalidObjectError
        When it is of none that matters here.
    """
    kind, api_version = document.get("kind"), document.get("apiVersion")
    resource = RESOURCES.get(kind) if isinstance(kind, str) else None
    if resource is not None and resource.api_version == api_version:
        return resource
    if resource is not None:
        fault = f'Unsupported value: "{api_version}": supported values: "{resource.api_version}"'
        if api_version is None:
            fault = "Required value"
        raise _unknown(document, "apiVersion", fault)
    if kind is None:
        raise _unknown(document, "kind", "Required value")
    known = ", ".join(sorted(RESOURCES))
    raise _unknown(document, "kind", f"does not matter for placing pods; what does: {known}")


def _unknown(document: Document, field: str, reason: str) -> InvalidObjectError:
    meta = document.get("metadata")
    known = meta if isinstance(meta, dict) else {}
    kind = str(document.get("kind") or "object")
    return InvalidObjectError(
        kind, str(known.get("namespace", "")), str(known.get("name", "")), [(field, reason)]
    )


def _refusal(kind: str, stored: Stored, faults: tuple[tuple[str, str], ...]) -> InvalidObjectError:
    meta = stored.document.get("metadata")
    known = meta if isinstance(meta, dict) else {}
    namespace, name = str(known.get("namespace", "")), str(known.get("name", ""))
    return InvalidObjectError(kind, namespace, name, faults)


def _settle(sent: Document, stored: Document) -> None:
    """Have a volume that says nothing of itself available, as its controller soon would."""
    if stored["kind"] == "PersistentVolume" and not (sent.get("status") or {}).get("phase"):
        is_claimed = (stored.get("spec") or {}).get("claimRef") is not None
        stored["status"]["phase"] = "Bound" if is_claimed else "Available"
