"""One connection: bytes become requests, answers become bytes.

Rule 1  One request is answered at a time. What is sent ahead waits its turn, and while anything
        waits, nothing more is read.
Rule 2  Head and body of an answer leave in one write; an answer that grows leaves in chunks, as
        fast as its client reads and no faster.
Rule 3  A client has so long for its part: for a head, for a body, to read an answer, and for
        the next request; see `Patience`. How long the server takes for its part is no matter.
Rule 4  What cannot be read is refused in the words of Go's server, after the answers to what
        came before it, and nothing behind it is looked at.
Rule 5  Before it hangs up on a client that may still be sending, it listens a moment longer:
        else the client's system would throw the answer away.
Rule 6  The work on a request is never broken off, for it may already be on its way to the disk;
        only who waits for a body that no longer comes is told so.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol, cast

import httptools
import msgspec

from kubeberth.apiserver.auth.authn import Shown
from kubeberth.apiserver.auth.tls import shown_chain
from kubeberth.apiserver.http import head as heads
from kubeberth.apiserver.http.request import Request, TargetError
from kubeberth.apiserver.responses import CHUNK_BYTES, Response, Source, StreamResponse
from kubeberth.errors import BadRequestError, ServerTimeoutError

logger = logging.getLogger(__name__)

# Go's `DefaultMaxHeaderBytes`, and as much more as its reader is ahead of itself.
MAX_HEAD_BYTES = 1024 * 1024 + 4096
# So much of a body that nobody wanted is still read to keep the connection, as Go does.
MAX_UNREAD_BYTES = 256 * 1024
TEXT = "text/plain; charset=utf-8"
# As long as Go's server listens before it hangs up.
LINGER_S = 0.5


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds a client has for its part.

    Parameters
    ----------
    head
        kube-apiserver's `ReadHeaderTimeout`.
    body
        Its limit for requests that are not long-running.
    idle
        Go clients keep idle connections for 90 seconds and stumble over those that went earlier.
    """

    head: float = 32.0
    body: float = 60.0
    reading: float = 60.0
    idle: float = 100.0


class Host(Protocol):
    """The server that a connection belongs to; see `server.HttpServer`."""

    patience: Patience
    date: bytes
    is_closing: bool
    connections: set[Connection]

    def answer(self, request: Request) -> Coroutine[Any, Any, Response | StreamResponse]:
        """Return the answer to a request."""


class _Exchange(msgspec.Struct, eq=False):
    """A request, and what its sender said about the connection."""

    request: Request
    keeps_alive: bool
    takes_chunks: bool
    expects_continue: bool


