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
    return [*_usual(status, content_type, has_caching=_tells_caching(headers)), *headers]


def head(status: int, content_type: str, headers: Headers, *rest: bytes) -> bytes:
    """Return a head, up to the empty line before the body.

    Parameters
    ----------
    rest
        More header lines, each with its end.
    """
    start = _start(status, content_type, has_caching=_tells_caching(headers))
    return b"".join((start, _lines(headers).encode(), *rest, b"\r\n"))


@lru_cache(maxsize=256)
def _start(status: int, content_type: str, *, has_caching: bool) -> bytes:
    usual = _lines(_usual(status, content_type, has_caching=has_caching))
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{usual}".encode()


def _usual(status: int, content_type: str, *, has_caching: bool) -> Headers:
    found = [] if has_caching else [USUAL]
    # A cache takes the headers of a 304 over into what it has: say nothing about a body.
    if status != HTTPStatus.NOT_MODIFIED:
        found.append(("Content-Type", content_type))
    return found


def _tells_caching(headers: Headers) -> bool:
    for name, _ in headers:  # noqa: SIM110 - for every answer: a generator takes longer
        if name == USUAL[0]:
            return True
    return False


def _lines(headers: Headers) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers])


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
