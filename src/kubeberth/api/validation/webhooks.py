"""Webhook configurations, and how webhooks are reached, those of custom resources too.

Matches `pkg/apis/admissionregistration/validation` and `k8s.io/apiserver/pkg/util/webhook` of
Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from kubeberth.api import names
from kubeberth.api.validation.admission_rules import (
    FAILURE_POLICIES,
    MATCH_POLICIES,
    REINVOCATION_POLICIES,
    validate_choice,
    validate_conditions,
    validate_rule,
)
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    each_invalid,
    invalid,
    required,
)
from kubeberth.api.validation.metadata import validate_metadata
from kubeberth.api.validation.rules import Rules
from kubeberth.api.validation.selectors import validate_label_selector

Document = Mapping[str, Any]

REVIEW_VERSIONS = ("v1", "v1beta1")
HARMLESS = ("None", "NoneOnDryRun")
ALL_SIDE_EFFECTS = ("None", "NoneOnDryRun", "Some", "Unknown")
MAX_TIMEOUT_S = 30
_FORM = "; desired format: https://host[/path]"


def validate_webhook_configuration(configuration: Document) -> list[FieldError]:
    """Return the faults of a configuration of webhooks of either kind."""
    return _validate(configuration, lambda check: True)


def validate_webhook_configuration_update(new: Document, old: Document) -> list[FieldError]:
    """Return what of a change is not allowed: what was wrong before may stay so."""
    before = old.get("webhooks") or []
    return _validate(new, lambda check: all(map(check, before)))


# Whether all webhooks as they were pass a check, so that the new ones must, too.
Strict = Callable[[Callable[[Document], bool]], bool]


def _validate(configuration: Document, is_strict: Strict) -> list[FieldError]:
    errors = validate_metadata(configuration.get("metadata") or {}, namespaced=False)
    side_effects = HARMLESS if is_strict(_is_harmless) else ALL_SIDE_EFFECTS
    must_be_known = is_strict(_has_known_version)
    seen: set[str] = set()
    for index, webhook in enumerate(configuration.get("webhooks") or ()):
        path, name = f"webhooks[{index}]", webhook.get("name", "")
        errors += _validate_webhook(webhook, path, side_effects)
        versions = webhook.get("admissionReviewVersions") or []
        where = f"{path}.admissionReviewVersions"
        errors += validate_review_versions(versions, where, must_be_known=must_be_known)
        if name and name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
    return errors


def _is_harmless(webhook: Document) -> bool:
    return webhook.get("sideEffects") in HARMLESS


def _has_known_version(webhook: Document) -> bool:
    versions = webhook.get("admissionReviewVersions") or ()
    return not versions or any(version in REVIEW_VERSIONS for version in versions)


def _validate_webhook(
    webhook: Document, path: str, side_effects: Sequence[str]
) -> list[FieldError]:
    errors = _validate_full_name(webhook.get("name", ""), f"{path}.name")
    for index, rule in enumerate(webhook.get("rules") or ()):
        errors += validate_rule(rule, f"{path}.rules[{index}]")
    errors += validate_choice(
        webhook.get("failurePolicy"), FAILURE_POLICIES, f"{path}.failurePolicy"
    )
    errors += validate_choice(webhook.get("matchPolicy"), MATCH_POLICIES, f"{path}.matchPolicy")
    if webhook.get("sideEffects") is None:
        detail = f"must specify one of {', '.join(side_effects)}"
        errors.append(required(f"{path}.sideEffects", detail))
    errors += validate_choice(webhook.get("sideEffects"), side_effects, f"{path}.sideEffects")
    timeout_s = webhook.get("timeoutSeconds")
    if timeout_s is not None and not 1 <= timeout_s <= MAX_TIMEOUT_S:
        detail = "the timeout value must be between 1 and 30 seconds"
        errors.append(invalid(f"{path}.timeoutSeconds", timeout_s, detail))
    for field in ("namespaceSelector", "objectSelector"):
        errors += validate_label_selector(webhook.get(field), f"{path}.{field}")
    errors += validate_choice(
        webhook.get("reinvocationPolicy"), REINVOCATION_POLICIES, f"{path}.reinvocationPolicy"
    )
    errors += validate_client(webhook.get("clientConfig") or {}, f"{path}.clientConfig")
    return errors + validate_conditions(webhook.get("matchConditions"), f"{path}.matchConditions")


def _validate_full_name(name: str, path: str) -> list[FieldError]:
    if not name:
        return [required(path)]
    if details := names.dns1123_subdomain_errors(name):
        return [invalid(path, name, ",".join(details))]
    if len(name.split(".")) < 3:
        detail = "should be a domain with at least three segments separated by dots"
        return [invalid(path, name, detail)]
    return []


def validate_review_versions(
    versions: Sequence[str], path: str, *, must_be_known: bool = True
) -> list[FieldError]:
    """Return the faults of the versions of reviews that a webhook takes."""
    known = ", ".join(REVIEW_VERSIONS)
    if not versions:
        return [required(path, f"must specify one of {known}")]
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, version in enumerate(versions):
        if version in seen:
            errors.append(invalid(f"{path}[{index}]", version, "duplicate version"))
            continue
        seen.add(version)
        errors += each_invalid(f"{path}[{index}]", version, names.dns1035_label_errors(version))
    if must_be_known and seen.isdisjoint(REVIEW_VERSIONS):
        errors.append(invalid(path, list(versions), f"must include at least one of {known}"))
    return errors


def validate_client(client: Document, path: str) -> list[FieldError]:
    """Return the faults of how a webhook is reached."""
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        return [required(path, "exactly one of url or service is required")]
    if service is not None:
        return _validate_service(service, f"{path}.service")
    return _validate_url(url or "", f"{path}.url")


def _validate_url(url: str, path: str) -> list[FieldError]:
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError as error:
        return [required(path, f"url must be a valid URL: {error}{_FORM}")]
    errors: list[FieldError] = []
    if parts.scheme != "https":
        detail = f"'https' is the only allowed URL scheme{_FORM}"
        errors.append(invalid(path, parts.scheme, detail))
    if not host:
        errors.append(invalid(path, host, f"host must be provided{_FORM}"))
    for value, what in (
        (parts.netloc.rpartition("@")[0], "user information is"),
        (parts.fragment, "fragments are"),
        (parts.query, "query parameters are"),
    ):
        if value:
            errors.append(invalid(path, value, f"{what} not permitted in the URL"))
    return errors


def _validate_service(service: Document, path: str) -> list[FieldError]:
    errors = [
        required(f"{path}.{field}", f"service {field} is required")
        for field in ("name", "namespace")
        if not service.get(field)
    ]
    port = service.get("port", 443)
    if not 1 <= port <= 65535:
        detail = "port is not valid: must be between 1 and 65535, inclusive"
        errors.append(invalid(f"{path}.port", port, detail))
    return errors + _validate_path(service.get("path") or "", f"{path}.path")


def _validate_path(text: str, path: str) -> list[FieldError]:
    if text in ("", "/"):
        return []
    if text == "//":
        return [invalid(path, text, "segment[0] may not be empty")]
    errors: list[FieldError] = []
    if not text.startswith("/"):
        errors.append(invalid(path, text, "must start with a '/'"))
    for index, step in enumerate(text[1:].removesuffix("/").split("/")):
        details = names.dns1123_subdomain_errors(step) if step else []
        if not step:
            errors.append(invalid(path, text, f"segment[{index}] may not be empty"))
        errors += [invalid(path, text, f"segment[{index}]: {detail}") for detail in details]
    return errors


RULES = {
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": Rules(
        validate_webhook_configuration, validate_webhook_configuration_update
    ),
    "validatingwebhookconfigurations.admissionregistration.k8s.io": Rules(
        validate_webhook_configuration, validate_webhook_configuration_update
    ),
}
"""By resource."""
