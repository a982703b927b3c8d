"""POST by HTTPS to somebody who is named or lies at an address, over connections that are kept.

What goes wrong is told in the words of Go's HTTP client, which users of webhooks know.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import httptools

# As Go's transport.
IDLE_S = 90.0
MAX_IDLE = 25
# Nobody has an honest reason to answer with more.
MAX_ANSWER_BYTES = 16 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
USER_AGENT = "kube-apiserver-admission"

Address = tuple[str, int]

# By OpenSSL's number of the fault.
_UNKNOWN_ISSUER = frozenset((7, 18, 19, 20, 21))
_EXPIRED = frozenset((9, 10))
_WRONG_NAME = frozenset((62, 64))
_ERRNO_TEXTS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset by peer",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
    errno.ETIMEDOUT: "connection timed out",
}


class ExchangeError(Exception):
    """There is no answer; the text says why."""


class _NothingCameError(ExchangeError):
    """The connection went away before the first byte of an answer."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to connect to.

    Parameters
    ----------
    host
        As the Host header names it, with a port unless it is the usual one.
    server_name
        What its certificate must be for.
    addresses
        Where it may be reached, tried one after another.
    """

    host: str
    server_name: str
    addresses: tuple[Address, ...]


@dataclass(slots=True)
class Answer:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class _Parser:
    """Takes an answer together; callbacks of `httptools.HttpResponseParser`."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self.answer = Answer()
        self.has_head = False
        self.is_complete = False
        self.is_kept = False
        self.n_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self.answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.answer.status = self._parser.get_status_code()
        self.has_head = True

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        if self.answer.status < 200:  # 100 Continue and its like go before the answer
            self.answer, self.has_head = Answer(), False
            return
        self.is_complete = True
        self.is_kept = self._parser.should_keep_alive()

    def feed(self, data: bytes) -> None:
        """Take in what came; empty when nothing more will."""
        self.n_bytes += len(data)
        if self.n_bytes > MAX_ANSWER_BYTES:
            raise ExchangeError(f"the answer is over {MAX_ANSWER_BYTES} bytes")
        if data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError as error:
                head = data[:20].decode("latin-1").encode("unicode_escape").decode()
                raise ExchangeError(
                    "net/http: HTTP/1.x transport connection broken: malformed HTTP response "
                    f'"{head}"'
                ) from error
        elif not self.n_bytes:
            raise _NothingCameError("EOF")
        elif self.has_head and not {"content-length", "transfer-encoding"} & set(
            self.answer.headers
        ):
            self.is_complete = True  # its end is that of the connection
        else:
            raise ExchangeError("unexpected EOF")

    def result(self) -> tuple[Answer, bool]:
        """Return the answer, and whether the connection may be used again."""
        self.answer.body = b"".join(self._chunks)
        return self.answer, self.is_kept


@dataclass(slots=True, eq=False)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_since: float = 0.0

    def is_usable(self, now: float) -> bool:
        is_open = not self.writer.is_closing() and not self.reader.at_eof()
        return is_open and now - self.idle_since < IDLE_S

    def close(self) -> None:
        self.writer.transport.abort()

    async def post(self, request: bytes) -> tuple[Answer, bool]:
        """Send a request and read its answer."""
        parser = _Parser()
        try:
            self.writer.write(request)
            await self.writer.drain()
            while not parser.is_complete:
                parser.feed(await self.reader.read(CHUNK_BYTES))
        except OSError as error:
            raise _broken(error, nothing_came=not parser.n_bytes) from error
        return parser.result()


