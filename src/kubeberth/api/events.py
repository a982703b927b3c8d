"""Core `v1` Events as components write them: alike ones are counted, floods are cut.

Matches client-go 1.36 (`tools/record/events_cache.go`): an event that repeats raises the count of
the one there is; from the tenth different message about the same thing on they are written as one;
and an object gets 25 events at once, then one in five minutes. Pure: `now` is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

# Origin of all four: client-go's defaults.
BURST = 25
REFILL_S = 300.0
SIMILAR_LIMIT = 10
SIMILAR_WINDOW_S = 600.0
MAX_ENTRIES = 4096

# What an event is about and says, as a digest: a process may be thousands of kubelets, and each
# remembers its last events.
Identity = bytes


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something to tell that was not told before."""

    namespace: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CountedEvent:
    """An event that was told before: its count goes up."""

    namespace: str
    name: str
    patch: dict[str, Any]


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(slots=True)
class _Similar:
    messages: tuple[Identity, ...]
    at: float


@dataclass(slots=True)
class _Counted:
    namespace: str
    name: str
    count: int


class EventCorrelator:
    """Decides whether, and how, one component's next event is written.

    Parameters
    ----------
    component, host
        `source` of the events; host is the node's name for a kubelet.
    """

    def __init__(self, component: str, host: str = "") -> None:
        self._source = {"component": component, **({"host": host} if host else {})}
        self._buckets: dict[Identity, _Bucket] = {}
        self._similar: dict[Identity, _Similar] = {}
        self._counted: dict[Identity, _Counted] = {}
        self._serial = 0

    def observe(
        self, about: Mapping[str, str], type_: str, reason: str, message: str, now: float
    ) -> NewEvent | CountedEvent | None:
        """Return what to write about an `ObjectReference`, or None when it has had its share."""
        thing = [f"{key}={value}" for key, value in sorted(about.items())]
        if not self._take_token(_identity(*thing), now):
            return None
        similar = _identity(*thing, type_, reason)
        identity, message = self._aggregate(similar, message, now)
        known = self._counted.get(identity)
        if known is not None:
            return self._count(identity, known, message, now)
        return self._create(identity, about, type_, reason, message, now)

    def _take_token(self, identity: Identity, now: float) -> bool:
        bucket = self._buckets.setdefault(identity, _Bucket(BURST, now))
        _touch(self._buckets, identity)
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.at) / REFILL_S)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _aggregate(self, similar: Identity, message: str, now: float) -> tuple[Identity, str]:
        entry = self._similar.get(similar)
        if entry is None or now - entry.at > SIMILAR_WINDOW_S:
            entry = self._similar[similar] = _Similar((), now)
        _touch(self._similar, similar)
        entry.at = now
        identity = _identity(similar.hex(), message)
        if identity not in entry.messages:
            entry.messages = (*entry.messages, identity)
        if len(entry.messages) < SIMILAR_LIMIT:
            return identity, message
        entry.messages = entry.messages[1:]
        return similar, f"(combined from similar events): {message}"

    def _count(self, identity: Identity, known: _Counted, message: str, now: float) -> CountedEvent:
        _touch(self._counted, identity)
        known.count += 1
        patch = {"count": known.count, "lastTimestamp": _time(now), "message": message}
        return CountedEvent(known.namespace, known.name, patch)

    def _create(
        self,
        identity: Identity,
        about: Mapping[str, str],
        type_: str,
        reason: str,
        message: str,
        now: float,
    ) -> NewEvent:
        namespace = about.get("namespace") or "default"
        self._serial += 1
        # Nanoseconds as upstream; the serial keeps two of the same instant apart.
        name = f"{about['name']}.{int(now * 1e9) + self._serial:x}"
        self._counted[identity] = _Counted(namespace, name, 1)
        _touch(self._counted, identity)
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": dict(about),
            "type": type_,
            "reason": reason,
            "message": message,
            "source": self._source,
            "firstTimestamp": _time(now),
            "lastTimestamp": _time(now),
            "count": 1,
            "reportingComponent": self._source["component"],
            "reportingInstance": self._source.get("host", ""),
        }
        return NewEvent(namespace, body)


def _identity(*parts: str) -> Identity:
    return blake2b("\0".join(parts).encode(), digest_size=12).digest()


def _touch(entries: dict[Identity, Any], identity: Identity) -> None:
    """Mark an entry as recently used; the least recently used one makes room."""
    entries[identity] = entries.pop(identity)
    if len(entries) > MAX_ENTRIES:
        del entries[next(iter(entries))]


def _time(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
