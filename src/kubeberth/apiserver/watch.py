"""Watches: every event of the store, once, in order, to everybody who asked for it.

    Rule 1  An event is encoded once per form and spliced to every watcher.
    Rule 2  A watcher hears each matching event above the revision it started from, exactly once.
    Rule 3  Queues are bounded: a watcher that does not keep up is dropped with 410 and resumes.
    Rule 4  A few watchers send per turn of the event loop, so that a crowd of them does not keep
            requests waiting; what happens until it is its turn, a watcher sends in one chunk.
    Rule 5  A bookmark promises that everything up to its version was sent.

An object that begins to match the selectors is ADDED, one that ceases to is DELETED.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable

from kubeberth.api.scheme import PODS
from kubeberth.apiserver import refusals
from kubeberth.apiserver.forms import Writer
from kubeberth.apiserver.objects import encode
from kubeberth.apiserver.options import ListOptions, parse_version
from kubeberth.apiserver.selectable import Selection, selectable
from kubeberth.apiserver.storage.store import (
    Entry,
    RevisionCompactedError,
    StoreEvent,
    Told,
    bucket_of,
)
from kubeberth.errors import ApiError

# Events that may wait for one client; kube-apiserver's buffers go up to the same number.
QUEUE_LIMIT = 1000
CHUNK_LINES = 500
# Sending costs some 50 us, handling a request some 500: with two of them a turn, requests lose
# little to a crowd, and the crowd is soon through (benchmarks/bench_watch_fanout.py).
SENDERS_PER_TURN = 2
BOOKMARK_EVERY_S = 60.0
# A last bookmark comes so long before the end, so that the next watch starts from it.
BOOKMARK_BEFORE_END_S = 2.0
DEFAULT_TIMEOUT_S = 3600.0
# Watches that select by this field are looked up by its value instead of asked one by one: every
# kubelet watches the pods of its node.
INDEXED_FIELDS = {"pods": "spec.nodeName"}


class Watcher:
    """One open watch: what it wants, and what waits to be sent."""

    __slots__ = (
        "_has_sent_columns",
        "_is_in_line",
        "_turns",
        "has_turn",
        "index_value",
        "is_closed",
        "is_dropped",
        "limit",
        "lines",
        "prefix",
        "revision",
        "selection",
        "wake",
        "writer",
    )

    def __init__(
        self,
        prefix: str,
        selection: Selection,
        writer: Writer,
        index_value: str | None,
        turns: Turns,
    ) -> None:
        self.prefix = prefix
        self.selection = selection
        self.writer = writer
        self.index_value = index_value
        self.lines: deque[bytes] = deque()
        self.wake = asyncio.Event()
        self.revision = 0  # everything up to here is in the queue, sent, or not wanted
        self.limit = sys.maxsize  # no bound for what there is to tell at the start
        self.is_dropped = False
        self.is_closed = False
        self.has_turn = False
        self._turns = turns
        self._is_in_line = False
        self._has_sent_columns = False

    def offer(self, event: StoreEvent) -> None:
        """Queue an event, if it is wanted."""
        if event.revision <= self.revision or self.is_dropped:
            return
        self.revision = event.revision
        if not event.key.startswith(self.prefix):
            return
        was = self.selection.matches(event.previous)
        now = self.selection.matches(event.entry)
        if not was and not now:
            return
        if len(self.lines) >= self.limit:
            self.is_dropped = True
            self.lines.clear()
        else:
            kind = "DELETED" if not now else "MODIFIED" if was else "ADDED"
            self._queue(self._line(kind, event))
        # Woken when it may send, so that it wakes up only once.
        if not self._is_in_line:
            self._is_in_line = True
            self._turns.add(self._take_turn)

    def _take_turn(self) -> bool:
        self._is_in_line = False
        self.has_turn = True
        self.wake.set()
        return not self.is_closed

    def add_initial(self, entry: Entry) -> None:
        """Queue an object that was there before."""
        self._queue(_framed("ADDED", self.writer.entry(entry)))

    def add_bookmark(self, *, ends_initial_events: bool = False) -> None:
        """Queue the promise that everything up to now was sent."""
        body = self.writer.bookmark(self.revision, ends_initial_events=ends_initial_events)
        self._queue(_framed("BOOKMARK", body))

    def started(self) -> None:
        """Bound the queue from now on."""
        self.limit = len(self.lines) + QUEUE_LIMIT

    def take(self) -> bytes:
        """Return what waits, or the beginning of it."""
        n_lines = min(len(self.lines), CHUNK_LINES)
        chunk = b"".join(self.lines.popleft() for _ in range(n_lines))
        self.limit = max(QUEUE_LIMIT, self.limit - n_lines)
        return chunk

    def close(self) -> None:
        """End the watch after what waits is sent."""
        self.is_closed = True
        self.wake.set()

    def _line(self, kind: str, event: StoreEvent) -> bytes:
        key = (kind, self.writer.key)
        line: bytes | None = event.memo.get(key)
        if line is None:
            entry = event.previous if kind == "DELETED" else event.entry
            assert entry is not None
            line = _framed(kind, self.writer.entry(entry, event.revision))
            event.memo[key] = line
        return line

    def _queue(self, line: bytes) -> None:
        if self.writer.is_table:
            if self._has_sent_columns:
                line = self.writer.without_columns(line)
            self._has_sent_columns = True
        self.lines.append(line)


def _framed(kind: str, body: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), body)


def error_line(error: ApiError) -> bytes:
    """Return the event that ends a watch which cannot go on."""
    return _framed("ERROR", encode(error.status))


class Turns:
    """Hands out the right to send, first come first served, a few per turn of the event loop."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], bool]] = deque()

    def add(self, take: Callable[[], bool]) -> None:
        """Call a function when it is its turn; it returns whether there is anything to send."""
        if not self._waiting:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._next, loop)
        self._waiting.append(take)

    async def mine(self) -> None:
        """Wait for a turn; an event loop with nothing else to do comes to it at once."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def take() -> bool:
            if future.done():
                return False  # its watcher is gone
            future.set_result(None)
            return True

        self.add(take)
        await future

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        n_released = 0
        while self._waiting and n_released < SENDERS_PER_TURN:
            n_released += self._waiting.popleft()()
        if self._waiting:
            loop.call_soon(self._next, loop)


class WatchHub:
    """Hands the store's events to the open watches."""

    def __init__(self, store: Told) -> None:
        self._store = store
        self._watchers: dict[str, set[Watcher]] = defaultdict(set)
        self._indexed: dict[tuple[str, str], set[Watcher]] = defaultdict(set)
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._is_closed = False
        self.turns = Turns()
        store.subscribe(self._publish)

    @property
    def revision(self) -> int:
        """The newest revision that was handed out."""
        return self._store.revision

    def end(self, bucket: str) -> None:
        """End the watches of a resource that is no longer what it was."""
        for watcher in [*self._watchers.get(bucket, ())]:
            watcher.close()

    def open(self, prefix: str, options: ListOptions, writer: Writer) -> Watcher:
        """Return a watcher whose queue holds what there is to tell at the start.

        Raises
        ------
        ExpiredError, ServerTimeoutError
            The version asked for is forgotten, or not there yet; told as an ERROR event.
        """
        field = INDEXED_FIELDS.get(bucket_of(prefix))
        index_value = options.selection.fields.required(field) if field else None
        watcher = Watcher(prefix, options.selection, writer, index_value, self.turns)
        start = parse_version(options.resource_version)
        sends_initial = options.send_initial_events
        if sends_initial is None:
            sends_initial = start == 0
        if sends_initial:
            self._start_with_state(watcher, options, start)
        else:
            self._start_with_history(watcher, start)
        watcher.started()
        self._set_of(watcher).add(watcher)
        if self._is_closed:
            watcher.close()
        return watcher

    def _start_with_state(self, watcher: Watcher, options: ListOptions, start: int) -> None:
        if start > self._store.revision:
            raise refusals.too_large_version(start, self._store.revision)
        watcher.revision = self._store.revision
        for entry in self._store.entries(watcher.prefix):
            if watcher.selection.matches(entry):
                watcher.add_initial(entry)
        if options.send_initial_events and options.allow_bookmarks:
            watcher.add_bookmark(ends_initial_events=True)

    def _start_with_history(self, watcher: Watcher, start: int) -> None:
        if start == 0:
            watcher.revision = self._store.revision
            return
        watcher.revision = start
        try:
            events = self._store.events_after(watcher.prefix, start)
        except RevisionCompactedError as error:
            raise refusals.too_old_version(error.revision, error.oldest) from error
        for event in events:
            watcher.offer(event)
            event.memo.clear()
        watcher.revision = max(start, self._store.revision)

    def close_watcher(self, watcher: Watcher) -> None:
        """Forget a watcher."""
        watchers = self._set_of(watcher)
        watchers.discard(watcher)
        if not watchers and watcher.index_value is not None:
            del self._indexed[bucket_of(watcher.prefix), watcher.index_value]

    def close(self) -> None:
        """End all watches, also those to come: the server stops."""
        self._is_closed = True
        for watchers in (*self._watchers.values(), *self._indexed.values()):
            for watcher in watchers:
                watcher.close()

    async def reached(self, revision: int, timeout_s: float) -> bool:
        """Wait until the store has a revision; return whether it came in time."""
        if revision <= self._store.revision:
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = (revision, future)
        self._waiting.append(waiting)
        try:
            await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            return False
        finally:
            self._waiting.remove(waiting)
        return True

    def _set_of(self, watcher: Watcher) -> set[Watcher]:
        bucket = bucket_of(watcher.prefix)
        if watcher.index_value is None:
            return self._watchers[bucket]
        return self._indexed[bucket, watcher.index_value]

    def _publish(self, event: StoreEvent) -> None:
        bucket = bucket_of(event.key)
        for watcher in self._watchers.get(bucket, ()):
            watcher.offer(event)
        for value in self._index_values(bucket, event):
            for watcher in self._indexed.get((bucket, value), ()):
                watcher.offer(event)
        # Encoded for those who watch now; who resumes later has it encoded anew.
        event.memo.clear()
        for revision, future in self._waiting:
            if revision <= event.revision and not future.done():
                future.set_result(None)

    def _index_values(self, bucket: str, event: StoreEvent) -> Iterable[str]:
        field = INDEXED_FIELDS.get(bucket)
        if field is None or not self._indexed:
            return ()
        entries = (entry for entry in (event.previous, event.entry) if entry is not None)
        return {selectable(PODS, entry).fields[field] for entry in entries}


