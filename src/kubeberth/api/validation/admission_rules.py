"""What webhooks and admission policies have in common: rules, selectors, conditions in CEL.

Matches `pkg/apis/admissionregistration/validation` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

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
    too_many,
)
from kubeberth.api.validation.metadata import path_segment_errors
from kubeberth.api.validation.selectors import validate_label_selector

Document = Mapping[str, Any]

OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
SCOPES = ("*", "Cluster", "Namespaced")
FAILURE_POLICIES = ("Fail", "Ignore")
MATCH_POLICIES = ("Equivalent", "Exact")
REINVOCATION_POLICIES = ("IfNeeded", "Never")
MAX_CONDITIONS = 64
# What every expression can see.
SEEN = frozenset(("object", "oldObject", "request", "namespaceObject", "authorizer"))


def validate_choice(
    value: str | None, choices: Sequence[str], path: str, *, is_required: bool = False
) -> list[FieldError]:
    """Return the fault of a value that must be one of a few."""
    if value is None:
        return [required(path)] if is_required else []
    return [] if value in choices else [not_supported(path, value, choices)]


def validate_rule(rule: Document, path: str) -> list[FieldError]:
    """Return the faults of a `RuleWithOperations`."""
    operations = rule.get("operations") or []
    errors: list[FieldError] = []
    if not operations:
        errors.append(required(f"{path}.operations"))
    if len(operations) > 1 and "*" in operations:
        detail = "if '*' is present, must not specify other operations"
        errors.append(invalid(f"{path}.operations", operations, detail))
    for index, operation in enumerate(operations):
        errors += validate_choice(operation, OPERATIONS, f"{path}.operations[{index}]")
    for field, title in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = rule.get(field) or []
        if not values:
            errors.append(required(f"{path}.{field}"))
        if len(values) > 1 and "*" in values:
            detail = f"if '*' is present, must not specify other {title}"
            errors.append(invalid(f"{path}.{field}", values, detail))
    for index, version in enumerate(rule.get("apiVersions") or ()):
        if not version:
            errors.append(required(f"{path}.apiVersions[{index}]"))
    errors += _validate_resources(rule.get("resources") or [], f"{path}.resources")
    return errors + validate_choice(rule.get("scope"), SCOPES, f"{path}.scope")


def _validate_resources(resources: Sequence[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = [] if resources else [required(path)]
    with_all_parts: set[str] = set()
    of_all: set[str] = set()
    names_plain = False
    for index, text in enumerate(resources):
        where = f"{path}[{index}]"
        if not text:
            errors.append(required(where))
            continue
        resource, slash, sub = text.partition("/")
        if not slash:
            names_plain = text != "*"
            continue
        if resource in with_all_parts:
            detail = f"if '{resource}/*' is present, must not specify {text}"
            errors.append(invalid(where, text, detail))
        if sub in of_all:
            errors.append(invalid(where, text, f"if '*/{sub}' is present, must not specify {text}"))
        if sub == "*":
            with_all_parts.add(resource)
        if resource == "*":
            of_all.add(sub)
    if len(resources) > 1 and "*/*" in resources:
        detail = "if '*/*' is present, must not specify other resources"
        errors.append(invalid(path, resources, detail))
    if "*" in resources and names_plain:
        detail = "if '*' is present, must not specify other resources without subresources"
        errors.append(invalid(path, resources, detail))
    return errors


def validate_match_resources(resources: Document, path: str) -> list[FieldError]:
    """Return the faults of the `MatchResources` of a policy or binding."""
    errors = validate_choice(
        resources.get("matchPolicy"), MATCH_POLICIES, f"{path}.matchPolicy", is_required=True
    )
    for field in ("namespaceSelector", "objectSelector"):
        if resources.get(field) is None:
            errors.append(required(f"{path}.{field}"))
        errors += validate_label_selector(resources.get(field), f"{path}.{field}")
    for field in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(resources.get(field) or ()):
            errors += _validate_named_rule(rule, f"{path}.{field}[{index}]")
    return errors


def _validate_named_rule(rule: Document, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, name in enumerate(rule.get("resourceNames") or ()):
        where = f"{path}.resourceNames[{index}]"
        errors += each_invalid(where, name, path_segment_errors(name))
        if name in seen:
            errors.append(duplicate(where, name))
        seen.add(name)
    return errors + validate_rule(rule, path)


def validate_conditions(
    conditions: Sequence[Document] | None, path: str, seen: Collection[str] = SEEN
) -> list[FieldError]:
    """Return the faults of match conditions."""
    conditions = conditions or ()
    errors: list[FieldError] = []
    if len(conditions) > MAX_CONDITIONS:
        errors.append(too_many(path, len(conditions), MAX_CONDITIONS))
    known: set[str] = set()
    for index, condition in enumerate(conditions):
        where, name = f"{path}[{index}]", condition.get("name", "")
        expression = condition.get("expression", "").strip()
        if not expression:
            errors.append(required(f"{where}.expression"))
        else:
            errors += validate_expression(expression, f"{where}.expression", seen)
        if not name:
            errors.append(required(f"{where}.name"))
            continue
        errors += each_invalid(f"{where}.name", name, names.qualified_name_errors(name, "my.name"))
        if name in known:
            errors.append(duplicate(f"{where}.name", name))
        known.add(name)
    return errors


def validate_expression(text: str, path: str, seen: Collection[str] = SEEN) -> list[FieldError]:
    """Return why a text is no expression over what it can see."""
    try:
        tree = parse(text)
    except CelSyntaxError as error:
        return [invalid(path, text, f"compilation failed: ERROR: <input>: {error}")]
    unknown = sorted(free_names(tree) - set(seen)) or sorted(unknown_functions(tree))
    if not unknown:
        return []
    why = f"undeclared reference to '{unknown[0]}' (in container '')"
    return [invalid(path, text, f"compilation failed: ERROR: <input>: {why}")]
