"""The store on disk: an append-only log in SQLite, one writer thread, group commit.

The event loop checks a write, gives it its revision and queues it. What has come when its turn
ends, and no commit is under way, is written into one transaction, which the writer thread commits;
back in the loop the writes are taken into the ledger, published and answered. So a write is read,
told and acknowledged only after it is on the disk (WAL with synchronous=FULL), and durability costs
one fsync a batch instead of one a write.

    Rule 1  A key has at most one write in flight; the next one waits and is checked afterwards.
    Rule 2  Revisions are given out in queue order, and batches are committed in queue order.
    Rule 3  A failed commit fails every write of its batch, and all later ones: the disk is gone.
    Rule 4  The connection belongs to the event loop, but from the moment a batch is handed over
            until it is committed: then it is the thread's.

The log has one row a write (value NULL: deleted). Compaction deletes rows that were replaced at or
before the compacted revision; the rest is at the same time the current state and the history.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

import msgspec

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
# Bound the time for which the event loop fills one transaction; in number far above what queues up
# during one fsync.
MAX_BATCH = 500
MAX_BATCH_BYTES = 4 * 1024 * 1024


class Write(msgspec.Struct, eq=False):
    """A write on its way to the disk."""

    key: str
    revision: int
    value: bytes | None
    done: asyncio.Future[Any]


class Compaction(msgspec.Struct, eq=False):
    """Rows to delete, on their way to the disk."""

    revision: int
    garbage: list[int]
    done: asyncio.Future[Any]


Job = Write | Compaction


class SqliteStore:
    """See the module. Make it in the event loop that will use it."""

    def __init__(
        self, directory: Path, *, window: int = WINDOW, sealing: Sealing | None = None
    ) -> None:
        self._sealing = sealing
        self._ledger = ledger = Ledger(window=window)
        self.get = ledger.get
        self.entries = ledger.entries
        self.counts = ledger.counts
        self.events_after = ledger.events_after
        self.subscribe = ledger.subscribe
        self._loop = asyncio.get_running_loop()
        self._in_flight: set[str] = set()
        # By a key that is in flight, who waits for it to be so no longer.
        self._followers: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        # (revision of the write that made it garbage, revision of the row), oldest first.
        self._garbage: deque[tuple[int, int]] = deque()
        self._failure: str | None = None  # set once, by whoever has the connection then
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
        self._waiting: deque[Job] = deque()
        self._batch: list[Job] = []  # what is being committed
        self._batches: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(
            target=self._commit_batches, name="store-writer", daemon=True
        )
        self._writer.start()

    @property
    def revision(self) -> int:
        """The newest revision that is on the disk."""
        return self._ledger.revision

    async def create(self, key: str, value: bytes) -> Entry:
        """Write a key that must not exist."""
        while key in self._in_flight:
            await self._turn(key)
        self._ledger.check_absent(key)
        return written(await self._submit(key, value))

    async def update(self, key: str, value: bytes, expected: int) -> Entry:
        """Replace a value that is still the one the caller read."""
        while key in self._in_flight:
            await self._turn(key)
        self._ledger.check_unchanged(key, expected)
        return written(await self._submit(key, value))

    async def delete(self, key: str, expected: int) -> StoreEvent:
        """Remove a key that is still as the caller read it."""
        while key in self._in_flight:
            await self._turn(key)
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
        while jobs := [*self._batch, *self._waiting]:
            await asyncio.wait([job.done for job in jobs])
        self._batches.put(None)
        await self._loop.run_in_executor(None, self._writer.join)
        self._connection.close()
        os.close(self._lock)

    def _turn(self, key: str) -> asyncio.Future[None]:
        """Return what is done when the write of a key is no longer in flight."""
        turn: asyncio.Future[None] = self._loop.create_future()
        self._followers[key].append(turn)
        return turn

    def _submit(self, key: str, value: bytes | None) -> asyncio.Future[StoreEvent]:
        if self._failure is not None:
            raise StorageError(self._failure)
        write = Write(key, self._next_revision, value, self._loop.create_future())
        self._next_revision += 1
        self._in_flight.add(key)
        self._enqueue(write)
        return write.done

    def _enqueue(self, job: Job) -> None:
        if not self._waiting and not self._batch:
            self._loop.call_soon(self._hand_over)
        self._waiting.append(job)

    def _hand_over(self) -> None:
        """Write what waits into a transaction and have it committed, unless that is under way."""
        if self._batch or not self._waiting:
            return
        self._batch, rows = self._next_batch()
        if self._failure is None:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany("INSERT INTO log VALUES (?, ?, ?)", rows)
            except sqlite3.Error as error:
                self._fail(error)
        if self._failure is None:
            self._batches.put(self._batch)
        else:
            self._loop.call_soon(self._committed)

    def _next_batch(self) -> tuple[list[Job], list[tuple[int, str, bytes | None]]]:
        """Return the jobs that are committed next, and the rows to be written for them."""
        batch: list[Job] = []
        rows: list[tuple[int, str, bytes | None]] = []
        n_bytes = 0
        while self._waiting and len(batch) < MAX_BATCH and n_bytes < MAX_BATCH_BYTES:
            job = self._waiting.popleft()
            batch.append(job)
            if isinstance(job, Write):
                n_bytes += len(job.value or b"")
                rows.append((job.revision, job.key, self._sealed(job)))
        return batch, rows

    def _sealed(self, write: Write) -> bytes | None:
        if self._sealing is None or write.value is None:
            return write.value
        return self._sealing.seal(write.key, write.value)

    def _fail(self, error: sqlite3.Error) -> None:
        # What is not committed is undone when the connection is closed, if not before.
        self._failure = f"cannot write to the data directory: {error}"

    # In the writer thread.

    def _commit_batches(self) -> None:
        while (jobs := self._batches.get()) is not None:
            try:
                for job in jobs:
                    if isinstance(job, Compaction):
                        self._delete_garbage(job)
                self._connection.commit()
            except sqlite3.Error as error:
                self._fail(error)
            self._loop.call_soon_threadsafe(self._committed)

    def _delete_garbage(self, job: Compaction) -> None:
        self._connection.executemany(
            "DELETE FROM log WHERE revision = ?", ((revision,) for revision in job.garbage)
        )
        self._connection.execute(
            "UPDATE compaction SET revision = max(revision, ?)", (job.revision,)
        )

    # Back in the event loop.

    def _committed(self) -> None:
        jobs, failure = self._batch, self._failure
        self._batch = []
        self._hand_over()  # first, so that the disk works meanwhile
        for job in jobs:
            event = None
            if isinstance(job, Write):
                if failure is None:
                    event = self._ledger.record(job.key, job.revision, job.value)
                    self._note_garbage(event.revision, event.previous, deleted=event.entry is None)
                self._let_go(job.key)
            if job.done.done():
                continue  # cancelled: who asked does not wait for it
            if failure is None:
                job.done.set_result(event)
            else:
                job.done.set_exception(StorageError(failure))

    def _let_go(self, key: str) -> None:
        """Let those go on who wait for the write of a key."""
        self._in_flight.discard(key)
        for follower in self._followers.pop(key, ()):
            if not follower.done():
                follower.set_result(None)

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
