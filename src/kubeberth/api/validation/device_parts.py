"""What claims, classes and slices of devices have in common.

Matches `pkg/apis/resource/validation` of Kubernetes 1.36, as do `resource_claims.py` and
`resource_slices.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from kubeberth.api import names
from kubeberth.api.cel.evaluate import free_names, unknown_functions
from kubeberth.api.cel.syntax import CelSyntaxError, parse
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    each_invalid,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from kubeberth.api.validation.metadata import label_value_errors, validate_label_key
from kubeberth.api.validation.storage import validate_driver_name

MAX_SELECTORS = 32
MAX_CONFIG = 32
EFFECTS = ("NoExecute", "NoSchedule", "None")

_OPERATORS = ("Equal", "Exists")
_MAX_POOL_NAME = 253
_MAX_IDENTIFIER = 32
_MAX_EXPRESSION = 10 * 1024
_MAX_PARAMETERS = 10 * 1024
_MAX_BINDING_CONDITIONS = 4

Item = Mapping[str, Any]
T = TypeVar("T")


def validate_list(
    items: Sequence[T] | None,
    most: int,
    validate: Callable[[T, str], list[FieldError]],
    path: str,
    key: Callable[[T], Any] | None = None,
) -> list[FieldError]:
    """Return the faults of a list: too many in it, one that is wrong, one that is there twice.

    Parameters
    ----------
    key
        What must differ between the items; None when they may be alike.
    """
    items = items or ()
    if len(items) > most:
        return [too_many(path, len(items), most)]
    errors: list[FieldError] = []
    for index, item in enumerate(items):
        errors += validate(item, f"{path}[{index}]")
    seen: set[Any] = set()
    for index, found in enumerate(map(key, items) if key else ()):
        if found in seen:
            errors.append(duplicate(f"{path}[{index}]", found))
        seen.add(found)
    return errors


def name_of(item: Item) -> str:
    """Return the name of a request, a device, a set of counters."""
    name: str = item.get("name", "")
    return name


def validate_name(name: str, path: str) -> list[FieldError]:
    """Return the faults of the name of a device, a request, a counter."""
    return each_invalid(path, name, names.dns1123_label_errors(name))


def validate_pool_name(name: str, path: str) -> list[FieldError]:
    """Return the faults of a pool's name: subdomains between slashes."""
    if not name:
        return [required(path)]
    errors = [too_long(path, _MAX_POOL_NAME)] if len(name.encode()) > _MAX_POOL_NAME else []
    for part in name.split("/"):
        errors += each_invalid(path, part, names.dns1123_subdomain_errors(part))
    return errors


def validate_qualified_name(name: str, path: str) -> list[FieldError]:
    """Return the faults of the name of an attribute or a capacity: `[domain/]identifier`."""
    domain, slash, identifier = name.partition("/")
    if not slash:
        return _validate_identifier(name, path)
    if "/" in identifier:
        return [invalid(path, name, "must not contain more than one slash")]
    errors = (
        validate_driver_name(domain, path)
        if domain
        else [invalid(path, "", "the domain must not be empty")]
    )
    return errors + (
        _validate_identifier(identifier, path)
        if identifier
        else [invalid(path, "", "the name must not be empty")]
    )


def validate_fully_qualified_name(name: str, path: str) -> list[FieldError]:
    """Return the faults of the name of an attribute that must say whose it is."""
    errors = validate_qualified_name(name, path)
    if "/" not in name:
        detail = "a fully qualified name must be a domain and a name separated by a slash"
        errors.append(invalid(path, name, detail))
    return errors


def _validate_identifier(name: str, path: str) -> list[FieldError]:
    errors = [too_long(path, _MAX_IDENTIFIER)] if len(name.encode()) > _MAX_IDENTIFIER else []
    return errors + each_invalid(path, name, names.c_identifier_errors(name))


