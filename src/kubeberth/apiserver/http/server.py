"""All connections of one listening socket: made, watched over, and ended in an orderly way."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from functools import partial
from typing import Any

from kubeberth.apiserver.http.connection import Connection, Patience
from kubeberth.apiserver.http.request import Request
from kubeberth.apiserver.responses import Response, StreamResponse
from kubeberth.clock import Clock
from kubeberth.tls import SecureTransport

Answering = Callable[[Request], Coroutine[Any, Any, Response | StreamResponse]]

# How often the date is renewed, and connections are asked whether their time is up.
TICK_S = 1.0
BACKLOG = 2048


class HttpServer:
    """Answers the requests of its connections by one function.

    Parameters
    ----------
    answer
        What it raises is logged, and told to nobody.
    """

    def __init__(self, answer: Answering, clock: Clock, patience: Patience | None = None) -> None:
        self.answer = answer
        self.patience = patience or Patience()
        self.connections: set[Connection] = set()
        self.is_closing = False
        self.date = b""
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, listener: socket.socket, context: ssl.SSLContext | None = None) -> None:
        """Serve whoever connects, over TLS if there is a context."""
        loop = asyncio.get_running_loop()
        self._tick(loop)
        accept = self._accept if context is None else partial(self._accept_secure, context)
        self._server = await loop.create_server(accept, sock=listener, backlog=BACKLOG)

    def _accept(self) -> asyncio.Protocol:
        return Connection(self)

    def _accept_secure(self, context: ssl.SSLContext) -> asyncio.Protocol:
        begin = partial(context.wrap_bio, server_side=True)
        return SecureTransport(begin, Connection(self), self.patience.head)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self.date = f"Date: {formatdate(self._clock.now(), usegmt=True)}\r\n".encode()
        now = loop.time()
        for connection in [c for c in self.connections if c.deadline < now]:
            connection.overdue()
        self._timer = loop.call_later(TICK_S, self._tick, loop)

    async def stop(self, grace_s: float) -> None:
        """Finish what is under way, for so many seconds at most, and hang up."""
        self.is_closing = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.finish()
        loop = asyncio.get_running_loop()
        end = loop.time() + grace_s
        while self.connections and loop.time() < end:
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.abort()
        if self._timer is not None:
            self._timer.cancel()
