"""The small kinds around placement: namespaces, priority classes, leases, bindings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.priority import HIGHEST_USER_PRIORITY, SYSTEM_PRIORITIES
from kubeberth.api.validation.field_error import (
    FieldError,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubeberth.api.validation.metadata import (
    IMMUTABLE,
    validate_finalizer,
    validate_metadata,
    validate_metadata_update,
)
from kubeberth.api.validation.rules import Rules
from kubeberth.api.validation.workloads import validate_not_negative

_PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
_ACTIVE, _TERMINATING = "Active", "Terminating"


def validate_namespace(namespace: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a namespace."""
    meta = namespace.get("metadata") or {}
    errors = validate_metadata(meta, names.dns1123_label_errors, namespaced=False)
    path = "spec.finalizers"
    for name in (namespace.get("spec") or {}).get("finalizers") or []:
        errors += each_invalid(path, name, names.qualified_name_errors(name, "a qualified name"))
        errors += validate_finalizer(name, path)
    return errors


def validate_namespace_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a namespace's update is not allowed."""
    errors = validate_namespace(new)
    return errors + validate_metadata_update(new["metadata"], old["metadata"])


def validate_namespace_status_update(
    new: Mapping[str, Any], old: Mapping[str, Any]
) -> list[FieldError]:
    """Return what of a namespace status is not allowed: the phase follows the deletion."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    phase = (new.get("status") or {}).get("phase", "")
    if new["metadata"].get("deletionTimestamp"):
        if phase != _TERMINATING:
            detail = "may only be 'Terminating' if `deletionTimestamp` is not empty"
            errors.append(invalid("status.Phase", phase, detail))
    elif phase != _ACTIVE:
        detail = "may only be 'Active' if `deletionTimestamp` is empty"
        errors.append(invalid("status.Phase", phase, detail))
    return errors


def validate_priority_class(priority_class: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a priority class."""
    meta = priority_class.get("metadata") or {}
    name, value = meta.get("name", ""), priority_class.get("value", 0)
    errors = validate_metadata(meta, namespaced=False)
    if name.startswith("system-"):
        if SYSTEM_PRIORITIES.get(name) != value or priority_class.get("globalDefault"):
            errors.append(
                forbidden(
                    "metadata.name",
                    "priority class names with 'system-' prefix are reserved for system use only. "
                    f"error: {_why_not_system(name, priority_class)}",
                )
            )
    elif value > HIGHEST_USER_PRIORITY:
        detail = f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
        errors.append(forbidden("value", detail))
    policy = priority_class.get("preemptionPolicy")
    if policy is not None and policy not in _PREEMPTION_POLICIES:
        errors.append(not_supported("preemptionPolicy", policy, _PREEMPTION_POLICIES))
    return errors


def _why_not_system(name: str, priority_class: Mapping[str, Any]) -> str:
    if name not in SYSTEM_PRIORITIES:
        return f"{name} is not a known system priority class"
    if priority_class.get("value", 0) != SYSTEM_PRIORITIES[name]:
        return f"value of {name} PriorityClass must be {SYSTEM_PRIORITIES[name]}"
    return f"globalDefault of {name} PriorityClass must be false"


def validate_priority_class_update(
    new: Mapping[str, Any], old: Mapping[str, Any]
) -> list[FieldError]:
    """Return what of a priority class's update is not allowed."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    if new.get("value", 0) != old.get("value", 0):
        errors.append(forbidden("value", "may not be changed in an update."))
    policy, before = new.get("preemptionPolicy"), old.get("preemptionPolicy")
    if policy is not None and policy not in _PREEMPTION_POLICIES:
        errors.append(not_supported("preemptionPolicy", policy, _PREEMPTION_POLICIES))
    elif policy != before:
        errors.append(invalid("preemptionPolicy", policy, IMMUTABLE))
    return errors


def validate_lease(lease: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a lease."""
    spec = lease.get("spec") or {}
    errors = validate_metadata(lease.get("metadata") or {})
    duration = spec.get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        errors.append(invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
    if (transitions := spec.get("leaseTransitions")) is not None:
        errors += validate_not_negative(transitions, "spec.leaseTransitions")
    return errors


def validate_binding(binding: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a binding."""
    target = binding.get("target") or {}
    errors: list[FieldError] = []
    if (kind := target.get("kind", "")) not in ("", "Node"):
        errors.append(not_supported("target.kind", kind, ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(required("target.name"))
    return errors


def validate_scale(scale: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a scale."""
    errors = validate_metadata(scale.get("metadata") or {})
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    return errors + validate_not_negative(replicas, "spec.replicas")


def _lease_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    return errors + validate_lease(new)


RULES = {
    "namespaces": Rules(
        validate_namespace,
        validate_namespace_update,
        validate_namespace_status_update,
    ),
    "leases.coordination.k8s.io": Rules(validate_lease, _lease_update),
    "priorityclasses.scheduling.k8s.io": Rules(
        validate_priority_class, validate_priority_class_update
    ),
    "bindings": Rules(validate_binding),
}
"""By resource."""
