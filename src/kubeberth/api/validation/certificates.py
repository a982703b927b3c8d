"""Requests for certificates.

Matches `pkg/apis/certificates/validation` of Kubernetes 1.36.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.certificates import (
    EXTENDED_USAGES,
    KEY_USAGES,
    LEGACY,
    RequestError,
    parse_request,
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
from kubeberth.api.validation.metadata import validate_metadata, validate_metadata_update
from kubeberth.api.validation.rules import Rules

_USAGES = tuple(sorted({*KEY_USAGES, *EXTENDED_USAGES}))
_FINAL = ("Approved", "Denied", "Failed")
_DECISIONS = ("Approved", "Denied")
_STATUSES = ("False", "True", "Unknown")
_SHORTEST_S = 600
_CONDITIONS = "status.conditions"

Document = Mapping[str, Any]


def validate_signing_request(request: Document) -> list[FieldError]:
    """Return the faults of a new request."""
    spec = request.get("spec") or {}
    errors = validate_metadata(request.get("metadata") or {}, namespaced=False)
    try:
        parse_request(spec.get("request") or "")
    except RequestError as error:
        errors.append(invalid("spec.request", spec.get("request"), str(error)))
    errors += _validate_usages(spec.get("usages") or [])
    errors += _validate_signer_name(spec.get("signerName", ""))
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _SHORTEST_S:
        detail = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.append(invalid("spec.expirationSeconds", seconds, detail))
    return errors


def _validate_usages(usages: list[str]) -> list[FieldError]:
    if not usages:
        return [required("spec.usages")]
    errors: list[FieldError] = []
    for index, usage in enumerate(usages):
        if usage not in _USAGES:
            errors.append(not_supported(f"spec.usages[{index}]", usage, _USAGES))
        if usage in usages[:index]:
            errors.append(duplicate(f"spec.usages[{index}]", usage))
    return errors


def _validate_signer_name(name: str) -> list[FieldError]:
    path = "spec.signerName"
    if name == LEGACY:
        return [invalid(path, name, "the legacy signerName is not allowed via this API version")]
    if not name:
        return [required(path)]
    domain, slash, rest = name.partition("/")
    if not slash or "/" in rest:
        detail = 'must be a fully qualified domain and path of the form "example.com/signer-name"'
        return [invalid(path, name, detail)]
    errors = each_invalid(path, domain, names.dns1123_subdomain_errors(domain))
    if "." not in domain:
        detail = "should be a domain with at least two segments separated by dots"
        errors.append(invalid(path, domain, detail))
    return errors + each_invalid(path, rest, names.dns1123_subdomain_errors(rest))


def validate_signing_request_update(new: Document, old: Document) -> list[FieldError]:
    """Return what of an update is not allowed."""
    return _validate_change(new, old)


def validate_signing_request_status_update(new: Document, old: Document) -> list[FieldError]:
    """Return what of a status update is not allowed: signers issue, and do not decide."""
    return _validate_change(new, old, may_issue=True)


def validate_approval(new: Document, old: Document) -> list[FieldError]:
    """Return what of an approval is not allowed: who decides issues nothing."""
    return _validate_change(new, old, may_decide=True)


def _validate_change(
    new: Document, old: Document, *, may_issue: bool = False, may_decide: bool = False
) -> list[FieldError]:
    status, before = new.get("status") or {}, old.get("status") or {}
    errors = _validate_conditions(status.get("conditions") or [])
    certificate = status.get("certificate", "")
    if certificate and not _is_pem_certificate(certificate):
        detail = "invalid certificate data"
        errors.append(invalid("status.certificate", "<certificate data>", detail))
    errors += validate_metadata_update(new["metadata"], old["metadata"])
    now, then = (Counter(_types(held)) for held in (status, before))
    errors += [
        forbidden(_CONDITIONS, f'updates may not remove a condition of type "{kind}"')
        for kind in _FINAL
        if now[kind] < then[kind]
    ]
    if not may_decide:
        errors += [
            forbidden(_CONDITIONS, f'updates may not add a condition of type "{kind}"')
            for kind in _DECISIONS
            if now[kind] > then[kind]
        ]
    if certificate != before.get("certificate", ""):
        path = "status.certificate"
        if not may_issue:
            errors.append(forbidden(path, "updates may not set certificate content"))
        elif before.get("certificate"):
            errors.append(forbidden(path, "updates may not modify existing certificate content"))
    return errors


def _types(status: Document) -> list[str]:
    return [condition.get("type", "") for condition in status.get("conditions") or ()]


def _validate_conditions(conditions: list[dict[str, Any]]) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        path, kind = f"{_CONDITIONS}[{index}]", condition.get("type", "")
        status = condition.get("status", "")
        supported = ("True",) if kind in _FINAL else _STATUSES
        if not kind:
            errors.append(required(f"{path}.type"))
        if not status:
            errors.append(required(f"{path}.status"))
        elif status not in supported:
            errors.append(not_supported(f"{path}.status", status, supported))
        if kind in _DECISIONS and seen.intersection(_DECISIONS) - {kind}:
            detail = "Approved and Denied conditions are mutually exclusive"
            errors.append(invalid(f"{path}.type", kind, detail))
        if kind in seen:
            errors.append(duplicate(f"{path}.type", kind))
        seen.add(kind)
    return errors


def _is_pem_certificate(encoded: str) -> bool:
    try:
        return b"-----BEGIN CERTIFICATE-----" in base64.b64decode(encoded, validate=True)
    except ValueError:
        return False


RULES = {
    "certificatesigningrequests.certificates.k8s.io": Rules(
        validate_signing_request,
        validate_signing_request_update,
        validate_signing_request_status_update,
        of_parts={"approval": validate_approval},
    ),
}
"""By resource."""
