"""Where a pod wants to be: affinity, topology spread, and the label keys both may take from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubeberth.api.validation.metadata import validate_label_key
from kubeberth.api.validation.selectors import (
    validate_label_selector,
    validate_node_selector,
    validate_node_selector_term,
)

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NO_TOPOLOGY_KEY = "can not be empty"
_WHEN_UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
_POLICIES = ("Honor", "Ignore")


def validate_affinity(affinity: Mapping[str, Any], path: str) -> list[FieldError]:
    """Return the faults of `spec.affinity`."""
    errors: list[FieldError] = []
    if node := affinity.get("nodeAffinity"):
        errors += _validate_node_affinity(node, f"{path}.nodeAffinity")
    for field in ("podAffinity", "podAntiAffinity"):
        if pod := affinity.get(field):
            errors += _validate_pod_affinity(pod, f"{path}.{field}")
    return errors


def _validate_node_affinity(affinity: Mapping[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if (selector := affinity.get(_REQUIRED)) is not None:
        errors += validate_node_selector(selector, f"{path}.{_REQUIRED}")
    for index, term in enumerate(affinity.get(_PREFERRED) or []):
        here = f"{path}.{_PREFERRED}[{index}]"
        errors += _validate_weight(term.get("weight", 0), f"{here}.weight")
        errors += validate_node_selector_term(
            term.get("preference") or {}, f"{here}.preference", checks_values=False
        )
    return errors


def _validate_pod_affinity(affinity: Mapping[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, term in enumerate(affinity.get(_REQUIRED) or []):
        errors += _validate_pod_affinity_term(term, f"{path}.{_REQUIRED}[{index}]")
    for index, weighted in enumerate(affinity.get(_PREFERRED) or []):
        here = f"{path}.{_PREFERRED}[{index}]"
        errors += _validate_weight(weighted.get("weight", 0), f"{here}.weight")
        term = weighted.get("podAffinityTerm") or {}
        errors += _validate_pod_affinity_term(term, f"{here}.podAffinityTerm")
    return errors


def _validate_weight(weight: int, path: str) -> list[FieldError]:
    return [] if 1 <= weight <= 100 else [invalid(path, weight, "must be in the range 1-100")]


def _validate_pod_affinity_term(term: Mapping[str, Any], path: str) -> list[FieldError]:
    errors = validate_label_selector(term.get("labelSelector"), f"{path}.labelSelector")
    errors += validate_label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for namespace in term.get("namespaces") or []:
        # The path is upstream's: singular, and without index.
        errors += each_invalid(
            f"{path}.namespace", namespace, names.dns1123_label_errors(namespace)
        )
    errors += _validate_match_label_keys(term, path)
    topology_key = term.get("topologyKey", "")
    if not topology_key:
        errors.append(required(f"{path}.topologyKey", _NO_TOPOLOGY_KEY))
    errors += validate_label_key(topology_key, f"{path}.topologyKey")
    return errors


def _validate_match_label_keys(term: Mapping[str, Any], path: str) -> list[FieldError]:
    """Return the faults of `matchLabelKeys` and `mismatchLabelKeys`."""
    keys = term.get("matchLabelKeys") or []
    mismatch_keys = term.get("mismatchLabelKeys") or []
    selector = term.get("labelSelector")
    errors: list[FieldError] = []
    for field in ("matchLabelKeys", "mismatchLabelKeys"):
        if term.get(field) and selector is None:
            detail = "must not be specified when labelSelector is not set"
            errors.append(forbidden(f"{path}.{field}", detail))
        for index, key in enumerate(term.get(field) or []):
            errors += validate_label_key(key, f"{path}.{field}[{index}]")
    for index, key in enumerate(keys):
        if key in mismatch_keys:
            detail = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.append(invalid(f"{path}.matchLabelKeys[{index}]", key, detail))
    return errors + _validate_merged_keys(keys, selector or {}, path)


def _validate_merged_keys(
    keys: list[str], selector: Mapping[str, Any], path: str
) -> list[FieldError]:
    """Return the keys that the selector already had when the pod's own values were merged in.

    The merge adds one expression per key, so every time but the first that one is met is a fault.
    As upstream, of a key that is listed twice the last place is named.
    """
    places = {key: index for index, key in enumerate(keys)}
    met = set(selector.get("matchLabels") or {})
    errors = []
    for requirement in selector.get("matchExpressions") or []:
        key = requirement.get("key")
        if key in met and key in places:
            detail = "exists in both matchLabelKeys and labelSelector"
            errors.append(invalid(f"{path}[{places[key]}]", key, detail))
        met.add(key)
    return errors


def validate_topology_spread(constraints: list[dict[str, Any]], path: str) -> list[FieldError]:
    """Return the faults of `spec.topologySpreadConstraints`."""
    errors: list[FieldError] = []
    pairs = [(c.get("topologyKey", ""), c.get("whenUnsatisfiable", "")) for c in constraints]
    for index, constraint in enumerate(constraints):
        here = f"{path}[{index}]"
        errors += _validate_constraint(constraint, here)
        if pairs[index] in pairs[index + 1 :]:
            key, when = pairs[index]
            field = f"{here}.{{topologyKey, whenUnsatisfiable}}"
            errors.append(duplicate(field, f"{{{key}, {when}}}"))
        errors += _validate_min_domains(constraint, f"{here}.minDomains")
        errors += _validate_constraint_selector(constraint, here)
    return errors


def _validate_constraint(constraint: Mapping[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if (max_skew := constraint.get("maxSkew", 0)) <= 0:
        errors.append(invalid(f"{path}.maxSkew", max_skew, "must be greater than zero"))
    if not constraint.get("topologyKey"):
        errors.append(required(f"{path}.topologyKey", _NO_TOPOLOGY_KEY))
    when = constraint.get("whenUnsatisfiable", "")
    if when not in _WHEN_UNSATISFIABLE:
        errors.append(not_supported(f"{path}.whenUnsatisfiable", when, _WHEN_UNSATISFIABLE))
    return errors


def _validate_min_domains(constraint: Mapping[str, Any], path: str) -> list[FieldError]:
    min_domains, when = constraint.get("minDomains"), constraint.get("whenUnsatisfiable", "")
    if min_domains is None:
        return []
    errors: list[FieldError] = []
    if min_domains <= 0:
        errors.append(invalid(path, min_domains, "must be greater than zero"))
    if when != "DoNotSchedule":
        detail = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"
        errors.append(invalid(path, min_domains, detail))
    return errors


def _validate_constraint_selector(constraint: Mapping[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        policy = constraint.get(field)
        if policy is not None and policy not in _POLICIES:
            errors.append(not_supported(f"{path}.{field}", policy, _POLICIES))
    keys = constraint.get("matchLabelKeys") or []
    selector = constraint.get("labelSelector")
    if keys and selector is None:
        detail = "must not be specified when labelSelector is not set"
        errors.append(forbidden(f"{path}.matchLabelKeys", detail))
    for index, key in enumerate(keys):
        errors += validate_label_key(key, f"{path}.matchLabelKeys[{index}]")
    errors += _validate_merged_keys(keys, selector or {}, path)
    return errors + validate_label_selector(selector, f"{path}.labelSelector")
