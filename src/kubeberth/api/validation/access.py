"""Roles and their bindings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.validation.field_error import (
    FieldError,
    each_invalid,
    invalid,
    not_supported,
    required,
)
from kubeberth.api.validation.metadata import (
    path_segment_errors,
    validate_metadata,
    validate_metadata_update,
)
from kubeberth.api.validation.rules import Rules
from kubeberth.api.validation.selectors import validate_label_selector

_GROUP = "rbac.authorization.k8s.io"
_KINDS = ("ServiceAccount", "User", "Group")


def validate_role(role: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a role."""
    errors = validate_metadata(role.get("metadata") or {}, path_segment_errors)
    return errors + _validate_rules(role.get("rules") or [], is_namespaced=True)


def validate_cluster_role(role: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a cluster role."""
    metadata = role.get("metadata") or {}
    errors = validate_metadata(metadata, path_segment_errors, namespaced=False)
    errors += _validate_rules(role.get("rules") or [], is_namespaced=False)
    aggregation = role.get("aggregationRule")
    if aggregation is None:
        return errors
    selectors = aggregation.get("clusterRoleSelectors") or []
    path = "aggregationRule.clusterRoleSelectors"
    if not selectors:
        detail = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        errors.append(required(path, detail))
    for index, selector in enumerate(selectors):
        errors += validate_label_selector(selector, f"{path}[{index}]")
    return errors


def validate_role_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a role's update is not allowed."""
    return validate_role(new) + validate_metadata_update(new["metadata"], old["metadata"])


def validate_cluster_role_update(
    new: Mapping[str, Any], old: Mapping[str, Any]
) -> list[FieldError]:
    """Return what of a cluster role's update is not allowed."""
    return validate_cluster_role(new) + validate_metadata_update(new["metadata"], old["metadata"])


def _validate_rules(rules: list[dict[str, Any]], *, is_namespaced: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, rule in enumerate(rules):
        errors += _validate_rule(rule, f"rules[{index}]", is_namespaced=is_namespaced)
    return errors


def _validate_rule(rule: Mapping[str, Any], path: str, *, is_namespaced: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    if not rule.get("verbs"):
        errors.append(required(f"{path}.verbs", "verbs must contain at least one value"))
    if urls := rule.get("nonResourceURLs"):
        here = f"{path}.nonResourceURLs"
        if is_namespaced:
            detail = "namespaced rules cannot apply to non-resource URLs"
            errors.append(invalid(here, urls, detail))
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            detail = "rules cannot apply to both regular resources and non-resource URLs"
            errors.append(invalid(here, urls, detail))
        return errors
    if not rule.get("apiGroups"):
        detail = "resource rules must supply at least one api group"
        errors.append(required(f"{path}.apiGroups", detail))
    if not rule.get("resources"):
        detail = "resource rules must supply at least one resource"
        errors.append(required(f"{path}.resources", detail))
    return errors


def validate_role_binding(binding: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a role binding."""
    return _validate_binding(binding, is_namespaced=True)


def validate_cluster_role_binding(binding: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a cluster role binding."""
    return _validate_binding(binding, is_namespaced=False)


def _validate_binding(binding: Mapping[str, Any], *, is_namespaced: bool) -> list[FieldError]:
    metadata, reference = binding.get("metadata") or {}, binding.get("roleRef") or {}
    errors = validate_metadata(metadata, path_segment_errors, namespaced=is_namespaced)
    if (group := reference.get("apiGroup", "")) != _GROUP:
        errors.append(not_supported("roleRef.apiGroup", group, (_GROUP,)))
    kinds = ("Role", "ClusterRole") if is_namespaced else ("ClusterRole",)
    if (kind := reference.get("kind", "")) not in kinds:
        errors.append(not_supported("roleRef.kind", kind, kinds))
    if not (name := reference.get("name", "")):
        errors.append(required("roleRef.name"))
    else:
        errors += each_invalid("roleRef.name", name, path_segment_errors(name))
    for index, subject in enumerate(binding.get("subjects") or ()):
        path = f"subjects[{index}]"
        errors += _validate_subject(subject, path, is_namespaced=is_namespaced)
    return errors


def _validate_subject(
    subject: Mapping[str, Any], path: str, *, is_namespaced: bool
) -> list[FieldError]:
    kind, name = subject.get("kind", ""), subject.get("name", "")
    group = subject.get("apiGroup", "")
    errors = [] if name else [required(f"{path}.name")]
    if kind == "ServiceAccount":
        if name:
            errors += each_invalid(f"{path}.name", name, names.dns1123_subdomain_errors(name))
        if group:
            errors.append(not_supported(f"{path}.apiGroup", group, ("",)))
        if not is_namespaced and not subject.get("namespace"):
            errors.append(required(f"{path}.namespace"))
    elif kind in ("User", "Group"):
        if group != _GROUP:
            errors.append(not_supported(f"{path}.apiGroup", group, (_GROUP,)))
    else:
        errors.append(not_supported(f"{path}.kind", kind, _KINDS))
    return errors


def validate_role_binding_update(
    new: Mapping[str, Any], old: Mapping[str, Any]
) -> list[FieldError]:
    """Return what of a role binding's update is not allowed."""
    return _validate_binding_update(new, old, is_namespaced=True)


def validate_cluster_role_binding_update(
    new: Mapping[str, Any], old: Mapping[str, Any]
) -> list[FieldError]:
    """Return what of a cluster role binding's update is not allowed."""
    return _validate_binding_update(new, old, is_namespaced=False)


def _validate_binding_update(
    new: Mapping[str, Any], old: Mapping[str, Any], *, is_namespaced: bool
) -> list[FieldError]:
    errors = _validate_binding(new, is_namespaced=is_namespaced)
    errors += validate_metadata_update(new["metadata"], old["metadata"])
    reference = new.get("roleRef") or {}
    if reference != old.get("roleRef"):
        shown = {
            "APIGroup": reference.get("apiGroup", ""),
            "Kind": reference.get("kind", ""),
            "Name": reference.get("name", ""),
        }
        errors.append(invalid("roleRef", shown, "cannot change roleRef"))
    return errors


RULES = {
    "roles.rbac.authorization.k8s.io": Rules(validate_role, validate_role_update),
    "clusterroles.rbac.authorization.k8s.io": Rules(
        validate_cluster_role, validate_cluster_role_update
    ),
    "rolebindings.rbac.authorization.k8s.io": Rules(
        validate_role_binding, validate_role_binding_update
    ),
    "clusterrolebindings.rbac.authorization.k8s.io": Rules(
        validate_cluster_role_binding, validate_cluster_role_binding_update
    ),
}
"""By resource."""
