"""Answers: what a verb returns and the application sends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kubeberth.apiserver.media import JSON
from kubeberth.errors import ApiError

encode = msgspec.json.encode
Headers = list[tuple[str, str]]

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


@dataclass(slots=True)
class StreamResponse:
    """An answer that grows; each chunk is sent at once."""

    chunks: AsyncIterator[bytes]
    content_type: str = JSON
    headers: Headers = field(default_factory=list)


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
