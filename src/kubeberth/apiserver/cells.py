"""What the cells of many tables have in common: ages, selectors, and words for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kubeberth.api.times import seconds_of

NONE: Final = "<none>"
UNKNOWN: Final = "<unknown>"

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR = 365 * _DAY


def age_of(document: Mapping[str, Any], now: float) -> str:
    """Return the time since an object was created, as people read it."""
    created = document["metadata"].get("creationTimestamp")
    return age_text(now - seconds_of(created)) if created else UNKNOWN


def age_text(seconds: float) -> str:
    """Return a duration in one or two units, the smaller ones cut off."""
    if seconds < -1:
        return "<invalid>"
    whole = max(0, int(seconds))
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    for limit, unit, name, part, part_name in _STEPS:
        if whole < limit:
            rest = whole % unit // part if part else 0
            return f"{whole // unit}{name}" + (f"{rest}{part_name}" if rest else "")
    return f"{whole // _YEAR}y"


# Below a limit: the unit, and the smaller one that is told with it.
_STEPS = (
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
)


def joined(labels: Mapping[str, str] | None) -> str:
    """Return labels as `a=b,c=d`."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """Return a selector in the syntax of the command line: a `LabelSelector`, or mere labels."""
    if not selector:
        return NONE
    if all(isinstance(value, str) for value in selector.values()):
        return joined(selector)
    labels = selector.get("matchLabels") or {}
    parts = [(key, f"{key}={value}") for key, value in labels.items()]
    parts += [
        (requirement.get("key", ""), _requirement_text(requirement))
        for requirement in selector.get("matchExpressions") or ()
    ]
    return ",".join(text for _, text in sorted(parts)) or NONE


def _requirement_text(requirement: Mapping[str, Any]) -> str:
    key, values = requirement.get("key", ""), ",".join(sorted(requirement.get("values") or ()))
    match requirement.get("operator"):
        case "In":
            return f"{key} in ({values})"
        case "NotIn":
            return f"{key} notin ({values})"
        case "Exists":
            return f"{key}"
        case _:
            return f"!{key}"
