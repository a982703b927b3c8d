"""Jobs and cron jobs."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.cron import schedule_error
from kubeberth.api.job_indexes import IndexesError, checked_indexes
from kubeberth.api.selectors import from_label_selector
from kubeberth.api.validation.field_error import (
    FieldError,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubeberth.api.validation.internal_form import pod_spec_as_shown, pod_template_as_shown
from kubeberth.api.validation.job_policies import validate_policies
from kubeberth.api.validation.metadata import (
    IMMUTABLE,
    validate_metadata,
    validate_metadata_update,
)
from kubeberth.api.validation.rules import Rules
from kubeberth.api.validation.selectors import is_label_selector, validate_label_selector
from kubeberth.api.validation.workloads import (
    NO_MATCH,
    validate_not_negative,
    validate_pod_template,
)

_COMPLETION_MODES = ("NonIndexed", "Indexed")
_REPLACEMENTS = ("Failed", "TerminatingOrFailed")
_CONCURRENCY = ("Allow", "Forbid", "Replace")
# Of indexes: more than many of them leave room for few failures.
_MANY, _FEW = 100_000, 10_000
_COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
)
_IMMUTABLE_FIELDS = (
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
)
# What of a template may change while its job has not started: where its pods go.
_DIRECTIVES = ("nodeSelector", "tolerations", "schedulingGates")
_MAX_MANAGER = 63
# The jobs' names have eleven characters more, and are labels.
_MAX_CRON_JOB_NAME = 52


def validate_job(job: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a job."""
    metadata, spec = job.get("metadata") or {}, job.get("spec") or {}
    errors = validate_metadata(metadata)
    errors += _validate_generated_selector(metadata, spec)
    errors += _validate_selecting_spec(spec)
    return errors + _validate_hostnames(metadata, spec)


