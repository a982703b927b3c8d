"""TLS over plain transports: what protocols hear of it, and what they do not."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from kubeberth.client.credentials import Credentials, Proof
from kubeberth.client.handshakes import handshakes_of
from kubeberth.clock import SystemClock
from kubeberth.cluster.pki import Authority, Identity
from kubeberth.tls import PIECE_BYTES, Dial, SecureTransport, connect

HANDSHAKE_S = 5.0


class Talker(asyncio.Protocol):
    """Takes note of everything that it is told."""

    def __init__(self, echoes: bool = False) -> None:
        self.transport: asyncio.Transport | None = None
        self.heard = bytearray()
        self.ended: list[Exception | None] = []
        self.has_ended = asyncio.Event()
        self.echoes = echoes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if self.echoes:
            assert self.transport is not None
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.append(exc)
        self.has_ended.set()

    async def hears(self, n_bytes: int) -> None:
        while len(self.heard) < n_bytes:
            await asyncio.sleep(0.001)

    @property
    def peer(self) -> str:
        """The common name in the certificate of the other end."""
        assert self.transport is not None
        shown = self.transport.get_extra_info("ssl_object").getpeercert()
        return dict(pair[0] for pair in shown["subject"])["commonName"]


class World:
    """An authority, and a server whose connections are `made`."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder, SystemClock().now())
        self.made: list[Talker] = []
        self.ours: list[Talker] = []
        self.port = 0

    def proof(self, name: str) -> Proof:
        pem = self.authority.client(name, Identity(name)).read_bytes()
        return Proof(cert=pem, key=pem)

    def accept(self, context: ssl.SSLContext) -> SecureTransport:
        talker = Talker(echoes=True)
        self.made.append(talker)
        return SecureTransport(partial(context.wrap_bio, server_side=True), talker, HANDSHAKE_S)

    async def connect(self, proof: Proof, ca: bytes | None = None) -> Talker:
        ca = ca or self.authority.cert_file.read_bytes()
        credentials = Credentials("https://127.0.0.1", ca=ca)
        begin = partial(handshakes_of(credentials, proof).begin, proof, "127.0.0.1")
        talker = Talker()
        await connect(dialling(self.port), begin, talker, HANDSHAKE_S)
        self.ours.append(talker)
        return talker

    async def hang_up(self) -> None:
        for talker in (*self.ours, *self.made):
            if talker.transport is not None:
                talker.transport.abort()
                await talker.has_ended.wait()


def dialling(port: int) -> Dial:
    async def dial(make: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(make, "127.0.0.1", port))[0]

    return dial


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[World]:
    world = World(folder / "pki")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(world.authority.server("server", ["127.0.0.1"]))
    context.load_verify_locations(world.authority.cert_file)
    context.verify_mode = ssl.CERT_REQUIRED
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: world.accept(context), "127.0.0.1", 0)
    world.port = server.sockets[0].getsockname()[1]
    try:
        yield world
    finally:
        await world.hang_up()
        server.close()
        await server.wait_closed()


