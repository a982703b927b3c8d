"""Events, in the old form of the core group and in the new one of events.k8s.io."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.validation.field_error import FieldError, each_invalid, invalid, required
from kubeberth.api.validation.metadata import validate_metadata, validate_metadata_update
from kubeberth.api.validation.rules import Rules

_MAX_SHORT = 128
_MAX_NOTE = 1024
_TYPES = ("Normal", "Warning")
_SYSTEM = "kube-system"


def validate_core_event(event: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a core event; one with an event time has to be complete."""
    involved = event.get("involvedObject") or {}
    is_new_style = event.get("eventTime") is not None
    errors = _validate_event_name(event)
    errors += _validate_namespace(
        event, involved.get("namespace", ""), "involvedObject.namespace", is_new_style
    )
    if is_new_style:
        errors += _validate_reporter(event, "reportingComponent", "reportingController")
        errors += _validate_texts(event, "message")
    return errors


def validate_new_event(event: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of an events.k8s.io event."""
    errors = _validate_event_name(event)
    regarding = (event.get("regarding") or {}).get("namespace", "")
    if event.get("eventTime") is None:
        errors.append(required("eventTime"))
    if event.get("type", "") not in _TYPES:
        detail = f"has invalid value: {event.get('type', '')}"
        errors.append(invalid("type", "", detail))
    errors += _validate_namespace(event, regarding, "involvedObject.namespace", True)
    errors += _validate_reporter(event, "reportingController", "reportingController")
    errors += _validate_texts(event, "note")
    for field in _DEPRECATED:
        if event.get(field):
            errors.append(invalid(field.removeprefix("deprecated"), "", "needs to be unset"))
    return errors


_DEPRECATED = ("deprecatedFirstTimestamp", "deprecatedLastTimestamp", "deprecatedCount")


def validate_event_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of an event's update is not allowed."""
    return validate_metadata_update(new["metadata"], old["metadata"]) + _validate_event_name(new)


def _validate_event_name(event: Mapping[str, Any]) -> list[FieldError]:
    return validate_metadata(event.get("metadata") or {})


def _validate_namespace(
    event: Mapping[str, Any], about: str, path: str, is_new_style: bool
) -> list[FieldError]:
    """Return the fault of an event that lies in another namespace than what it is about."""
    own = (event.get("metadata") or {}).get("namespace", "")
    allowed = {about} if about else {"default", _SYSTEM} if is_new_style else {"default", ""}
    if own in allowed:
        return []
    return [invalid(path, about, "does not match event.namespace")]


def _validate_reporter(event: Mapping[str, Any], field: str, shown: str) -> list[FieldError]:
    controller = event.get(field, "")
    if not controller:
        return [required(shown)]
    details = names.qualified_name_errors(controller, "a qualified name")
    return each_invalid(shown, controller, details)


def _validate_texts(event: Mapping[str, Any], note: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("reportingInstance", "action", "reason"):
        value = event.get(field, "")
        if not value:
            errors.append(required(field))
        elif len(value) > _MAX_SHORT:
            errors.append(invalid(field, "", f"can have at most {_MAX_SHORT} characters"))
    if len(event.get(note, "")) > _MAX_NOTE:
        errors.append(invalid("message", "", f"can have at most {_MAX_NOTE} characters"))
    return errors


RULES = {
    "events": Rules(validate_core_event, validate_event_update),
    "events.events.k8s.io": Rules(validate_new_event, validate_event_update),
}
"""By resource."""
