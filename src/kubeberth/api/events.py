"""Core `v1` Events as components write them: alike ones are counted, floods are cut.

Matches client-go 1.36 (`tools/record/events_cache.go`): an event that repeats raises the count of
the one there is; from the tenth different message about the same thing on they are written as one;
and an object gets 25 events at once, then one in five minutes. Pure: `now` is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec

from kubeberth.api.meta import ObjectReference

# Origin of all four: client-go's defaults.
BURST = 25
REFILL_S = 300.0
SIMILAR_LIMIT = 10
SIMILAR_WINDOW_S = 600.0
MAX_ENTRIES = 4096

# What an event is about and says, as a digest.
Identity = bytes


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """Something to tell that was not told before; thousands of them may wait.

    Parameters
    ----------
    component, host
        `source`.
    at_ns
        When it was seen, in nanoseconds since 1970, and how many there were before, so that two of
        the same instant have names of their own.
    """

    about: ObjectReference
    type: str
    reason: str
    message: str
    component: str
    host: str
    at_ns: int

    @property
    def name(self) -> str:
        """What it is called: after what it is about, with nanoseconds as upstream."""
        return f"{self.about.name}.{self.at_ns:x}"

    @property
    def namespace(self) -> str:
        """Where it is told."""
        return self.about.namespace or "default"

    @property
    def body(self) -> dict[str, Any]:
        """The Event to create."""
        when = _time(self.at_ns / 1e9)
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "involvedObject": msgspec.to_builtins(self.about),
            "type": self.type,
            "reason": self.reason,
            "message": self.message,
            "source": {"component": self.component} | ({"host": self.host} if self.host else {}),
            "firstTimestamp": when,
            "lastTimestamp": when,
            "count": 1,
            "reportingComponent": self.component,
            "reportingInstance": self.host,
        }


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


class EventMemory:
    """The last events of a process: of one component, or of thousands of kubelets together.

    Parameters
    ----------
    max_entries
        Of each kind: what is older is forgotten, and told as new when it comes again.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self.max_entries = max_entries
        self.buckets: dict[Identity, _Bucket] = {}
        self.similar: dict[Identity, _Similar] = {}
        self.counted: dict[Identity, _Counted] = {}
        self.serial = 0

    def touch(self, entries: dict[Identity, Any], identity: Identity) -> None:
        """Mark an entry as recently used; the least recently used one makes room."""
        entries[identity] = entries.pop(identity)
        if len(entries) > self.max_entries:
            del entries[next(iter(entries))]


class EventCorrelator:
    """Decides whether, and how, one component's next event is written.

    Parameters
    ----------
    component, host
        `source` of the events; host is the node's name for a kubelet.
    memory
        Shared with other components of the process; None for one of its own.
    """

    __slots__ = ("_component", "_host", "_memory")

    def __init__(self, component: str, host: str = "", memory: EventMemory | None = None) -> None:
        self._component = component
        self._host = host
        self._memory = memory or EventMemory()

    def observe(
        self, about: ObjectReference, type_: str, reason: str, message: str, now: float
    ) -> NewEvent | CountedEvent | None:
        """Return what to write about an object, or None when it has had its share."""
        thing = [self._component, self._host, *msgspec.structs.astuple(about)]
        if not self._take_token(_identity(*thing), now):
            return None
        similar = _identity(*thing, type_, reason)
        identity, message = self._aggregate(similar, message, now)
        known = self._memory.counted.get(identity)
        if known is not None:
            return self._count(identity, known, message, now)
        return self._create(identity, about, type_, reason, message, now)

    def _take_token(self, identity: Identity, now: float) -> bool:
        memory = self._memory
        bucket = memory.buckets.setdefault(identity, _Bucket(BURST, now))
        memory.touch(memory.buckets, identity)
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.at) / REFILL_S)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _aggregate(self, similar: Identity, message: str, now: float) -> tuple[Identity, str]:
        memory = self._memory
        entry = memory.similar.get(similar)
        if entry is None or now - entry.at > SIMILAR_WINDOW_S:
            entry = memory.similar[similar] = _Similar((), now)
        memory.touch(memory.similar, similar)
        entry.at = now
        identity = _identity(similar.hex(), message)
        if identity not in entry.messages:
            entry.messages = (*entry.messages, identity)
        if len(entry.messages) < SIMILAR_LIMIT:
            return identity, message
        entry.messages = entry.messages[1:]
        return similar, f"(combined from similar events): {message}"

    def _count(self, identity: Identity, known: _Counted, message: str, now: float) -> CountedEvent:
        self._memory.touch(self._memory.counted, identity)
        known.count += 1
        patch = {"count": known.count, "lastTimestamp": _time(now), "message": message}
        return CountedEvent(known.namespace, known.name, patch)

    def _create(
        self,
        identity: Identity,
        about: ObjectReference,
        type_: str,
        reason: str,
        message: str,
        now: float,
    ) -> NewEvent:
        memory = self._memory
        memory.serial += 1
        source = self._component, self._host
        at_ns = int(now * 1e9) + memory.serial
        event = NewEvent(about, type_, reason, message, *source, at_ns)
        memory.counted[identity] = _Counted(event.namespace, event.name, 1)
        memory.touch(memory.counted, identity)
        return event


def _identity(*parts: str) -> Identity:
    return blake2b("\0".join(parts).encode(), digest_size=12).digest()


def _time(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
