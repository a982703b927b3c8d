"""What every store promises (`kubeberth.apiserver.storage.store`)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from kubeberth.apiserver.storage.memory import MemoryStore
from kubeberth.apiserver.storage.sqlite import SqliteStore
from kubeberth.apiserver.storage.store import (
    KeyExistsError,
    KeyMissingError,
    RevisionCompactedError,
    RevisionMismatchError,
    Store,
    StoreEvent,
)

Opener = Callable[..., AsyncIterator[Store]]


@pytest.fixture(params=["memory", "sqlite"])
def opened(request, tmp_path):
    """Return a context manager that opens a store of the kind under test."""

    @asynccontextmanager
    async def open_store(**options):
        store = (
            MemoryStore(**options)
            if request.param == "memory"
            else SqliteStore(tmp_path / "data", **options)
        )
        try:
            yield store
        finally:
            await store.close()

    return open_store


def keys(entries) -> list[str]:
    return [entry.key for entry in entries]


def test_what_is_written_can_be_read(opened):
    async def scenario():
        async with opened() as store:
            entry = await store.create("pods/a/x", b"1")
            assert store.get("pods/a/x") is entry
            assert (entry.value, entry.revision, store.revision) == (b"1", 1, 1)
            assert store.get("pods/a/y") is None

    asyncio.run(scenario())


def test_every_write_takes_the_next_revision_also_a_delete(opened):
    async def scenario():
        async with opened() as store:
            a = await store.create("pods/a", b"1")
            b = await store.create("nodes/b", b"1")
            a = await store.update("pods/a", b"2", a.revision)
            gone = await store.delete("nodes/b", b.revision)
            assert (a.revision, gone.revision, store.revision) == (3, 4, 4)
            assert (await store.create("nodes/b", b"3")).revision == 5

    asyncio.run(scenario())


def test_a_key_is_created_once(opened):
    async def scenario():
        async with opened() as store:
            answers = await asyncio.gather(
                *(store.create("pods/a", b"%d" % i) for i in range(5)), return_exceptions=True
            )
            refused = [answer for answer in answers if isinstance(answer, KeyExistsError)]
            assert len(refused) == 4
            assert store.revision == 1

    asyncio.run(scenario())


def test_of_two_writers_who_read_the_same_revision_one_wins(opened):
    async def scenario():
        async with opened() as store:
            entry = await store.create("pods/a", b"0")
            answers = await asyncio.gather(
                *(store.update("pods/a", b"%d" % i, entry.revision) for i in range(5)),
                return_exceptions=True,
            )
            assert [type(answer) for answer in answers].count(RevisionMismatchError) == 4
            with pytest.raises(RevisionMismatchError):
                await store.delete("pods/a", entry.revision)

    asyncio.run(scenario())


def test_a_missing_key_can_neither_change_nor_go(opened):
    async def scenario():
        async with opened() as store:
            with pytest.raises(KeyMissingError):
                await store.update("pods/a", b"1", 1)
            with pytest.raises(KeyMissingError):
                await store.delete("pods/a", 1)

    asyncio.run(scenario())


def test_lists_are_sorted_and_stay_within_their_prefix(opened):
    async def scenario():
        async with opened() as store:
            for key in ("pods/b/x", "pods/a/z", "pods/a/y", "podset/a/x", "pods/ab/x"):
                await store.create(key, b"")
            assert keys(store.entries("pods/")) == ["pods/a/y", "pods/a/z", "pods/ab/x", "pods/b/x"]
            assert keys(store.entries("pods/a/")) == ["pods/a/y", "pods/a/z"]
            assert keys(store.entries("pods/", after="pods/a/y", limit=2)) == [
                "pods/a/z",
                "pods/ab/x",
            ]
            assert keys(store.entries("nothing/")) == []

    asyncio.run(scenario())


def test_an_older_state_can_be_listed(opened):
    async def scenario():
        async with opened() as store:
            a = await store.create("pods/a", b"1")
            b = await store.create("pods/b", b"1")
            then = store.revision
            await store.update("pods/a", b"2", a.revision)
            await store.delete("pods/b", b.revision)
            await store.create("pods/c", b"1")
            old = store.entries("pods/", revision=then)
            assert [(entry.key, entry.value) for entry in old] == [
                ("pods/a", b"1"),
                ("pods/b", b"1"),
            ]
            assert keys(store.entries("pods/")) == ["pods/a", "pods/c"]

    asyncio.run(scenario())


def test_subscribers_hear_every_write_once_in_order_with_what_it_replaced(opened):
    async def scenario():
        async with opened() as store:
            heard: list[StoreEvent] = []
            store.subscribe(heard.append)
            await asyncio.gather(*(store.create(f"pods/{i}", b"1") for i in range(50)))
            entry = store.get("pods/7")
            await store.update("pods/7", b"2", entry.revision)
            await store.delete("pods/7", store.get("pods/7").revision)
            assert [event.revision for event in heard] == list(range(1, 53))
            assert heard[50].previous is entry
            assert heard[50].entry.value == b"2"
            assert heard[51].entry is None
            assert heard[51].previous.value == b"2"

    asyncio.run(scenario())


def test_a_watcher_resumes_from_where_it_was(opened):
    async def scenario():
        async with opened() as store:
            for i in range(5):
                await store.create(f"pods/{i}", b"")
                await store.create(f"nodes/{i}", b"")
            assert [event.key for event in store.events_after("pods/", 6)] == ["pods/3", "pods/4"]
            assert store.events_after("pods/3", 6)[0].revision == 7
            assert store.events_after("pods/", store.revision) == []

    asyncio.run(scenario())


def test_history_is_bounded_and_what_left_it_is_refused(opened):
    async def scenario():
        async with opened(window=3) as store:
            for i in range(5):
                await store.create(f"pods/{i}", b"")
            await store.create("nodes/a", b"")
            assert len(store.events_after("pods/", 2)) == 3
            with pytest.raises(RevisionCompactedError) as refused:
                store.events_after("pods/", 1)
            assert refused.value.oldest == 2
            with pytest.raises(RevisionCompactedError):
                store.entries("pods/", revision=1)
            assert len(store.events_after("nodes/", 0)) == 1

    asyncio.run(scenario())


def test_compaction_forgets_history_but_no_state(opened):
    async def scenario():
        async with opened() as store:
            a = await store.create("pods/a", b"1")
            await store.update("pods/a", b"2", a.revision)
            b = await store.create("pods/b", b"1")
            await store.delete("pods/b", b.revision)
            await store.compact(store.revision)
            with pytest.raises(RevisionCompactedError):
                store.events_after("pods/", 3)
            with pytest.raises(RevisionCompactedError):
                store.events_after("never-written/", 0)
            assert [(e.key, e.value) for e in store.entries("pods/")] == [("pods/a", b"2")]
            assert (await store.create("pods/c", b"")).revision == 5
            assert [event.key for event in store.events_after("pods/", 4)] == ["pods/c"]

    asyncio.run(scenario())


def test_a_write_whose_caller_gave_up_is_written_all_the_same(opened):
    async def scenario():
        async with opened() as store:
            heard = []
            store.subscribe(heard.append)
            caller = asyncio.ensure_future(store.create("pods/a", b"1"))
            follower = asyncio.ensure_future(store.create("pods/a", b"2"))
            await asyncio.sleep(0)
            caller.cancel()
            with pytest.raises(KeyExistsError):
                await follower
            assert store.get("pods/a").value == b"1"
            assert [event.key for event in heard] == ["pods/a"]

    asyncio.run(scenario())


def test_who_wants_to_hear_of_some_buckets_hears_of_no_others(opened):
    async def scenario():
        async with opened() as store:
            await store.create("pods/a", b"1")
            heard = []
            store.subscribe(heard.append, "pods", "leases")
            for key in ("pods/b", "nodes/a", "leases/a"):
                await store.create(key, b"1")
            assert [(event.bucket, event.key) for event in heard] == [
                ("pods", "pods/b"),
                ("leases", "leases/a"),
            ]

    asyncio.run(scenario())


def test_more_than_one_transaction_holds_is_written_in_order_also_when_the_store_closes(opened):
    async def scenario():
        async with opened() as store:
            heard = []
            store.subscribe(heard.append)
            value = b"x" * 100_000
            names = [f"pods/{number:03}" for number in range(120)]
            writes = [asyncio.ensure_future(store.create(name, value)) for name in names]
            await asyncio.sleep(0)
        assert [event.key for event in heard] == names
        assert [(await write).revision for write in writes] == list(range(1, 121))

    asyncio.run(scenario())
