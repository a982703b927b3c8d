"""Which fields of which kind a field selector may name, and how they read.

Matches the field label conversions of Kubernetes 1.36 (`pkg/apis/*/v1/conversion.go`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubeberth.api.scheme import Resource
from kubeberth.api.selectors import FieldSelector, Selector
from kubeberth.apiserver.objects import decode, object_json
from kubeberth.apiserver.storage.store import Entry
from kubeberth.errors import BadRequestError

_COMMON = ("metadata.name", "metadata.namespace")
_REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_EVENT = (
    *(f"involvedObject.{name}" for name in _REFERENCE),
    "reason", "reportingComponent", "source", "type",
)  # fmt: skip
# By kind: the fields besides the common ones.
FIELDS: dict[str, tuple[str, ...]] = {
    "Pod": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "Node": ("spec.unschedulable",),
    "Namespace": ("status.phase",),
    "Event": _EVENT,
    "Secret": ("type",),
    "Service": ("spec.clusterIP", "spec.type"),
    "ReplicationController": ("status.replicas",),
    "Job": ("status.successful",),
    "CertificateSigningRequest": ("spec.signerName",),
    "ResourceSlice": ("spec.driver", "spec.nodeName"),
}
ALIASES: dict[str, dict[str, str]] = {
    "Pod": {"spec.host": "spec.nodeName", "status.podIPs": "status.podIP"},
    "Namespace": {"name": "metadata.name"},
    "Event": {
        "reportingController": "reportingComponent",
        **{f"regarding.{name}": f"involvedObject.{name}" for name in _REFERENCE},
    },
}
# Fields that read as false when they are absent.
_BOOLEANS = frozenset(("spec.hostNetwork", "spec.unschedulable"))
# Fields that read as zero when they are absent.
_NUMBERS = frozenset(("status.replicas", "status.succeeded"))


def fields_of(resource: Resource) -> tuple[str, ...] | None:
    """Return the fields besides the common ones; None when there are none."""
    if resource.custom is not None:
        return resource.custom.selectable or None
    return FIELDS.get(resource.kind)


def checked_selector(resource: Resource, selector: FieldSelector) -> FieldSelector:
    """Return the selector in the names of the stored fields.

    Raises
    ------
    BadRequestError
        It names a field that cannot be selected by.
    """
    aliases = ALIASES.get(resource.built_in_kind, {})
    own = fields_of(resource)
    terms = tuple((aliases.get(path, path), op, value) for path, op, value in selector.terms)
    for path, _, _ in terms:
        if path in _COMMON or (own and path in own):
            continue
        if resource.built_in_kind == "Job":
            raise BadRequestError(f'field label "{path}" not supported for Job')
        if own is not None and resource.custom is None:
            raise BadRequestError(f"field label not supported: {path}")
        known = 'only "metadata.name", "metadata.namespace"'
        raise BadRequestError(f'"{path}" is not a known field selector: {known}')
    return FieldSelector(terms)


@dataclass(frozen=True, slots=True)
class Selectable:
    """What selectors look at; kept with the entry, so that it is read out of the bytes once."""

    labels: dict[str, str]
    fields: dict[str, str]


def selectable(resource: Resource, entry: Entry) -> Selectable:
    """Return the labels and selectable fields of an entry."""
    if entry.memo is None:
        document = decode(object_json(entry.value))
        fields = {path: field_text(document, path) for path in fields_of(resource) or ()}
        fields |= {path: field_text(document, path) for path in _COMMON}
        entry.memo = Selectable(document["metadata"].get("labels") or {}, fields)
    memo: Selectable = entry.memo
    return memo


def field_text(document: dict[str, Any], path: str) -> str:
    """Return a field as selectors compare it."""
    if path == "source":  # of an event: an object, of which the component counts
        return str((document.get("source") or {}).get("component", ""))
    if path == "status.successful":  # of a job, whose field has another name
        path = "status.succeeded"
    value: Any = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if path in _BOOLEANS or isinstance(value, bool):
        return "true" if value else "false"
    if path in _NUMBERS:
        return str(value or 0)
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Selection:
    """The objects that a list, watch or deletecollection is about."""

    resource: Resource
    labels: Selector
    fields: FieldSelector

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return self.labels.is_everything and not self.fields.terms

    def matches(self, entry: Entry | None) -> bool:
        """Return whether an entry is selected; None is not."""
        if entry is None:
            return False
        if self.is_everything:
            return True
        seen = selectable(self.resource, entry)
        return self.labels.matches(seen.labels) and self.fields.matches(seen.fields.__getitem__)
