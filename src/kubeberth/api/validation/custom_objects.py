"""Custom objects: metadata as everywhere, the rest by the schema of their definition.

Matches `pkg/registry/customresource` of k8s.io/apiextensions-apiserver 1.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api.custom.field_path import names_of, value_at
from kubeberth.api.custom.rules import validate_rules
from kubeberth.api.custom.structural import ABSENT
from kubeberth.api.custom.values import validate_structure, validate_value
from kubeberth.api.custom.version import CustomVersion
from kubeberth.api.scheme import Resource
from kubeberth.api.validation.field_error import FieldError, invalid
from kubeberth.api.validation.metadata import validate_metadata, validate_metadata_update

Document = Mapping[str, Any]
_INT32 = 2**31


def validate_object(resource: Resource, document: Document) -> list[FieldError]:
    """Return the faults of a new custom object."""
    metadata = document.get("metadata") or {}
    errors = _validate_type(resource, document)
    errors += validate_metadata(metadata, namespaced=resource.namespaced, is_core=False)
    errors += _validate_content(resource, document)
    return errors + _validate_rules(resource, document, ABSENT, errors)


def validate_object_update(resource: Resource, new: Document, old: Document) -> list[FieldError]:
    """Return what of a change to a custom object is not allowed.

    What was wrong before, under an older schema, may stay as long as nothing else goes wrong.
    """
    errors = _validate_type(resource, new)
    errors += validate_metadata_update(new.get("metadata") or {}, old.get("metadata") or {})
    found = _validate_content(resource, new)
    if found:
        before = set(_validate_content(resource, old))
        found = [error for error in found if error not in before]
    return errors + found + _validate_rules(resource, new, old, found)


def _validate_rules(
    resource: Resource, new: Document, old: Any, earlier: list[FieldError]
) -> list[FieldError]:
    """Return the rules that are broken now, and were not before."""
    if resource.custom is None:
        return []
    schema = resource.custom.schema
    errors = validate_rules(new, old, schema, earlier)
    if errors and old is not ABSENT:
        before = set(validate_rules(old, ABSENT, schema, []))
        errors = [error for error in errors if error not in before]
    return errors


def _validate_type(resource: Resource, document: Document) -> list[FieldError]:
    kind = document.get("kind", "")
    if kind == resource.kind:
        return []
    return [invalid("kind", kind, f"must be {resource.kind}")]


def _validate_content(resource: Resource, document: Document) -> list[FieldError]:
    custom = resource.custom
    if custom is None:
        return []
    content = {name: value for name, value in document.items() if name != "metadata"}
    errors = validate_value({**content, "metadata": {}}, custom.schema.raw)
    errors += validate_structure(content, custom.schema)
    return errors + _validate_scale(custom, document)


def _validate_scale(custom: CustomVersion, document: Document) -> list[FieldError]:
    if custom.scale is None:
        return []
    errors = []
    for path in (custom.scale.spec_replicas, custom.scale.status_replicas):
        replicas = value_at(document, path)
        field = ".".join(names_of(path))
        if not isinstance(replicas, int):
            continue
        if replicas < 0:
            errors.append(invalid(field, replicas, "should be a non-negative integer"))
        elif replicas >= _INT32:
            detail = f"should be less than or equal to {_INT32 - 1}"
            errors.append(invalid(field, replicas, detail))
    return errors