async def stream(hub: WatchHub, watcher: Watcher, options: ListOptions) -> AsyncIterator[bytes]:
    """Yield what a watcher is to send until its time is over; never an empty chunk."""
    loop = asyncio.get_running_loop()
    timeout_s = DEFAULT_TIMEOUT_S if options.timeout_s is None else float(options.timeout_s)
    end = loop.time() + timeout_s
    bookmark_at = _next_bookmark(loop.time(), end) if options.allow_bookmarks else math.inf
    alarm = _Alarm(watcher.wake)
    try:
        while True:
            if watcher.lines:
                if not watcher.has_turn:
                    await hub.turns.mine()
                watcher.has_turn = False
                if watcher.lines:  # it may have been dropped while it waited
                    yield watcher.take()
                continue
            if watcher.is_dropped:
                yield error_line(refusals.too_old_version(watcher.revision, hub.revision))
                return
            now = loop.time()
            if watcher.is_closed or now >= end:
                return
            if now >= bookmark_at:
                bookmark_at = _next_bookmark(bookmark_at, end)
                watcher.revision = hub.revision
                watcher.add_bookmark()
                continue
            watcher.wake.clear()
            alarm.set(loop, min(bookmark_at, end))
            await watcher.wake.wait()
    finally:
        alarm.stop()
        hub.close_watcher(watcher)


def _next_bookmark(now: float, end: float) -> float:
    """Return when a bookmark is due next: in a minute, or shortly before the end."""
    last = end - BOOKMARK_BEFORE_END_S
    return min(now + BOOKMARK_EVERY_S, last) if last > now else math.inf


class _Alarm:
    """Sets an event at some time; one timer for many waits, as most end before it is due."""

    def __init__(self, wake: asyncio.Event) -> None:
        self._wake = wake
        self._at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def set(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        """Set the time."""
        if self._timer is not None and self._at == at:
            return
        self.stop()
        self._at = at
        self._timer = loop.call_at(at, self._ring)

    def stop(self) -> None:
        """Forget the time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self._wake.set()
