"""Disruption budgets, limit ranges, quotas, and runtime classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.quantity import parse_quantity
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubeberth.api.validation.metadata import (
    IMMUTABLE,
    validate_labels,
    validate_metadata,
    validate_metadata_update,
)
from kubeberth.api.validation.resources import (
    allows_overcommit,
    container_name_errors,
    is_quota_resource,
    resource_name_errors,
    validate_amount,
    validate_container_resources,
)
from kubeberth.api.validation.rules import Rules
from kubeberth.api.validation.selectors import validate_label_selector
from kubeberth.api.validation.taints import validate_tolerations
from kubeberth.api.validation.workloads import (
    validate_at_most_all,
    validate_not_negative,
    validate_share,
)

_EVICTION_POLICIES = ("AlwaysAllow", "IfHealthyBudget")
_BUDGET_COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
_CLAIM = "PersistentVolumeClaim"
_LIMIT_TYPES = ("Pod", "Container", _CLAIM)
_PODS = frozenset(("pods",))
_COMPUTE = frozenset(
    ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
)
# Which resources a quota of a scope may count.
SCOPES = {
    "Terminating": _PODS | _COMPUTE,
    "NotTerminating": _PODS | _COMPUTE,
    "BestEffort": _PODS,
    "NotBestEffort": _PODS | _COMPUTE,
    "PriorityClass": _PODS | _COMPUTE,
    "CrossNamespacePodAffinity": _PODS | _COMPUTE,
    "VolumeAttributesClass": frozenset(("persistentvolumeclaims", "requests.storage")),
}
_CONFLICTING = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
# Scopes that a pod is in or not, without values.
_PLAIN_SCOPES = frozenset(SCOPES) - {"PriorityClass", "VolumeAttributesClass"}
_ONLY_EXISTS = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
    "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
    "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


def validate_budget(budget: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a disruption budget; any name will do for upstream, but one there is."""
    spec = budget.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    policy = spec.get("unhealthyPodEvictionPolicy")
    errors: list[FieldError] = []
    if not (budget.get("metadata") or {}).get("name"):
        errors.append(required("metadata.name", "name or generateName is required"))
    if least is not None and most is not None:
        shown = {
            "MinAvailable": least,
            "Selector": spec.get("selector"),
            "MaxUnavailable": most,
            "UnhealthyPodEvictionPolicy": policy,
        }
        detail = "minAvailable and maxUnavailable cannot be both set"
        errors.append(invalid("spec", shown, detail))
    for field, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            errors += validate_share(value, f"spec.{field}")
            errors += validate_at_most_all(value, f"spec.{field}")
    errors += validate_label_selector(spec.get("selector"), "spec.selector")
    if policy is not None and policy not in _EVICTION_POLICIES:
        errors.append(not_supported("spec.unhealthyPodEvictionPolicy", policy, _EVICTION_POLICIES))
    return errors


def validate_budget_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a disruption budget's update is not allowed."""
    return validate_budget(new)


