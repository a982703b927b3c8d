"""HTTP/1.1 as an API server is spoken to: kept connections with one request at a time on each.

A pool of our own, since this is what schedulers and kubelets do all day
(docs/decisions/0017-the-client-speaks-http-itself.md). A watch has a connection to itself, which
ends with it.
"""

from __future__ import annotations

import asyncio
import errno
import math
import os
import socket
import ssl
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from functools import partial
from ipaddress import ip_address
from typing import cast
from urllib.parse import urlsplit

import httptools

from kubeberth import tls

CONNECT_S = 5.0
# From the first byte that is sent to the last one of the answer.
REQUEST_S = 60.0
HANDSHAKE_S = 60.0
# Servers keep connections longer than this, so that one that is taken up again is seldom gone.
IDLE_S = 15.0
# What may wait of a watch before no more is read.
MAX_WAITING_BYTES = 1 << 20
# What may be sent again when a connection that was kept turns out to be gone.
_REPEATABLE = frozenset(("GET", "PUT", "DELETE"))
# What says where an answer ends, unless that is where the connection does.
_FRAMING = frozenset(("content-length", "transfer-encoding"))
_GZIP = b"\x1f\x8b"
_BY_GZIP = 16 + zlib.MAX_WBITS

BeginWith = Callable[[str, ssl.MemoryBIO, ssl.MemoryBIO], ssl.SSLObject]


class LostConnectionError(ConnectionError):
    """The server hung up before its answer was complete.

    Parameters
    ----------
    is_stale
        Whether nothing of an answer had come, on a connection that had served before.
    """

    def __init__(self, *, is_stale: bool = False) -> None:
        super().__init__("the server hung up")
        self.is_stale = is_stale


class Answer:
    """A status, headers, and a body, complete or still coming."""

    __slots__ = ("body", "received", "status")

    def __init__(self) -> None:
        self.status = 0
        self.received: list[tuple[bytes, bytes]] = []
        self.body = b""

    @property
    def headers(self) -> dict[str, str]:
        """The headers, with names in lower case; put together when somebody asks, as few do."""
        pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in self.received)
        return {name.lower(): value for name, value in pairs}

    def keep_headers(self, names: Collection[str]) -> None:
        """Forget all headers but some, named in lower case."""
        self.received = [
            (name, value)
            for name, value in self.received
            if name.decode("latin-1").lower() in names
        ]


