"""Whether anybody gets in where he does not belong.

    python -m benchmarks.fuzz_isolation [--requests 1000000] [--over-tls 5000] [--seed 1]

Asks an API server, in this process, and a few thousand times another one over TLS, as

- whoever has no sound credential: tokens changed, cut, unsigned, signed by others, expired, for
  others, revoked; certificates of other authorities, expired, for servers, changed
- a node that somebody has got hold of, a user and a service account without rights, whoever has
  been invited to join, and nobody

for everything there is, by straight and crooked paths and with the headers that elsewhere change
who asks. It reports

- a bad credential that was answered with anything but 401
- a request that was done and that `isolation/verdict.py` does not allow
- a text that only others may read in an answer
- an object that is another one at the end, or that somebody has made or deleted

with the request, and ends with 1 when there was any.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import socket
import ssl
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Protocol

import msgspec
from benchmarks.isolation import certificates, tokens
from benchmarks.isolation.certificates import Authority
from benchmarks.isolation.requests import Generator, Sent
from benchmarks.isolation.verdict import may_get_in
from benchmarks.isolation.world import BOOTSTRAP, MINE, NODE, Document, World

from kubeberth.apiserver.app import App, AppSettings
from kubeberth.apiserver.auth import authn
from kubeberth.apiserver.auth.certificates import ClientCertificates
from kubeberth.apiserver.auth.signing_key import SigningKey
from kubeberth.apiserver.http.request import Request, TargetError
from kubeberth.apiserver.responses import StreamResponse
from kubeberth.apiserver.server import ServerSettings, serve
from kubeberth.apiserver.storage.memory import MemoryStore
from kubeberth.clock import SystemClock

STATIC = "a-token-of-the-file"
UNAUTHORIZED = 401
# Where a request cannot be read, nobody looks at who asks.
UNREADABLE = (400, 413, 417, 431)
TENDED_EVERY = 2000
MAX_TOLD = 50


@dataclass(frozen=True, slots=True)
class Credential:
    """What is shown to tell who asks.

    Parameters
    ----------
    kind
        For the report.
    who
        By which rules it is let in; empty when it never is.
    pem
        The certificate with its key, for a handshake; None when there is no key for it.
    """

    kind: str
    who: str = ""
    token: str | None = None
    chain: tuple[bytes, ...] = ()
    pem: bytes | None = None


class Door(Protocol):
    """A way to an API server."""

    async def ask(self, sent: Sent, credential: Credential) -> tuple[int, bytes] | None:
        """Return code and body of the answer; None when this cannot be sent."""


@dataclass
class Report:
    """What was sent, and found."""

    n_requests: int = 0
    findings: list[str] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    crooked: Counter[str] = field(default_factory=Counter)


class Credentials:
    """Sound ones and bad ones.

    Attributes
    ----------
    chance
        Chooses.
    """

    def __init__(self, chance: random.Random, trusted: Authority, now: float) -> None:
        self.chance = chance
        moment = datetime.fromtimestamp(now, UTC)
        issued = {
            "node": trusted.issue(f"system:node:{NODE}", "system:nodes"),
            "user": trusted.issue("jane", "developers"),
        }
        self._certificates = issued
        self._forged = certificates.forged(trusted, moment)
        self._sound = [
            Credential(f"certificate of {who}", who, chain=shown.chain, pem=shown.pem)
            for who, shown in issued.items()
        ]
        self._forges: dict[str, tokens.Forge] = {}

    async def prepare(self, world: World, key: SigningKey, now: float) -> None:
        """Have tokens issued, and some revoked."""
        first, second = await world.token("default"), await world.token("default", MINE)
        revoked = {
            "of an account that is gone": await world.token("gone"),
            "of an account that was made anew": await world.token("again"),
            "of a pod that is gone": await world.token("default", "leaving"),
        }
        space = "/api/v1/namespaces/default"
        for path in ("serviceaccounts/gone", "serviceaccounts/again", "pods/leaving"):
            await world.delete(f"{space}/{path}")
        await world.account("again")
        await world.pods()
        self._forges = tokens.forges(
            tokens.Sound(key, (first, second), revoked, BOOTSTRAP, STATIC, now)
        )
        self._sound += [
            Credential("token of an account", "account", first),
            Credential("token of a pod", "account", second),
            Credential("bootstrap token", "bootstrap", BOOTSTRAP),
            Credential("token of the file", "user", STATIC),
            Credential("nothing", "nobody"),
        ]

    def next(self) -> Credential:
        """Return what somebody shows."""
        chance = self.chance
        what = chance.random()
        if what < 0.5:
            return chance.choice(self._sound)
        if what < 0.8:
            return self._bad_token()
        if what < 0.97:
            return self._bad_certificate()
        # Two at once: a bad certificate spoils nothing, and a good one counts for more.
        token, sound = self._bad_token(), chance.choice(self._sound[:2])
        return Credential(
            "certificate and bad token", sound.who, token.token, sound.chain, sound.pem
        )

    def _bad_token(self) -> Credential:
        kind = self.chance.choice(tuple(self._forges))
        return Credential(f"token, {kind}", token=self._forges[kind](self.chance))

    def _bad_certificate(self) -> Credential:
        chance = self.chance
        if chance.random() < 0.5:
            kind = chance.choice(tuple(self._forged))
            shown = self._forged[kind]
            return Credential(f"certificate {kind}", chain=shown.chain, pem=shown.pem)
        shown = chance.choice(tuple(self._certificates.values()))
        chain = certificates.flipped(shown, chance)
        return Credential("certificate with a bit turned round", chain=chain)


class InProcess:
    """The application itself: everything but sockets and handshakes."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def ask(self, sent: Sent, credential: Credential) -> tuple[int, bytes] | None:
        """Ask at once."""
        headers = [(n.lower().encode(), v.encode()) for n, v in sent.headers]
        if credential.token is not None:
            headers.insert(0, (b"authorization", f"Bearer {credential.token}".encode()))
        shown = authn.Shown(certificates=credential.chain, address="192.0.2.1")
        return await self._answer(sent, headers, shown)

    async def as_administrator(
        self, method: str, target: str, document: Document | None
    ) -> tuple[int, Document]:
        """Ask with all rights."""
        body = b"" if document is None else msgspec.json.encode(document)
        admin = authn.User("admin", frozenset((authn.MASTERS, authn.AUTHENTICATED)))
        found = await self._answer(Sent(method, target, body=body), [], authn.Shown(admin))
        assert found is not None
        return found[0], msgspec.json.decode(found[1])

    async def _answer(
        self, sent: Sent, headers: list[tuple[bytes, bytes]], shown: authn.Shown
    ) -> tuple[int, bytes] | None:
        try:
            request = Request(sent.method, sent.target.encode(), headers, shown, sent.body)
        except TargetError:
            return None
        answer = await self._app.answer(request)
        if not isinstance(answer, StreamResponse):
            return answer.status, answer.body
        answer.source.begin(lambda: None)
        body = answer.source.take() or b""
        answer.source.close()
        return 200, body


