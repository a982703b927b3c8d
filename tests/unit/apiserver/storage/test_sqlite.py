"""What only the store on disk promises: to be there again, and whose files it takes."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from kubeberth.apiserver.storage.sqlite import SqliteStore
from kubeberth.apiserver.storage.store import RevisionCompactedError, StorageError
from kubeberth.errors import UsageError

WRITER = """
import asyncio, sys
from pathlib import Path
from kubeberth.apiserver.storage.sqlite import SqliteStore

async def write(store, lane):
    n = 0
    while True:
        entry = await store.create(f"pods/{lane}/{n:06}", b"x" * 500)
        print(entry.revision, entry.key, flush=True)
        n += 1

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await asyncio.gather(*(write(store, lane) for lane in range(8)))

asyncio.run(main())
"""


def test_state_history_and_revisions_survive_a_restart(tmp_path):
    async def first():
        store = SqliteStore(tmp_path)
        a = await store.create("pods/a", b"1")
        await store.update("pods/a", b"2", a.revision)
        b = await store.create("pods/b", b"1")
        await store.delete("pods/b", b.revision)
        await store.close()

    async def second():
        store = SqliteStore(tmp_path)
        assert store.revision == 4
        assert [(entry.key, entry.value) for entry in store.entries("pods/")] == [("pods/a", b"2")]
        events = store.events_after("pods/", 1)
        assert [(event.revision, event.entry is None) for event in events] == [
            (2, False),
            (3, False),
            (4, True),
        ]
        assert events[0].previous.value == b"1"
        await store.compact(4)
        await store.close()

    async def third():
        store = SqliteStore(tmp_path)
        assert store.revision == 4
        with pytest.raises(RevisionCompactedError):
            store.events_after("pods/", 3)
        assert (await store.create("pods/b", b"again")).revision == 5
        await store.close()

    asyncio.run(first())
    asyncio.run(second())
    asyncio.run(third())
    with sqlite3.connect(tmp_path / "state.db") as connection:
        rows = connection.execute("SELECT revision, key FROM log ORDER BY revision").fetchall()
    connection.close()
    assert rows == [(2, "pods/a"), (5, "pods/b")]


def test_every_acknowledged_write_survives_kill_9(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    acknowledged = [child.stdout.readline().split() for _ in range(500)]
    child.send_signal(signal.SIGKILL)
    acknowledged += [line.split() for line in child.stdout.readlines() if line.endswith("\n")]
    child.wait()
    child.stdout.close()

    async def check():
        store = SqliteStore(tmp_path)
        for revision, key in acknowledged:
            entry = store.get(key)
            assert entry is not None, f"{key} was acknowledged and is gone"
            assert (entry.revision, entry.value) == (int(revision), b"x" * 500)
        before = store.revision
        assert (await store.create("pods/after", b"")).revision == before + 1
        await store.close()

    asyncio.run(check())


def refusal(directory) -> str:
    async def scenario():
        SqliteStore(directory)

    with pytest.raises(UsageError) as refused:
        asyncio.run(scenario())
    text = str(refused.value)
    assert "\n" not in text
    return text


def test_a_database_of_another_program_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / "state.db")
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    assert "another program" in refusal(tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "state.db").write_bytes(b"hello " * 1000)
    assert "not a database" in refusal(tmp_path)


def test_another_schema_version_is_refused(tmp_path):
    async def make():
        await SqliteStore(tmp_path).close()

    asyncio.run(make())
    connection = sqlite3.connect(tmp_path / "state.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "schema version 99" in refusal(tmp_path)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot use the data directory" in refusal(tmp_path / "file" / "data")


def test_a_directory_has_one_user_at_a_time(tmp_path):
    async def scenario():
        store = SqliteStore(tmp_path)
        with pytest.raises(UsageError, match="in use by another process"):
            SqliteStore(tmp_path)
        await store.close()
        await SqliteStore(tmp_path).close()

    asyncio.run(scenario())


def test_after_a_failed_commit_nothing_is_acknowledged_and_nothing_is_lost(tmp_path):
    async def scenario():
        store = SqliteStore(tmp_path)
        entry = await store.create("pods/a", b"1")
        store._connection.execute("PRAGMA max_page_count = 1")  # the disk is full
        with pytest.raises(StorageError, match="full"):
            await store.create("pods/b", b"x" * 100_000)
        with pytest.raises(StorageError, match="full"):
            await store.update("pods/a", b"2", entry.revision)
        assert store.get("pods/b") is None
        assert store.get("pods/a").value == b"1"
        await store.close()

    async def later():
        store = SqliteStore(tmp_path)
        assert [(e.key, e.value) for e in store.entries("pods/")] == [("pods/a", b"1")]
        assert (await store.create("pods/b", b"2")).revision == 2
        await store.close()

    asyncio.run(scenario())
    asyncio.run(later())


def test_a_disk_that_fills_up_takes_back_nothing_that_was_acknowledged(tmp_path):
    async def scenario():
        store = SqliteStore(tmp_path)
        store._connection.execute("PRAGMA max_page_count = 60")
        writes = [store.create(f"pods/{n:03}", b"x" * 1000) for n in range(400)]
        tasks = [asyncio.ensure_future(write) for write in writes[:20]]
        await asyncio.sleep(0)
        tasks += [asyncio.ensure_future(write) for write in writes[20:]]
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()
        return [answer.key for answer in answers if not isinstance(answer, StorageError)]

    async def later():
        store = SqliteStore(tmp_path)
        try:
            return [entry.key for entry in store.entries("pods/")]
        finally:
            await store.close()

    acknowledged = asyncio.run(scenario())
    assert len(acknowledged) == 20
    assert asyncio.run(later()) == acknowledged


def test_no_file_is_left_open(tmp_path):
    async def scenario():
        await SqliteStore(tmp_path).close()

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(scenario())
    assert len(os.listdir("/proc/self/fd")) == before
