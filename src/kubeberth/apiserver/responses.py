"""Answers: what a verb returns and the application sends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol

import msgspec

from kubeberth.apiserver.media import JSON
from kubeberth.errors import ApiError

encode = msgspec.json.encode
Headers = list[tuple[str, str]]
# Large enough to make the cost of each write small; above 128 KiB, every buffer on the way would be
# a mapping of its own to the C library, and cost several times as much.
CHUNK_BYTES = 64 * 1024

# In characters, as upstream: of all warnings together, and of each when they are more.
MAX_WARNINGS = 4096
MAX_CUT_WARNING = 256


@dataclass(slots=True)
class Response:
    """A complete answer."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Headers = field(default_factory=list)


class Source(Protocol):
    """Where the chunks of an answer that grows come from."""

    def begin(self, wake: Callable[[], None]) -> None:
        """Call `wake` from now on whenever there is something to take after there was nothing."""

    def take(self) -> bytes | None:
        """Return the next chunk; empty when there is none yet, None when there will be none."""

    def close(self) -> None:
        """End: everything is taken, or nobody takes it any more."""


class Pieces:
    """A source that has everything already, in pieces to be joined to chunks."""

    def __init__(self, pieces: Iterator[bytes | memoryview]) -> None:
        self._pieces = pieces

    def begin(self, wake: Callable[[], None]) -> None:
        """There is no need to wake anybody."""

    def take(self) -> bytes | None:
        """Return the next pieces, enough for a chunk."""
        taken: list[bytes | memoryview] = []
        size = 0
        for piece in self._pieces:
            taken.append(piece)
            size += len(piece)
            if size >= CHUNK_BYTES:
                break
        return b"".join(taken) if taken else None

    def close(self) -> None:
        """There is nothing to let go of."""


class ToldSource:
    """A source of which somebody is told when it ends."""

    __slots__ = ("_on_end", "_source", "begin", "take")

    def __init__(self, source: Source, on_end: Callable[[], None]) -> None:
        self._source = source
        self._on_end: Callable[[], None] | None = on_end
        self.begin, self.take = source.begin, source.take  # no detour for every chunk

    def close(self) -> None:
        """End, and tell so once."""
        self._source.close()
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()


@dataclass(slots=True)
class StreamResponse:
    """An answer that grows; what there is to take is sent at once.

    Parameters
    ----------
    is_document
        Whether all of it together is one document, too large to be made before it is sent.
    """

    source: Source
    content_type: str = JSON
    headers: Headers = field(default_factory=list)
    is_document: bool = False

    def whole(self) -> Response:
        """Return a document as an answer that is complete."""
        body = b"".join(iter(self.source.take, None))
        return Response(body, content_type=self.content_type, headers=self.headers)


def document_response(pieces: Iterator[bytes | memoryview]) -> Response | StreamResponse:
    """Return the answer that sends a document: all at once, if that is one chunk."""
    source = Pieces(pieces)
    first, second = source.take() or b"", source.take()
    if second is None:
        return Response(first)
    return StreamResponse(Pieces(chain((first, second), pieces)), is_document=True)


def error_response(error: ApiError) -> Response:
    """Return the answer to a request that failed."""
    response = Response(encode(error.status), error.code)
    seconds = error.details.get("retryAfterSeconds", 0)
    if seconds:
        response.headers.append(("Retry-After", str(seconds)))
    return response


def success(code: int, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a Status that says yes; 200 is not spelled out, as upstream."""
    document: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
    }
    if details:
        document["details"] = details
    if code != 200:
        document["code"] = code
    return document


def warning_headers(warnings: Sequence[str]) -> Headers:
    """Return one Warning header for each distinct text; of too much text, the beginnings."""
    texts = [text for text in dict.fromkeys(warnings) if text]
    if sum(map(len, texts)) > MAX_WARNINGS:
        texts = [text[:MAX_CUT_WARNING] for text in texts][: MAX_WARNINGS // MAX_CUT_WARNING]
    return [("Warning", f'299 - "{_quoted(text)}"') for text in texts]


def _quoted(text: str) -> str:
    printable = "".join(c for c in text if c.isprintable())
    return printable.replace("\\", "\\\\").replace('"', '\\"')
