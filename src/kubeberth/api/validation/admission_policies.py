"""Admission policies and their bindings, validating and mutating.

Matches `pkg/apis/admissionregistration/validation` of Kubernetes 1.36.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.validation.admission_rules import (
    FAILURE_POLICIES,
    REINVOCATION_POLICIES,
    SEEN,
    validate_choice,
    validate_conditions,
    validate_expression,
    validate_match_resources,
)
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubeberth.api.validation.metadata import path_segment_errors, validate_metadata
from kubeberth.api.validation.rules import Rules
from kubeberth.api.validation.selectors import validate_label_selector

Document = Mapping[str, Any]

ACTIONS = ("Audit", "Deny", "Warn")
NOT_FOUND_ACTIONS = ("Deny", "Allow")
PATCH_TYPES = ("ApplyConfiguration", "JSONPatch")
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
MAX_AUDIT_ANNOTATIONS = 20
MAX_ANNOTATION_EXPRESSION_BYTES = 5 * 1024
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_RESERVED = frozenset(
    (
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for"),
        *("function", "if", "import", "let", "loop", "package", "namespace", "return", "var"),
        *("void", "while"),
    )
)
_EMPTY = "validations or auditAnnotations must contain at least one item"


def validate_validating_policy(policy: Document) -> list[FieldError]:
    """Return the faults of a ValidatingAdmissionPolicy."""
    metadata, spec = policy.get("metadata") or {}, policy.get("spec") or {}
    errors = validate_metadata(metadata, namespaced=False)
    errors += _validate_common(spec)
    seen = _seen_by(spec)
    validations = spec.get("validations") or ()
    annotations = spec.get("auditAnnotations") or ()
    if not validations and not annotations:
        for field in ("validations", "auditAnnotations"):
            errors.append(required(f"spec.{field}", _EMPTY))
    for index, validation in enumerate(validations):
        errors += _validate_validation(validation, seen, f"spec.validations[{index}]")
    return errors + _validate_annotations(annotations, metadata.get("name", ""), seen)


def validate_validating_policy_update(new: Document, old: Document) -> list[FieldError]:
    """Return what of a policy's update is not allowed."""
    return validate_validating_policy(new)


def validate_validating_policy_status(new: Document, old: Document) -> list[FieldError]:
    """Return the faults of a policy's status."""
    checking = (new.get("status") or {}).get("typeChecking") or {}
    errors: list[FieldError] = []
    for index, warning in enumerate(checking.get("expressionWarnings") or ()):
        path = f"status.typeChecking.expressionWarnings[{index}]"
        errors += [
            required(f"{path}.{field}")
            for field in ("warning", "fieldRef")
            if not warning.get(field, "").strip()
        ]
    return errors


def validate_mutating_policy(policy: Document) -> list[FieldError]:
    """Return the faults of a MutatingAdmissionPolicy."""
    metadata, spec = policy.get("metadata") or {}, policy.get("spec") or {}
    errors = validate_metadata(metadata, namespaced=False)
    errors += _validate_common(spec)
    mutations = spec.get("mutations") or ()
    if not mutations:
        errors.append(required("spec.mutations", "mutations must contain at least one item"))
    for index, mutation in enumerate(mutations):
        errors += _validate_mutation(mutation, _seen_by(spec), f"spec.mutations[{index}]")
    return errors + validate_choice(
        spec.get("reinvocationPolicy"),
        REINVOCATION_POLICIES,
        "spec.reinvocationPolicy",
        is_required=True,
    )


def validate_mutating_policy_update(new: Document, old: Document) -> list[FieldError]:
    """Return what of a policy's update is not allowed."""
    return validate_mutating_policy(new)


def _validate_common(spec: Document) -> list[FieldError]:
    """Return the faults of what both kinds of policies have."""
    errors = validate_choice(
        spec.get("failurePolicy"), FAILURE_POLICIES, "spec.failurePolicy", is_required=True
    )
    kind, constraints = spec.get("paramKind"), spec.get("matchConstraints")
    if kind is not None:
        errors += _validate_param_kind(kind, "spec.paramKind")
    if constraints is None:
        errors.append(required("spec.matchConstraints"))
    else:
        errors += validate_match_resources(constraints, "spec.matchConstraints")
        if not constraints.get("resourceRules"):
            errors.append(required("spec.matchConstraints.resourceRules"))
    params = {"params"} if kind is not None else set()
    errors += validate_conditions(
        spec.get("matchConditions"), "spec.matchConditions", SEEN | params
    )
    for index, variable in enumerate(spec.get("variables") or ()):
        errors += _validate_variable(variable, _seen_by(spec), f"spec.variables[{index}]")
    return errors


