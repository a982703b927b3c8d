"""Events live for an hour after the last thing they tell, as with kube-apiserver's `--event-ttl`.

The time is read from the event itself, so that a restart neither prolongs nor shortens a life.
"""

from __future__ import annotations

import asyncio

import msgspec

from kubeberth.api.scheme import EVENTS
from kubeberth.apiserver.objects import object_json, prefix_of
from kubeberth.apiserver.storage.store import (
    Entry,
    KeyMissingError,
    RevisionMismatchError,
    Store,
)
from kubeberth.clock import rfc3339

EVENT_TTL_S = 3600.0
# Deletes that are under way at a time: they share commits, and leave room for others.
AT_ONCE = 64
_TO_THE_SECOND = len("2026-01-01T00:00:00")


class _Metadata(msgspec.Struct, rename="camel"):
    creation_timestamp: str = ""


class _Series(msgspec.Struct, rename="camel"):
    last_observed_time: str | None = None


class _Event(msgspec.Struct, rename="camel"):
    metadata: _Metadata
    series: _Series | None = None
    event_time: str | None = None
    last_timestamp: str | None = None

    @property
    def last_told_at(self) -> str:
        """When it last had something to tell, RFC 3339 to the second."""
        observed = self.series.last_observed_time if self.series else None
        times = (self.metadata.creation_timestamp, self.event_time, self.last_timestamp, observed)
        return max(time[:_TO_THE_SECOND] for time in times if time is not None)


_decode = msgspec.json.Decoder(_Event).decode


async def expire_events(store: Store, now: float) -> int:
    """Delete the events whose time is over; return how many there were.

    Parameters
    ----------
    now
        Wall clock, seconds since 1970.
    """
    oldest = rfc3339(now - EVENT_TTL_S)[:_TO_THE_SECOND]
    expired = [
        entry
        for entry in store.entries(prefix_of(EVENTS))
        if _decode(object_json(entry.value)).last_told_at < oldest
    ]
    for start in range(0, len(expired), AT_ONCE):
        batch = expired[start : start + AT_ONCE]
        await asyncio.gather(*(_delete(store, entry) for entry in batch))
    return len(expired)


async def _delete(store: Store, entry: Entry) -> None:
    try:
        await store.delete(entry.key, entry.revision)
    except (KeyMissingError, RevisionMismatchError):
        return  # gone already, or it has just told something new