def validate_selector(selector: Item, path: str) -> list[FieldError]:
    """Return the faults of what a device must be like."""
    cel = selector.get("cel")
    if cel is None:
        return [required(f"{path}.cel")]
    text, here = cel.get("expression", ""), f"{path}.cel.expression"
    if len(text.encode()) > _MAX_EXPRESSION:
        return [too_long(here, _MAX_EXPRESSION)]
    why = _why_not_compiled(text)
    return [invalid(here, text, f"compilation failed: ERROR: <input>: {why}")] if why else []


def _why_not_compiled(text: str) -> str:
    """Return why a text is no expression about a device; empty when it is one.

    Of an expression with functions that we do not have it is not known which names they bind.
    """
    try:
        tree = parse(text)
    except CelSyntaxError as error:
        return str(error)
    unknown = sorted(free_names(tree) - {"device"})
    if not unknown or unknown_functions(tree):
        return ""
    return f"undeclared reference to '{unknown[0]}' (in container '')"


def validate_configuration(config: Item, path: str) -> list[FieldError]:
    """Return the faults of what a driver is told."""
    opaque = config.get("opaque")
    if opaque is None:
        return [required(f"{path}.opaque")]
    errors = validate_driver_name(opaque.get("driver", ""), f"{path}.opaque.driver")
    return errors + validate_free_object(opaque.get("parameters"), f"{path}.opaque.parameters")


def validate_free_object(value: Any, path: str) -> list[FieldError]:
    """Return the faults of an object in which a driver may say what it likes."""
    if value is None:
        return [required(path)]
    if len(msgspec.json.encode(value)) > _MAX_PARAMETERS:
        return [too_long(path, _MAX_PARAMETERS)]
    if not isinstance(value, dict):
        return [invalid(path, "<value omitted>", "must be a valid JSON object")]
    return []


def validate_taint(taint: Item, path: str) -> list[FieldError]:
    """Return the faults of a device's taint."""
    errors = validate_label_key(taint.get("key", ""), f"{path}.key")
    value, effect = taint.get("value", ""), taint.get("effect", "")
    errors += each_invalid(f"{path}.value", value, label_value_errors(value))
    if not effect:
        errors.append(required(f"{path}.effect"))
    return errors + _validate_effect(effect, f"{path}.effect")


def validate_toleration(toleration: Item, path: str) -> list[FieldError]:
    """Return the faults of a claim's toleration of a device's taint."""
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    errors = validate_label_key(key, f"{path}.key") if key else []
    value = toleration.get("value", "")
    if operator == "Exists" and value:
        errors.append(invalid(f"{path}.value", value, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        errors += each_invalid(f"{path}.value", value, label_value_errors(value))
    elif operator not in _OPERATORS:
        errors.append(not_supported(f"{path}.operator", operator, _OPERATORS))
    return errors + _validate_effect(toleration.get("effect", ""), f"{path}.effect")


def _validate_effect(effect: str, path: str) -> list[FieldError]:
    return [not_supported(path, effect, EFFECTS)] if effect and effect not in EFFECTS else []


def validate_binding_conditions(device: Item, path: str) -> list[FieldError]:
    """Return the faults of the conditions that a pod's binding waits for, and fails by."""
    good = device.get("bindingConditions") or []
    bad = device.get("bindingFailureConditions") or []
    wanted, failing = f"{path}.bindingConditions", f"{path}.bindingFailureConditions"
    most = _MAX_BINDING_CONDITIONS
    errors = validate_list(good, most, validate_label_key, wanted)
    errors += validate_list(bad, most, validate_label_key, failing)
    for index, condition in enumerate(good):
        if condition in good[:index]:
            errors.append(duplicate(f"{wanted}[{index}]", condition))
    for index, condition in enumerate(bad):
        here = f"{failing}[{index}]"
        if condition in bad[:index]:
            errors.append(duplicate(here, condition))
        if condition in good:
            detail = "bindingFailureConditions must not overlap with bindingConditions"
            errors.append(invalid(here, condition, detail))
    if bad and not good:
        detail = "bindingConditions are required to use bindingFailureConditions"
        errors.append(invalid(wanted, None, detail))
    if good and not bad:
        detail = "bindingFailureConditions are required to use bindingConditions"
        errors.append(invalid(failing, None, detail))
    return errors
