"""Probes and lifecycle hooks of containers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api.validation.field_error import (
    FieldError,
    forbidden,
    invalid,
    not_supported,
    required,
)

_NOT_NEGATIVE = "must be greater than or equal to 0"
_SCHEMES = ("HTTP", "HTTPS")
_PROBE_ACTIONS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_ACTIONS = ("exec", "httpGet", "tcpSocket", "sleep")
_NUMBERS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)


def validate_probe(probe: Mapping[str, Any], path: str, *, is_readiness: bool) -> list[FieldError]:
    """Return the faults of a probe; only readiness may need several successes."""
    errors = _validate_action(probe, _PROBE_ACTIONS, path)
    for field in _NUMBERS:
        if probe.get(field, 0) < 0:
            errors.append(invalid(f"{path}.{field}", probe[field], _NOT_NEGATIVE))
    if is_readiness:
        return errors
    if probe.get("successThreshold", 1) != 1:
        errors.append(invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1"))
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        field = f"{path}.terminationGracePeriodSeconds"
        errors.append(invalid(field, grace, "must be greater than 0"))
    return errors


def validate_lifecycle(lifecycle: Mapping[str, Any], path: str) -> list[FieldError]:
    """Return the faults of a container's hooks."""
    errors: list[FieldError] = []
    for hook in ("postStart", "preStop"):
        if (action := lifecycle.get(hook)) is not None:
            errors += _validate_action(action, _HOOK_ACTIONS, f"{path}.{hook}")
    return errors


def _validate_action(
    holder: Mapping[str, Any], choices: tuple[str, ...], path: str
) -> list[FieldError]:
    """Return the faults of what is done: exactly one thing, and that completely."""
    given = [choice for choice in choices if holder.get(choice) is not None]
    if not given:
        return [required(path, "must specify a handler type")]
    errors = [
        forbidden(f"{path}.{choice}", "may not specify more than 1 handler type")
        for choice in given[1:]
    ]
    action, here = holder[given[0]], f"{path}.{given[0]}"
    match given[0]:
        case "exec":
            if not action.get("command"):
                errors.append(required(f"{here}.command"))
        case "httpGet":
            if not action.get("path"):
                errors.append(required(f"{here}.path"))
            errors += _validate_port(action.get("port", 0), f"{here}.port")
            if action.get("scheme") not in _SCHEMES:
                errors.append(not_supported(f"{here}.scheme", action.get("scheme", ""), _SCHEMES))
        case "tcpSocket" | "grpc":
            errors += _validate_port(action.get("port", 0), f"{here}.port")
    return errors


def _validate_port(port: int | str, path: str) -> list[FieldError]:
    if isinstance(port, int) and not 1 <= port <= 65535:
        return [invalid(path, port, "must be between 1 and 65535, inclusive")]
    return []
