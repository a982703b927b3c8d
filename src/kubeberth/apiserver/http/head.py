"""Heads of answers, as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus

Headers = Sequence[tuple[str, str]]

CHUNKED = b"Transfer-Encoding: chunked\r\n"
CLOSE = b"Connection: close\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
USUAL = ("Cache-Control", "no-cache, private")


def fields(status: int, content_type: str, headers: Headers = ()) -> list[tuple[str, str]]:
    """Return the header fields of an answer, those that all have included."""
    found = [] if "Cache-Control" in (name for name, _ in headers) else [USUAL]
    # A cache takes the headers of a 304 over into what it has: say nothing about a body.
    if status != HTTPStatus.NOT_MODIFIED:
        found.append(("Content-Type", content_type))
    return [*found, *headers]


def head(status: int, content_type: str, headers: Headers, *rest: bytes) -> bytes:
    """Return a head, up to the empty line before the body.

    Parameters
    ----------
    rest
        More header lines, each with its end.
    """
    start = _start(status, content_type, headers) if headers else _usual(status, content_type)
    return b"".join((start, *rest, b"\r\n"))


def _start(status: int, content_type: str, headers: Headers) -> bytes:
    lines = [f"{name}: {value}\r\n" for name, value in fields(status, content_type, headers)]
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{''.join(lines)}".encode()


@lru_cache(maxsize=256)
def _usual(status: int, content_type: str) -> bytes:
    return _start(status, content_type, ())


def content_length(n_bytes: int) -> bytes:
    """Return the header line that tells how long the body is."""
    return b"Content-Length: %d\r\n" % n_bytes


def chunk_of(data: bytes) -> bytes:
    """Return a part of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def refusal(status: int, why: str = "") -> bytes:
    """Return what a client hears whose request could not be read, in the words of Go's server."""
    phrase = f"{status} {HTTPStatus(status).phrase}" + (f": {why}" if why else "")
    return (
        f"HTTP/1.1 {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Connection: close\r\n\r\n{phrase}"
    ).encode()
