"""Workloads that keep pods running: deployments and sets, and the templates they are made of."""

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
from kubeberth.api.validation.rules import ChangeRules, Rules, with_metadata
from kubeberth.api.validation.selectors import is_label_selector, validate_label_selector

NOT_NEGATIVE = "must be greater than or equal to 0"
NO_MATCH = "`selector` does not match template `labels`"
_STRATEGIES = ("Recreate", "RollingUpdate")
_DAEMON_STRATEGIES = ("RollingUpdate", "OnDelete")
_MANAGEMENT_POLICIES = ("OrderedReady", "Parallel")
_RETENTIONS = ("Retain", "Delete")
_MUTABLE_OF_STATEFUL = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
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
    "replicationcontrollers": (
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
    ),
    "statefulsets": (
        "replicas",
        "readyReplicas",
        "availableReplicas",
        "currentReplicas",
        "updatedReplicas",
        "observedGeneration",
    ),
    "daemonsets": (
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
    ),
}
_BOUNDED = {
    "deployments": ("updatedReplicas", "readyReplicas", "availableReplicas"),
    "replicasets": ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
    "replicationcontrollers": ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
    "statefulsets": ("readyReplicas", "currentReplicas", "updatedReplicas"),
    "daemonsets": (),
}


def validate_deployment(deployment: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a deployment's spec."""
    spec = deployment.get("spec") or {}
    errors = validate_not_negative(spec.get("replicas", 0), "spec.replicas")
    errors += _validate_selector(spec.get("selector"), "spec.selector", "deployment")
    errors += _validate_template(spec, "spec.template", "ReplicaSet")
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
    errors += _validate_selector(spec.get("selector"), "spec.selector", "deployment")
    return errors + _validate_template(spec, "spec.template", "ReplicaSet")


def validate_replication_controller(controller: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a replication controller's spec."""
    spec = controller.get("spec") or {}
    errors = validate_not_negative(spec.get("minReadySeconds", 0), "spec.minReadySeconds")
    if not spec.get("selector"):
        errors.append(required("spec.selector"))
    errors += validate_not_negative(spec.get("replicas", 0), "spec.replicas")
    if spec.get("template") is None:
        return [*errors, required("spec.template")]
    as_set = {**spec, "selector": {"matchLabels": spec.get("selector") or {}}}
    return errors + _validate_template(as_set, "spec.template", "ReplicationController")


def validate_stateful_set(stateful_set: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a stateful set's spec."""
    spec = stateful_set.get("spec") or {}
    errors: list[FieldError] = []
    policy = spec.get("podManagementPolicy", "")
    if policy not in _MANAGEMENT_POLICIES:
        detail = "must be 'OrderedReady' or 'Parallel'"
        errors.append(invalid("spec.podManagementPolicy", policy, detail))
    errors += _validate_stateful_strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy")
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for field in ("whenDeleted", "whenScaled"):
        if (choice := retention.get(field)) not in _RETENTIONS:
            path = f"spec.persistentVolumeClaimRetentionPolicy.{field}"
            errors.append(not_supported(path, choice or "", _RETENTIONS))
    errors += validate_not_negative(spec.get("replicas", 0), "spec.replicas")
    errors += validate_not_negative(spec.get("minReadySeconds", 0), "spec.minReadySeconds")
    if (ordinals := spec.get("ordinals")) is not None:
        errors += validate_not_negative(ordinals.get("start", 0), "spec.ordinals.start")
    if (limit := spec.get("revisionHistoryLimit")) is not None:
        errors += validate_not_negative(limit, "spec.revisionHistoryLimit")
    errors += _validate_selector(spec.get("selector"), "spec.selector", "statefulset")
    return errors + _validate_template(_with_claimed_volumes(spec), "spec.template", "StatefulSet")


def validate_daemon_set(daemon_set: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a daemon set's spec."""
    spec = daemon_set.get("spec") or {}
    template, selector = spec.get("template") or {}, spec.get("selector")
    errors = validate_label_selector(selector, "spec.selector")
    if is_label_selector(selector or {}):
        labels = (template.get("metadata") or {}).get("labels")
        if not from_label_selector(selector).matches(labels or {}):
            errors.append(invalid("spec.template.metadata.labels", labels, NO_MATCH))
    if selector is not None and not is_selective(selector):
        errors.append(invalid("spec.selector", {}, "empty selector is invalid for daemonset"))
    errors += validate_pod_template(template, "spec.template")
    errors += _validate_always_running(template.get("spec") or {}, "spec.template", "DaemonSet")
    errors += validate_not_negative(spec.get("minReadySeconds", 0), "spec.minReadySeconds")
    errors += _validate_daemon_strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy")
    if (limit := spec.get("revisionHistoryLimit")) is not None:
        errors += validate_not_negative(limit, "spec.revisionHistoryLimit")
    return errors


def validate_stateful_set_update(
    new: Mapping[str, Any], old: Mapping[str, Any]
) -> list[FieldError]:
    """Return what of a stateful set's update is not allowed."""
    errors = validate_stateful_set(new)
    errors += validate_metadata_update(new["metadata"], old["metadata"])
    fixed = [
        {k: v for k, v in (document.get("spec") or {}).items() if k not in _MUTABLE_OF_STATEFUL}
        for document in (new, old)
    ]
    if fixed[0] != fixed[1]:
        listed = ", ".join(f"'{field}'" for field in _MUTABLE_OF_STATEFUL[:-1])
        errors.append(
            forbidden(
                "spec",
                f"updates to statefulset spec for fields other than {listed} and "
                f"'{_MUTABLE_OF_STATEFUL[-1]}' are forbidden",
            )
        )
    return errors


def validate_daemon_set_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a daemon set's update is not allowed."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    return errors + _validate_same_selector(new, old) + validate_daemon_set(new)


def validate_replication_controller_update(
    new: Mapping[str, Any], old: Mapping[str, Any]
) -> list[FieldError]:
    """Return what of a replication controller's update is not allowed."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    return errors + validate_replication_controller(new)


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


def _with_claimed_volumes(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stateful set's spec whose template has the volumes that its claims will give it."""
    claims = [
        (c.get("metadata") or {}).get("name", "") for c in spec.get("volumeClaimTemplates") or ()
    ]
    template = spec.get("template") or {}
    pod_spec = template.get("spec") or {}
    own = [v for v in pod_spec.get("volumes") or () if v.get("name") not in claims]
    claimed = [
        {"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims if name
    ]
    if not claimed:
        return dict(spec)
    return {**spec, "template": {**template, "spec": {**pod_spec, "volumes": own + claimed}}}


def _validate_stateful_strategy(strategy: Mapping[str, Any], path: str) -> list[FieldError]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    shown = (
        None
        if rolling is None
        else {
            "Partition": rolling.get("partition"),
            "MaxUnavailable": rolling.get("maxUnavailable"),
        }
    )
    if kind == "OnDelete":
        if rolling is None:
            return []
        detail = "only allowed for updateStrategy 'RollingUpdate'"
        return [invalid(f"{path}.rollingUpdate", shown, detail)]
    if kind != "RollingUpdate":
        value = {"Type": kind, "RollingUpdate": shown}
        return [invalid(path, value, "must be 'RollingUpdate' or 'OnDelete'")]
    here = f"{path}.rollingUpdate"
    errors = validate_not_negative((rolling or {}).get("partition", 0), f"{here}.partition")
    if (unavailable := (rolling or {}).get("maxUnavailable")) is not None:
        errors += validate_share(unavailable, f"{here}.maxUnavailable")
        if not errors and _share(unavailable) == 0:
            errors.append(invalid(f"{here}.maxUnavailable", unavailable, "cannot be 0"))
    return errors


def _validate_daemon_strategy(strategy: Mapping[str, Any], path: str) -> list[FieldError]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "OnDelete":
        return []
    if kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": _rolling_as_shown(rolling)}
        return [not_supported(path, shown, _DAEMON_STRATEGIES)]
    here = f"{path}.rollingUpdate"
    if rolling is None:
        return [required(here)]
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    errors = validate_share(unavailable, f"{here}.maxUnavailable")
    errors += validate_share(surge, f"{here}.maxSurge")
    if _share(unavailable) and _share(surge):
        detail = "may not be set when maxUnavailable is non-zero"
        errors.append(invalid(f"{here}.maxSurge", surge, detail))
    elif not _share(unavailable) and not _share(surge):
        errors.append(required(f"{here}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    errors += validate_at_most_all(unavailable, f"{here}.maxUnavailable")
    return errors + validate_at_most_all(surge, f"{here}.maxSurge")


def validate_not_negative(number: int, path: str) -> list[FieldError]:
    """Return the fault of a number below zero."""
    return [invalid(path, number, NOT_NEGATIVE)] if number < 0 else []


def _validate_same_selector(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    selector = (new.get("spec") or {}).get("selector")
    if selector == (old.get("spec") or {}).get("selector"):
        return []
    return [invalid("spec.selector", selector, IMMUTABLE)]


def is_selective(selector: Mapping[str, Any]) -> bool:
    """Tell whether a selector demands anything."""
    return bool(selector.get("matchLabels") or selector.get("matchExpressions"))


def _validate_selector(
    selector: Mapping[str, Any] | None, path: str, owner: str
) -> list[FieldError]:
    if selector is None:
        return [required(path)]
    errors = validate_label_selector(selector, path)
    if not is_selective(selector):
        errors.append(invalid(path, {}, f"empty selector is invalid for {owner}"))
    return errors


def _validate_template(spec: Mapping[str, Any], path: str, kind: str) -> list[FieldError]:
    """Return the faults of the template, which the selector has to select.

    Parameters
    ----------
    kind
        Whose template errors speak of.
    """
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    selector = spec.get("selector")
    if not is_label_selector(selector or {}):
        detail = "" if kind == "StatefulSet" else "invalid label selector"
        return [invalid("spec.selector", selector, detail)]
    errors: list[FieldError] = []
    parsed = from_label_selector(selector)
    if not parsed.is_everything and not parsed.matches(labels or {}):
        errors.append(invalid(f"{path}.metadata.labels", labels, NO_MATCH))
    if kind == "StatefulSet":  # whose pods get names of their own; their labels are told of twice
        errors += validate_labels(labels, f"{path}.labels")
        pod_spec = {k: v for k, v in (template.get("spec") or {}).items() if k != "hostname"}
        template = {**template, "spec": pod_spec}
    errors += validate_pod_template(template, path)
    return errors + _validate_always_running(template.get("spec") or {}, path, kind)


def _validate_always_running(pod_spec: Mapping[str, Any], path: str, kind: str) -> list[FieldError]:
    """Return what makes pods end that are meant to run for ever."""
    errors: list[FieldError] = []
    if (policy := pod_spec.get("restartPolicy")) != "Always":
        errors.append(not_supported(f"{path}.spec.restartPolicy", policy, ("Always",)))
    if pod_spec.get("activeDeadlineSeconds") is not None:
        detail = f"activeDeadlineSeconds in {kind} is not Supported"
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
    errors = validate_share(unavailable, f"{path}.maxUnavailable")
    errors += validate_share(surge, f"{path}.maxSurge")
    if _share(unavailable) == 0 and _share(surge) == 0:
        detail = "may not be 0 when `maxSurge` is 0"
        errors.append(invalid(f"{path}.maxUnavailable", unavailable, detail))
    return errors + validate_at_most_all(unavailable, f"{path}.maxUnavailable")


def validate_at_most_all(value: int | str, path: str) -> list[FieldError]:
    """Return the fault of a percentage above 100."""
    if isinstance(value, str) and _PERCENT.fullmatch(value) and _share(value) > 100:
        return [invalid(path, value, "must not be greater than 100%")]
    return []


def validate_share(value: int | str, path: str) -> list[FieldError]:
    """Return the fault of what has to be a number or a percentage."""
    if isinstance(value, int):
        return validate_not_negative(value, path)
    return [] if _PERCENT.fullmatch(value) else [invalid(path, value, _NOT_PERCENT)]


def _share(value: int | str) -> int:
    """Return the number in a count or a percentage; zero when it is neither."""
    if isinstance(value, int):
        return value
    return int(value[:-1]) if _PERCENT.fullmatch(value) else 0


def _workload_status(plural: str) -> ChangeRules:
    return lambda new, old: validate_workload_status(new, old, plural)


RULES = {
    "deployments.apps": Rules(
        with_metadata(validate_deployment),
        validate_deployment_update,
        _workload_status("deployments"),
    ),
    "replicasets.apps": Rules(
        with_metadata(validate_replica_set),
        validate_replica_set_update,
        _workload_status("replicasets"),
    ),
    "replicationcontrollers": Rules(
        with_metadata(validate_replication_controller),
        validate_replication_controller_update,
        _workload_status("replicationcontrollers"),
    ),
    "statefulsets.apps": Rules(
        with_metadata(validate_stateful_set),
        validate_stateful_set_update,
        _workload_status("statefulsets"),
    ),
    "daemonsets.apps": Rules(
        with_metadata(validate_daemon_set),
        validate_daemon_set_update,
        _workload_status("daemonsets"),
    ),
}
"""By resource."""
