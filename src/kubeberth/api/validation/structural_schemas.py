"""The schemas in a CustomResourceDefinition: nothing that is not supported, and structural.

Rule: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
Matches `pkg/apis/apiextensions/validation` and `pkg/apiserver/schema` of
k8s.io/apiextensions-apiserver 1.36.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kubeberth.api.cel.syntax import CelSyntaxError
from kubeberth.api.custom.patterns import PatternError, compile_pattern
from kubeberth.api.custom.rules import parse_rule, rules_of
from kubeberth.api.custom.structural import Structural, prune
from kubeberth.api.custom.values import validate_value
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)

Schema = Mapping[str, Any]

TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
_UNSUPPORTED = ("definitions", "dependencies", "id", "patternProperties", "$ref")
_JUNCTIONS = ("allOf", "anyOf", "oneOf")
# What belongs to the structure of a schema and not to the alternatives within it.
_STRUCTURE_ONLY = {
    "type": "must be empty to be structural",
    "additionalProperties": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "default": "must be undefined to be structural",
    "nullable": "must be false to be structural",
    "x-kubernetes-preserve-unknown-fields": "must be false to be structural",
    "x-kubernetes-embedded-resource": "must be false to be structural",
    "x-kubernetes-int-or-string": "must be false to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
}
_ROOT, _FIELD, _ITEM = (
    "must not be empty at the root",
    "must not be empty for specified object fields",
    "must not be empty for specified array items",
)


def validate_schema(schema: Schema, path: str) -> list[FieldError]:
    """Return the faults of the schema of a version's objects."""
    errors = _validate_supported(schema, path)
    if not errors:
        errors = _validate_node(schema, path, _ROOT)
    return errors or _validate_defaults(schema, path)


def _children(schema: Schema, path: str) -> Iterator[tuple[Schema, str, str]]:
    """Yield the schemas of fields, values and items, with where they are and their level."""
    for name, child in (schema.get("properties") or {}).items():
        yield child, f"{path}.properties[{name}]", _FIELD
    if isinstance(values := schema.get("additionalProperties"), dict):
        yield values, f"{path}.additionalProperties", _FIELD
    if isinstance(items := schema.get("items"), dict):
        yield items, f"{path}.items", _ITEM


def _alternatives(schema: Schema, path: str) -> Iterator[tuple[Schema, str]]:
    for junction in _JUNCTIONS:
        for index, choice in enumerate(schema.get(junction) or ()):
            yield choice, f"{path}.{junction}[{index}]"
    if isinstance(negated := schema.get("not"), dict):
        yield negated, f"{path}.not"


def _validate_supported(schema: Schema, path: str) -> list[FieldError]:
    errors = [
        forbidden(f"{path}.{name}", f"{name} is not supported")
        for name in _UNSUPPORTED
        if schema.get(name)
    ]
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        errors.append(forbidden(f"{path}.uniqueItems", text))
    kind = schema.get("type", "")
    if kind == "null":
        text = "type cannot be set to null, use nullable as an alternative"
        errors.append(forbidden(f"{path}.type", text))
    elif kind and kind not in TYPES:
        errors.append(not_supported(f"{path}.type", kind, TYPES))
    values = schema.get("additionalProperties")
    if values is False:
        text = "additionalProperties cannot be set to false"
        errors.append(forbidden(f"{path}.additionalProperties", text))
    if isinstance(values, dict) and schema.get("properties"):
        text = "additionalProperties and properties are mutual exclusive"
        errors.append(forbidden(f"{path}.additionalProperties", text))
    if isinstance(schema.get("items"), list):
        text = "items must be a schema object and not an array"
        errors.append(forbidden(f"{path}.items", text))
    if pattern := schema.get("pattern"):
        try:
            compile_pattern(pattern)
        except PatternError as error:
            text = f"must be a valid regular expression, but isn't: {error}"
            errors.append(invalid(f"{path}.pattern", pattern, text))
    errors += _validate_list(schema, path)
    errors += _validate_rules(schema, path)
    for child, where, _ in _children(schema, path):
        errors += _validate_supported(child, where)
    for choice, where in _alternatives(schema, path):
        errors += _validate_supported(choice, where)
    return errors