class OverTls:
    """A server of its own, behind a handshake for each request."""

    def __init__(self, port: int, authority: bytes, folder: Path, admin: bytes) -> None:
        self._admin = Credential("administrator", pem=admin)
        self._port = port
        self._authority = authority
        self._folder = folder
        self._contexts: dict[bytes, ssl.SSLContext] = {}

    async def ask(self, sent: Sent, credential: Credential) -> tuple[int, bytes] | None:
        """Ask, and hang up."""
        if credential.chain and credential.pem is None:
            return None
        headers = dict(sent.headers)
        if credential.token is not None:
            headers["Authorization"] = f"Bearer {credential.token}"
        lines = [f"{sent.method} {sent.target} HTTP/1.1", "Host: localhost", "Connection: close"]
        lines += [f"{n}: {v}" for n, v in headers.items() if n not in ("Upgrade", "Connection")]
        lines += [f"Content-Length: {len(sent.body)}", "", ""]
        head = "\r\n".join(lines).encode()
        return await asyncio.to_thread(self._send, head + sent.body, sent.method, credential.pem)

    async def as_administrator(
        self, method: str, target: str, document: Document | None
    ) -> tuple[int, Document]:
        """Ask with all rights."""
        body = b"" if document is None else msgspec.json.encode(document)
        sent = Sent(method, target, (("Content-Type", "application/json"),), body)
        found = await self.ask(sent, self._admin)
        assert found is not None
        return found[0], msgspec.json.decode(found[1])

    def _send(self, request: bytes, method: str, pem: bytes | None) -> tuple[int, bytes] | None:
        try:
            with (
                socket.create_connection(("127.0.0.1", self._port), timeout=20) as plain,
                self._context(pem).wrap_socket(plain, server_hostname="localhost") as secure,
            ):
                secure.sendall(request)
                response = HTTPResponse(secure, method=method)
                response.begin()
                if "watch" in request.split(b"\r\n", 1)[0].decode():
                    return response.status, b""  # which may have nothing to tell for long
                return response.status, response.read()
        except ssl.SSLError:
            return UNAUTHORIZED, b""  # hung up on in the handshake
        except (HTTPException, ConnectionError) as error:
            return 0, repr(error).encode()

    def _context(self, pem: bytes | None) -> ssl.SSLContext:
        known = self._contexts.get(pem or b"")
        if known is None:
            known = ssl.create_default_context(cadata=self._authority.decode())
            if pem is not None:
                file = self._folder / f"client-{len(self._contexts)}.pem"
                file.write_bytes(pem)
                known.load_cert_chain(file)
            self._contexts[pem or b""] = known
        return known


async def fuzz(
    door: Door, world: World, credentials: Credentials, generator: Generator, n_requests: int
) -> Report:
    """Send requests, and report what should not have been done."""
    report = Report()
    before = await world.state()
    secret = world.canary.encode()
    for _ in range(n_requests):
        sent, credential = generator.request(), credentials.next()
        found = await door.ask(sent, credential)
        if found is None:
            continue
        code, body = found
        report.n_requests += 1
        report.codes[code] += 1
        report.kinds[credential.kind] += 1
        if sent.crooked:
            report.crooked[sent.crooked] += 1
        for what in faults(sent, credential, code, body, secret):
            report.findings.append(f"{what}: {credential.kind}: {code} to {sent}")
        if report.n_requests % TENDED_EVERY == 0:
            await world.pods()
    await world.pods()
    after = await world.state()
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            report.findings.append(f"changed: {key}: {before.get(key)!r} to {after.get(key)!r}")
    return report


