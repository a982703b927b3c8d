"""HTTP/1.1 over real sockets: what clients do, right and wrong, and what they hear."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
import uvloop

from kubeberth.apiserver.http.connection import Patience
from kubeberth.apiserver.http.request import MAX_BODY_BYTES
from kubeberth.apiserver.http.server import HttpServer
from kubeberth.apiserver.responses import Pieces, Response, StreamResponse, error_response
from kubeberth.clock import SystemClock
from kubeberth.errors import ApiError

OLD = b"GET /old HTTP/1.0\r\n"
LARGE = b"x" * 20_000_000


class Feed:
    """A source that is fed by the test."""

    def __init__(self):
        self.chunks, self.n_taken, self.is_closed = [], 0, False
        self.begun = asyncio.Event()

    def begin(self, wake):
        self.wake = wake
        self.begun.set()

    def take(self):
        self.n_taken += bool(self.chunks)
        return self.chunks.pop(0) if self.chunks else b""

    def close(self):
        self.is_closed = True

    def say(self, *chunks):
        self.chunks += chunks
        self.wake()


def breaking_off():
    yield LARGE
    raise RuntimeError("broken off")


class App:
    """Answers by the path."""

    def __init__(self):
        self.feed = Feed()
        self.seen = []
        self.may_finish = asyncio.Event()

    async def answer(self, request):
        self.seen.append(request)
        match request.path:
            case "/feed":
                return StreamResponse(self.feed)
            case "/parts":
                return StreamResponse(Pieces(iter([b"one", b"two"])))
            case "/large":
                return Response(LARGE)
            case "/document":
                pieces = (LARGE for _ in range(10))
                return StreamResponse(Pieces(pieces), is_document=True)
            case "/slow":
                await self.may_finish.wait()
            case "/broken":
                raise RuntimeError("broken")
            case "/breaks-off":
                return StreamResponse(Pieces(breaking_off()))
            case "/unread":
                return Response(b"not read", 403)
        try:
            body = await request.body()
        except ApiError as error:
            return error_response(error)
        return Response(f"{request.path} {body.decode()}".encode(), content_type="text/plain")


class Client:
    """A raw connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def send(self, *parts):
        self.writer.writelines(parts)
        await self.writer.drain()

    async def get(self, path, *lines, method="GET"):
        head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "", ""])
        await self.send(head.encode())

    async def head(self):
        raw = await self.within(self.reader.readuntil(b"\r\n\r\n"))
        status, *lines = raw.decode().strip().split("\r\n")
        return int(status.split()[1]), dict(line.split(": ", 1) for line in lines)

    async def answer(self):
        """Return status and body of the next answer."""
        status, headers = await self.head()
        body = await self.within(self.reader.readexactly(int(headers["Content-Length"])))
        return status, body.decode()

    async def chunk(self):
        size = int(await self.within(self.reader.readuntil(b"\r\n")), 16)
        return (await self.within(self.reader.readexactly(size + 2)))[:-2]

    async def rest(self):
        """Return everything until the server hangs up."""
        return await self.within(self.reader.read())

    async def within(self, coming):
        return await asyncio.wait_for(coming, 10)


@asynccontextmanager
async def serving(patience=None):
    """Yield an application that is served, its server, and a function that connects to it."""
    app = App()
    server = HttpServer(app.answer, SystemClock(), patience)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    address = listener.getsockname()
    await server.start(listener)
    clients = []

    async def connect():
        clients.append(Client(*await asyncio.open_connection(*address)))
        return clients[-1]

    try:
        yield app, server, connect
    finally:
        app.may_finish.set()
        for client in clients:
            client.writer.close()
        await server.stop(0.0)


def test_a_connection_carries_one_request_after_the_other():
    async def scenario():
        async with serving() as (_, _, connect):
            client = await connect()
            for path in ("/a", "/b%20c?d=e", "http://x/f"):
                await client.get(path)
                assert (await client.answer())[0] == 200

    uvloop.run(scenario())


def test_every_answer_tells_its_date_and_that_nobody_shall_keep_it():
    async def scenario():
        async with serving() as (_, _, connect):
            client = await connect()
            await client.get("/a")
            status, headers = await client.head()
            assert status == 200
            assert headers["Date"].endswith(" GMT")
            assert headers["Cache-Control"] == "no-cache, private"
            assert headers["Content-Type"] == "text/plain"

    uvloop.run(scenario())


