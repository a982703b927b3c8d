"""What an API server would store for an object that it is sent.

    decode -> defaults -> admission (pods: priority, tolerations) -> preparation -> validation

The same functions as in the API server, without one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from kubeberth.api import schema, validation
from kubeberth.api.custom.version import storage_version
from kubeberth.api.default_tolerations import add_default_tolerations
from kubeberth.api.defaults import apply_defaults
from kubeberth.api.fields import FieldTypeError, Walk
from kubeberth.api.job_selection import select_own_pods
from kubeberth.api.label_keys import merge_label_keys
from kubeberth.api.priority import SYSTEM_PRIORITIES, fill_in_priority, global_default
from kubeberth.api.scheme import CUSTOM_RESOURCE_DEFINITIONS, JOBS, PODS, Resource
from kubeberth.api.validation.field_error import FieldError

Document = dict[str, Any]

# As much of it is kept for a name with five more letters.
_LONGEST_PREFIX = 58

SYSTEM_CLASSES: tuple[Document, ...] = tuple(
    {"metadata": {"name": name}, "value": value} for name, value in SYSTEM_PRIORITIES.items()
)


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a sent object.

    Parameters
    ----------
    document
        As far as it came.
    forbidden
        Why admission refuses it; empty when it does not.
    errors
        What else is wrong with it.
    unknown_fields
        Paths of fields that its kind does not have; an API server drops them.
    """

    document: Document
    forbidden: str = ""
    errors: tuple[FieldError, ...] = ()
    unknown_fields: tuple[str, ...] = ()

    @property
    def faults(self) -> tuple[tuple[str, str], ...]:
        """Pairs of field and reason; none when the object would be stored."""
        if self.forbidden:
            return (("", self.forbidden),)
        return tuple((error.field, error.body) for error in self.errors)


def _prepare(resource: Resource, document: Document) -> None:
    """Fill in what depends on nothing but the object, and is judged with it."""
    if resource is PODS:
        merge_label_keys(document)
    elif resource is JOBS and document.get("spec", {}).get("template"):
        select_own_pods(document)
    elif resource is CUSTOM_RESOURCE_DEFINITIONS:
        name = storage_version(document.get("spec") or {})
        document["status"] = {"storedVersions": [name] if name else []}


def to_stored(
    resource: Resource,
    sent: Document,
    priority_classes: Collection[Document] = SYSTEM_CLASSES,
    prepare: Callable[[Resource, Document], None] = _prepare,
    *,
    is_new: bool = True,
) -> Stored:
    """Return an object as it would be stored, or why it would not.

    An object with a resource version comes from an API server, which has admitted it long ago: it
    is not admitted, nor judged as if it were new, a second time. (One without a name never was.)

    Parameters
    ----------
    sent
        The object as JSON values; it is left as it is.
    prepare
        Fills in what is the server's to say.
    is_new
        Whether nothing is known of it so far: a pod keeps the priority that it was given.
    """
    definition = schema.definition_of(resource.api_version, resource.kind)
    if definition is None:
        raise LookupError(f"no definition of {resource.api_version} {resource.kind}")
    walk = Walk()
    try:
        document = walk.object(sent, definition)
    except FieldTypeError as error:
        return Stored(sent, errors=(FieldError("FieldValueTypeInvalid", error.field, str(error)),))
    document |= {"apiVersion": resource.api_version, "kind": resource.kind}
    meta = document.setdefault("metadata", {})
    if resource.namespaced:
        meta.setdefault("namespace", "default")
    apply_defaults(resource, document)
    if meta.get("resourceVersion") and meta.get("name"):
        return Stored(document)
    unknown = tuple(walk.unknown)
    if resource is PODS:
        add_default_tolerations(document["spec"])
    if (
        resource is PODS
        and is_new
        and (why_not := _prioritised(document["spec"], priority_classes))
    ):
        return Stored(document, why_not, unknown_fields=unknown)
    prepare(resource, document)
    errors = tuple(validation.validate(resource, document))
    return Stored(document, errors=errors, unknown_fields=unknown)


def with_some_name(document: Document) -> Document:
    """Return an object that is only judged: if its name is to be generated, with one such name."""
    meta = document.get("metadata")
    if not isinstance(meta, dict) or meta.get("name"):
        return document
    prefix = meta.get("generateName")
    if not isinstance(prefix, str) or not prefix:
        return document
    return {**document, "metadata": {**meta, "name": f"{prefix[:_LONGEST_PREFIX]}00000"}}


def _prioritised(spec: Document, priority_classes: Collection[Document]) -> str:
    """Fill in a pod's priority; return why it is refused, or nothing."""
    name = spec.get("priorityClassName")
    named = (entry for entry in priority_classes if entry["metadata"]["name"] == name)
    found = next(named, None) if name else global_default(priority_classes)
    return fill_in_priority(spec, found)
