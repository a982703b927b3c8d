"""Answers over HTTPS as they come: in pieces, without a length, broken off, or never."""

import asyncio
import contextlib

import pytest
from tests.webhook_server import Authority

from kubeberth.apiserver.https import MAX_ANSWER_BYTES, Connections, ExchangeError, Peer
from kubeberth.apiserver.webhook_client import trusting


@pytest.fixture
def ask():
    """Return the answer to a request, from a server that sends the given bytes for each."""

    def ask(*answers: bytes, n_requests=1, closes=False):
        async def main():
            authority = Authority()
            seen: list[bytes] = []
            left = list(answers)
            writers = []

            async def serve(reader, writer):
                writers.append(writer)
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    while left:
                        head = await reader.readuntil(b"\r\n\r\n")
                        length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
                        seen.append(head + await reader.readexactly(length))
                        writer.write(left.pop(0))
                        await writer.drain()
                        if closes:
                            break
                writer.close()

            context = authority.context()
            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
            port = server.sockets[0].getsockname()[1]
            peer = Peer(f"127.0.0.1:{port}", "127.0.0.1", (("127.0.0.1", port),))
            connections = Connections()
            try:
                found = None
                for _ in range(n_requests):
                    found = await connections.post(
                        peer, trusting(authority.bundle), "/x?timeout=1s", b"{}"
                    )
                return found, seen, len(writers)
            finally:
                connections.close()
                server.close()
                await server.wait_closed()
                for _ in range(5):
                    await asyncio.sleep(0)

        return asyncio.run(main())

    return ask


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def test_a_request_has_what_http_wants(ask):
    found, [request], _ = ask(OK)
    assert (found.status, found.body) == (200, b"{}")
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /x?timeout=1s HTTP/1.1"
    assert lines[1].startswith("Host: 127.0.0.1:")
    assert lines[2:] == [
        "User-Agent: kube-apiserver-admission",
        "Content-Length: 2",
        "Accept: application/json, */*",
        "Content-Type: application/json",
    ]
    assert body == b"{}"


def test_a_connection_serves_many_requests(ask):
    _, seen, n_connections = ask(OK, OK, OK, n_requests=3)
    assert (len(seen), n_connections) == (3, 1)


def test_a_connection_that_the_server_closes_is_not_used_again(ask):
    answer = OK.replace(b"Content", b"Connection: close\r\nContent")
    _, _, n_connections = ask(answer, answer, n_requests=2, closes=True)
    assert n_connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
            id="in chunks",
        ),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, id="with something before it"),
    ],
)
def test_an_answer_may_come_in_pieces(ask, answer):
    found, _, _ = ask(answer)
    assert (found.status, found.body) == (200, b"{}")


def test_an_answer_without_a_length_ends_with_its_connection(ask):
    found, _, _ = ask(b"HTTP/1.0 200 OK\r\n\r\n{}", closes=True)
    assert found.body == b"{}"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(b"", "EOF", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "unexpected EOF", id="half"),
        pytest.param(
            b"garbage\r\n\r\n",
            "net/http: HTTP/1.x transport connection broken: malformed HTTP response "
            '"garbage\\r\\n\\r\\n"',
            id="no HTTP",
        ),
    ],
)
def test_what_is_no_answer_is_told_in_the_words_of_go(ask, answer, why):
    with pytest.raises(ExchangeError) as caught:
        ask(answer, closes=True)
    assert str(caught.value) == why


def test_an_answer_that_never_ends_is_cut_off(ask):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"
    with pytest.raises(ExchangeError, match="the answer is over"):
        ask(head + b" " * (MAX_ANSWER_BYTES + 1), OK)