def run(folder: Path, scenario: Callable[[World], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with serving(folder) as world:
            await scenario(world)

    asyncio.run(whole())


def test_what_one_end_writes_the_other_end_hears(tmp_path):
    async def scenario(world):
        ann = await world.connect(world.proof("ann"))
        ann.transport.write(b"hello")
        await ann.hears(5)
        assert ann.heard == b"hello"

    run(tmp_path, scenario)


@pytest.mark.parametrize("size", [PIECE_BYTES, PIECE_BYTES + 1, 40 * PIECE_BYTES + 7])
def test_what_is_larger_than_a_piece_arrives_whole_and_in_order(tmp_path, size):
    async def scenario(world):
        ann = await world.connect(world.proof("ann"))
        said = b"".join(number.to_bytes(4) for number in range(size // 4 + 1))[:size]
        ann.transport.write(said)
        await ann.hears(size)
        assert ann.heard == said

    run(tmp_path, scenario)


def test_everybody_is_seen_as_who_they_are_though_their_connections_share_a_context(tmp_path):
    async def scenario(world):
        names = ["ann", "bob", "eve"]
        talkers = [await world.connect(world.proof(name)) for name in names]
        for name, talker in zip(names, talkers, strict=True):
            talker.transport.write(name.encode())
        for name, talker, made in zip(names, talkers, world.made, strict=True):
            await talker.hears(len(name))
            assert talker.heard == name.encode()
            assert made.peer == name

    run(tmp_path, scenario)


def test_handshakes_that_are_under_way_together_do_not_mix(tmp_path):
    async def scenario(world):
        names = [f"node-{number}" for number in range(12)]
        proofs = [world.proof(name) for name in names]
        talkers = await asyncio.gather(*map(world.connect, proofs))
        for name, talker in zip(names, talkers, strict=True):
            talker.transport.write(name.encode())
            await talker.hears(len(name))
        assert {made.peer for made in world.made} == set(names)
        assert {(made.peer, bytes(made.heard)) for made in world.made} == {
            (name, name.encode()) for name in names
        }

    run(tmp_path, scenario)


def test_a_server_that_nobody_vouches_for_is_not_spoken_to(tmp_path):
    async def scenario(world):
        stranger = Authority(tmp_path / "other", SystemClock().now()).cert_file.read_bytes()
        with pytest.raises(ssl.SSLCertVerificationError):
            await world.connect(world.proof("ann"), ca=stranger)

    run(tmp_path, scenario)


def test_who_closes_says_so_and_the_other_end_hears_no_error(tmp_path):
    async def scenario(world):
        ann = await world.connect(world.proof("ann"))
        ann.transport.write(b"last words")
        ann.transport.close()
        await asyncio.wait_for(world.made[0].has_ended.wait(), HANDSHAKE_S)
        assert world.made[0].heard == b"last words"
        assert world.made[0].ended == [None]
        await asyncio.wait_for(ann.has_ended.wait(), HANDSHAKE_S)
        assert ann.ended == [None]

    run(tmp_path, scenario)


def test_who_never_shows_a_certificate_is_never_heard_of(tmp_path):
    async def scenario(world):
        plain = socket.create_connection(("127.0.0.1", world.port))
        plain.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(plain, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while await loop.sock_recv(plain, 1024):
            pass
        plain.close()
        assert world.made[0].transport is None
        assert world.made[0].ended == []

    run(tmp_path, scenario)


def test_a_broken_record_ends_the_connection_and_no_other(tmp_path):
    async def scenario(world):
        ann, bob = [await world.connect(world.proof(name)) for name in ("ann", "bob")]
        below = ann.transport._below
        below.write(b"\x17\x03\x03\x00\x20" + b"?" * 32 + b"\x17\x03\x03\x00")
        await asyncio.wait_for(ann.has_ended.wait(), HANDSHAKE_S)
        assert isinstance(world.made[0].ended[0], ssl.SSLError)
        bob.transport.write(b"still here")
        await bob.hears(10)
        assert bob.heard == b"still here"

    run(tmp_path, scenario)


def begin_with_anybody(incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
    handshakes = handshakes_of(Credentials("https://127.0.0.1"), Proof())
    return handshakes.begin(Proof(), "127.0.0.1", incoming, outgoing)


def test_a_handshake_that_takes_too_long_is_given_up():
    async def scenario():
        with socket.create_server(("127.0.0.1", 0)) as silent:
            dial = dialling(silent.getsockname()[1])
            with pytest.raises(TimeoutError, match="the TLS handshake took too long"):
                await connect(dial, begin_with_anybody, Talker(), 0.05)
            await asyncio.sleep(0)

    asyncio.run(scenario())


def test_a_server_that_hangs_up_in_the_handshake_is_an_error():
    async def scenario():
        async def hang_up(reader, writer):
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        dial = dialling(server.sockets[0].getsockname()[1])
        with pytest.raises(OSError):
            await connect(dial, begin_with_anybody, Talker(), HANDSHAKE_S)
        server.close()

    asyncio.run(scenario())
