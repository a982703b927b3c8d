"""The store that forgets everything at exit: for tests, and for clusters of an afternoon."""

from __future__ import annotations

from kubeberth.apiserver.storage.ledger import WINDOW, Ledger
from kubeberth.apiserver.storage.store import Entry, StoreEvent


class MemoryStore:
    """A ledger whose writes need no disk."""

    def __init__(self, *, window: int = WINDOW) -> None:
        self._ledger = ledger = Ledger(window=window)
        self.get = ledger.get
        self.entries = ledger.entries
        self.counts = ledger.counts
        self.events_after = ledger.events_after
        self.subscribe = ledger.subscribe

    @property
    def revision(self) -> int:
        """The newest revision."""
        return self._ledger.revision

    async def create(self, key: str, value: bytes) -> Entry:
        """Write a key that must not exist."""
        self._ledger.check_absent(key)
        return written(self._ledger.record(key, self.revision + 1, value))

    async def update(self, key: str, value: bytes, expected: int) -> Entry:
        """Replace a value that is still the one the caller read."""
        self._ledger.check_unchanged(key, expected)
        return written(self._ledger.record(key, self.revision + 1, value))

    async def delete(self, key: str, expected: int) -> StoreEvent:
        """Remove a key that is still as the caller read it."""
        self._ledger.check_unchanged(key, expected)
        return self._ledger.record(key, self.revision + 1, None)

    async def compact(self, revision: int) -> None:
        """Forget the history up to the revision."""
        self._ledger.compact(revision)

    async def close(self) -> None:
        """Nothing to let go of."""


def written(event: StoreEvent) -> Entry:
    """Return the entry that a create or update left."""
    assert event.entry is not None
    return event.entry
