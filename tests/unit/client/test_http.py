"""How the client speaks HTTP, against servers that say exactly what a test wants them to."""

from __future__ import annotations

import asyncio
import gc
import gzip
import os
import re
import socket
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from functools import partial

import pytest
import uvloop

from kubeberth.client import http
from kubeberth.client.credentials import Credentials, Proof
from kubeberth.client.handshakes import handshakes_of
from kubeberth.client.http import LostConnectionError, Pool

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Remembers what it was asked, on which connection."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.connections: list[int] = []
        self.n_connections = 0
        self.n_open = self.most_open = 0

    async def read(self, reader: asyncio.StreamReader, connection: int) -> None:
        """Take in one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        if found := re.search(rb"Content-Length: (\d+)", head):
            await reader.readexactly(int(found[1]))
        self.heads.append(head)
        self.connections.append(connection)


@asynccontextmanager
async def pool_of(
    *answers: bytes, path: str = "", max_connections: int = 4
) -> AsyncIterator[tuple[Pool, Server]]:
    """Give a pool for a server that gives these answers in turn; empty ones hang up."""
    left = list(answers)
    seen = Server()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.n_connections += 1
        number = seen.n_connections
        try:
            while left:
                await seen.read(reader, number)
                seen.n_open += 1
                seen.most_open = max(seen.most_open, seen.n_open)
                await asyncio.sleep(0)
                answer = left.pop(0)
                writer.write(answer)
                seen.n_open -= 1
                if b"\r\n\r\n" not in answer or b"close" in answer:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pool = Pool(f"http://127.0.0.1:{port}{path}", {"X-Always": "yes"}, None, max_connections)
    try:
        yield pool, seen
    finally:
        await pool.close()
        server.close()
        await server.wait_closed()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


def test_a_connection_serves_one_request_after_the_other():
    async def scenario():
        async with pool_of(OK, OK, OK) as (pool, server):
            for _ in range(3):
                answer = await pool.request("POST", "/a?b=c", {"Content-Type": "x"}, b"body")
                assert (answer.status, answer.body) == (200, b"ok")
        assert server.connections == [1, 1, 1]
        first = server.heads[0].decode().split("\r\n")
        assert first[0] == "POST /a?b=c HTTP/1.1"
        assert {"X-Always: yes", "Content-Type: x", "Content-Length: 4"} <= set(first)

    run(scenario)


def test_the_path_of_the_server_comes_first():
    async def scenario():
        async with pool_of(OK, path="/clusters/one/") as (pool, server):
            await pool.request("GET", "/api", {}, None)
        assert server.heads[0].startswith(b"GET /clusters/one/api HTTP/1.1\r\n")

    run(scenario)


def test_a_server_that_wants_to_hang_up_gets_no_other_request_there():
    async def scenario():
        last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        async with pool_of(last, OK) as (pool, server):
            await pool.request("POST", "/", {}, b"")
            await pool.request("POST", "/", {}, b"")
        assert server.connections == [1, 2]

    run(scenario)


def test_an_answer_that_nobody_asked_for_is_nobodys_and_ends_the_connection():
    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await asyncio.sleep(0.01)
        writer.write(OK.replace(b"ok", b"no"))
        with suppress(ConnectionError):
            await reader.read()
        hung_up.set()
        writer.close()

    async def scenario():
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        pool = Pool(f"http://127.0.0.1:{address[1]}", {}, None, 4)
        for _ in range(2):
            hung_up.clear()
            assert (await pool.request("POST", "/", {}, b"")).body == b"ok"
            await asyncio.wait_for(hung_up.wait(), 5)
        await pool.close()
        server.close()
        await server.wait_closed()

    hung_up = asyncio.Event()
    run(scenario)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_may_be_repeated_is_when_a_kept_connection_is_gone(method):
    async def scenario():
        async with pool_of(OK, b"", OK) as (pool, server):
            await pool.request("GET", "/", {}, None)
            answer = await pool.request(method, "/", {}, b"")
        assert answer.status == 200
        assert server.connections == [1, 1, 2]

    run(scenario)


def test_each_request_is_given_up_when_its_own_time_is_over(monkeypatch):
    monkeypatch.setattr(http, "REQUEST_S", 0.05)

    async def scenario():
        begun = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
        async with pool_of(OK, begun, begun, OK) as (pool, server):
            assert (await pool.request("POST", "/", {}, None)).status == 200
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    await pool.request("POST", "/", {}, None)
            assert (await pool.request("POST", "/", {}, None)).status == 200
        assert server.connections == [1, 1, 2, 3]

    run(scenario)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_may_have_been_done_is_not_repeated(method):
    async def scenario():
        async with pool_of(OK, b"", OK) as (pool, server):
            await pool.request("GET", "/", {}, None)
            with pytest.raises(LostConnectionError):
                await pool.request(method, "/", {}, b"")
        assert server.connections == [1, 1]

    run(scenario)


def test_half_an_answer_is_none():
    async def scenario():
        half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhalf"
        async with pool_of(half) as (pool, _):
            with pytest.raises(LostConnectionError):
                await pool.request("GET", "/", {}, None)

    run(scenario)


def test_an_answer_that_is_no_http_is_an_error():
    async def scenario():
        async with pool_of(b"SSH-2.0-OpenSSH_9\r\n") as (pool, _):
            with pytest.raises(ConnectionError, match="no HTTP"):
                await pool.request("GET", "/", {}, None)

    run(scenario)


def test_an_answer_without_a_length_ends_with_its_connection():
    async def scenario():
        async with pool_of(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it") as (pool, _):
            answer = await pool.request("GET", "/", {}, None)
        assert answer.body == b"all of it"

    run(scenario)


def test_a_packed_answer_is_unpacked():
    async def scenario():
        packed = gzip.compress(b"text" * 100)
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
        async with pool_of(head.encode() + packed) as (pool, _):
            answer = await pool.request("GET", "/", {}, None)
        assert answer.body == b"text" * 100

    run(scenario)


def test_an_announcement_is_not_the_answer():
    async def scenario():
        async with pool_of(b"HTTP/1.1 102 Processing\r\n\r\n" + OK) as (pool, _):
            answer = await pool.request("GET", "/", {}, None)
        assert (answer.status, answer.body) == (200, b"ok")

    run(scenario)


def test_no_more_requests_than_allowed_are_under_way():
    async def scenario():
        async with pool_of(*[OK] * 20, max_connections=2) as (pool, server):
            asked = (pool.request("GET", "/", {}, None) for _ in range(20))
            answers = await asyncio.gather(*asked)
        assert [answer.status for answer in answers] == [200] * 20
        assert server.most_open <= 2
        assert server.n_connections <= 2

    run(scenario)


def test_whoever_gives_up_waiting_leaves_the_turn_to_the_next():
    async def scenario():
        async with pool_of(*[OK] * 3, max_connections=1) as (pool, _):
            first, second, third = (
                asyncio.create_task(pool.request("GET", "/", {}, None)) for _ in range(3)
            )
            await asyncio.sleep(0)
            second.cancel()
            assert (await first).status == 200
            assert (await third).status == 200
            assert second.cancelled()

    run(scenario)


def test_a_request_that_is_given_up_does_not_leave_its_answer_to_the_next():
    async def scenario():
        other = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"
        async with pool_of(OK, other, OK) as (pool, server):
            await pool.request("GET", "/", {}, None)
            given_up = asyncio.create_task(pool.request("GET", "/late", {}, None))
            await asyncio.sleep(0)
            given_up.cancel()
            answer = await pool.request("GET", "/", {}, None)
        assert answer.body in (b"ok", b"other")
        assert server.connections[-1] == 2

    run(scenario)


def test_the_parts_of_a_stream_come_as_they_are_sent_and_an_early_end_is_an_error():
    async def scenario():
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        async with pool_of(head + b"3\r\none\r\n3\r\ntwo\r\n") as (pool, _):
            seen = []
            with pytest.raises(LostConnectionError):  # noqa: PT012
                async with pool.stream("/watch", {}) as (answer, parts):
                    assert answer.status == 200
                    async for part in parts:
                        seen += [part]
        assert b"".join(seen) == b"onetwo"

    run(scenario)


def test_a_stream_that_is_complete_ends():
    async def scenario():
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with (
            pool_of(head + b"3\r\none\r\n0\r\n\r\n") as (pool, _),
            pool.stream("/watch", {}) as (_, parts),
        ):
            assert [part async for part in parts] == [b"one"]

    run(scenario)


def test_an_answer_that_nobody_waits_for_any_more_is_not_taken_for_the_next_one(monkeypatch):
    async def scenario() -> None:
        late = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"
        async with pool_of(late, OK) as (pool, seen):
            asking = asyncio.create_task(pool.request("GET", "/late", {}, None))
            complete = http._Connection.on_message_complete

            def give_up(connection: http._Connection) -> None:
                complete(connection)
                asking.cancel()

            monkeypatch.setattr(http._Connection, "on_message_complete", give_up)
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert (await pool.request("GET", "/next", {}, None)).body == b"ok"
        assert seen.connections == [1, 1], "the connection is as good as before"

    run(scenario)


def test_who_has_waited_long_enough_behind_a_request_without_an_answer_takes_a_connection_more():
    async def scenario():
        answered = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while head := await reader.readuntil(b"\r\n\r\n"):
                    if b"/hangs" in head:
                        await answered.wait()
                    writer.write(OK)
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        pool = Pool(f"http://127.0.0.1:{port}", {}, None, 1)
        hanging = asyncio.create_task(pool.request("GET", "/hangs", {}, None))
        patient = asyncio.create_task(pool.request("GET", "/waits", {}, None))
        await asyncio.sleep(0)
        for _ in range(2):
            answer = await pool.request("PUT", "/lease", {}, None, patience_s=0.01)
            assert answer.body == b"ok"
        assert not patient.done()
        answered.set()
        assert (await hanging).body == (await patient).body == b"ok"
        # And then there is one request at a time again.
        assert (await pool.request("GET", "/last", {}, None)).body == b"ok"
        await pool.close()
        server.close()
        await asyncio.sleep(0.01)

    run(scenario)


def reset_all(listening: socket.socket) -> None:
    """Accept connections and break them off at once, until the socket is shut down."""
    with suppress(OSError):
        while True:
            accepted, _ = listening.accept()
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()


def test_a_connection_that_breaks_at_once_takes_no_descriptor_of_others_with_it():
    async def scenario(port: int) -> None:
        handshakes = handshakes_of(Credentials("https://127.0.0.1"), Proof())
        begin = partial(handshakes.begin, Proof())
        pool = Pool(f"https://127.0.0.1:{port}", {}, begin, 10)
        for _ in range(100):
            requests = (pool.request("GET", "/", {}, None) for _ in range(10))
            for outcome in await asyncio.gather(*requests, return_exceptions=True):
                assert isinstance(outcome, ConnectionError)
            others = [os.pipe() for _ in range(10)]
            gc.collect()  # Python closes the sockets that nobody holds any more
            for descriptor in (end for pipe in others for end in pipe):
                os.close(descriptor)  # raises for one that somebody else has closed

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        breaking = threading.Thread(target=reset_all, args=(listening,))
        breaking.start()
        try:
            uvloop.run(scenario(listening.getsockname()[1]))
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            breaking.join()
