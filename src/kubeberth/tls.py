"""TLS between a plain transport of asyncio and a protocol that need not know of it.

    Rule 1  Whatever comes is decrypted as a whole before the protocol hears of it, and whatever
            OpenSSL wants to send leaves at once: between two calls both pipes are empty.
    Rule 2  So all connections of a thread share one pair of pipes. A connection that waits costs
            no buffer, and there may be ten thousand of those.
    Rule 3  The protocol hears of a connection once its handshake is over, not before.

See docs/decisions/0018-connections-that-wait-cost-little.md.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

# A TLS record holds no more.
RECORD_BYTES = 16 * 1024
# A large answer is encrypted piece by piece, or the pipe would keep its size for ever.
PIECE_BYTES = 64 * 1024

Begin = Callable[[ssl.MemoryBIO, ssl.MemoryBIO], ssl.SSLObject]
"""Begins a handshake, given what comes from the other end and what goes there."""

Dial = Callable[[Callable[[], asyncio.Protocol]], Awaitable[asyncio.Transport]]
"""Connects a protocol, given what makes it, and returns its transport."""


class _Pipes(threading.local):
    """What comes from the other end, and what goes there."""

    def __init__(self) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()


_pipes = _Pipes()

# A client's connections have this one once they have shown their certificate: OpenSSL then lets go
# of what it had made of that and its key, some 10 KiB for each connection.
_after_handshake = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


# What asyncio's transports keep for `get_extra_info`, which is answered from below.
_NO_EXTRA: dict[str, Any] = {}


class SecureTransport(asyncio.Transport, asyncio.Protocol):
    """What a protocol writes to, and the protocol of the plain transport below.

    Parameters
    ----------
    above
        The protocol.
    handshake_s
        How long the handshake may take.
    established
        Is given the end of the handshake, good or bad; for who waits for it.
    """

    __slots__ = (
        "_above",
        "_alarm",
        "_begin",
        "_below",
        "_error",
        "_established",
        "_handshake_s",
        "_object",
    )

    def __init__(
        self,
        begin: Begin,
        above: asyncio.Protocol,
        handshake_s: float,
        established: asyncio.Future[None] | None = None,
    ) -> None:
        super().__init__(_NO_EXTRA)
        self._begin = begin
        self._above = above
        self._handshake_s = handshake_s
        self._established = established
        self._below: asyncio.Transport | None = None
        self._object: ssl.SSLObject | None = None
        self._error: Exception | None = None
        # Set while the handshake is under way.
        self._alarm: asyncio.TimerHandle | None = None

    # What the transport below tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._below = cast(asyncio.Transport, transport)
        loop = asyncio.get_running_loop()
        self._alarm = loop.call_later(self._handshake_s, self._too_late)
        try:
            self._object = self._begin(_pipes.incoming, _pipes.outgoing)
        except ssl.SSLError as error:
            self._fail(error)
        else:
            self._shake_hands()

    def data_received(self, data: bytes) -> None:
        """Go on with the handshake, or hand on what was sent."""
        if self._error is not None:
            return
        _pipes.incoming.write(data)
        if self._alarm is not None:
            self._shake_hands()
        if self._alarm is None and self._error is None:
            self._read()

    def eof_received(self) -> None:
        """Let the transport below close: half a TLS connection is none."""
        if self._alarm is None:
            self._above.eof_received()

    def pause_writing(self) -> None:
        """Hand it on."""
        self._above.pause_writing()

    def resume_writing(self) -> None:
        """Hand it on."""
        self._above.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol, or who waits for the handshake."""
        if self._alarm is None:
            self._above.connection_lost(exc or self._error)
        else:
            self._end_handshake(exc or self._error or ConnectionResetError("hung up on in TLS"))
        self._object = self._below = None

    # What the protocol asks for.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if self._object is None or self._below is None or self._below.is_closing():
            return
        if len(data) <= PIECE_BYTES:
            self._object.write(data)
            self._below.write(_pipes.outgoing.read())
            return
        view = memoryview(data)
        for start in range(0, len(view), PIECE_BYTES):
            self._object.write(view[start : start + PIECE_BYTES])
            self._below.write(_pipes.outgoing.read())

    def close(self) -> None:
        """Say goodbye, and hang up once everything is sent."""
        if self._object is not None and self._alarm is None and self._error is None:
            # Nobody waits for the other end's goodbye.
            with suppress(ssl.SSLError):
                self._object.unwrap()
            self._flush()
        if self._below is not None:
            self._below.close()

    def abort(self) -> None:
        """Hang up at once."""
        if self._below is not None:
            self._below.abort()

    def is_closing(self) -> bool:
        """Return whether nothing more can be sent."""
        return self._below is None or self._below.is_closing()

    def pause_reading(self) -> None:
        """Stop handing on."""
        if self._below is not None:
            self._below.pause_reading()

    def resume_reading(self) -> None:
        """Go on handing on."""
        if self._below is not None:
            self._below.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what asyncio's own transports do of `ssl_object`, and of the socket."""
        if name == "ssl_object":
            return self._object
        return default if self._below is None else self._below.get_extra_info(name, default)

    # In between.

    def _shake_hands(self) -> None:
        assert self._object is not None
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            self._fail(error)
        else:
            self._flush()
            if not self._object.server_side:
                self._object.context = _after_handshake
            self._end_handshake(None)
            self._above.connection_made(self)

    def _read(self) -> None:
        assert self._object is not None
        parts, is_over, error = [], False, None
        try:
            while part := self._object.read(RECORD_BYTES):
                parts.append(part)
                # Asked for what has not come, OpenSSL raises, which takes as long as a record.
                if not _pipes.incoming.pending and not self._object.pending():
                    break
            else:
                is_over = True
        except ssl.SSLWantReadError:
            pass  # the beginning of a record, or nothing for the protocol
        except ssl.SSLError as trouble:
            is_over, error = True, trouble
        self._flush()
        if is_over:
            _pipes.incoming.read()
        if parts:
            self._above.data_received(parts[0] if len(parts) == 1 else b"".join(parts))
        if error is not None:
            self._fail(error)
        elif is_over:
            self._above.eof_received()
            self.close()

    def _flush(self) -> None:
        if self._below is not None and (waiting := _pipes.outgoing.read()):
            self._below.write(waiting)

    def _fail(self, error: Exception) -> None:
        """Hang up, after what OpenSSL has to say about it."""
        self._error = error
        self._flush()
        _pipes.incoming.read()
        if self._alarm is not None:
            self._alarm.cancel()
        if self._below is not None:
            self._below.close()

    def _too_late(self) -> None:
        self._fail(TimeoutError("the TLS handshake took too long"))
        self.abort()

    def _end_handshake(self, error: Exception | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        waiting, self._established = self._established, None
        if waiting is None or waiting.done():
            return
        if error is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(error)


async def connect(dial: Dial, begin: Begin, above: asyncio.Protocol, handshake_s: float) -> None:
    """Dial, and speak TLS on the connection, which is then the protocol's.

    Raises
    ------
    OSError
        Nobody answered, or the handshake failed.
    """
    established: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    transport = await dial(lambda: SecureTransport(begin, above, handshake_s, established))
    try:
        await established
    except BaseException:
        transport.abort()
        raise
