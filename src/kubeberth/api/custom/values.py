"""What a value must be like to fit its schema, and the complaints when it does not.

Matches `k8s.io/kube-openapi/pkg/validation/validate` as `apiextensions-apiserver` reports it
(Kubernetes 1.36).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kubeberth.api.custom.formats import has_format
from kubeberth.api.custom.patterns import compile_pattern
from kubeberth.api.custom.structural import TYPE_AND_METADATA, Structural
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    invalid,
    not_supported,
    required,
    shown,
    too_long,
    too_many,
)

Schema = Mapping[str, Any]

_NAMES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}
_INT32 = 2**31
# The complaint about alternatives is told without saying where, as upstream.
NOWHERE = "<nil>"


def validate_value(value: Any, schema: Schema, path: str = "") -> list[FieldError]:
    """Return how a value breaks its schema.

    Parameters
    ----------
    path
        Where the value is; empty for the object itself.
    """
    errors = _type_errors(value, schema, path)
    if value is not None or not schema.get("nullable"):
        errors += _enum_errors(value, schema, path)
    if value is None:
        return errors
    errors += _alternative_errors(value, schema, path)
    if isinstance(value, str):
        errors += _text_errors(value, schema, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        errors += _number_errors(value, schema, path)
    elif isinstance(value, list):
        errors += _list_errors(value, schema, path)
    elif isinstance(value, dict):
        errors += _object_errors(value, schema, path)
    return errors


def _in_body(path: str, what: str) -> str:
    return f"{path} in body {what}"


def _type_errors(value: Any, schema: Schema, path: str) -> list[FieldError]:
    wanted = _types(schema)
    if not wanted or (value is None and schema.get("nullable")):
        return []
    found = _NAMES[type(value)]
    if found in wanted or (found == "integer" and "number" in wanted):
        return []
    if found == "number" and "integer" in wanted and float(value).is_integer():
        return []
    return [_wrong_type(path, found, ",".join(wanted), found)]


def _types(schema: Schema) -> tuple[str, ...]:
    if schema.get("x-kubernetes-int-or-string"):
        return ("integer", "string")
    return (schema["type"],) if schema.get("type") else ()


def _wrong_type(path: str, value: Any, wanted: str, found: str) -> FieldError:
    text = _in_body(path, f"must be of type {wanted}: {shown(found)}")
    return FieldError(
        "FieldValueTypeInvalid", path or NOWHERE, f"Invalid value: {shown(value)}: {text}"
    )


def _enum_errors(value: Any, schema: Schema, path: str) -> list[FieldError]:
    choices = schema.get("enum")
    if not choices or any(_is_same(value, choice) for choice in choices):
        return []
    texts = [choice if isinstance(choice, str) else shown(choice) for choice in choices]
    return [not_supported(path, value, texts)]


def _is_same(value: Any, other: Any) -> bool:
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def _alternative_errors(value: Any, schema: Schema, path: str) -> list[FieldError]:
    where = shown(path)
    errors: list[FieldError] = []
    if (choices := schema.get("anyOf")) and not any(
        not validate_value(value, choice, path) for choice in choices
    ):
        errors.append(invalid(NOWHERE, "", f"{where} must validate at least one schema (anyOf)"))
        errors += _closest(value, choices, path)
    if choices := schema.get("oneOf"):
        n_valid = sum(not validate_value(value, choice, path) for choice in choices)
        if n_valid != 1:
            found = f"Found {n_valid} valid alternatives" if n_valid else "Found none valid"
            text = f"{where} must validate one and only one schema (oneOf). {found}"
            errors.append(invalid(NOWHERE, "", text))
            errors += _closest(value, choices, path) if not n_valid else []
    if choices := schema.get("allOf"):
        found_errors = [validate_value(value, choice, path) for choice in choices]
        if any(found_errors):
            found = ". None validated" if all(found_errors) else ""
            text = f"{where} must validate all the schemas (allOf){found}"
            errors.append(invalid(NOWHERE, "", text))
            errors += [error for some in found_errors for error in some]
    if (negated := schema.get("not")) is not None and not validate_value(value, negated, path):
        errors.append(invalid(NOWHERE, "", f"{where} must not validate the schema (not)"))
    return errors


def _closest(value: Any, choices: list[Schema], path: str) -> list[FieldError]:
    """Return the complaints of the alternative that the value comes closest to."""
    return min((validate_value(value, choice, path) for choice in choices), key=len)


def _text_errors(value: str, schema: Schema, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    longest, shortest = schema.get("maxLength"), schema.get("minLength")
    if longest is not None and len(value) > longest:
        errors.append(too_long(path, longest))
    if shortest is not None and len(value) < shortest:
        text = _in_body(path, f"should be at least {shortest} chars long")
        errors.append(invalid(path, value, text))
    if (pattern := schema.get("pattern")) and not compile_pattern(pattern).search(value):
        errors.append(invalid(path, value, _in_body(path, f"should match '{pattern}'")))
    if (name := schema.get("format")) and not has_format(value, name):
        errors.append(_wrong_type(path, value, name, value))
    return errors


def _number_errors(value: float, schema: Schema, path: str) -> list[FieldError]:
    texts = []
    most, least = schema.get("maximum"), schema.get("minimum")
    if most is not None:
        if schema.get("exclusiveMaximum"):
            if value >= most:
                texts.append(f"should be less than {_number_text(most)}")
        elif value > most:
            texts.append(f"should be less than or equal to {_number_text(most)}")
    if least is not None:
        if schema.get("exclusiveMinimum"):
            if value <= least:
                texts.append(f"should be greater than {_number_text(least)}")
        elif value < least:
            texts.append(f"should be greater than or equal to {_number_text(least)}")
    factor = schema.get("multipleOf")
    if factor and not math.isclose(value / factor, round(value / factor), abs_tol=1e-9):
        texts.append(f"should be a multiple of {_number_text(factor)}")
    errors = [invalid(path, value, _in_body(path, text)) for text in texts]
    if schema.get("format") == "int32" and not -_INT32 <= value < _INT32:
        text = f"Checked value must be of type integer with format int32 in {path}"
        errors.append(invalid(NOWHERE, "", text))
    return errors


def _number_text(value: float) -> str:
    """Return a number as Go prints a float."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e21 else repr(value)