def _validate_hostnames(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> list[FieldError]:
    """Return whether the pods of an indexed job can be named after it."""
    name, completions = metadata.get("name", ""), spec.get("completions") or 0
    if spec.get("completionMode") != "Indexed" or not name or completions < 1:
        return []
    hostname = f"{name}-{completions - 1}"
    if not names.dns1123_label_errors(hostname):
        return []
    detail = f"will not able to create pod with invalid DNS label: {hostname}"
    return [invalid("metadata.name", name, detail)]


def _validate_selecting_spec(spec: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a job's spec, and whether it selects what it makes."""
    errors = validate_job_spec(spec, "spec")
    selector = spec.get("selector")
    if selector is None:
        return [*errors, required("spec.selector")]
    errors += validate_label_selector(selector, "spec.selector")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if is_label_selector(selector) and not from_label_selector(selector).matches(labels or {}):
        errors.append(invalid("spec.template.metadata.labels", _sorted(labels), NO_MATCH))
    return errors


def _validate_generated_selector(
    metadata: Mapping[str, Any], spec: Mapping[str, Any]
) -> list[FieldError]:
    selector = spec.get("selector")
    if spec.get("manualSelector") or selector is None or not is_label_selector(selector):
        return []
    labels = {"batch.kubernetes.io/controller-uid": metadata.get("uid", "")}
    if from_label_selector(selector).matches(labels):
        return []
    shown = {**selector, "matchLabels": _sorted(selector.get("matchLabels"))}
    return [invalid("spec.selector", shown, "`selector` not auto-generated")]


def _sorted(labels: Mapping[str, str] | None) -> dict[str, str] | None:
    """Return labels as Go prints them."""
    return None if labels is None else dict(sorted(labels.items()))


def validate_job_spec(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Return the faults of a job's spec, also of one in a cron job, which has no selector."""
    errors: list[FieldError] = []
    for field in _COUNTS:
        if (count := spec.get(field)) is not None:
            errors += validate_not_negative(count, f"{path}.{field}")
    if (most := spec.get("maxFailedIndexes")) is not None:
        errors += validate_not_negative(most, f"{path}.maxFailedIndexes")
        if spec.get("backoffLimitPerIndex") is None:
            detail = "when maxFailedIndexes is specified"
            errors.append(required(f"{path}.backoffLimitPerIndex", detail))
    if (manager := spec.get("managedBy")) is not None:
        errors += _validate_manager(manager, f"{path}.managedBy")
    errors += _validate_completion_mode(spec, path)
    policy = spec.get("podFailurePolicy")
    errors += validate_policies(spec, path)
    replacement = spec.get("podReplacementPolicy")
    replacements = _REPLACEMENTS if policy is None else ("Failed",)
    if replacement is not None and replacement not in replacements:
        errors.append(not_supported(f"{path}.podReplacementPolicy", replacement, replacements))
    template = spec.get("template") or {}
    errors += validate_pod_template(template, f"{path}.template")
    restarts = (template.get("spec") or {}).get("restartPolicy", "")
    here = f"{path}.template.spec.restartPolicy"
    if restarts in ("", "Always"):
        errors.append(required(here, 'valid values: "OnFailure", "Never"'))
    elif restarts not in ("OnFailure", "Never"):
        errors.append(not_supported(here, restarts, ("OnFailure", "Never")))
    elif policy is not None and restarts != "Never":
        detail = 'only "Never" is supported when podFailurePolicy is specified'
        errors.append(invalid(here, restarts, detail))
    return errors


def _validate_manager(manager: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    domain, slash, rest = manager.partition("/")
    if not (slash and domain and rest):
        detail = 'must be a domain-prefixed path (such as "acme.io/foo")'
        errors.append(invalid(path, manager, detail))
    else:
        errors += [invalid(path, domain, text) for text in names.dns1123_subdomain_errors(domain)]
    if len(manager) > _MAX_MANAGER:
        errors.append(
            FieldError(
                "FieldValueTooLong",
                path,
                f"Too long: may not be more than {_MAX_MANAGER} bytes",
            )
        )
    return errors


def _validate_completion_mode(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    mode = spec.get("completionMode")
    if mode is not None and mode not in _COMPLETION_MODES:
        return [not_supported(f"{path}.completionMode", mode, _COMPLETION_MODES)]
    if mode == "Indexed":
        if spec.get("completions") is None:
            detail = "when completion mode is Indexed"
            return [required(f"{path}.completions", detail)]
        return _validate_size(spec, path)
    return [
        invalid(f"{path}.{field}", spec[field], "requires indexed completion mode")
        for field in ("backoffLimitPerIndex", "maxFailedIndexes")
        if spec.get(field) is not None
    ]


def _validate_size(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Return what is too much for an indexed job, whose indexes are listed in its status."""
    errors: list[FieldError] = []
    completions, most = spec["completions"], spec.get("maxFailedIndexes")
    parallelism = spec.get("parallelism") or 0
    if parallelism > _MANY:
        detail = f"must be less than or equal to {_MANY} when completion mode is Indexed"
        errors.append(invalid(f"{path}.parallelism", parallelism, detail))
    if most is not None and most > completions:
        detail = "must be less than or equal to completions"
        errors.append(invalid(f"{path}.maxFailedIndexes", most, detail))
    if most is not None and most > _MANY:
        detail = f"must be less than or equal to {_MANY}"
        errors.append(invalid(f"{path}.maxFailedIndexes", most, detail))
    if completions > _MANY and spec.get("backoffLimitPerIndex") is not None:
        detail = (
            f"must be less than or equal to {_FEW} when completions are above {_MANY} and used "
            "with backoff limit per index"
        )
        if most is None:
            why = f"must be specified when completions is above {_MANY}"
            errors.append(required(f"{path}.maxFailedIndexes", why))
        if parallelism > _FEW:
            errors.append(invalid(f"{path}.parallelism", parallelism, detail))
        if most is not None and most > _FEW:
            errors.append(invalid(f"{path}.maxFailedIndexes", most, detail))
    return errors


def validate_job_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a job's update is not allowed."""
    errors = validate_job(new)
    errors += validate_metadata_update(new["metadata"], old["metadata"])
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors += _validate_selecting_spec(spec)  # once more: the causes tell it twice
    errors += _validate_completions(spec, before)
    if spec.get("selector") != before.get("selector"):
        selector = spec.get("selector") or {}
        shown = {**selector, "matchLabels": _sorted(selector.get("matchLabels"))}
        errors.append(invalid("spec.selector", shown, IMMUTABLE))
    errors += _validate_same_template(spec, old)
    for field in _IMMUTABLE_FIELDS:
        if spec.get(field) != before.get(field):
            errors.append(invalid(f"spec.{field}", spec.get(field), IMMUTABLE))
    return errors


def _validate_completions(spec: Mapping[str, Any], before: Mapping[str, Any]) -> list[FieldError]:
    completions = spec.get("completions")
    if completions == before.get("completions"):
        return []
    is_elastic = (
        before.get("completionMode") == "Indexed"
        and completions is not None
        and before.get("completions") == before.get("parallelism")
    )
    if is_elastic:
        if completions == spec.get("parallelism"):
            return []
        detail = "can only be modified in tandem with spec.parallelism"
        return [invalid("spec.completions", completions, detail)]
    return [invalid("spec.completions", completions, IMMUTABLE)]


def _validate_same_template(spec: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return whether the template changed; where its pods may go, it may until they are made."""
    before = old.get("spec") or {}
    template, fixed = spec.get("template") or {}, before.get("template") or {}
    has_started = (old.get("status") or {}).get("startTime") is not None
    if before.get("suspend") and not has_started:
        fixed = _with_directives(fixed, template)
        if template.get("spec") != fixed.get("spec"):
            shown = pod_spec_as_shown(template.get("spec") or {})
            return [invalid("spec.template.spec", shown, IMMUTABLE)]
        return []
    if template != fixed:
        return [invalid("spec.template", pod_template_as_shown(template), IMMUTABLE)]
    return []


def _with_directives(fixed: Mapping[str, Any], template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the old template with the new one's say about where pods go."""
    new, old = template.get("spec") or {}, dict(fixed.get("spec") or {})
    for field in _DIRECTIVES:
        old.pop(field, None)
        if field in new:
            old[field] = new[field]
    affinity = {k: v for k, v in (old.pop("affinity", None) or {}).items() if k != "nodeAffinity"}
    if (node_affinity := (new.get("affinity") or {}).get("nodeAffinity")) is not None:
        affinity["nodeAffinity"] = node_affinity
    if affinity or "affinity" in new:
        old["affinity"] = affinity
    return {**fixed, "spec": old}


def validate_job_status(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a job's status."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    status = new.get("status") or {}
    for field in ("active", "succeeded", "failed", "ready", "terminating"):
        errors += validate_not_negative(status.get(field) or 0, f"status.{field}")
    completions, before = (new.get("spec") or {}).get("completions"), old.get("status") or {}
    for field in ("completedIndexes", "failedIndexes"):
        text = status.get(field) or ""
        if completions is None or text == (before.get(field) or ""):
            continue
        try:
            checked_indexes(text, completions)
        except IndexesError as error:
            errors.append(invalid(f"status.{field}", text, f"error parsing {field}: {error}"))
    return errors


def validate_cron_job(cron_job: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a cron job."""
    metadata = cron_job.get("metadata") or {}
    errors = validate_metadata(metadata) + _validate_cron_job_spec(cron_job.get("spec") or {})
    if len(name := metadata.get("name", "")) > _MAX_CRON_JOB_NAME:
        detail = f"must be no more than {_MAX_CRON_JOB_NAME} characters"
        errors.append(invalid("metadata.name", name, detail))
    return errors


def validate_cron_job_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a cron job's update is not allowed."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    return errors + _validate_cron_job_spec(new.get("spec") or {})


def _validate_cron_job_spec(spec: Mapping[str, Any]) -> list[FieldError]:
    errors = _validate_schedule(spec.get("schedule", ""), "spec.schedule")
    if (deadline := spec.get("startingDeadlineSeconds")) is not None:
        errors += validate_not_negative(deadline, "spec.startingDeadlineSeconds")
    if (zone := spec.get("timeZone")) is not None:
        errors += _validate_time_zone(zone, "spec.timeZone")
    policy = spec.get("concurrencyPolicy", "")
    if not policy:
        errors.append(required("spec.concurrencyPolicy"))
    elif policy not in _CONCURRENCY:
        errors.append(not_supported("spec.concurrencyPolicy", policy, _CONCURRENCY))
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    errors += validate_job_spec(job, "spec.jobTemplate.spec")
    if job.get("manualSelector"):
        path = "spec.jobTemplate.spec.manualSelector"
        errors.append(not_supported(path, True, ("nil", "false")))
    if job.get("selector") is not None:
        path = "spec.jobTemplate.spec.selector"
        errors.append(forbidden(path, "`selector` will be auto-generated"))
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        if (limit := spec.get(field)) is not None:
            errors += validate_not_negative(limit, f"spec.{field}")
    return errors


def _validate_schedule(schedule: str, path: str) -> list[FieldError]:
    if not schedule:
        return [required(path)]
    if "TZ" in schedule:
        detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        return [invalid(path, schedule, detail)]
    error = schedule_error(schedule)
    return [invalid(path, schedule, error)] if error else []


def _validate_time_zone(zone: str, path: str) -> list[FieldError]:
    if not zone:
        return [invalid(path, zone, "timeZone must be nil or non-empty string")]
    if zone.lower() == "local":
        detail = (
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        )
        return [invalid(path, zone, detail)]
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return [invalid(path, zone, f"unknown time zone {zone}")]
    return []


RULES = {
    "jobs.batch": Rules(validate_job, validate_job_update, validate_job_status),
    "cronjobs.batch": Rules(validate_cron_job, validate_cron_job_update),
}
"""By resource."""