class Connection(asyncio.Protocol):
    """See the module."""

    __slots__ = (
        "_current",
        "_exchange",
        "_head_size",
        "_headers",
        "_host",
        "_is_deaf",
        "_is_endless",
        "_is_paused",
        "_last_words",
        "_loop",
        "_parser",
        "_shown",
        "_source",
        "_target",
        "_task",
        "_transport",
        "_waiting",
        "deadline",
    )

    def __init__(self, host: Host) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._shown = Shown()
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size: int | None = None  # of the head that is read now, if one is
        self._exchange: _Exchange | None = None  # whose body is read now
        self._waiting: deque[_Exchange] = deque()
        self._current: _Exchange | None = None  # that is answered now
        self._task: asyncio.Task[None] | None = None
        self._source: Source | None = None  # of the answer that grows
        self._last_words = b""
        self._is_deaf = False
        self._is_endless = False  # whether the answer is one that may wait for its client
        self._is_paused = False
        self.deadline = self._loop.time() + host.patience.head

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read the certificates that came with the handshake."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._shown = Shown(
            certificates=shown_chain(transport.get_extra_info("ssl_object")),
            address=str(peer[0]) if peer else "",
        )
        self._host.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits for the client; what nobody works on yet, nobody will."""
        self._host.connections.discard(self)
        self._transport = None
        self._waiting.clear()
        for exchange in (self._exchange, self._current):
            if exchange is not None:
                why = "the client went away before its request was worked on"
                exchange.request.fail(BadRequestError(why))
        self._end_source()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._is_deaf:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing else is spoken here: who asks for it is answered and hung up on.
            self._is_deaf = True
        except httptools.HttpParserError as error:
            self._refuse(error)
        if self._head_size is not None and not self._is_deaf:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD_BYTES:
                self._give_up(heads.refusal(431))

    def pause_writing(self) -> None:
        """Wait for a client that reads more slowly than it is written to."""
        self._is_paused = True
        if not self._is_endless:
            self.deadline = self._loop.time() + self._host.patience.reading

    def resume_writing(self) -> None:
        """Go on."""
        self._is_paused = False
        self.deadline = inf
        if self._source is not None:
            self._pump()
        elif self._current is None:
            self._next()

    def eof_received(self) -> None:
        """Let the transport close: who sends no more is gone, as Go's server takes it."""

    # What the parser tells.

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._target = b""
        self._headers = []
        self._head_size = 0
        if self._current is None:
            self.deadline = self._loop.time() + self._host.patience.head

    def on_url(self, part: bytes) -> None:
        """Take in a part of the target."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header; what comes behind a body goes nowhere."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Begin a request; its body may come later."""
        self._head_size = None
        if self._is_deaf:
            return  # it came in one piece with something that was refused
        parser = self._parser
        method, headers = parser.get_method().decode(), self._headers
        self._headers = []
        is_old = parser.get_http_version() == "1.0"
        try:
            request = Request(method, self._target, headers, self._shown, None)
        except TargetError:
            self._give_up(heads.refusal(400))
            return
        expected = request.headers.get("expect", "").lower()
        exchange = _Exchange(
            request,
            keeps_alive=parser.should_keep_alive() and not parser.should_upgrade(),
            takes_chunks=not is_old,
            expects_continue=expected == "100-continue" and not is_old,
        )
        if expected not in ("", "100-continue"):
            self._give_up(heads.refusal(417))
        elif not is_old and "host" not in request.headers:
            self._give_up(heads.refusal(400, "missing required Host header"))
        else:
            self._exchange = exchange
            self._queue(exchange)

    def on_body(self, chunk: bytes) -> None:
        """Take in a part of a body."""
        if self._exchange is not None:
            self._exchange.request.feed(chunk)

    def on_message_complete(self) -> None:
        """End a request."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        exchange.request.complete()
        self._is_deaf = self._is_deaf or not exchange.keeps_alive
        if exchange is self._current:
            self.deadline = inf

    # One after the other.

    def _queue(self, exchange: _Exchange) -> None:
        if self._current is None and not self._is_paused:
            self._begin(exchange)
            return
        self._waiting.append(exchange)
        if self._transport is not None:
            self._transport.pause_reading()

    def _begin(self, exchange: _Exchange) -> None:
        self._current = exchange
        request = exchange.request
        self.deadline = inf
        if not request.is_complete:
            self.deadline = self._loop.time() + self._host.patience.body
            if exchange.expects_continue:
                request.when_wanted(self._let_continue)
        self._task = self._loop.create_task(self._work(exchange))

    def _let_continue(self) -> None:
        if self._current is not None and self._transport is not None:
            self._current.expects_continue = False
            self._transport.write(heads.CONTINUE)

    async def _work(self, exchange: _Exchange) -> None:
        answer = await self._answer_to(exchange.request)
        if self._transport is None:
            if isinstance(answer, StreamResponse):
                answer.source.close()
            return
        exchange.keeps_alive = self._can_stay(exchange)
        if isinstance(answer, StreamResponse):
            self._stream(exchange, answer)
        else:
            self._transport.write(self._whole(exchange, answer))
            self._done(exchange)

    async def _answer_to(self, request: Request) -> Response | StreamResponse:
        try:
            return await self._host.answer(request)
        except Exception:
            logger.exception("cannot answer", extra={"path": request.path})
            return Response(b"Internal Server Error\n", 500, content_type=TEXT)

    def _can_stay(self, exchange: _Exchange) -> bool:
        """Tell whether another request may follow."""
        if self._host.is_closing or not exchange.keeps_alive:
            return False
        request = exchange.request
        if request.is_complete:
            return True
        n_bytes = request.headers.get("content-length", "")
        is_short = n_bytes.isdecimal() and int(n_bytes) - request.size <= MAX_UNREAD_BYTES
        # A client that was not told to continue may send its body or not: nobody knows.
        return is_short and not exchange.expects_continue

    def _done(self, exchange: _Exchange) -> None:
        self._current = self._task = None
        if exchange.keeps_alive:
            self._next()
        else:
            self._hang_up(lingers=not exchange.request.is_complete)

    def _next(self) -> None:
        """Turn to the next request, or to what else comes after the last one."""
        if self._transport is None or self._is_paused:
            return
        if self._waiting:
            exchange = self._waiting.popleft()
            if not self._waiting:
                self._transport.resume_reading()
            self._begin(exchange)
        elif self._last_words:
            self._give_up(self._last_words)
        elif self._host.is_closing:
            self._hang_up()
        else:
            self.deadline = self._loop.time() + self._patience()

    def _patience(self) -> float:
        """Return how long the client has for what it sends next."""
        if self._exchange is not None:
            return self._host.patience.body
        return self._host.patience.idle if self._head_size is None else self._host.patience.head

    # Answers.

    def _whole(self, exchange: _Exchange, answer: Response) -> bytes:
        lines = [self._host.date]
        if not exchange.keeps_alive:
            lines.append(heads.CLOSE)
        if answer.status != 304:
            lines.append(heads.content_length(len(answer.body)))
        start = heads.head(answer.status, answer.content_type, answer.headers, *lines)
        return start if exchange.request.method == "HEAD" else start + answer.body

    def _stream(self, exchange: _Exchange, answer: StreamResponse) -> None:
        lines = [self._host.date]
        exchange.keeps_alive &= exchange.takes_chunks
        if exchange.takes_chunks:
            lines.append(heads.CHUNKED)
        if not exchange.keeps_alive:
            lines.append(heads.CLOSE)
        start = heads.head(200, answer.content_type, answer.headers, *lines)
        if exchange.request.method == "HEAD":
            assert self._transport is not None
            self._transport.write(start)
            answer.source.close()
            self._done(exchange)
            return
        self._source = answer.source
        self._is_endless = not answer.is_document
        answer.source.begin(self._pump)
        self._pump(start)

    def _pump(self, start: bytes = b"") -> None:
        """Write what there is, as far as the client takes it.

        Parameters
        ----------
        start
            The head, when this is the beginning: it does not wait for a first chunk.
        """
        exchange, source, transport = self._current, self._source, self._transport
        if exchange is None or source is None or transport is None or self._is_paused:
            return
        while True:
            try:
                chunk = source.take()
            except Exception:
                # The beginning is gone; a broken connection says that it is not whole.
                logger.exception("an answer broke off", extra={"path": exchange.request.path})
                transport.abort()
                return
            if chunk is None:
                transport.write(start + heads.LAST_CHUNK if exchange.takes_chunks else start)
                self._end_source()
                self._done(exchange)
                return
            if not chunk:
                if start:
                    transport.write(start)
                return
            transport.write(start + (heads.chunk_of(chunk) if exchange.takes_chunks else chunk))
            start = b""
            if self._is_paused:
                return
            if len(chunk) >= CHUNK_BYTES:
                # There will be more; others come to their turn in between.
                self._loop.call_soon(self._pump)
                return

    def _end_source(self) -> None:
        source, self._source = self._source, None
        self._is_endless = False
        if source is not None:
            source.close()

    # The end.

    def overdue(self) -> None:
        """Do without what the client has not sent, or read, in time."""
        exchange = self._exchange
        if exchange is not None and exchange is self._current:
            self.deadline = inf
            exchange.keeps_alive = False
            why = "Timeout: request did not complete within the allotted timeout"
            exchange.request.fail(ServerTimeoutError(why))
        elif self._is_paused and self._transport is not None:
            self._transport.abort()
        else:
            self._hang_up()

    def finish(self) -> None:
        """Hang up as soon as what is under way is answered."""
        if self._current is None and not self._waiting:
            self._hang_up()

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()

    def _refuse(self, error: httptools.HttpParserError) -> None:
        exchange, self._exchange = self._exchange, None
        if isinstance(error, httptools.HttpParserCallbackError):
            logger.error("cannot take in a request", exc_info=error.__context__ or error)
        if self._is_deaf:
            return  # what comes behind the last request is nobody's
        if exchange is None:
            self._give_up(heads.refusal(400))
            return
        self._is_deaf = True
        exchange.keeps_alive = False
        exchange.request.fail(BadRequestError(f"the body of the request is malformed: {error}"))
        if exchange is not self._current and exchange not in self._waiting:
            self._hang_up()

    def _give_up(self, last_words: bytes) -> None:
        """Read no further, and hang up when what came before is answered."""
        self._is_deaf = True
        self._last_words = last_words
        if self._current is None and not self._waiting and self._transport is not None:
            self._transport.write(last_words)
            self._hang_up(lingers=True)

    def _hang_up(self, *, lingers: bool = False) -> None:
        self._is_deaf = True
        # Closing waits until everything is written, and the client has so long to read it.
        self.deadline = self._loop.time() + self._host.patience.reading
        if self._transport is None:
            return
        if not lingers:
            self._transport.close()
            return
        self._transport.resume_reading()
        self._loop.call_later(LINGER_S, self._hang_up)