def faults(
    sent: Sent, credential: Credential, code: int, body: bytes, secret: bytes
) -> Sequence[str]:
    """Return what is wrong with an answer."""
    found = []
    if secret in body:
        found.append("told a secret")
    if not credential.who and code != UNAUTHORIZED and code not in UNREADABLE:
        found.append("let in")
    elif code in (200, 201, 202) and not may_get_in(credential.who, sent.method, sent.target):
        found.append("done")
    elif code in (0, 500):
        found.append("broke")
    return found


async def in_process(n_requests: int, seed: int) -> Report:
    """Ask an application in this process."""
    clock, chance = SystemClock(), random.Random(seed)
    trusted = Authority("the authority", datetime.fromtimestamp(clock.now(), UTC))
    key = SigningKey.generate()
    settings = AppSettings(
        authenticator=authn.Authenticator(
            {STATIC: authn.User.of("jane", (authn.AUTHENTICATED,))},
            certificates=ClientCertificates(trusted.pem),
        ),
        signing_key=key,
        takes_bootstrap_tokens=True,
        chance=random.Random(seed),
    )
    app = App(MemoryStore(), clock, settings)
    await app.start()
    door = InProcess(app)
    world = World(door.as_administrator)
    shown = Credentials(chance, trusted, clock.now())
    return await _prepared(door, world, shown, key, n_requests)


async def over_tls(n_requests: int, seed: int) -> Report:
    """Ask a server over TLS, with a handshake for each request."""
    clock, chance = SystemClock(), random.Random(seed)
    now = clock.now()
    trusted = Authority("the authority", datetime.fromtimestamp(now, UTC))
    with tempfile.TemporaryDirectory(prefix="kubeberth-isolation-") as name:
        folder = Path(name)
        settings = _settings(folder, trusted)
        admin = trusted.issue("admin", authn.MASTERS)
        door = OverTls(settings.port, trusted.pem, folder, admin.pem)
        async with _serving(settings):
            world = World(door.as_administrator)
            key = SigningKey.of_file(folder / "tokens.key")
            shown = Credentials(chance, trusted, now)
            return await _prepared(door, world, shown, key, n_requests)


def _settings(folder: Path, trusted: Authority) -> ServerSettings:
    (folder / "ca.crt").write_bytes(trusted.pem)
    (folder / "server.pem").write_bytes(trusted.issue("server", usage=certificates.SERVER).pem)
    (folder / "tokens.csv").touch(0o600)
    (folder / "tokens.csv").write_text(f"{STATIC},jane,1\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return ServerSettings(
        host="127.0.0.1",
        port=port,
        cert_file=folder / "server.pem",
        key_file=folder / "server.pem",
        client_ca_file=folder / "ca.crt",
        signing_key_file=folder / "tokens.key",
        token_auth_file=folder / "tokens.csv",
        takes_bootstrap_tokens=True,
    )


@asynccontextmanager
async def _serving(settings: ServerSettings) -> AsyncIterator[None]:
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        server = tasks.create_task(serve(settings, clock=SystemClock(), ready=ready.set))
        await ready.wait()
        yield
        server.cancel()


async def _prepared(
    door: Door, world: World, credentials: Credentials, key: SigningKey, n_requests: int
) -> Report:
    """Make the world, and begin."""
    await world.make()
    await credentials.prepare(world, key, SystemClock().now())
    generator = Generator(credentials.chance, world.uids)
    return await fuzz(door, world, credentials, generator, n_requests)


def tell(title: str, report: Report, seconds: float) -> None:
    """Print what was sent and found."""
    print(f"{title}: {report.n_requests} requests in {seconds:.0f} s")
    print("  answers  ", *(f"{code}: {n}" for code, n in sorted(report.codes.items())), sep="  ")
    for name, counted in (("as", report.kinds), ("by ways", report.crooked)):
        print(f"  {name}")
        for kind, n in sorted(counted.items(), key=lambda item: -item[1]):
            print(f"    {n:>8}  {kind}")
    print(f"  let in where they do not belong: {len(report.findings)}")
    for finding in report.findings[:MAX_TOLD]:
        print(f"    {finding}")


def main() -> int:
    """Send the requests, and return 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--over-tls", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    clock, n_findings = SystemClock(), 0
    for title, ask, n_requests in (
        ("in process", in_process, options.requests),
        ("over TLS", over_tls, options.over_tls),
    ):
        began = clock.monotonic()
        report = asyncio.run(ask(n_requests, options.seed))
        tell(title, report, clock.monotonic() - began)
        n_findings += len(report.findings)
    return 1 if n_findings else 0


if __name__ == "__main__":
    sys.exit(main())
