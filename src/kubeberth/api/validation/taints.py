"""Taints of nodes and tolerations of pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    each_invalid,
    invalid,
    not_supported,
    required,
)
from kubeberth.api.validation.metadata import validate_label_key

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_COMPARING = ("Lt", "Gt")


def validate_tolerations(tolerations: list[dict[str, Any]], path: str) -> list[FieldError]:
    """Return the faults of tolerations; having one twice is none."""
    errors: list[FieldError] = []
    for index, toleration in enumerate(tolerations):
        errors += _validate_toleration(toleration, f"{path}[{index}]")
    return errors


def _validate_toleration(toleration: Mapping[str, Any], path: str) -> list[FieldError]:
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    value, effect = toleration.get("value", ""), toleration.get("effect", "")
    errors: list[FieldError] = []
    if key:
        errors += validate_label_key(key, f"{path}.key")
    elif operator != "Exists":
        detail = (
            "operator must be Exists when `key` is empty, which means "
            '"match all values and all keys"'
        )
        errors.append(invalid(f"{path}.operator", operator, detail))
    if "tolerationSeconds" in toleration and effect != "NoExecute":
        detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.append(invalid(f"{path}.effect", effect, detail))
    errors += _validate_operator(operator, value, f"{path}.operator")
    if effect:
        errors += _validate_effect(effect, f"{path}.effect")
    return errors


def _validate_operator(operator: str, value: str, path: str) -> list[FieldError]:
    """Return the faults of operator and value; upstream reports both at the operator."""
    if operator in ("", "Equal"):
        details = names.label_value_errors(value)
        return [invalid(path, value, ";".join(details))] if details else []
    if operator == "Exists":
        detail = "value must be empty when `operator` is 'Exists'"
        return [invalid(path, value, detail)] if value else []
    if operator in _COMPARING:
        # The feature gate TaintTolerationComparisonOperators is off.
        return [not_supported(path, operator, ("Equal", "Exists", "Lt", "Gt"))]
    return [not_supported(path, operator, ("Equal", "Exists"))]


def _validate_effect(effect: str, path: str) -> list[FieldError]:
    return [] if effect in EFFECTS else [not_supported(path, effect, EFFECTS)]


def validate_taints(taints: list[dict[str, Any]], path: str) -> list[FieldError]:
    """Return the faults of a node's taints."""
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        here = f"{path}[{index}]"
        key, value, effect = taint.get("key", ""), taint.get("value", ""), taint.get("effect", "")
        errors += validate_label_key(key, f"{here}.key")
        errors += each_invalid(
            f"{here}.value", value, names.label_value_errors(value) if value else []
        )
        errors += (
            _validate_effect(effect, f"{here}.effect") if effect else [required(f"{here}.effect")]
        )
        if (key, effect) in seen:
            detail = "taints must be unique by key and effect pair"
            errors.append(duplicate(here, _as_shown(taint), detail))
        seen.add((key, effect))
    return errors


def _as_shown(taint: Mapping[str, Any]) -> dict[str, Any]:
    """Return a taint as upstream prints it: the internal struct."""
    return {
        "Key": taint.get("key", ""),
        "Value": taint.get("value", ""),
        "Effect": taint.get("effect", ""),
        "TimeAdded": taint.get("timeAdded"),
    }
