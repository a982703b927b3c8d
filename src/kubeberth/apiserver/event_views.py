"""Events are stored once, as core/v1; `events.k8s.io/v1` is another view of the same object."""

from __future__ import annotations

from typing import Any

NEW_API_VERSION = "events.k8s.io/v1"

# core/v1 name, events.k8s.io/v1 name; all other fields have the same name in both.
RENAMED = (
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("source", "deprecatedSource"),
)
_FROM_CORE = dict(RENAMED)
_TO_CORE = {new: core for core, new in RENAMED}
# What the core view prints also when it is empty.
_CORE_ZEROS: dict[str, Any] = {
    "involvedObject": {},
    "source": {},
    "firstTimestamp": None,
    "lastTimestamp": None,
    "eventTime": None,
    "reportingComponent": "",
    "reportingInstance": "",
}
# What the new view prints also when it is empty.
_NEW_ZEROS: dict[str, Any] = {
    "regarding": {},
    "eventTime": None,
    "deprecatedSource": {},
    "deprecatedFirstTimestamp": None,
    "deprecatedLastTimestamp": None,
}


def to_core(document: dict[str, Any]) -> dict[str, Any]:
    """Return an events.k8s.io event as the core event that is stored."""
    renamed = {_TO_CORE.get(name, name): value for name, value in document.items()}
    return {**_CORE_ZEROS, **renamed, "apiVersion": "v1"}


def from_core(document: dict[str, Any]) -> dict[str, Any]:
    """Return a stored core event as events.k8s.io shows it."""
    renamed = {
        _FROM_CORE.get(name, name): value
        for name, value in document.items()
        if not (name in ("reportingComponent", "reportingInstance") and not value)
    }
    return {**_NEW_ZEROS, **renamed, "apiVersion": NEW_API_VERSION}