class Connections:
    """Connections to many, kept for those who are called again."""

    def __init__(self) -> None:
        self._idle: dict[tuple[Peer, ssl.SSLContext], deque[_Connection]] = defaultdict(deque)

    async def post(self, peer: Peer, context: ssl.SSLContext, path: str, body: bytes) -> Answer:
        """Send JSON and return the answer, whatever its status.

        Raises
        ------
        ExchangeError
            There is none.
        """
        request = _request(peer, path, body)
        kept = self._kept(peer, context)
        if kept is not None:
            try:
                return await self._exchange(kept, peer, context, request)
            except _NothingCameError:
                pass  # it was closed while it lay idle, and nobody has seen the request
        return await self._exchange(await _connect(peer, context), peer, context, request)

    def close(self) -> None:
        """Close all connections that lie idle."""
        for kept in self._idle.values():
            for connection in kept:
                connection.close()
        self._idle.clear()

    def _kept(self, peer: Peer, context: ssl.SSLContext) -> _Connection | None:
        kept = self._idle.get((peer, context))
        now = asyncio.get_running_loop().time()
        while kept:
            connection = kept.pop()
            if connection.is_usable(now):
                return connection
            connection.close()
        return None

    async def _exchange(
        self, connection: _Connection, peer: Peer, context: ssl.SSLContext, request: bytes
    ) -> Answer:
        is_reusable = False
        try:
            answer, is_reusable = await connection.post(request)
        finally:
            kept = self._idle[peer, context]
            if is_reusable and len(kept) < MAX_IDLE:
                connection.idle_since = asyncio.get_running_loop().time()
                kept.append(connection)
            else:
                connection.close()
        return answer


def _request(peer: Peer, path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {peer.host}\r\nUser-Agent: {USER_AGENT}\r\n"
        f"Content-Length: {len(body)}\r\nAccept: application/json, */*\r\n"
        "Content-Type: application/json\r\n\r\n"
    )
    return head.encode("latin-1", "replace") + body


async def _connect(peer: Peer, context: ssl.SSLContext) -> _Connection:
    first: ExchangeError | None = None
    for host, port in peer.addresses:
        for family, address in await _resolve(host, port):
            try:
                # The loop makes the socket as well, see `client/http.py`.
                reader, writer = await asyncio.open_connection(*address, family=family)
            except OSError as error:
                where = _shown(address)
                why = f"dial tcp {where}: connect: {_errno_text(error)}"
                first = first or ExchangeError(why)
                continue
            await _secure(writer, peer, context)
            return _Connection(reader, writer)
    raise first or ExchangeError("no such host")


async def _resolve(host: str, port: int) -> Sequence[tuple[int, Address]]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ExchangeError(f"dial tcp: lookup {host}: no such host") from error
    return [(int(family), (str(address[0]), int(address[1]))) for family, _, _, _, address in found]


async def _secure(writer: asyncio.StreamWriter, peer: Peer, context: ssl.SSLContext) -> None:
    try:
        await writer.start_tls(context, server_hostname=peer.server_name)
    except BaseException as error:
        writer.transport.abort()
        if isinstance(error, ssl.SSLError):
            raise ExchangeError(_tls_fault(error, peer.server_name)) from error
        if isinstance(error, OSError):
            raise _broken(error, nothing_came=False) from error
        raise


def _broken(error: OSError, *, nothing_came: bool) -> ExchangeError:
    kind = _NothingCameError if nothing_came else ExchangeError
    is_end = isinstance(error, BrokenPipeError | ConnectionAbortedError) or error.errno is None
    return kind("EOF" if is_end else f"read tcp: {_errno_text(error)}")


def _errno_text(error: OSError) -> str:
    code = error.errno or 0
    return _ERRNO_TEXTS.get(code) or os.strerror(code).lower()


def _shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _tls_fault(error: ssl.SSLError, server_name: str) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
            return "http: server gave HTTP response to HTTPS client"
        return (
            f"remote error: tls: {(error.reason or 'handshake failure').lower().replace('_', ' ')}"
        )
    code = error.verify_code
    if code in _UNKNOWN_ISSUER:
        why = "certificate signed by unknown authority"
    elif code in _EXPIRED:
        why = "certificate has expired or is not yet valid"
    elif code in _WRONG_NAME:
        why = f"certificate is not valid for {server_name}"
    else:
        why = error.verify_message
    return f"tls: failed to verify certificate: x509: {why}"
