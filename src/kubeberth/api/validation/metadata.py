"""ObjectMeta: names, labels, annotations, owners, finalizers, and what of it may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from kubeberth.api import names
from kubeberth.api.validation.faultless import Faultless
from kubeberth.api.validation.field_error import (
    FieldError,
    each_invalid,
    forbidden,
    invalid,
    required,
    shown,
    too_long,
)

MAX_ANNOTATIONS_BYTES = 256 * 1024
STANDARD_FINALIZERS = frozenset(("kubernetes", "orphan", "foregroundDeletion"))
IMMUTABLE = "field is immutable"

# What every object has of its own.
_OF_THIS_OBJECT = frozenset(
    ("creationTimestamp", "generateName", "managedFields", "name", "resourceVersion", "uid")
)
# The same few keys and values come again and again.
label_key_errors = lru_cache(maxsize=4096)(names.qualified_name_errors)
label_value_errors = lru_cache(maxsize=4096)(names.label_value_errors)

NameErrors = Callable[[str], list[str]]
"""Returns what keeps a text from being an object's name."""


def path_segment_errors(name: str) -> list[str]:
    """Return what keeps a text from being a part of a path, which is all that a role's name is."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{character}'" for character in "/%" if character in name]


def validate_metadata(
    meta: Mapping[str, Any],
    name_errors: NameErrors = names.dns1123_subdomain_errors,
    *,
    namespaced: bool = True,
    is_core: bool = True,
    path: str = "metadata",
) -> list[FieldError]:
    """Return the faults of an object's metadata.

    Parameters
    ----------
    is_core
        Whether finalizers must be standard ones or qualified, as core kinds have it.
    """
    errors: list[FieldError] = []
    if prefix := meta.get("generateName"):
        errors += each_invalid(f"{path}.generateName", prefix, _prefix_errors(prefix, name_errors))
    if name := meta.get("name"):
        errors += each_invalid(f"{path}.name", name, name_errors(name))
    else:
        errors.append(required(f"{path}.name", "name or generateName is required"))
    apart = {field: value for field, value in meta.items() if field not in _OF_THIS_OBJECT}
    return errors + _validate_shared(apart, namespaced, is_core, path)


def _shared_errors(
    meta: Mapping[str, Any], namespaced: bool, is_core: bool, path: str
) -> list[FieldError]:
    """Return the faults of what the objects of one template have in common."""
    errors = _validate_namespace(meta.get("namespace", ""), namespaced, f"{path}.namespace")
    if (generation := meta.get("generation", 0)) < 0:
        errors.append(
            invalid(f"{path}.generation", generation, "must be greater than or equal to 0")
        )
    errors += validate_labels(meta.get("labels"), f"{path}.labels")
    errors += validate_annotations(meta.get("annotations"), f"{path}.annotations")
    errors += _validate_owners(meta.get("ownerReferences") or [], f"{path}.ownerReferences")
    errors += _validate_finalizers(
        meta.get("finalizers") or [], f"{path}.finalizers", is_core=is_core
    )
    return errors


_validate_shared = Faultless(_shared_errors)


def validate_labels(labels: Mapping[str, str] | None, path: str) -> list[FieldError]:
    """Return the faults of labels, all reported at the map itself."""
    errors: list[FieldError] = []
    for key, value in (labels or {}).items():
        errors += each_invalid(path, key, label_key_errors(key))
        errors += each_invalid(path, value, label_value_errors(value))
    return errors


def validate_label_key(key: str, path: str) -> list[FieldError]:
    """Return the faults of a label key."""
    return each_invalid(path, key, label_key_errors(key))


def validate_annotations(annotations: Mapping[str, str] | None, path: str) -> list[FieldError]:
    """Return the faults of annotations; keys may have any case, values any content."""
    errors: list[FieldError] = []
    size = 0
    for key, value in (annotations or {}).items():
        errors += each_invalid(
            path, key, names.qualified_name_errors(key.lower(), "a qualified name")
        )
        size += len(key.encode()) + len(value.encode())
    if size > MAX_ANNOTATIONS_BYTES:
        errors.append(too_long(path, MAX_ANNOTATIONS_BYTES))
    return errors


def validate_finalizer(name: str, path: str) -> list[FieldError]:
    """Return the faults of a finalizer as core kinds see it: a standard one, or qualified."""
    if "/" in name or name in STANDARD_FINALIZERS:
        return []
    return [
        invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified")
    ]


def validate_metadata_update(
    new: Mapping[str, Any], old: Mapping[str, Any], path: str = "metadata"
) -> list[FieldError]:
    """Return the faults of a metadata update: what the server sets may not change."""
    # Most updates are about something else; what is stored was found good.
    if new.get("resourceVersion") and {**new, **_ASIDE} == {**old, **_ASIDE}:
        return []
    errors: list[FieldError] = []
    if old.get("deletionTimestamp"):
        added = [f for f in new.get("finalizers") or [] if f not in (old.get("finalizers") or [])]
        if added:
            errors.append(
                forbidden(
                    f"{path}.finalizers",
                    "no new finalizers can be added if the object is being deleted, found new "
                    f"finalizers []string{{{', '.join(shown(name) for name in added)}}}",
                )
            )
    if not new.get("resourceVersion"):
        detail = "must be specified for an update"
        errors.append(invalid(f"{path}.resourceVersion", new.get("resourceVersion", ""), detail))
    if new.get("generation", 0) < old.get("generation", 0):
        errors.append(
            invalid(f"{path}.generation", new.get("generation", 0), "must not be decremented")
        )
    for field, zero in _IMMUTABLE_FIELDS.items():
        if new.get(field) != old.get(field):
            errors.append(invalid(f"{path}.{field}", new.get(field, zero), IMMUTABLE))
    errors += validate_labels_update(new, old, path)
    if new.get("ownerReferences") != old.get("ownerReferences"):
        errors += _validate_owners(new.get("ownerReferences") or [], f"{path}.ownerReferences")
    return errors


def validate_labels_update(
    new: Mapping[str, Any], old: Mapping[str, Any], path: str = "metadata"
) -> list[FieldError]:
    """Return the faults of new labels and annotations; what is stored was found good."""
    errors: list[FieldError] = []
    if new.get("labels") != old.get("labels"):
        errors += validate_labels(new.get("labels"), f"{path}.labels")
    if new.get("annotations") != old.get("annotations"):
        errors += validate_annotations(new.get("annotations"), f"{path}.annotations")
    return errors


# What differs with every update.
_ASIDE = {"resourceVersion": None, "managedFields": None}
# With the value that stands for an absent one.
_IMMUTABLE_FIELDS: dict[str, Any] = {
    "name": "",
    "namespace": "",
    "uid": "",
    "creationTimestamp": None,
    "deletionTimestamp": None,
    "deletionGracePeriodSeconds": None,
}


def _prefix_errors(prefix: str, name_errors: NameErrors) -> list[str]:
    """Return what keeps a prefix from becoming a name; it may end in a dash."""
    return name_errors(prefix[:-1] + "a" if prefix.endswith("-") else prefix)


def _validate_namespace(namespace: str, namespaced: bool, path: str) -> list[FieldError]:
    if not namespaced:
        return [forbidden(path, "not allowed on this type")] if namespace else []
    if not namespace:
        return [required(path)]
    return each_invalid(path, namespace, names.dns1123_label_errors(namespace))


def _validate_owners(owners: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    controller = ""
    for owner in owners:
        errors += _validate_owner(owner, path)
        if not owner.get("controller"):
            continue
        found = f"{owner.get('kind', '')}/{owner.get('name', '')}"
        if controller:
            detail = (
                'Only one reference can have Controller set to true. Found "true" in references '
                f"for {controller} and {found}"
            )
            errors.append(invalid(path, [_owner_as_shown(o) for o in owners], detail))
        controller = controller or found
    return errors


def _validate_owner(owner: Mapping[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not owner.get("apiVersion", "").rpartition("/")[2]:
        value = owner.get("apiVersion", "")
        errors.append(invalid(f"{path}.apiVersion", value, "version must not be empty"))
    errors += [
        invalid(f"{path}.{field}", "", "must not be empty")
        for field in ("kind", "name", "uid")
        if not owner.get(field)
    ]
    if owner.get("apiVersion") == "v1" and owner.get("kind") == "Event":
        errors.append(
            invalid(
                path, _owner_as_shown(owner), "/v1, Kind=Event is disallowed from being an owner"
            )
        )
    return errors


def _owner_as_shown(owner: Mapping[str, Any]) -> dict[str, Any]:
    order = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
    return {key: owner[key] for key in order if key in owner}


def _validate_finalizers(finalizers: list[str], path: str, *, is_core: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    for name in finalizers:
        errors += each_invalid(path, name, names.qualified_name_errors(name, "a qualified name"))
    if {"orphan", "foregroundDeletion"} <= set(finalizers):
        detail = "finalizer orphan and foregroundDeletion cannot be both set"
        errors.append(invalid(path, finalizers, detail))
    for index, name in enumerate(finalizers if is_core else ()):
        errors += validate_finalizer(name, f"{path}[{index}]")
    return errors
