"""Watches of custom resources whose objects a webhook converts between versions.

Events of the store are told at once and in order, a webhook takes its time: each version that is
watched has a ledger of its own, in which objects are as the webhook has made them, and a hub that
tells what happens there. A webhook that fails ends the watches of its version; whoever watches
again is told why.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from kubeberth.api.custom.version import CustomVersion
from kubeberth.api.scheme import Resource
from kubeberth.apiserver.conversion import Conversions
from kubeberth.apiserver.objects import prefix_of
from kubeberth.apiserver.storage.ledger import Ledger
from kubeberth.apiserver.storage.store import (
    Entry,
    RevisionCompactedError,
    Store,
    StoreEvent,
    Subscriber,
)
from kubeberth.apiserver.watch import WatchHub
from kubeberth.errors import ApiError

logger = logging.getLogger(__name__)

# How long a new watch waits for what was written before it.
SETTLE_S = 30.0


class ConvertedStore:
    """What the store holds of one resource, as the version of the resource shows it."""

    def __init__(self, store: Store, conversions: Conversions, resource: Resource) -> None:
        self._store = store
        self._conversions = conversions
        self._resource = resource
        self._ledger = Ledger()
        self._pending: deque[StoreEvent] = deque()
        self._wake = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self.entries = self._ledger.entries
        self.counts = self._ledger.counts
        self.events_after = self._ledger.events_after
        self.hub = WatchHub(self)
        self.is_broken = False

    @property
    def revision(self) -> int:
        """The newest revision of which everything is known here."""
        return self._pending[0].revision - 1 if self._pending else self._store.revision

    def subscribe(self, subscriber: Subscriber, *buckets: str) -> None:
        """Call the subscriber with each later event."""
        self._ledger.subscribe(subscriber, *buckets)

    def note(self, event: StoreEvent) -> None:
        """Take up an event of the store."""
        self._pending.append(event)
        self._wake.set()

    async def start(self, revision: int) -> None:
        """Convert what there is, so that history is known from a revision on, if it still is.

        Raises
        ------
        ApiError
            The webhook does not convert it.
        """
        base, entries = self._snapshot(revision)
        shown = await self._conversions.entries(self._resource, entries)
        self._ledger.compact(base)
        for entry in shown:
            self._ledger.restore(entry.key, entry.revision, entry.value)
        self._following = asyncio.ensure_future(self._follow())

    def _snapshot(self, revision: int) -> tuple[int, Sequence[Entry]]:
        prefix, now = prefix_of(self._resource), self._store.revision
        if 0 < revision < now:
            try:
                entries = self._store.entries(prefix, revision=revision)
                self._pending.extendleft(reversed(self._store.events_after(prefix, revision)))
            except RevisionCompactedError:
                pass  # whoever asks for that will be told so
            else:
                return revision, entries
        return now, self._store.entries(prefix)

    async def settled(self) -> None:
        """Wait until what was written before this call is known here."""
        if self._pending:
            await self.hub.reached(self._pending[-1].revision, SETTLE_S)

    async def _follow(self) -> None:
        while True:
            while self._pending:
                try:
                    await self._convert(self._pending[0])
                except ApiError as error:
                    logger.warning("watches end", extra={"why": error.message})
                    self.break_off()
                    return
            self._wake.clear()
            await self._wake.wait()

    async def _convert(self, event: StoreEvent) -> None:
        value: bytes | None = None
        if event.entry is not None:
            value = (await self._conversions.entry(self._resource, event.entry)).value
        self._pending.popleft()
        self._ledger.record(event.key, event.revision, value)

    def break_off(self) -> None:
        """End all watches: whoever watches again gets another one of these."""
        self.is_broken = True
        self.hub.close()
        if self._following is not None:
            self._following.cancel()


class ConvertedWatches:
    """The converted stores of the versions that are watched."""

    def __init__(self, store: Store, conversions: Conversions) -> None:
        self._store = store
        self._conversions = conversions
        self._by_version: dict[CustomVersion, tuple[str, ConvertedStore, asyncio.Task[None]]] = {}
        store.subscribe(self._note)

    def _note(self, event: StoreEvent) -> None:
        for name, converted, _ in self._by_version.values():
            if name == event.bucket:
                converted.note(event)

    async def hub(self, resource: Resource, revision: int) -> WatchHub:
        """Return what tells of a resource, from a revision on if it can.

        Raises
        ------
        ApiError
            The webhook does not convert what there is.
        """
        custom = resource.custom
        assert custom is not None
        known = self._by_version.get(custom)
        if known is None or known[1].is_broken:
            converted = ConvertedStore(self._store, self._conversions, resource)
            starting = asyncio.ensure_future(converted.start(revision))
            known = self._by_version[custom] = (resource.storage_key, converted, starting)
        _, converted, starting = known
        try:
            await asyncio.shield(starting)
        except ApiError:
            converted.break_off()
            raise
        await converted.settled()
        return converted.hub

    def end(self, bucket: str) -> None:
        """End the watches of a resource that is no longer what it was."""
        for version, (name, converted, starting) in [*self._by_version.items()]:
            if name == bucket:
                starting.cancel()
                converted.break_off()
                del self._by_version[version]

    def close(self) -> None:
        """End all watches: the server stops."""
        for name in {name for name, _, _ in self._by_version.values()}:
            self.end(name)
