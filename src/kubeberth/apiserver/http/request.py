"""One HTTP request: its head, and a body that may still be on its way."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote_to_bytes, urlsplit

from kubeberth.apiserver.auth.authn import Shown
from kubeberth.errors import ApiError, RequestEntityTooLargeError

# As kube-apiserver's `--max-resource-write-bytes`.
MAX_BODY_BYTES = 3 * 1024 * 1024
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")

NOTHING = Shown()


class TargetError(ValueError):
    """What stands where path and query should be is neither."""


class Request:
    """What a client asks.

    Parameters
    ----------
    target
        Path and query, as they were sent.
    headers
        Names in lower case, and values.
    shown
        What came with the request to tell who asks, besides the Authorization header.
    body
        The whole body; None when it is still to come, by `feed` and `complete`.

    Attributes
    ----------
    size
        How many bytes of the body have come.

    Raises
    ------
    TargetError
        The target is malformed.
    """

    __slots__ = (
        "_arrival",
        "_chunks",
        "_fault",
        "_on_wanted",
        "_shown",
        "header_list",
        "headers",
        "is_complete",
        "method",
        "path",
        "query",
        "size",
        "target",
    )

    def __init__(
        self,
        method: str,
        target: bytes,
        headers: Sequence[tuple[bytes, bytes]] = (),
        shown: Shown = NOTHING,
        body: bytes | None = b"",
    ) -> None:
        self.method = method
        self.target = target
        self.path, self.query = _split(target)
        self.header_list = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in headers]
        # Of several of a name, the first one counts, as with Go.
        self.headers: Mapping[str, str] = dict(reversed(self.header_list))
        self._shown = shown
        self._chunks: list[bytes] = []
        self.size = 0
        self._fault: ApiError | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._on_wanted: Callable[[], None] | None = None
        self.is_complete = False
        if body is not None:
            self.feed(body)
            self.complete()

    def all_named(self, prefix: str) -> list[tuple[str, str]]:
        """Return the headers whose names begin like this, in their order."""
        if prefix not in " ".join(self.headers):
            return []
        return [(name, value) for name, value in self.header_list if name.startswith(prefix)]

    @property
    def shown(self) -> Shown:
        """What came with the request to tell who asks."""
        authorization = self.headers.get("authorization", "")
        if not authorization:
            return self._shown
        return Shown(self._shown.user, self._shown.certificates, authorization)

    @property
    def address(self) -> str:
        """Where the request comes from."""
        return self._shown.address

    @property
    def received(self) -> bytes:
        """What has come of the body."""
        return b"".join(self._chunks)

    def when_wanted(self, call: Callable[[], None]) -> None:
        """Call a function when somebody waits for a body that is not there yet."""
        self._on_wanted = call

    def feed(self, chunk: bytes) -> None:
        """Take in a part of the body; beyond the limit, only its size."""
        self.size += len(chunk)
        if self.size > MAX_BODY_BYTES:
            self._chunks.clear()
            self.fail(
                RequestEntityTooLargeError(f"Request entity too large: limit is {MAX_BODY_BYTES}")
            )
        else:
            self._chunks.append(chunk)

    def complete(self) -> None:
        """Note that the body is whole."""
        self.is_complete = True
        self._wake()

    def fail(self, fault: ApiError) -> None:
        """Note why the body is not to be had any more; the first reason counts."""
        self._fault = self._fault or fault
        self._wake()

    async def body(self) -> bytes:
        """Return the whole body.

        Raises
        ------
        ApiError
            It is too large, malformed, too late, or broke off; or who asks has gone.
        """
        if not self.is_complete and self._fault is None:
            if self._on_wanted is not None:
                self._on_wanted()
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        if self._fault is not None:
            raise self._fault
        return b"".join(self._chunks)

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)


def _split(target: bytes) -> tuple[str, str]:
    """Return path and query of a target; the path without escapes, as Go reads it."""
    raw, _, query = target.partition(b"?")
    if not raw.startswith(b"/"):
        raw = _path_of_url(raw)
    if b"%" in raw:
        if _BAD_ESCAPE.search(raw):
            raise TargetError(raw)
        raw = unquote_to_bytes(raw)
    return raw.decode("utf-8", "replace"), query.decode("latin-1")


def _path_of_url(url: bytes) -> bytes:
    """Return the path of an absolute URL, which proxies are asked by."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise TargetError(url) from error
    if parts.scheme not in (b"http", b"https") or not parts.netloc:
        raise TargetError(url)
    return parts.path or b"/"