def _seen_by(spec: Document) -> frozenset[str]:
    """Return what the expressions of a policy can see."""
    params = {"params"} if spec.get("paramKind") is not None else set()
    variables = {"variables"} if spec.get("variables") else set()
    return SEEN | params | variables


def _validate_param_kind(kind: Document, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    api_version, name = kind.get("apiVersion", ""), kind.get("kind", "")
    group, _, version = api_version.rpartition("/")
    where = f"{path}.apiVersion"
    if not api_version:
        errors.append(required(where))
    elif "/" in group:
        detail = f"unexpected GroupVersion string: {api_version}"
        errors.append(invalid(where, api_version, detail))
    else:
        if group and (details := names.dns1123_subdomain_errors(group)):
            errors.append(invalid(where, group, ",".join(details)))
        if not version:
            errors.append(invalid(where, api_version, "version must be specified"))
        elif details := names.dns1035_label_errors(version):
            errors.append(invalid(where, version, ",".join(details)))
    if not name:
        errors.append(required(f"{path}.kind"))
    elif details := names.dns1035_label_errors(name.lower()):
        detail = f"may have mixed case, but should otherwise match: {','.join(details)}"
        errors.append(invalid(f"{path}.kind", name, detail))
    return errors


def _validate_variable(variable: Document, seen: frozenset[str], path: str) -> list[FieldError]:
    name, expression = variable.get("name", ""), variable.get("expression", "")
    errors: list[FieldError] = []
    if not name.strip():
        errors.append(required(f"{path}.name", "name is not specified"))
    elif not _IDENTIFIER.fullmatch(name) or name in _RESERVED:
        errors.append(invalid(f"{path}.name", name, "name is not a valid CEL identifier"))
    if not expression.strip():
        errors.append(required(f"{path}.expression", "expression is not specified"))
        return errors
    return errors + validate_expression(expression, f"{path}.expression", seen)


def _validate_validation(rule: Document, seen: frozenset[str], path: str) -> list[FieldError]:
    expression, told = rule.get("expression", ""), rule.get("messageExpression", "")
    message, reason = rule.get("message", ""), rule.get("reason")
    errors: list[FieldError] = []
    if not expression.strip():
        errors.append(required(f"{path}.expression", "expression is not specified"))
    else:
        errors += validate_expression(expression, f"{path}.expression", seen)
    where = f"{path}.messageExpression"
    if told and not told.strip():
        errors.append(invalid(where, told, "must be non-empty if specified"))
    elif told:
        errors += validate_expression(told, where, seen - {"authorizer"})
    where = f"{path}.message"
    if message and not message.strip():
        errors.append(invalid(where, message, "message must be non-empty if specified"))
    elif re.search(r"[\n\r]", message.strip()):
        errors.append(invalid(where, message, "message must not contain line breaks"))
    return errors + validate_choice(reason, REASONS, f"{path}.reason")


def _validate_annotations(annotations: Any, policy: str, seen: frozenset[str]) -> list[FieldError]:
    path = "spec.auditAnnotations"
    errors: list[FieldError] = []
    if len(annotations) > MAX_AUDIT_ANNOTATIONS:
        detail = f"must not have more than {MAX_AUDIT_ANNOTATIONS} auditAnnotations"
        errors.append(invalid(path, annotations, detail))
    known: set[str] = set()
    for index, annotation in enumerate(annotations):
        where, key = f"{path}[{index}]", annotation.get("key", "")
        if policy:
            full = f"{policy}/{key}"
            errors += each_invalid(f"{where}.key", full, names.qualified_name_errors(full))
        else:
            detail = "requires metadata.name be non-empty"
            errors.append(invalid(f"{where}.key", key, detail))
        expression = annotation.get("valueExpression", "").strip()
        if not expression:
            detail = "valueExpression is not specified"
            errors.append(required(f"{where}.valueExpression", detail))
        elif len(expression.encode()) > MAX_ANNOTATION_EXPRESSION_BYTES:
            detail = f"must not exceed {MAX_ANNOTATION_EXPRESSION_BYTES} bytes in length"
            errors.append(required(f"{where}.valueExpression", detail))
        else:
            errors += validate_expression(expression, f"{where}.valueExpression", seen)
        if key in known:
            errors.append(duplicate(f"{where}.key", key))
        known.add(key)
    return errors


def _validate_mutation(mutation: Document, seen: frozenset[str], path: str) -> list[FieldError]:
    kind = mutation.get("patchType", "")
    if not kind:
        return [required(f"{path}.patchType", "patchType is not specified")]
    if kind not in PATCH_TYPES:
        return [not_supported(f"{path}.patchType", kind, PATCH_TYPES)]
    field, other = ("applyConfiguration", "jsonPatch")
    if kind == "JSONPatch":
        field, other = other, field
    errors: list[FieldError] = []
    if mutation.get(other) is not None:
        detail = f"must not be specified when patchType is {kind}"
        errors.append(invalid(f"{path}.{other}", mutation[other], detail))
    if mutation.get(field) is None:
        detail = f"must be specified when patchType is {kind}"
        return [*errors, required(f"{path}.{field}", detail)]
    expression = mutation[field].get("expression", "")
    where = f"{path}.{field}.expression"
    if not expression.strip():
        return [*errors, required(where, "expression is not specified")]
    return errors + validate_expression(expression, where, seen)


def validate_validating_binding(binding: Document) -> list[FieldError]:
    """Return the faults of a ValidatingAdmissionPolicyBinding."""
    actions = (binding.get("spec") or {}).get("validationActions") or []
    return validate_binding(binding) + _validate_actions(actions, "spec.validationActions")


def validate_validating_binding_update(new: Document, old: Document) -> list[FieldError]:
    """Return what of a binding's update is not allowed."""
    return validate_validating_binding(new)


def validate_binding(binding: Document) -> list[FieldError]:
    """Return the faults of a binding of either kind."""
    spec = binding.get("spec") or {}
    errors = validate_metadata(binding.get("metadata") or {}, namespaced=False)
    policy = spec.get("policyName", "")
    if not policy:
        errors.append(required("spec.policyName"))
    else:
        errors += each_invalid("spec.policyName", policy, names.dns1123_subdomain_errors(policy))
    if (reference := spec.get("paramRef")) is not None:
        errors += _validate_param_ref(reference, "spec.paramRef")
    if (resources := spec.get("matchResources")) is not None:
        # The field's name is misspelt upstream, too.
        errors += validate_match_resources(resources, "spec.matchResouces")
    return errors


def validate_binding_update(new: Document, old: Document) -> list[FieldError]:
    """Return what of a binding's update is not allowed."""
    return validate_binding(new)


def _validate_param_ref(reference: Document, path: str) -> list[FieldError]:
    name, selector = reference.get("name", ""), reference.get("selector")
    errors: list[FieldError] = []
    both = "name and selector are mutually exclusive"
    if name:
        errors += each_invalid(f"{path}.name", name, path_segment_errors(name))
        if selector is not None:
            errors.append(forbidden(f"{path}.name", both))
    if selector is not None:
        errors += validate_label_selector(selector, f"{path}.selector")
        if name:
            errors.append(forbidden(f"{path}.selector", both))
    if not name and selector is None:
        errors.append(required(path, "one of name or selector must be specified"))
    action = reference.get("parameterNotFoundAction") or None
    return errors + validate_choice(
        action, NOT_FOUND_ACTIONS, f"{path}.parameterNotFoundAction", is_required=True
    )


def _validate_actions(actions: list[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, action in enumerate(actions):
        errors += validate_choice(action, ACTIONS, f"{path}[{index}]")
        if action in seen:
            errors.append(duplicate(f"{path}[{index}]", action))
        seen.add(action)
    if {"Deny", "Warn"} <= seen:
        detail = (
            "must not contain both Deny and Warn (repeating the same validation failure "
            "information in the API response and headers serves no purpose)"
        )
        errors.append(invalid(path, actions, detail))
    if not seen:
        errors.append(required(path, "at least one validation action is required"))
    return errors


RULES = {
    "mutatingadmissionpolicies.admissionregistration.k8s.io": Rules(
        validate_mutating_policy,
        validate_mutating_policy_update,
    ),
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": Rules(
        validate_binding, validate_binding_update
    ),
    "validatingadmissionpolicies.admissionregistration.k8s.io": Rules(
        validate_validating_policy,
        validate_validating_policy_update,
        validate_validating_policy_status,
    ),
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": Rules(
        validate_validating_binding,
        validate_validating_binding_update,
    ),
}
"""By resource."""