def _validate_rules(schema: Schema, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, rule in enumerate(rules_of(schema)):
        where = f"{path}.x-kubernetes-validations[{index}]"
        text = rule.get("rule", "")
        if not text.strip():
            errors.append(required(f"{where}.rule", "rule is not specified"))
            continue
        for name, expression in (
            ("rule", text),
            ("messageExpression", rule.get("messageExpression")),
        ):
            try:
                parse_rule(expression or "''")
            except CelSyntaxError as error:
                message = f"compilation failed: ERROR: <input>: {error}"
                errors.append(invalid(f"{where}.{name}", expression, message))
        if "\n" in text.strip() and not rule.get("message"):
            message = "message must be specified if rule contains line breaks"
            errors.append(required(f"{where}.message", message))
    return errors


def _validate_list(schema: Schema, path: str) -> list[FieldError]:
    list_type = schema.get("x-kubernetes-list-type")
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    errors: list[FieldError] = []
    if list_type is not None and list_type not in ("atomic", "set", "map"):
        choices = ("atomic", "map", "set")
        errors.append(not_supported(f"{path}.x-kubernetes-list-type", list_type, choices))
    if list_type is not None and schema.get("type") != "array":
        text = "must be array if x-kubernetes-list-type is specified"
        errors.append(
            invalid(f"{path}.type", schema["type"], text)
            if schema.get("type")
            else required(f"{path}.type", text)
        )
    if keys and list_type != "map":
        text = "must be map if x-kubernetes-list-map-keys is non-empty"
        errors.append(
            invalid(f"{path}.x-kubernetes-list-type", list_type, text)
            if list_type
            else required(f"{path}.x-kubernetes-list-type", text)
        )
    if list_type == "map":
        errors += _validate_map_keys(schema.get("items"), keys, path)
    return errors


def _validate_map_keys(items: Any, keys: Any, path: str) -> list[FieldError]:
    if not keys:
        text = "must not be empty if x-kubernetes-list-type is map"
        return [required(f"{path}.x-kubernetes-list-map-keys", text)]
    if not isinstance(items, dict):
        return [required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map")]
    errors: list[FieldError] = []
    if items.get("type") != "object":
        text = "must be object if parent array's x-kubernetes-list-type is map"
        errors.append(invalid(f"{path}.items.type", items.get("type", ""), text))
    properties, seen = items.get("properties") or {}, set()
    for index, key in enumerate(keys):
        where = f"{path}.x-kubernetes-list-map-keys[{index}]"
        if key in seen:
            errors.append(duplicate(where, key))
        seen.add(key)
        found = properties.get(key)
        if found is None:
            text = "entries must all be names of item properties"
            errors.append(invalid(where, key, text))
            continue
        place = f"{path}.items.properties[{key}]"
        if "default" not in found and key not in (items.get("required") or ()):
            text = (
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a "
                "required property"
            )
            errors.append(required(f"{place}.default", text))
        if found.get("nullable"):
            text = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
            errors.append(forbidden(f"{place}.nullable", text))
        if found.get("type") in ("array", "object"):
            text = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            errors.append(invalid(f"{place}.type", found["type"], text))
    return errors


def _validate_node(schema: Schema, path: str, level: str) -> list[FieldError]:
    """Return what keeps a schema from being structural."""
    errors = _validate_own_type(schema, path, level)
    if schema.get("type") == "array" and schema.get("items") is None:
        errors.append(required(f"{path}.items", "must be specified"))
    if level is _ROOT:
        if schema.get("additionalProperties"):
            text = "must not be used at the root"
            errors.append(forbidden(f"{path}.additionalProperties", text))
        errors += _validate_metadata(schema, path)
    elif schema.get("x-kubernetes-embedded-resource"):
        errors += _validate_metadata(schema, path)
    if schema.get("x-kubernetes-embedded-resource") and not (
        schema.get("properties") or schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        text = (
            "must not be empty if x-kubernetes-embedded-resource is true without "
            "x-kubernetes-preserve-unknown-fields"
        )
        errors.append(required(f"{path}.properties", text))
    for choice, where in _alternatives(schema, path):
        errors += _validate_alternative(choice, schema, where, path)
    for child, where, below in _children(schema, path):
        errors += _validate_node(child, where, below)
    return errors


def _validate_own_type(schema: Schema, path: str, level: str) -> list[FieldError]:
    kind = schema.get("type", "")
    is_free = schema.get("x-kubernetes-preserve-unknown-fields")
    if schema.get("x-kubernetes-int-or-string"):
        if kind:
            text = "must be empty if x-kubernetes-int-or-string is true"
            return [forbidden(f"{path}.type", text)]
        return []
    if level is _ROOT and kind and kind != "object":
        return [invalid(f"{path}.type", kind, "must be object at the root")]
    if not kind and (level is _ROOT or not is_free):
        return [required(f"{path}.type", level)]
    if schema.get("x-kubernetes-embedded-resource") and kind != "object":
        text = "must be object if x-kubernetes-embedded-resource is true"
        return [invalid(f"{path}.type", kind, text)]
    return []


def _validate_metadata(schema: Schema, path: str) -> list[FieldError]:
    metadata = (schema.get("properties") or {}).get("metadata")
    if metadata is None:
        return []
    where = f"{path}.properties[metadata]"
    errors: list[FieldError] = []
    if metadata.get("type") != "object":
        errors.append(invalid(f"{where}.type", metadata.get("type", ""), "must be object"))
    others = {"type", "description", "properties"}
    names = set(metadata.get("properties") or ()) - {"name", "generateName"}
    if names or any(value for key, value in metadata.items() if key not in others):
        text = (
            "must not specify anything other than name and generateName, but metadata is "
            "implicitly specified"
        )
        errors.append(forbidden(where, text))
    return errors


def _validate_alternative(
    choice: Schema, structure: Schema | None, path: str, home: str
) -> list[FieldError]:
    """Return what an alternative says that only the structure may say.

    Parameters
    ----------
    structure
        The structural schema of the same value; None when there is none.
    home
        Where that is, or would be.
    """
    # The one place where types are allowed: how an integer or text is told apart.
    is_mixed = structure is not None and structure.get("x-kubernetes-int-or-string")
    errors = [
        forbidden(f"{path}.{name}", text)
        for name, text in _STRUCTURE_ONLY.items()
        if choice.get(name) not in (None, "", False, [], ()) and not (name == "type" and is_mixed)
    ]
    known = (structure or {}).get("properties") or {}
    for name, child in (choice.get("properties") or {}).items():
        where, place = f"{path}.properties[{name}]", f"{home}.properties[{name}]"
        if name not in known and not (structure or {}).get("additionalProperties"):
            errors.append(required(place, f"because it is defined in {where}"))
        errors += _validate_alternative(child, known.get(name), where, place)
    if isinstance(items := choice.get("items"), dict):
        own = (structure or {}).get("items")
        if not isinstance(own, dict):
            errors.append(required(f"{home}.items", f"because it is defined in {path}.items"))
            own = None
        errors += _validate_alternative(items, own, f"{path}.items", f"{home}.items")
    for deeper, where in _alternatives(choice, path):
        errors += _validate_alternative(deeper, structure, where, home)
    return errors


def _validate_defaults(schema: Schema, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for child, where, _ in _children(schema, path):
        if child.get("default") is not None:
            place = f"{where}.default"
            unknown: list[str] = []
            prune(copy.deepcopy(child["default"]), Structural(child), unknown, place)
            if unknown:
                text = "must not have unknown fields"
                errors.append(invalid(place, child["default"], text))
            errors += validate_value(child["default"], child, place)
        errors += _validate_defaults(child, where)
    return errors
