"""Moments: what the objects of a cluster say of time, so that a plan knows what time it is.

A snapshot does not say when it was taken, and a list from kubectl cannot; but nodes and pods tell
when they last changed, and a kubelet tells of its node every few minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubeberth.api.times import TimeError, canonical_time, seconds_of
from kubeberth.errors import InvalidObjectError

_PARTS = ("lastHeartbeatTime", "lastTransitionTime", "lastUpdateTime")
_ENDS_AT = ("metadata", "deletionTimestamp")

# Names of fields, and places in lists; written out only where something is wrong.
Path = tuple[str | int, ...]


def newest(documents: Iterable[Mapping[str, Any]]) -> float | None:
    """Return when the last thing happened that is told of, in seconds since 1970.

    None when nothing is told. When a pod is to have ended does not count: that is to come.

    Raises
    ------
    InvalidObjectError
        What is said somewhere is no time.
    """
    found: dict[str, float] = {}
    ends: dict[str, float] = {}
    for document in documents:
        for path, stamp in _stamps(document):
            known = ends if path == _ENDS_AT else found
            if stamp not in known:
                known[stamp] = _seconds_of(document, path, stamp)
    return max(found.values(), default=None)


def _stamps(document: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Return the times that somebody here reads, each with its path."""
    meta, status = document.get("metadata"), document.get("status")
    if isinstance(meta, dict):
        yield from _texts(("metadata",), meta, ("creationTimestamp", "deletionTimestamp"))
    if not isinstance(status, dict):
        return
    yield from _texts(("status",), status, ("startTime",))
    conditions = status.get("conditions")
    if isinstance(conditions, list):
        for index, condition in enumerate(conditions):
            if isinstance(condition, dict):
                yield from _texts(("status", "conditions", index), condition, _PARTS)
    for field in ("initContainerStatuses", "containerStatuses"):
        told = status.get(field)
        for index, container in enumerate(told if isinstance(told, list) else ()):
            yield from _ends(("status", field, index), container)
    disrupted = status.get("disruptedPods")
    if isinstance(disrupted, dict):
        yield from _texts(("status", "disruptedPods"), disrupted, disrupted)


def _ends(path: Path, container: Any) -> Iterator[tuple[Path, str]]:
    """Return when a container ended, if it has."""
    state = container.get("state") if isinstance(container, dict) else None
    ended = state.get("terminated") if isinstance(state, dict) else None
    if isinstance(ended, dict):
        yield from _texts((*path, "state", "terminated"), ended, ("finishedAt",))


def _texts(
    path: Path, part: Mapping[str, Any], fields: Iterable[str]
) -> Iterator[tuple[Path, str]]:
    for field in fields:
        if (stamp := part.get(field)) and isinstance(stamp, str):
            yield (*path, field), stamp


def _seconds_of(document: Mapping[str, Any], path: Path, stamp: str) -> float:
    try:
        return seconds_of(canonical_time(stamp))
    except TimeError:
        meta = document.get("metadata")
        named = meta if isinstance(meta, dict) else {}
        identity = str(named.get("namespace") or ""), str(named.get("name") or "")
        shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
        fault = (shown[1:], f'Invalid value: "{stamp}": is no time')
        raise InvalidObjectError(str(document.get("kind")), *identity, [fault]) from None
