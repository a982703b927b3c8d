"""The load generator: a process of its own, so that it does not take the server's time.

    python -m kubeberth.bench.load KUBECONFIG

Jobs come as JSON lines on standard input, each is answered by a line on standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter
from typing import Any, cast
from urllib.parse import urlsplit

import httptools
import msgspec
import uvloop

from kubeberth.bench.writes import CHANGES, MAKERS, Place, Request
from kubeberth.client.credentials import Credentials
from kubeberth.client.kubeconfig import load_kubeconfig

# How long an answer, or a watcher that is to hear of a write, may take before the measurement is
# given up: to delete ten thousand pods takes a while.
PATIENCE_S = 300.0
# What a watch asks for that is to tell only what happens from now on.
FROM_NOW = "watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"

Result = dict[str, Any]


class LoadError(Exception):
    """The server answered otherwise than a measurement needs."""


class _Status(msgspec.Struct):
    message: str


class Answer:
    """One answer, and when it came; `first_at` and `last_at` are its first and last byte's."""

    __slots__ = ("body", "first_at", "last_at", "status")

    def __init__(self) -> None:
        self.status = 0
        self.body: list[bytes] = []
        self.first_at = self.last_at = 0.0

    def refusal(self) -> LoadError:
        """Return what the server said, as an error."""
        body = b"".join(self.body)
        try:
            return LoadError(msgspec.json.decode(body, type=_Status).message)
        except msgspec.MsgspecError:
            return LoadError(f"{self.status} {body[:200].decode(errors='replace')}")


def _uid_in(body: bytes) -> str:
    """Return the uid of the object in an answer; empty when it is none."""
    if not body.startswith(b"{"):
        return ""
    uid: str = msgspec.json.decode(body).get("metadata", {}).get("uid", "")
    return uid


