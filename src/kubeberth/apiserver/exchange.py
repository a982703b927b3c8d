"""One HTTP exchange over ASGI: the request as it comes in, the answer as it goes out."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from kubeberth.apiserver.media import JSON, SERVED, YAML, parse_accept, to_yaml
from kubeberth.apiserver.responses import Headers, Response, StreamResponse
from kubeberth.errors import BadRequestError, RequestEntityTooLargeError

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SendWhole = Callable[[int, list[tuple[bytes, bytes]], bytes], bool]

# As kube-apiserver, which compresses no watches either: fast, and only where it pays.
COMPRESS_ABOVE_BYTES = 128 * 1024
COMPRESS_LEVEL = 1
MAX_BODY_BYTES = 3 * 1024 * 1024
USUAL_HEADERS = [(b"cache-control", b"no-cache, private")]


class Request:
    """Path and headers of an HTTP request.

    Attributes
    ----------
    send_whole
        Sends a complete answer at once, where the connection can; see `auth.tls`.
    """

    __slots__ = ("header_list", "headers", "method", "path", "query", "send_whole")

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.send_whole: SendWhole | None = scope.get("state", {}).get("send_whole")
        self.path: str = scope["path"]
        self.query: str = scope["query_string"].decode("latin-1")
        self.header_list = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        self.headers: Mapping[str, str] = dict(self.header_list)


def in_asked_form(response: Response, request: Request) -> Response:
    """Return a JSON answer as YAML, or indented, if the client wants it so."""
    if response.content_type != JSON or not response.body:
        return response
    indent = wants_indentation(request)
    clauses = parse_accept(request.headers.get("accept", ""))
    first = next((c.media_type for c in clauses if c.media_type in SERVED), JSON)
    if SERVED[first] == YAML:
        response.body, response.content_type = to_yaml(response.body), YAML
    elif indent:
        response.body = msgspec.json.format(response.body, indent=2) + b"\n"
    return response


async def compressed(response: Response, request: Request) -> Response:
    """Return a large answer as gzip, if the client takes that."""
    if len(response.body) <= COMPRESS_ABOVE_BYTES or request.method == "HEAD":
        return response
    accepted = request.headers.get("accept-encoding", "").split(",")
    if "gzip" not in (token.strip() for token in accepted):
        return response
    # In a thread: this is the one thing that takes long, and the interpreter is free meanwhile.
    response.body = await asyncio.to_thread(gzip.compress, response.body, COMPRESS_LEVEL, mtime=0)
    response.headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    return response


def wants_indentation(request: Request) -> bool:
    """Return whether a person reads the answer."""
    if "pretty=" in request.query:
        return parse_qs(request.query).get("pretty", [""])[0].lower() not in ("false", "0", "")
    return request.headers.get("user-agent", "").startswith(("curl", "Wget", "Mozilla/5.0"))


async def read_body(receive: Receive) -> bytes:
    """Return the whole body.

    Raises
    ------
    RequestEntityTooLargeError
        It is over the limit.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequestError("the client went away before its body was complete")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise RequestEntityTooLargeError(f"Request entity too large: limit is {MAX_BODY_BYTES}")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _encoded(content_type: str, headers: Headers) -> list[tuple[bytes, bytes]]:
    own = {name.lower() for name, _ in headers}
    usual = [] if "cache-control" in own else USUAL_HEADERS
    return [
        *usual,
        (b"content-type", content_type.encode()),
        *((name.lower().encode(), value.encode()) for name, value in headers),
    ]


async def send_response(response: Response, request: Request, send: Send) -> None:
    """Send a complete answer."""
    body = response.body
    content_type = response.content_type
    head = _encoded(content_type, response.headers)
    if response.status == 304:
        # A cache takes these headers over into what it has: say nothing about a body.
        head = [(name, value) for name, value in head if name != b"content-type"]
    else:
        head.append((b"content-length", str(len(body)).encode()))
    shown = b"" if request.method == "HEAD" else body
    if request.send_whole is not None and request.send_whole(response.status, head, shown):
        return
    await send({"type": "http.response.start", "status": response.status, "headers": head})
    await send({"type": "http.response.body", "body": shown})


async def send_stream(response: StreamResponse, receive: Receive, send: Send) -> None:
    """Send an answer that grows, until it ends or the client goes away."""
    head = _encoded(response.content_type, response.headers)
    await send({"type": "http.response.start", "status": 200, "headers": head})
    # An empty chunk makes the head go out at once: clients wait for it before the first event.
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    sending = asyncio.ensure_future(_send_chunks(response, send))
    leaving = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        sending.cancel()
        outcome, _ = await asyncio.gather(sending, leaving, return_exceptions=True)
        if isinstance(outcome, Exception):
            logger.error("a stream broke off", exc_info=outcome)


async def _send_chunks(response: StreamResponse, send: Send) -> None:
    async with contextlib.aclosing(response.chunks) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
