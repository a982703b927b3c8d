"""The store on disk: an append-only log in SQLite, one writer thread, group commit.

The event loop checks a write, gives it its revision and queues it; at the end of its turn the
writer thread gets what was queued, and commits whatever has come in one transaction; back in the
loop the writes are taken into the ledger, published and answered. So a write is read, told and
acknowledged only after it is on the disk (WAL with synchronous=FULL), and durability costs one
fsync a batch instead of one a write.

    Rule 1  A key has at most one write in flight; the next one waits and is checked afterwards.
    Rule 2  Revisions are given out in queue order, and batches are committed in queue order.
    Rule 3  A failed commit fails every write of its batch, and all later ones: the disk is gone.

The log has one row a write (value NULL: deleted). Compaction deletes rows that were replaced at or
before the compacted revision; the rest is at the same time the current state and the history.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import queue
import sqlite3
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from kubeberth.apiserver.storage.ledger import WINDOW, Ledger
from kubeberth.apiserver.storage.memory import written
from kubeberth.apiserver.storage.store import Entry, Sealing, StorageError, StoreEvent
from kubeberth.errors import UsageError

APPLICATION_ID = 0x62_65_72_74  # "bert", in the file's header: the file is ours
SCHEMA_VERSION = 1
SCHEMA = f"""
CREATE TABLE log (revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB);
CREATE TABLE compaction (revision INTEGER NOT NULL);
INSERT INTO compaction VALUES (0);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""
# Bounds the memory of one transaction; far above what queues up during one fsync.
MAX_BATCH = 500
# Rows of one INSERT. SQLite's binding lets go of the interpreter for every statement and then waits
# to have it back from a busy event loop: row by row, a batch would wait that often.
ROWS = (64, 16, 4, 1)
INSERTS = {n: f"INSERT INTO log VALUES {', '.join(['(?, ?, ?)'] * n)}" for n in ROWS}


@dataclass(slots=True)
class Write:
    """A write on its way to the disk."""

    key: str
    revision: int
    value: bytes | None
    done: asyncio.Future[StoreEvent]


@dataclass(slots=True)
class Compaction:
    """Rows to delete, on their way to the disk."""

    revision: int
    garbage: list[int]
    done: asyncio.Future[None]


