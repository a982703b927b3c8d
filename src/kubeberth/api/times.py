"""Times as Kubernetes writes them: `metav1.Time` in whole seconds, `MicroTime` with six decimals.

Both are read in any offset and printed in UTC. The complaints are those of Go's time package.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_CANONICAL_MICRO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
# The parts of Go's reference time with what each stands for, in the order they are read.
_PARTS = (
    (r"\d{4}", "2006"),
    ("-", "-"),
    (r"\d\d", "01"),
    ("-", "-"),
    (r"\d\d", "02"),
    ("T", "T"),
    (r"\d\d", "15"),
    (":", ":"),
    (r"\d\d", "04"),
    (":", ":"),
    (r"\d\d", "05"),
)
_LAYOUT = "2006-01-02T15:04:05"
_MICRO_LAYOUT = "2006-01-02T15:04:05.000000"


class TimeError(ValueError):
    """A text is no time; reads as Go prints it."""


def canonical_time(text: str) -> str:
    """Return a time as `metav1.Time` prints it.

    Raises
    ------
    TimeError
        The text is not RFC 3339.
    """
    if _CANONICAL.fullmatch(text):
        _moment(text, _LAYOUT)
        return text
    rest = _fixed_part(text, _LAYOUT)
    _offset(text, re.sub(r"^[.,]\d+", "", rest), _LAYOUT)
    return _moment(text, _LAYOUT).strftime("%Y-%m-%dT%H:%M:%SZ")


def canonical_micro_time(text: str) -> str:
    """Return a time as `metav1.MicroTime` prints it; exactly six decimals are required.

    Raises
    ------
    TimeError
        The text is not RFC 3339 with microseconds.
    """
    if _CANONICAL_MICRO.fullmatch(text):
        _moment(text, _MICRO_LAYOUT)
        return text
    rest = _fixed_part(text, _MICRO_LAYOUT)
    fraction = re.match(r"\.\d{6}(?!\d)", rest)
    if fraction is None:
        raise _error(text, _MICRO_LAYOUT, rest, ".000000")
    _offset(text, rest[fraction.end() :], _MICRO_LAYOUT)
    return _moment(text, _MICRO_LAYOUT).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_of(text: str) -> float:
    """Return a canonical time in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def _fixed_part(text: str, layout: str) -> str:
    """Step over date and time of day; return what follows."""
    rest = text
    for pattern, reference in _PARTS:
        match = re.match(pattern, rest, re.ASCII)
        if match is None:
            raise _error(text, layout, rest, reference)
        rest = rest[match.end() :]
    return rest


def _offset(text: str, rest: str, layout: str) -> None:
    """Check the zone at the end."""
    match = re.match(r"Z|[+-]\d\d:\d\d", rest, re.ASCII)
    if match is None:
        raise _error(text, layout, rest, "Z07:00")
    if extra := rest[match.end() :]:
        raise TimeError(f'parsing time "{text}": extra text: "{extra}"')


def _moment(text: str, layout: str) -> datetime:
    """Return the moment of a well-formed time."""
    try:
        return datetime.fromisoformat(text.replace(",", ".")).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        what = "day" if "day" in str(error) else str(error).split()[0]
        raise TimeError(f'parsing time "{text}": {what} out of range') from error


def _error(text: str, layout: str, rest: str, reference: str) -> TimeError:
    return TimeError(
        f'parsing time "{text}" as "{layout}Z07:00": cannot parse "{rest}" as "{reference}"'
    )


_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
# Go counts nanoseconds in 64 bits.
_LONGEST_S = (2**63 - 1) / 1e9
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_DURATION = re.compile(rf"[-+]?(0|({_DURATION_PART.pattern})+)", re.ASCII)


def duration_s(text: str) -> float:
    """Return the seconds of a duration such as `1m30s` or `500ms`.

    Raises
    ------
    TimeError
        The text is no duration.
    """
    if not _DURATION.fullmatch(text):
        raise TimeError(f'time: invalid duration "{text}"')
    seconds = sum(float(part[1]) * _UNITS_S[part[2]] for part in _DURATION_PART.finditer(text))
    if seconds > _LONGEST_S:
        raise TimeError(f'time: invalid duration "{text}"')
    return -seconds if text.startswith("-") else seconds
