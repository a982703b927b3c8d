import asyncio

import msgspec
import pytest

from kubeberth.apiserver.expiry import EVENT_TTL_S, expire_events
from kubeberth.apiserver.storage.memory import MemoryStore
from kubeberth.clock import rfc3339, rfc3339_micro

NOW = 1_800_000_000.0
LONG_AGO, JUST_NOW = NOW - EVENT_TTL_S - 2, NOW - EVENT_TTL_S + 2


def event(created_at, **fields):
    metadata = {"name": "e", "namespace": "team", "creationTimestamp": rfc3339(created_at)}
    return {"kind": "Event", "apiVersion": "v1", "metadata": metadata, **fields}


def keys_left(*events):
    async def scenario():
        store = MemoryStore()
        for number, document in enumerate(events):
            await store.create(f"events/team/e{number}", msgspec.json.encode(document))
        await store.create("pods/team/p", b"{}")
        await expire_events(store, NOW)
        return [entry.key for prefix in ("events/", "pods/") for entry in store.entries(prefix)]

    return asyncio.run(scenario())


def test_an_event_ends_an_hour_after_it_was_made():
    assert keys_left(event(LONG_AGO), event(JUST_NOW)) == ["events/team/e1", "pods/team/p"]


@pytest.mark.parametrize(
    "told",
    [
        {"lastTimestamp": rfc3339(JUST_NOW)},
        {"eventTime": rfc3339_micro(JUST_NOW)},
        {"series": {"count": 3, "lastObservedTime": rfc3339_micro(JUST_NOW)}},
    ],
    ids=lambda told: next(iter(told)),
)
def test_an_event_that_went_on_telling_lives_on(told):
    assert "events/team/e0" in keys_left(event(LONG_AGO, **told))


def test_more_events_than_fit_one_turn_all_end():
    assert keys_left(*[event(LONG_AGO)] * 200) == ["pods/team/p"]