def test_requests_that_are_sent_ahead_are_answered_in_their_order():
    async def scenario():
        async with serving() as (app, _, connect):
            client = await connect()
            await client.send(
                b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n",
                b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody",
                b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n",
            )
            await asyncio.sleep(0.05)
            assert [request.path for request in app.seen] == ["/slow"]
            app.may_finish.set()
            assert [await client.answer() for _ in "abc"] == [
                (200, "/slow "),
                (200, "/b body"),
                (200, "/c "),
            ]

    uvloop.run(scenario())


def test_a_request_may_come_byte_by_byte():
    async def scenario():
        async with serving() as (_, _, connect):
            client = await connect()
            for byte in b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nxyz":
                await client.send(bytes((byte,)))
                await asyncio.sleep(0)
            assert await client.answer() == (200, "/a xyz")

    uvloop.run(scenario())


def test_a_body_in_chunks_is_put_together_and_what_trails_it_is_no_header():
    async def scenario():
        async with serving() as (app, _, connect):
            client = await connect()
            await client.get("/a", "Transfer-Encoding: chunked", method="POST")
            await client.send(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nAuthorization: Bearer x\r\n\r\n")
            assert await client.answer() == (200, "/a abcde")
            assert "authorization" not in app.seen[0].headers
            await client.get("/b")
            assert await client.answer() == (200, "/b ")
            assert "authorization" not in app.seen[1].headers

    uvloop.run(scenario())


def test_who_asks_before_sending_a_body_is_told_to_continue_when_it_is_wanted():
    async def scenario():
        async with serving() as (app, _, connect):
            client = await connect()
            wants = ("Expect: 100-continue", "Content-Length: 3")
            await client.get("/a", *wants, method="POST")
            assert (await client.head())[0] == 100
            await client.send(b"abc")
            assert await client.answer() == (200, "/a abc")
            await client.get("/unread", *wants, method="POST")
            status, headers = await client.head()
            # Nobody knows whether a body will come or the next request.
            assert (status, headers["Connection"]) == (403, "close")
            assert await client.rest() == b"not read"
            assert len(app.seen) == 2

    uvloop.run(scenario())


@pytest.mark.parametrize("n_bytes", [100_000, 1_000_000], ids=["short", "long"])
def test_the_rest_of_a_body_that_nobody_wants_is_read_if_it_is_short(n_bytes):
    async def scenario():
        async with serving() as (_, _, connect):
            client = await connect()
            await client.get("/unread", f"Content-Length: {n_bytes}", method="POST")
            assert await client.answer() == (403, "not read")
            await client.send(b"x" * n_bytes)
            if n_bytes > 256 * 1024:
                assert await client.rest() == b""
            else:
                await client.get("/next")
                assert await client.answer() == (200, "/next ")

    uvloop.run(scenario())


def test_a_body_over_the_limit_is_refused_while_it_still_comes():
    async def scenario():
        async with serving() as (_, _, connect):
            client = await connect()
            await client.get("/a", f"Content-Length: {10 * MAX_BODY_BYTES}", method="POST")
            await client.send(b"x" * (MAX_BODY_BYTES + 1))
            status, body = await client.answer()
            assert (status, "limit is 3145728" in body) == (413, True)
            assert await client.rest() == b""

    uvloop.run(scenario())


def test_an_answer_to_head_is_its_head():
    async def scenario():
        async with serving() as (app, _, connect):
            client = await connect()
            await client.get("/a", method="HEAD")
            status, headers = await client.head()
            assert (status, headers["Content-Length"]) == (200, "3")
            await client.get("/feed", method="HEAD")
            assert (await client.head())[0] == 200
            assert app.feed.is_closed
            await client.get("/b")
            assert await client.answer() == (200, "/b ")

    uvloop.run(scenario())


def test_an_answer_that_grows_comes_in_chunks_and_the_connection_stays():
    async def scenario():
        async with serving() as (_, _, connect):
            client = await connect()
            await client.get("/parts")
            assert (await client.head())[1]["Transfer-Encoding"] == "chunked"
            assert [await client.chunk(), await client.chunk()] == [b"onetwo", b""]
            await client.get("/next")
            assert await client.answer() == (200, "/next ")

    uvloop.run(scenario())


def test_clients_of_http_1_0_get_no_chunks_and_no_second_answer_unless_they_ask_for_it():
    async def scenario():
        async with serving() as (_, _, connect):
            client = await connect()
            await client.send(b"GET /parts HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            status, headers = await client.head()
            assert (status, headers["Connection"]) == (200, "close")
            assert await client.rest() == b"onetwo"
            client = await connect()
            await client.send(OLD, b"Connection: keep-alive\r\n\r\n")
            assert await client.answer() == (200, "/old ")
            await client.send(OLD, b"\r\n")
            assert await client.answer() == (200, "/old ")
            assert await client.rest() == b""

    uvloop.run(scenario())


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        pytest.param(b"nonsense\r\n\r\n", "400 Bad Request", id="no request"),
        pytest.param(b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", "400 Bad Request", id="path"),
        pytest.param(b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", "400 Bad Request", id="escape"),
        pytest.param(b"GET x:1 HTTP/1.1\r\nHost: x\r\n\r\n", "400 Bad Request", id="no path"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "400 Bad Request",
            id="two lengths",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n",
            "400 Bad Request",
            id="length and chunks",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\n\r\n",
            "400 Bad Request: missing required Host header",
            id="no host",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n",
            "417 Expectation Failed",
            id="expectation",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 2_000_000,
            "431 Request Header Fields Too Large",
            id="large head",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_gos_words(sent, heard):
    async def scenario():
        async with serving() as (app, _, connect):
            client = await connect()
            await client.send(sent, b"\r\n\r\nGET /behind HTTP/1.1\r\nHost: x\r\n\r\n")
            told = await client.rest()
            assert told.startswith(f"HTTP/1.1 {heard}\r\n".encode())
            assert told.endswith(f"\r\nConnection: close\r\n\r\n{heard}".encode())
            assert not app.seen

    uvloop.run(scenario())


def test_a_refusal_waits_for_the_answers_to_what_came_before():
    async def scenario():
        async with serving() as (app, _, connect):
            client = await connect()
            await client.send(
                b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
                b"nonsense\r\n\r\nGET /c HTTP/1.1\r\nHost: x\r\n\r\n",
            )
            await asyncio.sleep(0.05)
            app.may_finish.set()
            assert [await client.answer(), await client.answer()] == [(200, "/slow "), (200, "/b ")]
            assert (await client.rest()).endswith(b"400 Bad Request")

    uvloop.run(scenario())


def test_a_malformed_body_is_a_bad_request():
    async def scenario():
        async with serving() as (_, _, connect):
            client = await connect()
            await client.get("/a", "Transfer-Encoding: chunked", method="POST")
            await client.send(b"3\r\nabc\r\nxyz\r\n")
            assert (await client.answer())[0] == 400
            assert await client.rest() == b""

    uvloop.run(scenario())


def test_an_upgrade_gets_an_ordinary_answer_and_nothing_else():
    async def scenario():
        async with serving() as (_, _, connect):
            client = await connect()
            await client.get("/a", "Connection: Upgrade", "Upgrade: websocket")
            await client.send(b"\x81\x05hello")
            status, headers = await client.head()
            assert (status, headers["Connection"]) == (200, "close")
            assert await client.rest() == b"/a "

    uvloop.run(scenario())


def test_who_sends_nothing_in_time_is_hung_up_on():
    async def scenario():
        patience = Patience(head=0.1, idle=0.1)
        async with serving(patience) as (_, _, connect):
            silent, begun, idle = [await connect() for _ in range(3)]
            await begun.send(b"GET / HTTP/1.1\r\nHo")
            await idle.get("/a")
            assert await idle.answer() == (200, "/a ")
            assert [await client.rest() for client in (silent, begun, idle)] == [b"", b"", b""]

    uvloop.run(scenario())


def test_a_body_that_does_not_come_in_time_is_a_timeout():
    async def scenario():
        async with serving(Patience(body=0.1)) as (_, _, connect):
            client = await connect()
            await client.get("/a", "Content-Length: 10", method="POST")
            await client.send(b"half")
            status, body = await client.answer()
            assert (status, '"reason":"Timeout"' in body) == (504, True)
            assert await client.rest() == b""

    uvloop.run(scenario())


def test_work_may_take_longer_than_a_client_may():
    async def scenario():
        patience = Patience(head=0.1, body=0.1, idle=0.1)
        async with serving(patience) as (app, _, connect):
            client = await connect()
            await client.get("/slow")
            await asyncio.sleep(1.5)
            app.may_finish.set()
            assert await client.answer() == (200, "/slow ")

    uvloop.run(scenario())


def test_who_does_not_read_an_answer_in_time_is_hung_up_on_unless_it_is_endless():
    async def scenario():
        async with serving(Patience(reading=0.1)) as (app, server, connect):
            for path in ("/large", "/document"):
                client = await connect()
                await client.get(path)
                await client.get(path)
            watching = await connect()
            await watching.get("/feed")
            await watching.head()
            app.feed.say(LARGE, b"last")
            await asyncio.sleep(2.5)
            assert len(server.connections) == 1
            assert [await watching.chunk(), await watching.chunk()] == [LARGE, b"last"]

    uvloop.run(scenario())


def test_an_answer_grows_no_faster_than_its_client_reads():
    async def scenario():
        async with serving() as (app, _, connect):
            client = await connect()
            await client.get("/feed")
            await client.head()
            app.feed.say(*[b"x" * 1_000_000 for _ in range(100)])
            await asyncio.sleep(0.2)
            assert 0 < app.feed.n_taken < 50
            for _ in range(100):
                assert len(await client.chunk()) == 1_000_000
            app.feed.say(b"last")
            assert await client.chunk() == b"last"

    uvloop.run(scenario())


@pytest.mark.parametrize("how", ["close", "write_eof"])
def test_a_client_that_leaves_ends_its_answer(how):
    async def scenario():
        async with serving() as (app, server, connect):
            client = await connect()
            await client.get("/feed")
            await client.head()
            getattr(client.writer, how)()
            while server.connections:
                await asyncio.sleep(0.01)
            assert app.feed.is_closed

    uvloop.run(scenario())


def test_a_client_that_leaves_before_its_body_is_complete_is_no_failure_of_the_server(caplog):
    async def scenario():
        async with serving() as (app, server, connect):
            client = await connect()
            await client.get("/a", "Content-Length: 10", method="POST")
            while not app.seen:
                await asyncio.sleep(0.01)
            client.writer.transport.abort()
            while server.connections:
                await asyncio.sleep(0.01)
            with pytest.raises(ApiError, match="went away"):
                await app.seen[0].body()

    uvloop.run(scenario())
    assert not caplog.records


def test_what_a_client_asked_for_that_has_left_is_not_begun():
    async def scenario():
        async with serving() as (app, server, connect):
            client = await connect()
            await client.get("/slow", "Content-Length: 4", method="POST")
            await client.send(b"body")
            while not (app.seen and app.seen[0].is_complete):
                await asyncio.sleep(0.01)
            client.writer.transport.abort()
            while server.connections:
                await asyncio.sleep(0.01)
            with pytest.raises(ApiError, match="went away"):
                await app.seen[0].body()

    uvloop.run(scenario())


def test_a_server_that_stops_finishes_what_is_under_way():
    async def scenario():
        async with serving() as (app, server, connect):
            idle, busy = await connect(), await connect()
            await busy.get("/slow")
            while not app.seen:
                await asyncio.sleep(0.01)
            stopping = asyncio.ensure_future(server.stop(5.0))
            assert await idle.rest() == b""
            app.may_finish.set()
            status, headers = await busy.head()
            assert (status, headers["Connection"]) == (200, "close")
            assert await busy.rest() == b"/slow "
            await asyncio.wait_for(stopping, 1)

    uvloop.run(scenario())


def test_what_goes_wrong_is_logged_and_told_to_nobody(caplog):
    async def scenario():
        async with serving() as (_, _, connect):
            client = await connect()
            await client.get("/broken")
            assert await client.answer() == (500, "Internal Server Error\n")
            await client.get("/breaks-off")
            await client.head()
            assert await client.chunk() == LARGE
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await client.chunk()

    uvloop.run(scenario())
    logged = [(record.message, record.exc_info[1].args) for record in caplog.records]
    assert logged == [("cannot answer", ("broken",)), ("an answer broke off", ("broken off",))]


def test_the_first_of_several_headers_of_a_name_counts():
    async def scenario():
        async with serving() as (app, _, connect):
            client = await connect()
            await client.get("/a", "Accept: one", "accept: two")
            await client.answer()
            assert app.seen[0].headers["accept"] == "one"
            assert app.seen[0].header_list[1:] == [("accept", "one"), ("accept", "two")]

    uvloop.run(scenario())
