"""The ledger: current state, recent history and subscribers, in memory.

Both stores keep one: it answers every read, and it is fed only with writes that are already safe
(immediately in the memory store, after the commit in the SQLite store).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from itertools import islice

from kubeberth.apiserver.storage.store import (
    Entry,
    KeyExistsError,
    KeyMissingError,
    RevisionCompactedError,
    RevisionMismatchError,
    StoreEvent,
    Subscriber,
    bucket_of,
)

# As many as kube-apiserver's watch cache keeps of a busy resource before it grows: at 100 writes a
# second a client may be away for more than a minute and still resume.
WINDOW = 10_000


class Bucket:
    """The entries under one first part of the key, sorted, and their newest events."""

    __slots__ = ("compacted", "entries", "events", "keys", "name", "subscribers", "window")

    def __init__(
        self, name: str, subscribers: list[Subscriber], window: int, compacted: int
    ) -> None:
        self.name = name
        self.subscribers = subscribers
        self.entries: dict[str, Entry] = {}
        self.keys: list[str] = []
        self.events: deque[StoreEvent] = deque()
        self.window = window
        self.compacted = compacted  # newest revision whose event is forgotten

    def apply(self, event: StoreEvent) -> None:
        """Take an event in."""
        if event.entry is None:
            del self.entries[event.key]
            del self.keys[bisect_left(self.keys, event.key)]
        else:
            if event.key not in self.entries:
                insort(self.keys, event.key)
            self.entries[event.key] = event.entry
        self.events.append(event)
        if len(self.events) > self.window:
            self.compacted = self.events.popleft().revision

    def compact(self, revision: int) -> None:
        """Forget events up to and including the revision."""
        while self.events and self.events[0].revision <= revision:
            self.events.popleft()
        self.compacted = max(self.compacted, revision)

    def events_after(self, revision: int) -> list[StoreEvent]:
        """Return the events newer than the revision, oldest first."""
        if revision < self.compacted:
            raise RevisionCompactedError(revision, self.compacted)
        newer: list[StoreEvent] = []
        for event in reversed(self.events):
            if event.revision <= revision:
                break
            newer.append(event)
        newer.reverse()
        return newer

    def as_of(self, revision: int) -> tuple[list[str], dict[str, Entry]]:
        """Return sorted keys and entries as they were, by undoing the newer events."""
        newer = self.events_after(revision)
        if not newer:
            return self.keys, self.entries
        entries = dict(self.entries)
        for event in reversed(newer):
            if event.previous is None:
                entries.pop(event.key, None)
            else:
                entries[event.key] = event.previous
        return sorted(entries), entries


class Ledger:
    """State and history of a store; see the module."""

    def __init__(self, *, window: int = WINDOW) -> None:
        self.revision = 0
        self._window = window
        self._compacted = 0
        self._buckets: dict[str, Bucket] = {}
        self._subscribers: list[tuple[Subscriber, tuple[str, ...]]] = []

    def get(self, key: str) -> Entry | None:
        """Return the current entry of a key."""
        bucket = self._buckets.get(bucket_of(key))
        return bucket.entries.get(key) if bucket else None

    def entries(
        self, prefix: str, *, after: str = "", limit: int = 0, revision: int | None = None
    ) -> list[Entry]:
        """Return entries sorted by key; see `Store.entries`."""
        bucket = self._bucket(prefix)
        keys, entries = bucket.keys, bucket.entries
        if revision is not None:
            keys, entries = bucket.as_of(revision)
        start = bisect_right(keys, after) if after > prefix else bisect_left(keys, prefix)
        end = bisect_left(keys, prefix + "\U0010ffff")
        if limit:
            end = min(end, start + limit)
        return [entries[key] for key in islice(keys, start, max(start, end))]

    def counts(self) -> dict[str, int]:
        """Return how many entries there are in each bucket."""
        return {name: len(bucket.entries) for name, bucket in self._buckets.items()}

    def events_after(self, prefix: str, revision: int) -> list[StoreEvent]:
        """Return the events of a prefix; see `Store.events_after`."""
        events = self._bucket(prefix).events_after(revision)
        return [event for event in events if event.key.startswith(prefix)]

    def subscribe(self, subscriber: Subscriber, *buckets: str) -> None:
        """Call the subscriber with each later event; see `Told.subscribe`."""
        self._subscribers.append((subscriber, buckets))
        for bucket in self._buckets.values():
            bucket.subscribers = self._subscribers_of(bucket.name)

    def check_absent(self, key: str) -> None:
        """Raise `KeyExistsError` when the key is there."""
        if self.get(key) is not None:
            raise KeyExistsError(key)

    def check_unchanged(self, key: str, expected: int) -> Entry:
        """Return the entry, if it still is of the expected revision."""
        entry = self.get(key)
        if entry is None:
            raise KeyMissingError(key)
        if entry.revision != expected:
            raise RevisionMismatchError(key)
        return entry

    def record(self, key: str, revision: int, value: bytes | None) -> StoreEvent:
        """Take a safe write (None: a delete) into the state and tell the subscribers."""
        bucket = self._bucket(key)
        entry = None if value is None else Entry(key, value, revision)
        previous = bucket.entries.get(key)
        event = StoreEvent(bucket.name, key, revision, entry, previous)
        bucket.apply(event)
        # Invariant: revisions only grow, so that events are published in their order.
        assert revision > self.revision, (revision, self.revision)
        self.revision = revision
        for subscriber in bucket.subscribers:
            subscriber(event)
        return event

    def restore(self, key: str, revision: int, value: bytes) -> None:
        """Take over a row from before the history that is kept."""
        bucket = self._bucket(key)
        if key not in bucket.entries:
            insort(bucket.keys, key)
        bucket.entries[key] = Entry(key, value, revision)
        self.revision = max(self.revision, revision)

    def compact(self, revision: int) -> None:
        """Forget the history up to and including the revision."""
        self._compacted = max(self._compacted, revision)
        for bucket in self._buckets.values():
            bucket.compact(revision)

    def _bucket(self, key: str) -> Bucket:
        name = bucket_of(key)
        bucket = self._buckets.get(name)
        if bucket is None:
            subscribers = self._subscribers_of(name)
            bucket = Bucket(name, subscribers, self._window, self._compacted)
            self._buckets[name] = bucket
        return bucket

    def _subscribers_of(self, name: str) -> list[Subscriber]:
        return [told for told, buckets in self._subscribers if not buckets or name in buckets]