class SqliteStore:
    """See the module. Make it in the event loop that will use it."""

    def __init__(
        self, directory: Path, *, window: int = WINDOW, sealing: Sealing | None = None
    ) -> None:
        self._sealing = sealing
        self._ledger = ledger = Ledger(window=window)
        self.get = ledger.get
        self.entries = ledger.entries
        self.events_after = ledger.events_after
        self.subscribe = ledger.subscribe
        self._loop = asyncio.get_running_loop()
        self._in_flight: dict[str, asyncio.Future[StoreEvent]] = {}
        # (revision of the write that made it garbage, revision of the row), oldest first.
        self._garbage: deque[tuple[int, int]] = deque()
        self._failure: str | None = None  # set by the writer thread, once
        self._lock = lock_directory(directory)
        try:
            self._connection = open_log(directory / "state.db")
            if sealing is not None and sealing.hides:
                # What was written in the clear before does not stay in the file.
                self._connection.execute("PRAGMA secure_delete = ON")
            self._load()
        except BaseException:
            os.close(self._lock)
            raise
        self._next_revision = self._ledger.revision + 1
        self._turn: list[Write | Compaction] = []  # what this turn of the loop has queued
        self._queue: queue.SimpleQueue[list[Write | Compaction] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(
            target=self._write_batches, name="store-writer", daemon=True
        )
        self._writer.start()

    @property
    def revision(self) -> int:
        """The newest revision that is on the disk."""
        return self._ledger.revision

    async def create(self, key: str, value: bytes) -> Entry:
        """Write a key that must not exist."""
        await self._settled(key)
        self._ledger.check_absent(key)
        return written(await self._submit(key, value))

    async def update(self, key: str, value: bytes, expected: int) -> Entry:
        """Replace a value that is still the one the caller read."""
        await self._settled(key)
        self._ledger.check_unchanged(key, expected)
        return written(await self._submit(key, value))

    async def delete(self, key: str, expected: int) -> StoreEvent:
        """Remove a key that is still as the caller read it."""
        await self._settled(key)
        self._ledger.check_unchanged(key, expected)
        return await self._submit(key, None)

    async def compact(self, revision: int) -> None:
        """Forget the history up to the revision, in memory and on the disk."""
        revision = min(revision, self._ledger.revision)
        self._ledger.compact(revision)
        garbage: list[int] = []
        while self._garbage and self._garbage[0][0] <= revision:
            garbage.append(self._garbage.popleft()[1])
        done: asyncio.Future[None] = self._loop.create_future()
        self._enqueue(Compaction(revision, garbage, done))
        await done

    async def close(self) -> None:
        """Finish the queued writes and let go of the files."""
        if not self._writer.is_alive():
            return
        self._hand_over()
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._writer.join)
        self._connection.close()
        os.close(self._lock)

    async def _settled(self, key: str) -> None:
        while (pending := self._in_flight.get(key)) is not None:
            with contextlib.suppress(StorageError):
                await asyncio.shield(pending)
        if self._failure is not None:
            raise StorageError(self._failure)

    async def _submit(self, key: str, value: bytes | None) -> StoreEvent:
        write = Write(key, self._next_revision, value, self._loop.create_future())
        self._next_revision += 1
        self._in_flight[key] = write.done
        self._enqueue(write)
        # Shielded: a client that hangs up does not take back what is being written.
        return await asyncio.shield(write.done)

    def _enqueue(self, job: Write | Compaction) -> None:
        if not self._turn:
            self._loop.call_soon(self._hand_over)
        self._turn.append(job)

    def _hand_over(self) -> None:
        if self._turn:
            self._queue.put(self._turn)
            self._turn = []

    # In the writer thread.

    def _write_batches(self) -> None:
        running = True
        while running:
            jobs: list[Write | Compaction] = []
            turn = self._queue.get()
            with contextlib.suppress(queue.Empty):
                while turn is not None:
                    jobs += turn
                    if len(jobs) >= MAX_BATCH:
                        break
                    turn = self._queue.get_nowait()
            running = turn is not None
            failure = self._commit(jobs)
            self._loop.call_soon_threadsafe(self._committed, jobs, failure)

    def _commit(self, jobs: list[Write | Compaction]) -> str | None:
        if self._failure is not None:
            return self._failure
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._insert([job for job in jobs if isinstance(job, Write)])
                for job in jobs:
                    if isinstance(job, Compaction):
                        self._delete_garbage(job)
        except sqlite3.Error as error:
            self._failure = f"cannot write to the data directory: {error}"
        return self._failure

    def _insert(self, writes: list[Write]) -> None:
        start = 0
        for n_rows in ROWS:
            while len(writes) - start >= n_rows:
                rows = writes[start : start + n_rows]
                values = [part for w in rows for part in (w.revision, w.key, self._sealed(w))]
                self._connection.execute(INSERTS[n_rows], values)
                start += n_rows

    def _sealed(self, write: Write) -> bytes | None:
        if self._sealing is None or write.value is None:
            return write.value
        return self._sealing.seal(write.key, write.value)

    def _delete_garbage(self, job: Compaction) -> None:
        self._connection.executemany(
            "DELETE FROM log WHERE revision = ?", ((revision,) for revision in job.garbage)
        )
        self._connection.execute(
            "UPDATE compaction SET revision = max(revision, ?)", (job.revision,)
        )

    # Back in the event loop.

    def _committed(self, jobs: list[Write | Compaction], failure: str | None) -> None:
        for job in jobs:
            if isinstance(job, Write) and self._in_flight.get(job.key) is job.done:
                del self._in_flight[job.key]
            if failure is not None:
                job.done.set_exception(StorageError(failure))
                job.done.exception()  # retrieved: a caller that hung up is no reason for a warning
            elif isinstance(job, Compaction):
                job.done.set_result(None)
            else:
                event = self._ledger.record(job.key, job.revision, job.value)
                self._note_garbage(event.revision, event.previous, deleted=event.entry is None)
                job.done.set_result(event)

    def _note_garbage(self, revision: int, previous: Entry | None, *, deleted: bool) -> None:
        if previous is not None:
            self._garbage.append((revision, previous.revision))
        if deleted:
            self._garbage.append((revision, revision))

    def _load(self) -> None:
        (compacted,) = self._connection.execute("SELECT revision FROM compaction").fetchone()
        rows = self._connection.execute("SELECT revision, key, value FROM log ORDER BY revision")
        for revision, key, stored in rows:
            value = stored
            if self._sealing is not None and stored is not None:
                value = self._sealing.open(key, stored)
            if revision <= compacted:
                self._ledger.restore(key, revision, value)
            else:
                event = self._ledger.record(key, revision, value)
                self._note_garbage(revision, event.previous, deleted=value is None)
        # The newest rows may be deletes that compaction removed: revisions never go back.
        self._ledger.revision = max(self._ledger.revision, compacted)
        self._ledger.compact(compacted)


def lock_directory(directory: Path) -> int:
    """Make the directory if need be, and take it for this process alone."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(
            f"cannot use the data directory {directory}: {error.strerror or error}"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise UsageError(
            f"the data directory {directory} is in use by another process; "
            "stop it, or choose another --data-dir"
        ) from error
    return lock


def open_log(path: Path) -> sqlite3.Connection:
    """Open the log, or make a new one; refuse what is not ours."""
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            prepare_log(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.DatabaseError as error:
        raise UsageError(
            f"cannot read {path}: {error}; choose another --data-dir, or move the file away"
        ) from error
    return connection


def prepare_log(connection: sqlite3.Connection, path: Path) -> None:
    """Set the connection up, and make the tables of a new file."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (n_tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if n_tables and application != APPLICATION_ID:
        raise UsageError(f"{path} is a database of another program; choose another --data-dir")
    if n_tables and version != SCHEMA_VERSION:
        raise UsageError(
            f"{path} has schema version {version}, this kubeberth reads {SCHEMA_VERSION}; "
            "use the kubeberth that made it, or choose another --data-dir"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    if not n_tables:
        connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
