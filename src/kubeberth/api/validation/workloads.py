"""Deployments and replica sets, and the pod templates they are made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubeberth.api.selectors import from_label_selector
from kubeberth.api.validation.field_error import (
    FieldError,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubeberth.api.validation.metadata import (
    IMMUTABLE,
    validate_annotations,
    validate_labels,
    validate_metadata_update,
)
from kubeberth.api.validation.pod_spec import validate_pod_spec
from kubeberth.api.validation.selectors import is_label_selector, validate_label_selector

NOT_NEGATIVE = "must be greater than or equal to 0"
_STRATEGIES = ("Recreate", "RollingUpdate")
_PERCENT = re.compile(r"[0-9]+%")
_NOT_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or "
    "'93%', regex used for validation is '[0-9]+%')"
)
_COUNTS = {
    "deployments": (
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
    ),
    "replicasets": (
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
    ),
}
_BOUNDED = {
    "deployments": ("updatedReplicas", "readyReplicas", "availableReplicas"),
    "replicasets": ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
}


def validate_deployment(deployment: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a deployment's spec."""
    spec = deployment.get("spec") or {}
    errors = validate_not_negative(spec.get("replicas", 0), "spec.replicas")
    errors += _validate_selector(spec.get("selector"), "spec.selector")
    errors += _validate_template(spec, "spec.template")
    errors += _validate_strategy(spec.get("strategy") or {}, "spec.strategy")
    min_ready = spec.get("minReadySeconds", 0)
    errors += validate_not_negative(min_ready, "spec.minReadySeconds")
    if (limit := spec.get("revisionHistoryLimit")) is not None:
        errors += validate_not_negative(limit, "spec.revisionHistoryLimit")
    if (deadline := spec.get("progressDeadlineSeconds")) is not None:
        path = "spec.progressDeadlineSeconds"
        errors += validate_not_negative(deadline, path)
        if deadline <= min_ready:
            errors.append(invalid(path, deadline, "must be greater than minReadySeconds"))
    return errors


