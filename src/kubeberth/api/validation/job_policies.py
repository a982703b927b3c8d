"""The policies of jobs: which failures count, and when enough has succeeded.

Matches Kubernetes 1.36 (`pkg/apis/batch/validation`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.job_indexes import IndexesError, checked_indexes
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    each_invalid,
    invalid,
    not_supported,
    required,
    too_many,
)
from kubeberth.api.validation.workloads import validate_not_negative

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUSES = ("False", "True", "Unknown")
_MAX_RULES = 20
_MAX_EXIT_CODES = 255


def validate_policies(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Return the faults of a job's policies."""
    errors: list[FieldError] = []
    if spec.get("podFailurePolicy") is not None:
        errors += _validate_failure_policy(spec, f"{path}.podFailurePolicy.rules")
    if (success := spec.get("successPolicy")) is not None:
        if spec.get("completionMode") != "Indexed":
            detail = "requires indexed completion mode"
            errors.append(invalid(f"{path}.successPolicy", success, detail))
        else:
            errors += _validate_success_policy(spec, f"{path}.successPolicy.rules")
    return errors


def _validate_failure_policy(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    rules = spec["podFailurePolicy"].get("rules") or ()
    errors = [too_many(path, len(rules), _MAX_RULES)] if len(rules) > _MAX_RULES else []
    template = (spec.get("template") or {}).get("spec") or {}
    known = {
        container.get("name")
        for field in ("containers", "initContainers")
        for container in template.get(field) or ()
    }
    for index, rule in enumerate(rules):
        here = f"{path}[{index}]"
        errors += _validate_action(rule, spec, f"{here}.action")
        codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None:
            errors += _validate_exit_codes(codes, known, f"{here}.onExitCodes")
        errors += _validate_conditions(patterns or (), f"{here}.onPodConditions")
        if codes is None and not patterns:
            detail = "specifying one of OnExitCodes and OnPodConditions is required"
            errors.append(_invalid_as_a_whole(here, detail))
        elif codes is not None and patterns:
            detail = "specifying both OnExitCodes and OnPodConditions is not supported"
            errors.append(_invalid_as_a_whole(here, detail))
    return errors


def _validate_action(
    rule: Mapping[str, Any], spec: Mapping[str, Any], path: str
) -> list[FieldError]:
    action = rule.get("action", "")
    if not action:
        return [required(path, f"valid values: {_listed(_ACTIONS)}")]
    if action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        return [invalid(path, action, "requires the backoffLimitPerIndex to be set")]
    return [] if action in _ACTIONS else [not_supported(path, action, _ACTIONS)]


def _validate_exit_codes(codes: Mapping[str, Any], known: set[Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    operator, values = codes.get("operator", ""), codes.get("values") or []
    if not operator:
        errors.append(required(f"{path}.operator", f"valid values: {_listed(_OPERATORS)}"))
    elif operator not in _OPERATORS:
        errors.append(not_supported(f"{path}.operator", operator, _OPERATORS))
    if (name := codes.get("containerName")) is not None and name not in known:
        detail = "must be one of the container or initContainer names in the pod template"
        errors.append(invalid(f"{path}.containerName", name, detail))
    if not values:
        errors.append(invalid(f"{path}.values", values, "at least one value is required"))
    elif len(values) > _MAX_EXIT_CODES:
        errors.append(too_many(f"{path}.values", len(values), _MAX_EXIT_CODES))
    for index, value in enumerate(values):
        if value == 0 and operator == "In":
            detail = "must not be 0 for the In operator"
            errors.append(invalid(f"{path}.values[{index}]", value, detail))
        if value in values[:index]:
            errors.append(duplicate(f"{path}.values[{index}]", value))
    if values != sorted(values):
        errors.append(invalid(f"{path}.values", values, "must be ordered"))
    return errors


def _validate_conditions(patterns: Any, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, pattern in enumerate(patterns):
        type_, status = pattern.get("type", ""), pattern.get("status", "")
        where = f"{path}[{index}]"
        wrong = names.qualified_name_errors(type_, "a qualified name")
        errors += each_invalid(f"{where}.type", type_, wrong)
        if not status:
            errors.append(required(f"{where}.status", f"valid values: {_listed(_STATUSES)}"))
        elif status not in _STATUSES:
            errors.append(not_supported(f"{where}.status", status, _STATUSES))
    return errors


def _listed(values: tuple[str, ...]) -> str:
    """Return texts as Go prints a list of them."""
    quoted = " ".join(f'"{value}"' for value in values)
    return f"[{quoted}]"


def _invalid_as_a_whole(path: str, detail: str) -> FieldError:
    """Return the error of a value that is not shown."""
    return FieldError("FieldValueInvalid", path, f"Invalid value: {detail}")


def _validate_success_policy(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    rules = spec["successPolicy"].get("rules") or ()
    if not rules:
        detail = "at least one rules must be specified when the successPolicy is specified"
        return [required(path, detail)]
    errors = [too_many(path, len(rules), _MAX_RULES)] if len(rules) > _MAX_RULES else []
    for index, rule in enumerate(rules):
        errors += _validate_success_rule(rule, spec.get("completions") or 0, f"{path}[{index}]")
    return errors


def _validate_success_rule(
    rule: Mapping[str, Any], completions: int, path: str
) -> list[FieldError]:
    errors: list[FieldError] = []
    text, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    if text is None and count is None:
        detail = "at least one of succeededCount or succeededIndexes must be specified"
        errors.append(required(path, detail))
    n_named = 0
    if text is not None:
        try:
            n_named = len(checked_indexes(text, completions))
        except IndexesError as error:
            detail = f"error parsing succeededIndexes: {error}"
            errors.append(invalid(f"{path}.succeededIndexes", text, detail))
    if count is not None:
        here = f"{path}.succeededCount"
        errors += validate_not_negative(count, here)
        if count > completions:
            detail = (
                f"must be less than or equal to {completions} (the number of specified completions)"
            )
            errors.append(invalid(here, count, detail))
        if text is not None and count > n_named:
            detail = (
                f"must be less than or equal to {n_named} (the number of indexes in the specified "
                "succeededIndexes field)"
            )
            errors.append(invalid(here, count, detail))
    return errors
