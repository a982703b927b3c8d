"""Watches: every event of the store, once, in order, to everybody who asked for it.

    Rule 1  An event is encoded once per form and spliced to every watcher.
    Rule 2  A watcher hears each matching event above the revision it started from, exactly once.
    Rule 3  Queues are bounded: a watcher that does not keep up is dropped with 410 and resumes.
    Rule 4  So many watchers send per turn of the event loop, so that a crowd of them does not keep
            requests waiting; and who has sent rests a moment. What happens until it is its turn, a
            watcher sends in one chunk.
    Rule 5  A bookmark promises that everything up to its version was sent.

An object that begins to match the selectors is ADDED, one that ceases to is DELETED.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections import defaultdict, deque
from collections.abc import Callable, Iterable

from kubeberth.api.scheme import PODS
from kubeberth.apiserver import refusals
from kubeberth.apiserver.forms import Writer
from kubeberth.apiserver.objects import encode
from kubeberth.apiserver.options import ListOptions, parse_version
from kubeberth.apiserver.responses import CHUNK_BYTES
from kubeberth.apiserver.selectable import selectable
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
# Sending costs some 15 us, handling a request some 250: with so many a turn, requests lose little
# to a crowd, and the crowd is soon through (benchmarks/bench_watch_fanout.py).
SENDERS_PER_TURN = 16
# A chunk costs its sender, and each client that reads it, more than the events in it: where much
# happens, it goes out in so many chunks a second at most. Whoever hears little, hears it at once.
REST_S = 0.003
BOOKMARK_EVERY_S = 60.0
# A last bookmark comes so long before the end, so that the next watch starts from it.
BOOKMARK_BEFORE_END_S = 2.0
DEFAULT_TIMEOUT_S = 3600.0
# Watches that select by this field are looked up by its value instead of asked one by one: every
# kubelet watches the pods of its node.
INDEXED_FIELDS = {"pods": "spec.nodeName"}


class Watcher:
    """One open watch: what it wants, what waits to be sent, and until when it is open."""

    __slots__ = (
        "_alarm",
        "_bookmark_at",
        "_end_at",
        "_has_sent_columns",
        "_hub",
        "_is_in_line",
        "_wake",
        "index_value",
        "is_closed",
        "is_dropped",
        "limit",
        "lines",
        "prefix",
        "rests_until",
        "revision",
        "selection",
        "writer",
    )

    def __init__(
        self,
        hub: WatchHub,
        prefix: str,
        options: ListOptions,
        writer: Writer,
        index_value: str | None,
    ) -> None:
        self.prefix = prefix
        self.selection = options.selection
        self.writer = writer
        self.index_value = index_value
        self.lines: deque[bytes] = deque()
        self.revision = 0  # everything up to here is in the queue, sent, or not wanted
        self.limit = sys.maxsize  # no bound for what there is to tell at the start
        self.is_dropped = False
        self.is_closed = False
        self.rests_until = 0.0
        self._hub = hub
        self._wake: Callable[[], None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._is_in_line = False
        self._has_sent_columns = False
        now = asyncio.get_running_loop().time()
        timeout_s = DEFAULT_TIMEOUT_S if options.timeout_s is None else float(options.timeout_s)
        self._end_at = now + timeout_s
        self._bookmark_at = (
            next_bookmark(now, self._end_at) if options.allow_bookmarks else math.inf
        )

    # What is sent, as a source of chunks.

    def begin(self, wake: Callable[[], None]) -> None:
        """Be told from now on when there is something to send."""
        self._wake = wake
        self._set_alarm()

    def take(self) -> bytes | None:
        """Return what waits, or the beginning of it; None when the watch is over."""
        if self.lines:
            return self._take_lines()
        if self.is_dropped and not self.is_closed:
            self.is_closed = True
            return error_line(refusals.too_old_version(self.revision, self._hub.revision))
        return None if self.is_closed else b""

    def _take_lines(self) -> bytes:
        lines = self.lines
        first = lines.popleft()
        if not lines:
            self.limit = QUEUE_LIMIT
            return first  # the very bytes that all the others send
        taken, size = [first], len(first)
        while lines and size < CHUNK_BYTES:
            taken.append(lines.popleft())
            size += len(taken[-1])
        self.limit = max(QUEUE_LIMIT, self.limit - len(taken))
        return b"".join(taken)

    def close(self) -> None:
        """Forget the watch: it is over, or its client is gone."""
        self._wake = None
        if self._alarm is not None:
            self._alarm.cancel()
        self._hub.forget(self)

    def end(self) -> None:
        """End the watch after what waits is sent."""
        self.is_closed = True
        if self._wake is not None:
            self._wake()

    def take_turn(self) -> bool:
        """Send what waits; return whether anybody is there to send it to."""
        self._is_in_line = False
        if self._wake is None:
            return False
        self._wake()
        return True

    def _set_alarm(self) -> None:
        loop = asyncio.get_running_loop()
        self._alarm = loop.call_at(min(self._bookmark_at, self._end_at), self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        if now >= self._end_at:
            self.end()
            return
        if now >= self._bookmark_at:
            self._bookmark_at = next_bookmark(self._bookmark_at, self._end_at)
            # A client that does not keep up needs no promise about what it has not read.
            if not self.lines and not self.is_dropped:
                self.revision = self._hub.revision
                self.add_bookmark()
                assert self._wake is not None
                self._wake()
        if self._wake is not None:
            self._set_alarm()

    # What is to be sent.

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
        if not self._is_in_line:
            self._is_in_line = True
            self._hub.turns.add(self)

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
    """Hands out the right to send, first come first served, so many per turn of the event loop."""

    def __init__(self) -> None:
        self._waiting: deque[Watcher] = deque()

    def add(self, watcher: Watcher) -> None:
        """Let a watcher send when it has rested and it is its turn."""
        loop = asyncio.get_running_loop()
        rest_s = watcher.rests_until - loop.time()
        if rest_s > 0:
            loop.call_later(rest_s, self._line_up, watcher, loop)
        else:
            self._line_up(watcher, loop)

    def _line_up(self, watcher: Watcher, loop: asyncio.AbstractEventLoop) -> None:
        if not self._waiting:
            loop.call_soon(self._next, loop)
        self._waiting.append(watcher)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        n_sent, rests_until = 0, loop.time() + REST_S
        while self._waiting and n_sent < SENDERS_PER_TURN:
            watcher = self._waiting.popleft()
            watcher.rests_until = rests_until
            n_sent += watcher.take_turn()
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
            watcher.end()

    def open(self, prefix: str, options: ListOptions, writer: Writer) -> Watcher:
        """Return a watcher whose queue holds what there is to tell at the start.

        Raises
        ------
        ExpiredError, ServerTimeoutError
            The version asked for is forgotten, or not there yet; told as an ERROR event.
        """
        field = INDEXED_FIELDS.get(bucket_of(prefix))
        index_value = options.selection.fields.required(field) if field else None
        watcher = Watcher(self, prefix, options, writer, index_value)
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
            watcher.end()
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

    def forget(self, watcher: Watcher) -> None:
        """Forget a watcher."""
        watchers = self._set_of(watcher)
        watchers.discard(watcher)
        if not watchers and watcher.index_value is not None:
            self._indexed.pop((bucket_of(watcher.prefix), watcher.index_value), None)

    def close(self) -> None:
        """End all watches, also those to come: the server stops."""
        self._is_closed = True
        for watchers in (*self._watchers.values(), *self._indexed.values()):
            for watcher in [*watchers]:
                watcher.end()

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
        bucket = event.bucket
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


def next_bookmark(now: float, end: float) -> float:
    """Return when a bookmark is due next: in a minute, or shortly before the end."""
    last = end - BOOKMARK_BEFORE_END_S
    return min(now + BOOKMARK_EVERY_S, last) if last > now else math.inf