def validate_replica_set(replica_set: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a replica set's spec."""
    spec = replica_set.get("spec") or {}
    errors = validate_not_negative(spec.get("replicas", 0), "spec.replicas")
    errors += validate_not_negative(spec.get("minReadySeconds", 0), "spec.minReadySeconds")
    # Upstream speaks of a deployment here too.
    errors += _validate_selector(spec.get("selector"), "spec.selector")
    return errors + _validate_template(spec, "spec.template")


def validate_stateful_set(stateful_set: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a stateful set's selector and template."""
    spec = stateful_set.get("spec") or {}
    errors = validate_not_negative(spec.get("replicas", 0), "spec.replicas")
    errors += _validate_selector(spec.get("selector"), "spec.selector")
    return errors + _validate_template(spec, "spec.template")


def validate_deployment_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a deployment's update is not allowed."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    return errors + validate_deployment(new) + _validate_same_selector(new, old)


def validate_replica_set_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a replica set's update is not allowed."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    return errors + validate_replica_set(new) + _validate_same_selector(new, old)


def validate_workload_status(
    new: Mapping[str, Any], old: Mapping[str, Any], plural: str
) -> list[FieldError]:
    """Return the faults of a status: counts that cannot be, and counts above the total."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    status = new.get("status") or {}
    for field in _COUNTS[plural]:
        errors += validate_not_negative(status.get(field, 0), f"status.{field}")
    if (collisions := status.get("collisionCount")) is not None:
        errors += validate_not_negative(collisions, "status.collisionCount")
    total = status.get("replicas", 0)
    for field in _BOUNDED[plural]:
        if (count := status.get(field, 0)) > total:
            detail = "cannot be greater than status.replicas"
            errors.append(invalid(f"status.{field}", count, detail))
    if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        detail = "cannot be greater than readyReplicas"
        errors.append(invalid("status.availableReplicas", status["availableReplicas"], detail))
    return errors


def validate_not_negative(number: int, path: str) -> list[FieldError]:
    """Return the fault of a number below zero."""
    return [invalid(path, number, NOT_NEGATIVE)] if number < 0 else []


def _validate_same_selector(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    selector = (new.get("spec") or {}).get("selector")
    if selector == (old.get("spec") or {}).get("selector"):
        return []
    return [invalid("spec.selector", selector, IMMUTABLE)]


def _validate_selector(selector: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    if selector is None:
        return [required(path)]
    errors = validate_label_selector(selector, path)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.append(invalid(path, {}, "empty selector is invalid for deployment"))
    return errors


def _validate_template(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Return the faults of the template, which the selector has to select."""
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    selector = spec.get("selector")
    if not is_label_selector(selector or {}):
        return [invalid("spec.selector", selector, "invalid label selector")]
    errors: list[FieldError] = []
    parsed = from_label_selector(selector)
    if not parsed.is_everything and not parsed.matches(labels or {}):
        detail = "`selector` does not match template `labels`"
        errors.append(invalid(f"{path}.metadata.labels", labels, detail))
    errors += validate_pod_template(template, path)
    pod_spec = template.get("spec") or {}
    if (policy := pod_spec.get("restartPolicy")) != "Always":
        errors.append(not_supported(f"{path}.spec.restartPolicy", policy, ("Always",)))
    if pod_spec.get("activeDeadlineSeconds") is not None:
        detail = "activeDeadlineSeconds in ReplicaSet is not Supported"
        errors.append(forbidden(f"{path}.spec.activeDeadlineSeconds", detail))
    return errors


def validate_pod_template(template: Mapping[str, Any], path: str) -> list[FieldError]:
    """Return the faults of a pod template."""
    meta, spec = template.get("metadata") or {}, template.get("spec") or {}
    # The paths lack "metadata": upstream's doing.
    errors = validate_labels(meta.get("labels"), f"{path}.labels")
    errors += validate_annotations(meta.get("annotations"), f"{path}.annotations")
    errors += validate_pod_spec(spec, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        detail = "ephemeral containers not allowed in pod template"
        errors.append(forbidden(f"{path}.spec.ephemeralContainers", detail))
    return errors


def _validate_strategy(strategy: Mapping[str, Any], path: str) -> list[FieldError]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is None:
            return []
        detail = "may not be specified when strategy `type` is 'Recreate'"
        return [forbidden(f"{path}.rollingUpdate", detail)]
    if kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": _rolling_as_shown(rolling)}
        return [not_supported(path, shown, _STRATEGIES)]
    if rolling is None:
        return [required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")]
    return _validate_rolling_update(rolling, f"{path}.rollingUpdate")


def _rolling_as_shown(rolling: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if rolling is None:
        return None
    return {
        "MaxUnavailable": rolling.get("maxUnavailable"),
        "MaxSurge": rolling.get("maxSurge"),
    }


def _validate_rolling_update(rolling: Mapping[str, Any], path: str) -> list[FieldError]:
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    errors = _validate_share(unavailable, f"{path}.maxUnavailable")
    errors += _validate_share(surge, f"{path}.maxSurge")
    if _share(unavailable) == 0 and _share(surge) == 0:
        detail = "may not be 0 when `maxSurge` is 0"
        errors.append(invalid(f"{path}.maxUnavailable", unavailable, detail))
    if (
        isinstance(unavailable, str)
        and _PERCENT.fullmatch(unavailable)
        and _share(unavailable) > 100
    ):
        errors.append(
            invalid(f"{path}.maxUnavailable", unavailable, "must not be greater than 100%")
        )
    return errors


def _validate_share(value: int | str, path: str) -> list[FieldError]:
    """Return the fault of what has to be a number or a percentage."""
    if isinstance(value, int):
        return validate_not_negative(value, path)
    return [] if _PERCENT.fullmatch(value) else [invalid(path, value, _NOT_PERCENT)]


def _share(value: int | str) -> int:
    """Return the number in a count or a percentage; zero when it is neither."""
    if isinstance(value, int):
        return value
    return int(value[:-1]) if _PERCENT.fullmatch(value) else 0
