"""Label selectors and node selectors as documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.validation.field_error import (
    FieldError,
    each_invalid,
    forbidden,
    invalid,
    required,
)
from kubeberth.api.validation.metadata import (
    label_value_errors,
    validate_label_key,
    validate_labels,
)

BAD_OPERATOR = "not a valid selector operator"
_NEEDS_VALUES = "must be specified when `operator` is 'In' or 'NotIn'"
_TAKES_NO_VALUES = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
# Whether the operator takes values.
_LABEL_OPERATORS = {"In": True, "NotIn": True, "Exists": False, "DoesNotExist": False}


def validate_label_selector(selector: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    """Return the faults of a `LabelSelector`; none when there is no selector."""
    if selector is None:
        return []
    errors = validate_labels(selector.get("matchLabels"), f"{path}.matchLabels")
    for index, requirement in enumerate(selector.get("matchExpressions") or []):
        errors += _validate_label_requirement(requirement, f"{path}.matchExpressions[{index}]")
    return errors


def is_label_selector(selector: Mapping[str, Any]) -> bool:
    """Tell whether a selector can be evaluated, whatever else is wrong with it."""
    for requirement in selector.get("matchExpressions") or []:
        operator, values = requirement.get("operator", ""), requirement.get("values") or []
        if operator not in _LABEL_OPERATORS or bool(values) != _LABEL_OPERATORS[operator]:
            return False
    return True


def _validate_label_requirement(requirement: Mapping[str, Any], path: str) -> list[FieldError]:
    operator, values = requirement.get("operator", ""), requirement.get("values") or []
    errors: list[FieldError] = []
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required(f"{path}.values", _NEEDS_VALUES))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            errors.append(forbidden(f"{path}.values", _TAKES_NO_VALUES))
    else:
        errors.append(invalid(f"{path}.operator", operator, BAD_OPERATOR))
    errors += validate_label_key(requirement.get("key", ""), f"{path}.key")
    for index, value in enumerate(values):
        errors += each_invalid(f"{path}.values[{index}]", value, label_value_errors(value))
    return errors


def validate_node_selector(selector: Mapping[str, Any], path: str) -> list[FieldError]:
    """Return the faults of a `NodeSelector`; a term without any expression is allowed."""
    terms = selector.get("nodeSelectorTerms") or []
    if not terms:
        return [required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")]
    errors: list[FieldError] = []
    for index, term in enumerate(terms):
        errors += validate_node_selector_term(
            term, f"{path}.nodeSelectorTerms[{index}]", checks_values=True
        )
    return errors


def validate_node_selector_term(
    term: Mapping[str, Any], path: str, *, checks_values: bool
) -> list[FieldError]:
    """Return the faults of one term.

    Parameters
    ----------
    checks_values
        Required terms must have label values for values; preferred ones may say anything.
    """
    errors: list[FieldError] = []
    for index, requirement in enumerate(term.get("matchExpressions") or []):
        here = f"{path}.matchExpressions[{index}]"
        errors += _validate_node_requirement(requirement, here, checks_values)
    for index, requirement in enumerate(term.get("matchFields") or []):
        errors += _validate_field_requirement(requirement, f"{path}.matchFields[{index}]")
    return errors


def _validate_node_requirement(
    requirement: Mapping[str, Any], path: str, checks_values: bool
) -> list[FieldError]:
    operator, values = requirement.get("operator", ""), requirement.get("values") or []
    errors: list[FieldError] = []
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required(f"{path}.values", _NEEDS_VALUES))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            errors.append(forbidden(f"{path}.values", _TAKES_NO_VALUES))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            detail = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            errors.append(required(f"{path}.values", detail))
    else:
        errors.append(invalid(f"{path}.operator", operator, BAD_OPERATOR))
    errors += validate_label_key(requirement.get("key", ""), f"{path}.key")
    for index, value in enumerate(values if checks_values else []):
        errors += each_invalid(f"{path}.values[{index}]", value, label_value_errors(value))
    return errors


def _validate_field_requirement(requirement: Mapping[str, Any], path: str) -> list[FieldError]:
    """Return the faults of a requirement on a node's field; there is only its name."""
    operator, values = requirement.get("operator", ""), requirement.get("values") or []
    key = requirement.get("key", "")
    errors: list[FieldError] = []
    if operator not in ("In", "NotIn"):
        errors.append(invalid(f"{path}.operator", operator, BAD_OPERATOR))
    elif len(values) != 1:
        detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.append(required(f"{path}.values", detail))
    if key != "metadata.name":
        errors.append(invalid(f"{path}.key", key, "not a valid field selector key"))
        return errors
    for index, value in enumerate(values):
        errors += each_invalid(
            f"{path}.values[{index}]", value, names.dns1123_subdomain_errors(value)
        )
    return errors