class Connection(asyncio.Protocol):
    """A connection that is kept alive: one request at a time."""

    def __init__(self, head: bytes, on_part: Callable[[bytes], None] | None = None) -> None:
        self._head = head
        self._on_part = on_part  # of a watch: called with each part that comes
        self._parser = httptools.HttpResponseParser(self)
        self._answer = Answer()
        self.is_lost = False
        self._waiting: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what was asked."""
        self.is_lost = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(LoadError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        """Take in a part of an answer."""
        if not self._answer.first_at:
            self._answer.first_at = perf_counter()
        self._parser.feed_data(data)

    def on_headers_complete(self) -> None:
        """Take in the status; a watch has its answer now."""
        self._answer.status = self._parser.get_status_code()
        if self._on_part is not None:
            self.on_message_complete()

    def on_body(self, body: bytes) -> None:
        """Take in a part of the body."""
        if self._on_part is not None:
            self._on_part(body)
        else:
            self._answer.body.append(body)

    def on_message_complete(self) -> None:
        """Hand out the answer."""
        self._answer.last_at = perf_counter()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(self._answer)

    async def ask(
        self, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
    ) -> Answer:
        """Send a request and return its answer."""
        assert self._transport is not None
        self._answer = Answer()
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(
            b"%s %s HTTP/1.1\r\n%scontent-type: %s\r\ncontent-length: %d\r\n\r\n%s"
            % (method.encode(), path.encode(), self._head, content_type.encode(), len(body), body)
        )
        return await asyncio.wait_for(self._waiting, PATIENCE_S)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()


class Load:
    """Does the jobs against one server."""

    def __init__(self, credentials: Credentials) -> None:
        url = urlsplit(credentials.server)
        self._host, self._port = url.hostname or "", url.port or 443
        self._tls = credentials.ssl_context()
        lines = [f"host: {self._host}:{self._port}", "accept: application/json"]
        lines += ["user-agent: berth-bench"]
        if credentials.token:
            lines.append(f"authorization: Bearer {credentials.token}")
        self._head = "".join(f"{line}\r\n" for line in lines).encode()
        self._idle: list[Connection] = []
        self._pool: list[Connection] = []

    async def do(self, job: dict[str, Any]) -> Result:
        """Do a job."""
        action: Callable[..., Any] = getattr(self, job.pop("do"))
        result: Result = await action(**job)
        return result

    async def ask(self, method: str, path: str, body: Any = None, ok: Iterable[int] = ()) -> Result:
        """Send one request; its status must be one of 2xx, or of those given."""
        (connection,) = await self._connections(1)
        raw = b"" if body is None else msgspec.json.encode(body)
        answer = await connection.ask(method, path, raw)
        if answer.status // 100 != 2 and answer.status not in ok:
            raise answer.refusal()
        return {"status": answer.status, "uid": _uid_in(b"".join(answer.body))}

    async def create(
        self, path: str, kind: str, name: str, n: int, connections: int, place: tuple[str, str]
    ) -> Result:
        """Create so many objects, a maker's of `writes.MAKERS`, numbered."""
        make = MAKERS[kind]
        todo = [Request("POST", path, make(f"{name}-{i}", Place(*place))) for i in range(n)]
        return await self._hammer(todo, connections)

    async def change(self, path: str, verb: str, n: int, connections: int) -> Result:
        """Change so many of the objects there are, each once, as `writes.CHANGES` has it."""
        (connection,) = await self._connections(1)
        listed = await connection.ask("GET", f"{path}?limit={n}")
        if listed.status != 200:
            raise listed.refusal()
        answer = msgspec.json.decode(b"".join(listed.body))
        head = {"apiVersion": answer["apiVersion"], "kind": answer["kind"].removesuffix("List")}
        change = CHANGES[verb]
        todo = [
            change(f"{path}/{item['metadata']['name']}", head | item) for item in answer["items"]
        ]
        return await self._hammer(todo, connections)

    async def _hammer(self, todo: list[Request], connections: int) -> Result:
        queue = deque(todo)
        seconds: list[float] = []

        async def work(connection: Connection) -> None:
            while queue:
                request = queue.popleft()
                asked_at = perf_counter()
                answer = await connection.ask(*request)
                if answer.status not in (200, 201):
                    raise answer.refusal()
                seconds.append(answer.last_at - asked_at)

        workers = await self._connections(connections)
        started = perf_counter()
        await asyncio.gather(*map(work, workers))
        return {"elapsed": perf_counter() - started, "seconds": sorted(seconds)}

    async def read_list(self, path: str) -> Result:
        """List, and tell when the first and the last byte came."""
        (connection,) = await self._connections(1)
        asked_at = perf_counter()
        answer = await connection.ask("GET", path)
        if answer.status != 200:
            raise answer.refusal()
        return {
            "bytes": sum(map(len, answer.body)),
            "first": answer.first_at - asked_at,
            "last": answer.last_at - asked_at,
        }

    async def fan_out(self, path: str, watchers: int, writes: int) -> Result:
        """Open watches, write so many times, and tell when the last of them had heard of it."""
        crowd = _Crowd(watchers)
        query = f"{FROM_NOW}&allowWatchBookmarks=true"
        watches = [await self._watch(f"{path}?{query}", crowd.heard) for _ in range(watchers)]
        (connection,) = await self._connections(1)
        seconds = []
        try:
            for number in range(writes):
                name = f"fan-out-{watchers}-{number}-{int(perf_counter() * 1000)}"
                body = msgspec.json.encode({"metadata": {"name": name}, "data": {"key": "value"}})
                crowd.expect()
                asked_at = perf_counter()
                answer = await connection.ask("POST", path, body)
                if answer.status != 201:
                    raise answer.refusal()
                await asyncio.wait_for(crowd.all_heard.wait(), PATIENCE_S)
                seconds.append(crowd.last_at - asked_at)
        finally:
            for watch in watches:
                watch.close()
        return {"seconds": seconds}

    async def hold(self, path: str, watches: int) -> Result:
        """Open watches and keep them open until `release`."""
        for _ in range(watches):
            watch = await self._watch(f"{path}?{FROM_NOW}&timeoutSeconds=3000", lambda part: None)
            self._idle.append(watch)
        return {}

    async def release(self) -> Result:
        """Close the watches that are held."""
        while self._idle:
            self._idle.pop().close()
        return {}

    async def _connections(self, n: int) -> list[Connection]:
        # Servers hang up on connections that were idle for a minute or two.
        self._pool = [connection for connection in self._pool if not connection.is_lost]
        while len(self._pool) < n:
            self._pool.append(await self._connect())
        return self._pool[:n]

    async def _watch(self, path: str, on_part: Callable[[bytes], None]) -> Connection:
        """Open a watch; what comes is handed on part by part."""
        watch = await self._connect(on_part)
        answer = await watch.ask("GET", path)
        if answer.status != 200:
            raise LoadError(f"a watch was answered with {answer.status}")
        return watch

    async def _connect(self, on_part: Callable[[bytes], None] | None = None) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(self._head, on_part), self._host, self._port, ssl=self._tls
        )
        return connection


class _Crowd:
    """Counts what watchers hear."""

    def __init__(self, n_watchers: int) -> None:
        self._n_watchers = n_watchers
        self._n_missing = 0
        self.all_heard = asyncio.Event()
        self.last_at = 0.0

    def expect(self) -> None:
        """Begin to count: every watcher is to hear of one write."""
        self._n_missing = self._n_watchers
        self.all_heard.clear()

    def heard(self, part: bytes) -> None:
        """Count what one of them heard."""
        self._n_missing -= part.count(b"\n")
        if self._n_missing <= 0:
            self.last_at = perf_counter()
            self.all_heard.set()


def main(make: Callable[[Credentials], Load] = Load) -> None:
    """Do jobs until there are no more, or Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve(make(load_kubeconfig(Path(sys.argv[1])))))


def say(line: Result) -> None:
    """Tell whoever has given the job."""
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


async def _serve(load: Load) -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        try:
            result = await load.do(msgspec.json.decode(line))
        except (LoadError, OSError, TimeoutError) as error:
            result = {"error": str(error) or type(error).__name__}
        say(result)


if __name__ == "__main__":
    main()