def _list_errors(value: list[Any], schema: Schema, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if isinstance(items := schema.get("items"), dict):
        for index, item in enumerate(value):
            errors += validate_value(item, items, f"{path}[{index}]")
    most, least = schema.get("maxItems"), schema.get("minItems")
    if least is not None and len(value) < least:
        text = _in_body(path, f"should have at least {least} items")
        errors.append(invalid(path, len(value), text))
    if most is not None and len(value) > most:
        errors.append(too_many(path, len(value), most))
    return errors


def _object_errors(value: dict[str, Any], schema: Schema, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    if least is not None and len(value) < least:
        text = _in_body(path, f"should have at least {least} properties")
        errors.append(invalid(path, len(value), text))
    if most is not None and len(value) > most:
        errors.append(too_many(path, len(value), most))
    errors += [
        required(_below(path, name)) for name in schema.get("required") or () if name not in value
    ]
    properties = schema.get("properties") or {}
    values = schema.get("additionalProperties")
    for name, item in value.items():
        if name in properties:
            errors += validate_value(item, properties[name], _below(path, name))
        elif isinstance(values, dict):
            errors += validate_value(item, values, _below(path, name))
    return errors


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def validate_structure(value: Any, node: Structural, path: str = "") -> list[FieldError]:
    """Return the faults of lists that are sets or maps, and of embedded objects."""
    errors: list[FieldError] = []
    if isinstance(value, list):
        errors += _repeated(value, node.raw, path)
        if node.items is not None:
            for index, item in enumerate(value):
                errors += validate_structure(item, node.items, f"{path}[{index}]")
    elif isinstance(value, dict):
        if node.is_embedded and path:
            errors += [
                required(f"{path}.{name}", "must not be empty")
                for name in ("apiVersion", "kind")
                if not value.get(name)
            ]
        for name, item in value.items():
            known = node.child(name)
            if known is not None and not (name in TYPE_AND_METADATA and not path):
                errors += validate_structure(item, known, _below(path, name))
    return errors


def _repeated(value: list[Any], schema: Schema, path: str) -> list[FieldError]:
    kind = schema.get("x-kubernetes-list-type")
    if kind not in ("set", "map"):
        return []
    names = schema.get("x-kubernetes-list-map-keys") or ()
    seen: set[str] = set()
    told: set[str] = set()
    errors = []
    for index, item in enumerate(value):
        if kind == "map":
            if not isinstance(item, dict):
                continue
            item = {name: item[name] for name in names if name in item}
        text = shown(item)
        if text in seen and text not in told:
            errors.append(duplicate(f"{path}[{index}]", item))
            told.add(text)
        seen.add(text)
    return errors