class _Connection(asyncio.Protocol):
    """One connection: `ask` gives a whole answer; `open` and `parts` give one that goes on."""

    __slots__ = (
        "_answer",
        "_ended",
        "_error",
        "_has_served",
        "_is_complete",
        "_is_over",
        "_is_paused",
        "_is_stream",
        "_lost",
        "_may_go_on",
        "_n_waiting",
        "_parser",
        "_parts",
        "_transport",
        "_waiting",
        "deadline",
        "generation",
        "idle_since",
    )

    def __init__(self, lost: Callable[[_Connection], None], generation: int) -> None:
        self._lost = lost
        self.generation = generation
        self._transport: asyncio.Transport | None = None
        # Made for each answer: most connections wait, and need none meanwhile.
        self._parser: httptools.HttpResponseParser | None = None
        self._answer = Answer()
        self._parts: list[bytes] = []
        self._n_waiting = 0
        self._is_stream = self._is_paused = False
        self._is_complete = self._may_go_on = True
        self._has_served = False
        self._waiting: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self.idle_since = 0.0
        self.deadline = math.inf
        self._is_over = False
        self._ended: asyncio.Future[None] | None = None

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            self._fail(ConnectionError("an answer that nobody asked for"))
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"the answer is no HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._is_complete and exc is None and self._ends_with_connection():
            self.on_message_complete()
        has_begun = bool(self._answer.status or self._parts)
        self._fail(exc or LostConnectionError(is_stale=self._has_served and not has_begun))
        self._is_over = True
        self._transport = self._parser = None
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _ends_with_connection(self) -> bool:
        return bool(self._answer.status) and self._answer.headers.keys().isdisjoint(_FRAMING)

    # What the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.received.append((name, value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self._answer.status = self._parser.get_status_code()
        if self._is_stream:
            self._wake()

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)
        if self._is_stream:
            self._n_waiting += len(body)
            if self._n_waiting > MAX_WAITING_BYTES and not self._is_paused:
                self._is_paused = True
                self.transport.pause_reading()
            self._wake()

    def on_message_complete(self) -> None:
        if self._answer.status // 100 == 1:
            self._answer = Answer()  # only an announcement: the answer is yet to come
            return
        assert self._parser is not None
        self._is_complete = self._has_served = True
        self._may_go_on = bool(self._parser.should_keep_alive())
        self._wake()

    # What the pool calls

    @property
    def transport(self) -> asyncio.Transport:
        """Where to write to."""
        assert self._transport is not None
        return self._transport

    @property
    def is_reusable(self) -> bool:
        """Whether another request may be sent."""
        return (
            self._error is None
            and self._is_complete
            and not self._is_stream
            and self._may_go_on
            and not self.transport.is_closing()
        )

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return its whole answer; until when, `deadline` says."""
        self._send(request)
        try:
            while not self._is_complete:
                await self._news()
        finally:
            self.deadline = math.inf
        # A connection that waits for its next request keeps nothing of the last one.
        self._parser = None
        answer, self._answer = self._answer, Answer()
        parts, self._parts = self._parts, []
        answer.body = parts[0] if len(parts) == 1 else b"".join(parts)
        return answer

    async def open(self, request: bytes, timeout_s: float) -> Answer:
        """Send a request and return its answer as soon as its headers are there."""
        self._is_stream = True
        self._send(request)
        async with asyncio.timeout(timeout_s):
            while not self._answer.status:
                await self._news()
        # A watch lasts for minutes, and nobody asks for more of its headers.
        self._answer.keep_headers(_FRAMING)
        return self._answer

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        while True:
            while self._parts:
                parts, self._parts, self._n_waiting = self._parts, [], 0
                if self._is_paused:
                    self._is_paused = False
                    self.transport.resume_reading()
                while parts:
                    yield parts.pop(0)
            if self._is_complete:
                return
            await self._news()

    def abort(self) -> None:
        """Hang up at once."""
        self._fail(LostConnectionError())

    def time_out(self) -> None:
        """Wait no longer for the answer."""
        self._fail(TimeoutError())

    async def ended(self) -> None:
        """Return once the transport has let go."""
        if not self._is_over:
            self._ended = asyncio.get_running_loop().create_future()
            await self._ended

    def _send(self, request: bytes) -> None:
        if self._error is not None:
            raise self._error
        # Of an answer whose asker was cancelled before taking it, nothing is to be left.
        self._parts.clear()
        self._answer = Answer()
        self._parser = httptools.HttpResponseParser(self)
        self._is_complete = False
        self.transport.write(request)

    async def _news(self) -> None:
        """Wait for the next thing to happen; raise what has gone wrong."""
        if self._error is not None:
            raise self._error
        self._waiting = asyncio.get_running_loop().create_future()
        await self._waiting

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
            self._lost(self)
            if self._transport is not None:
                self._transport.abort()
        self._wake()


class Pool:
    """Connections to one server.

    Parameters
    ----------
    server
        URL; a path in it comes before that of every request.
    headers
        Sent with every request, besides `Host`.
    begin
        Begins a TLS handshake with a host, see `tls.Begin`; None for plain connections.
    max_connections
        How many requests are under way at once; watches do not count.
    """

    def __init__(
        self,
        server: str,
        headers: dict[str, str],
        begin: BeginWith | None,
        max_connections: int,
    ) -> None:
        url = urlsplit(server)
        self._host = url.hostname or ""
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._prefix = url.path.rstrip("/")
        self._begin = partial(begin, self._host) if begin is not None else None
        # Within a machine, packing a list takes longer than sending it.
        packing = {} if _is_near(self._host) else {"Accept-Encoding": "gzip"}
        fixed = {"Host": url.netloc.rpartition("@")[2], **headers, **packing}
        # The same for thousands of pools.
        self._head = sys.intern("".join(f"{name}: {value}\r\n" for name, value in fixed.items()))
        self._max_connections = max_connections
        self._idle: list[_Connection] = []
        self._all: list[_Connection] = []
        self._n_asking = 0
        self._is_cut = False
        self._generation = 0
        self._turns: list[asyncio.Future[None]] = []
        # One for all requests under way, which as a rule are long over when it rings; none while
        # there are none.
        self._alarm: asyncio.TimerHandle | None = None

    async def request(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes | None,
        check: Callable[[], None] = lambda: None,
        patience_s: float | None = None,
    ) -> Answer:
        """Send a request and return its answer.

        Parameters
        ----------
        patience_s
            Who has waited so long for a turn goes ahead without one; None waits for ever.
        check
            Called right before the request is sent, however long that has had to wait for its
            turn; what it raises keeps the request from being sent.

        Raises
        ------
        OSError
            There was no complete answer; a TimeoutError when there was none in time.
        """
        request = self._encode(method, target, headers, body)
        if self._n_asking < self._max_connections:
            self._n_asking += 1
        else:
            await self._turn(patience_s)
        try:
            answer = await self._ask(method, request, check)
        finally:
            self._pass_turn()
        # Most answers need no look at their headers.
        if answer.body.startswith(_GZIP) and answer.headers.get("content-encoding") == "gzip":
            answer.body = zlib.decompress(answer.body, _BY_GZIP)
        return answer

    @asynccontextmanager
    async def stream(
        self, target: str, headers: dict[str, str]
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """Ask for something that comes part by part, and give its head and the parts.

        Raises
        ------
        OSError
            The connection broke; also while parts are read.
        """
        connection = await self._connect()
        try:
            # Not by a name: this waits for as long as the watch lasts.
            answer = await connection.open(
                self._encode("GET", target, {**headers, "Accept-Encoding": "identity"}, None),
                REQUEST_S,
            )
            yield answer, connection.parts()
        finally:
            connection.abort()

    def renew(self) -> None:
        """Send nothing more on the connections of now; what is under way on them may end."""
        self._generation += 1
        for connection in tuple(self._idle):
            connection.abort()

    def cut(self) -> None:
        """Break off all connections, and make no other until `mend`."""
        self._is_cut = True
        for connection in tuple(self._all):
            connection.abort()

    def mend(self) -> None:
        """Make connections again."""
        self._is_cut = False

    async def close(self) -> None:
        """Hang up all connections."""
        if self._alarm is not None:
            self._alarm.cancel()
        connections = list(self._all)
        for connection in connections:
            connection.abort()
        for connection in connections:
            await connection.ended()

    async def _ask(self, method: str, request: bytes, check: Callable[[], None]) -> Answer:
        while True:
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                check()
                self._limit(connection)
                return await connection.ask(request)
            except LostConnectionError as error:
                if not error.is_stale or method not in _REPEATABLE:
                    raise
            finally:
                self._keep(connection)

    def _limit(self, connection: _Connection) -> None:
        """Give the request that is about to be sent so much time."""
        loop = asyncio.get_running_loop()
        connection.deadline = loop.time() + REQUEST_S
        if self._alarm is None:
            self._alarm = loop.call_at(connection.deadline, self._ring)

    def _ring(self) -> None:
        """Give up on what should have been answered by now, and look again when the next is due."""
        loop = asyncio.get_running_loop()
        self._alarm = None
        # Whoever was given the same time later is due later.
        for connection in [entry for entry in self._all if entry.deadline <= loop.time()]:
            connection.time_out()
        due_at = min((entry.deadline for entry in self._all), default=math.inf)
        if due_at < math.inf:
            self._alarm = loop.call_at(due_at, self._ring)

    def _keep(self, connection: _Connection) -> None:
        """Keep a connection for the next request, if it is good for one."""
        if not connection.is_reusable or connection.generation != self._generation:
            connection.abort()
            return
        now = asyncio.get_running_loop().time()
        connection.idle_since = now
        self._idle.append(connection)
        # The last one is taken first, so those that are needed no longer gather here.
        while now - self._idle[0].idle_since > IDLE_S:
            self._idle[0].abort()

    async def _turn(self, patience_s: float | None) -> None:
        """Wait until so few requests are under way that there may be another."""
        turn = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            async with asyncio.timeout(patience_s):
                await turn
        except TimeoutError:
            if not turn.done() or turn.cancelled():
                self._n_asking += 1
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_turn()
            raise

    def _pass_turn(self) -> None:
        # Whoever went ahead leaves no turn behind.
        while self._turns and self._n_asking <= self._max_connections:
            turn = self._turns.pop(0)
            if not turn.done():
                turn.set_result(None)
                return
        self._n_asking -= 1
        if not self._n_asking and self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    async def _connect(self) -> _Connection:
        if self._is_cut:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        connection = _Connection(self._forget, self._generation)
        if self._begin is not None:
            await tls.connect(self._dial, self._begin, connection, HANDSHAKE_S)
        else:
            await self._dial(lambda: connection)
        self._all.append(connection)
        if self._is_cut:  # meanwhile
            connection.abort()
        return connection

    async def _dial(self, make: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        """Connect a protocol to the first address that answers.

        The loop makes the socket as well: uvloop closes one that it is given behind its owner's
        back when the connection breaks at once, and by the time its owner closes it again the
        descriptor may be another connection's.
        """
        loop = asyncio.get_running_loop()
        trouble: OSError | None = None
        for family, _, _, _, address in await loop.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM
        ):
            try:
                async with asyncio.timeout(CONNECT_S):
                    transport, _ = await loop.create_connection(
                        make, str(address[0]), int(address[1]), family=family
                    )
            except OSError as error:
                trouble = error
            else:
                return transport
        raise trouble or OSError(f"{self._host} has no address")

    def _forget(self, connection: _Connection) -> None:
        with suppress(ValueError):
            self._all.remove(connection)
            self._idle.remove(connection)

    def _encode(
        self, method: str, target: str, headers: dict[str, str], body: bytes | None
    ) -> bytes:
        own = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if body is None:
            return f"{method} {self._prefix}{target} HTTP/1.1\r\n{self._head}{own}\r\n".encode()
        head = f"{method} {self._prefix}{target} HTTP/1.1\r\n{self._head}{own}"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _is_near(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