def validate_budget_status(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a disruption budget's status."""
    status = new.get("status") or {}
    errors: list[FieldError] = []
    for field in _BUDGET_COUNTS:
        errors += validate_not_negative(status.get(field, 0), f"status.{field}")
    return errors


def validate_limit_range(limit_range: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a limit range."""
    errors = validate_metadata(limit_range.get("metadata") or {})
    seen: set[str] = set()
    for index, item in enumerate((limit_range.get("spec") or {}).get("limits") or ()):
        path, kind = f"spec.limits[{index}]", item.get("type", "")
        details = names.qualified_name_errors(kind, "a qualified name")
        if not details and "/" not in kind and kind not in _LIMIT_TYPES:
            details = ["must be a standard limit type or fully qualified"]
        errors += each_invalid(f"{path}.type", kind, details)
        if kind in seen:
            errors.append(duplicate(f"{path}.type", kind))
        seen.add(kind)
        errors += _validate_limit_item(item, kind, path)
    return errors


def validate_limit_range_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a limit range's update is not allowed."""
    return validate_limit_range(new)


def _validate_limit_item(item: Mapping[str, Any], kind: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    defaults = ("default", "defaultRequest")
    for field in ("max", "min"):
        errors += _validate_limit_names(item.get(field), kind, f"{path}.{field}")
    if kind == "Pod":
        detail = "may not be specified when `type` is 'Pod'"
        errors += [forbidden(f"{path}.{field}", detail) for field in defaults if item.get(field)]
    else:
        for field in defaults:
            errors += _validate_limit_names(item.get(field), kind, f"{path}.{field}")
    if kind == _CLAIM and not any("storage" in (item.get(f) or {}) for f in ("min", "max")):
        detail = "either minimum or maximum storage value is required, but neither was provided"
        errors.append(required(f"{path}.limits", detail))
    ratios = item.get("maxLimitRequestRatio")
    errors += _validate_limit_names(ratios, kind, f"{path}.maxLimitRequestRatio")
    fields = ("max", "min", *(() if kind == "Pod" else defaults), "maxLimitRequestRatio")
    resources = sorted({name for field in fields for name in item.get(field) or {}})
    for name in resources:
        amounts = {f: item[f][name] for f in fields if name in (item.get(f) or {})}
        errors += _validate_bounds(name, amounts, path)
    return errors


def _validate_limit_names(
    amounts: Mapping[str, str] | None, kind: str, path: str
) -> list[FieldError]:
    check = container_name_errors if kind in ("Pod", "Container") else resource_name_errors
    return [
        error
        for name in amounts or {}
        for error in each_invalid(f"{path}[{name}]", name, check(name))
    ]


# Which bound may not be above which, where that is reported, and with which of the two amounts.
_ORDERED = (
    ("min", "max", "min", "min", "min value {} is greater than max value {}"),
    (
        "min",
        "defaultRequest",
        "defaultRequest",
        "defaultRequest",
        "min value {} is greater than default request value {}",
    ),
    (
        "defaultRequest",
        "max",
        "defaultRequest",
        "defaultRequest",
        "default request value {} is greater than max value {}",
    ),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "defaultRequest",
        "default request value {} is greater than default limit value {}",
    ),
    ("min", "default", "default", "min", "min value {} is greater than default value {}"),
    ("default", "max", "default", "max", "default value {} is greater than max value {}"),
)


def _validate_bounds(name: str, amounts: Mapping[str, str], path: str) -> list[FieldError]:
    """Return which bounds of one resource contradict each other."""
    values = {field: parse_quantity(amount).nanos for field, amount in amounts.items()}
    errors: list[FieldError] = []
    for low, high, field, shown, text in _ORDERED:
        if low in values and high in values and values[low] > values[high]:
            detail = text.format(amounts[low], amounts[high])
            errors.append(invalid(f"{path}.{field}[{name}]", amounts[shown], detail))
    errors += _validate_ratio(name, amounts, values, f"{path}.maxLimitRequestRatio[{name}]")
    is_fixed = not allows_overcommit(name) and {"default", "defaultRequest"} <= values.keys()
    if is_fixed and values["default"] != values["defaultRequest"]:
        detail = (
            f"default value {amounts['default']} must equal to defaultRequest value "
            f"{amounts['defaultRequest']} in {name}"
        )
        errors.append(invalid(f"{path}.defaultRequest[{name}]", amounts["defaultRequest"], detail))
    return errors


def _validate_ratio(
    name: str, amounts: Mapping[str, str], values: Mapping[str, int], path: str
) -> list[FieldError]:
    ratio = values.get("maxLimitRequestRatio")
    if ratio is None:
        return []
    shown = amounts["maxLimitRequestRatio"]
    if ratio < 10**9:
        return [invalid(path, shown, f"ratio {shown} is less than 1")]
    if "min" in values and "max" in values and values["min"]:
        largest = values["max"] / values["min"]
        if ratio / 10**9 > largest:
            detail = f"ratio {shown} is greater than max/min = {largest:.6f}"
            return [invalid(path, shown, detail)]
    return []


def validate_quota(quota: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a resource quota."""
    return validate_metadata(quota.get("metadata") or {}) + _validate_quota_spec(quota)


def validate_quota_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a resource quota's update is not allowed: its scopes stay."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    errors += _validate_quota_spec(new)
    scopes = (new.get("spec") or {}).get("scopes")
    if set(scopes or ()) != set((old.get("spec") or {}).get("scopes") or ()):
        errors.append(invalid("spec.scopes", scopes, IMMUTABLE))
    return errors


def validate_quota_status(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a resource quota's status."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    status = new.get("status") or {}
    for field in ("hard", "used"):
        errors += _validate_quota_amounts(status.get(field) or {}, f"status.{field}")
    return errors


def _validate_quota_amounts(amounts: Mapping[str, str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for name, amount in amounts.items():
        here = f"{path}[{name}]"
        details = list(resource_name_errors(name))
        if "/" not in name and not is_quota_resource(name):
            details.append("must be a standard resource for quota")
        errors += each_invalid(here, name, details)
        errors += validate_amount(name, amount, here)
    return errors


def _validate_quota_spec(quota: Mapping[str, Any]) -> list[FieldError]:
    spec = quota.get("spec") or {}
    errors = _validate_quota_amounts(spec.get("hard") or {}, "spec.hard")
    counted = [name for name in sorted(spec.get("hard") or {}) if is_quota_resource(name)]
    scopes = spec.get("scopes") or []
    for scope in scopes:
        details = [] if scope in SCOPES else ["unsupported scope"]
        details += _misapplied(scope, counted)
        errors += each_invalid("spec.scopes", scopes, details)
    errors += each_invalid("spec.scopes", scopes, _conflicts(scopes))
    selector = spec.get("scopeSelector")
    if selector is not None:
        errors += _validate_scope_selector(selector, counted)
    return errors


def _misapplied(scope: str, counted: list[str]) -> list[str]:
    allowed = SCOPES.get(scope)
    if allowed is None:
        return []
    return ["unsupported scope applied to resource" for name in counted if name not in allowed]


def _conflicts(scopes: list[str]) -> list[str]:
    return ["conflicting scopes" for pair in _CONFLICTING if set(pair) <= set(scopes)]


def _validate_scope_selector(selector: Mapping[str, Any], counted: list[str]) -> list[FieldError]:
    path = "spec.scopeSelector.matchExpressions"
    requirements = selector.get("matchExpressions") or []
    errors: list[FieldError] = []
    for requirement in requirements:
        scope, operator = requirement.get("scopeName", ""), requirement.get("operator", "")
        values = requirement.get("values") or []
        if scope not in SCOPES:
            errors.append(invalid(f"{path}.scopeName", scope, "unsupported scope"))
        errors += each_invalid(path, selector, _misapplied(scope, counted))
        if scope in _PLAIN_SCOPES and operator != "Exists":
            errors.append(invalid(f"{path}.operator", operator, _ONLY_EXISTS))
        if operator in ("In", "NotIn"):
            if not values:
                detail = (
                    "must be at least one value when `operator` is 'In' or 'NotIn' for scope "
                    "selector"
                )
                errors.append(required(f"{path}.values", detail))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                detail = (
                    "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope "
                    "selector"
                )
                errors.append(invalid(f"{path}.values", values, detail))
        else:
            errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    scopes = [requirement.get("scopeName", "") for requirement in requirements]
    return errors + each_invalid(path, requirements, _conflicts(scopes))


def validate_runtime_class(runtime_class: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a runtime class."""
    errors = validate_metadata(runtime_class.get("metadata") or {}, namespaced=False)
    handler = runtime_class.get("handler", "")
    if handler:
        errors += each_invalid("handler", handler, names.dns1123_label_errors(handler))
    else:
        errors.append(required("handler"))
    overhead = runtime_class.get("overhead")
    if overhead is not None:
        limits = {"limits": overhead.get("podFixed") or {}}
        errors += validate_container_resources(limits, set(), "overhead")
    scheduling = runtime_class.get("scheduling") or {}
    errors += validate_labels(scheduling.get("nodeSelector"), "scheduling.nodeSelector")
    tolerations = scheduling.get("tolerations") or []
    errors += validate_tolerations(tolerations, "scheduling.tolerations")
    for index, toleration in enumerate(tolerations):
        if toleration in tolerations[:index]:
            path = f"scheduling.tolerations[{index}]"
            errors.append(duplicate(path, _toleration_as_shown(toleration)))
    return errors


def validate_runtime_class_update(
    new: Mapping[str, Any], old: Mapping[str, Any]
) -> list[FieldError]:
    """Return what of a runtime class's update is not allowed: the handler stays."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    if new.get("handler") != old.get("handler"):
        errors.append(invalid("handler", new.get("handler", ""), IMMUTABLE))
    return errors


def _toleration_as_shown(toleration: Mapping[str, Any]) -> dict[str, Any]:
    """Return a toleration as upstream prints it: the internal struct."""
    return {
        "Key": toleration.get("key", ""),
        "Operator": toleration.get("operator", ""),
        "Value": toleration.get("value", ""),
        "Effect": toleration.get("effect", ""),
        "TolerationSeconds": toleration.get("tolerationSeconds"),
    }


RULES = {
    "poddisruptionbudgets.policy": Rules(
        validate_budget, validate_budget_update, validate_budget_status
    ),
    "limitranges": Rules(validate_limit_range, validate_limit_range_update),
    "resourcequotas": Rules(validate_quota, validate_quota_update, validate_quota_status),
    "runtimeclasses.node.k8s.io": Rules(validate_runtime_class, validate_runtime_class_update),
}
"""By resource."""
