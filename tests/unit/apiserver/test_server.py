"""The process: real sockets, real TLS, an orderly end."""

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
import warnings
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeberth.apiserver.auth import tls
from kubeberth.apiserver.server import ServerSettings, serve
from kubeberth.clock import SystemClock
from kubeberth.cluster.pki import FOR_SIGNING
from kubeberth.errors import UsageError

MAPS = "/api/v1/namespaces/default/configmaps"


class Signer:
    """A certificate authority."""

    def __init__(self, folder, name="ca") -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = self._write(name, self._sign(self.name, self.key, ca=True), self.key)

    def issue(self, file, user, *groups, expired=False, usage=ExtendedKeyUsageOID.CLIENT_AUTH):
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
        parts += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        certificate = self._sign(x509.Name(parts), key, days=-1 if expired else 1, usage=usage)
        return self._write(file, certificate, key)

    def _sign(self, subject, key, *, ca=False, days=1, usage=None):
        now = datetime.now(UTC)  # noqa: TID251 TLS compares with the real time
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            # Python from 3.13 on holds servers to RFC 5280, which wants these three.
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        if ca:
            builder = builder.add_extension(FOR_SIGNING, critical=True)
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def _write(self, file, certificate, key):
        path = self.folder / f"{file}.pem"
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return path


@pytest.fixture
def signer(tmp_path):
    return Signer(tmp_path)


@pytest.fixture
def settings(signer):
    certificate = signer.issue("server", "localhost", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    return ServerSettings("127.0.0.1", free_port(), certificate, certificate, signer.file)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@asynccontextmanager
async def serving(settings):
    ready = asyncio.Event()
    task = asyncio.ensure_future(serve(settings, clock=SystemClock(), ready=ready.set))
    waiting = asyncio.ensure_future(ready.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    try:
        yield task
    finally:
        waiting.cancel()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Connection:
    """A keep-alive HTTP connection that shows a certificate."""

    def __init__(self, settings, certificate=None, version=ssl.TLSVersion.TLSv1_3) -> None:
        self._settings = settings
        self._context = ssl.create_default_context(cafile=settings.client_ca_file)
        self._context.check_hostname = False
        self._context.maximum_version = version
        if certificate is not None:
            self._context.load_cert_chain(certificate)

    async def __aenter__(self):
        address = (self._settings.host, self._settings.port)
        self._reader, self._writer = await asyncio.open_connection(*address, ssl=self._context)
        return self

    async def __aexit__(self, *_):
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)

    async def send(self, method, path, body=b""):
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        await self._writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        raw = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 5)
        status, *lines = raw.decode().strip().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        return int(status.split()[1]), {name.lower(): value for name, value in pairs}

    async def chunk(self) -> bytes:
        size = int(await asyncio.wait_for(self._reader.readuntil(b"\r\n"), 5), 16)
        return (await self._reader.readexactly(size + 2))[:-2]

    async def ask(self, method, path, body=b""):
        await self.send(method, path, body)
        status, headers = await self.head()
        raw = await self._reader.readexactly(int(headers["content-length"]))
        return status, json.loads(raw) if raw.startswith(b"{") else raw.decode()


def test_the_certificate_says_who_asks(settings, signer):
    async def scenario():
        async with serving(settings):
            admin = signer.issue("admin", "admin", "system:masters")
            async with Connection(settings, admin) as connection:
                assert (await connection.ask("GET", "/api/v1/namespaces"))[0] == 200
                body = b'{"metadata":{"name":"c"}}'
                status, created = await connection.ask("POST", MAPS, body)
                assert (status, created["metadata"]["name"]) == (201, "c")
            async with Connection(settings, signer.issue("bob", "bob", "dev")) as connection:
                status, answer = await connection.ask("GET", MAPS)
                assert status == 403
                assert 'User "bob" cannot list resource "configmaps"' in answer["message"]
            async with Connection(settings) as connection:
                assert (await connection.ask("GET", MAPS))[0] == 401
                assert await connection.ask("GET", "/readyz") == (200, "ok")

    asyncio.run(scenario())


async def agreed_cipher(settings, *, version, ciphers=""):
    """Return the cipher of a connection, None when the two cannot agree."""
    context = ssl.create_default_context(cafile=settings.client_ca_file)
    context.check_hostname = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    if ciphers:
        # Security level 0, so that it is not this end that refuses.
        context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    address = (settings.host, settings.port)
    try:
        _, writer = await asyncio.open_connection(*address, ssl=context)
    except (ssl.SSLError, ConnectionError):
        return None
    cipher = writer.get_extra_info("cipher")[0]
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    return cipher


@pytest.mark.parametrize(
    ("version", "ciphers", "is_agreed"),
    [
        (ssl.TLSVersion.TLSv1, "ALL", False),
        (ssl.TLSVersion.TLSv1_1, "ALL", False),
        (ssl.TLSVersion.TLSv1_2, "", True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256", True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-CHACHA20-POLY1305", True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-SHA384", False),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA", False),
        (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256", False),
        (ssl.TLSVersion.TLSv1_2, "DHE-RSA-AES128-GCM-SHA256", False),
        (ssl.TLSVersion.TLSv1_3, "", True),
    ],
)
def test_only_what_is_secure_is_agreed_on(settings, version, ciphers, is_agreed):
    async def scenario():
        async with serving(settings):
            cipher = await agreed_cipher(settings, version=version, ciphers=ciphers)
            assert (cipher is not None) is is_agreed
            assert cipher is None or "GCM" in cipher or "CHACHA20" in cipher

    asyncio.run(scenario())


def bad_certificates(signer, folder):
    folder.mkdir()
    other = Signer(folder, "ca")
    who = ("admin", "system:masters")
    return {
        "foreign": other.issue("foreign", *who),
        "expired": signer.issue("expired", *who, expired=True),
        "for servers": signer.issue("for-servers", *who, usage=ExtendedKeyUsageOID.SERVER_AUTH),
        "self-signed": Signer(folder, "admin").file,
        "its own authority": other.file,
    }


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_bad_certificate_is_unauthorized_everywhere(settings, signer, tmp_path, version):
    async def scenario():
        async with serving(settings):
            for kind, certificate in bad_certificates(signer, tmp_path / "other").items():
                async with Connection(settings, certificate, version) as connection:
                    for path in (MAPS, "/readyz", "/version", "/"):
                        status, answer = await connection.ask("GET", path)
                        assert (status, answer["reason"]) == (401, "Unauthorized"), kind
            good = signer.issue("good", "admin", "system:masters")
            async with Connection(settings, good, version) as connection:
                assert (await connection.ask("GET", MAPS))[0] == 200

    asyncio.run(scenario())


def test_where_the_handshake_must_judge_it_keeps_bad_certificates_out(
    settings, signer, tmp_path, monkeypatch
):
    monkeypatch.setattr(tls, "KNOWN_LAYOUTS", ((2, 7), (2, 7)))

    async def scenario():
        async with serving(settings):
            for certificate in bad_certificates(signer, tmp_path / "other").values():
                # TLS 1.3 tells the client of its bad certificate with the first read.
                with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                    async with Connection(settings, certificate) as connection:
                        await connection.ask("GET", "/readyz")
            good = signer.issue("good", "admin", "system:masters")
            async with Connection(settings, good) as connection:
                assert (await connection.ask("GET", MAPS))[0] == 200

    asyncio.run(scenario())


def test_a_watch_is_answered_at_once_and_ends_with_the_server(settings, signer):
    async def scenario():
        admin = signer.issue("admin", "admin", "system:masters")
        async with serving(settings) as task, Connection(settings, admin) as watching:
            await watching.send("GET", f"{MAPS}?watch=true&sendInitialEvents=false"
                                       "&resourceVersionMatch=NotOlderThan")  # fmt: skip
            assert (await watching.head())[0] == 200
            async with Connection(settings, admin) as writing:
                await writing.ask("POST", MAPS, b'{"metadata":{"name":"c"}}')
            event = json.loads(await watching.chunk())
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "c")
            task.cancel()
            assert await watching.chunk() == b""

    asyncio.run(scenario())


def test_a_port_in_use_is_told_in_one_line(settings):
    async def scenario():
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", settings.port))
            taken.listen()
            await serve(settings, clock=SystemClock())

    with pytest.raises(UsageError, match=f"port {settings.port} on 127.0.0.1 is in use"):
        asyncio.run(scenario())


def test_certificates_that_cannot_be_used_are_told_in_one_line(settings, tmp_path):
    from dataclasses import replace

    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    for wrong in (
        replace(settings, cert_file=tmp_path / "absent.pem"),
        replace(settings, cert_file=broken),
        replace(settings, client_ca_file=broken),
    ):
        with pytest.raises(UsageError) as refused:
            asyncio.run(serve(wrong, clock=SystemClock()))
        assert "\n" not in str(refused.value)


def test_sigterm_ends_the_process_within_a_second_in_spite_of_watches(settings, signer, tmp_path):
    admin = signer.issue("admin", "admin", "system:masters")
    command = [
        sys.executable, "-m", "kubeberth", "apiserver", "--port", str(settings.port),
        "--tls-cert-file", str(settings.cert_file), "--client-ca-file", str(signer.file),
        "--data-dir", str(tmp_path / "data"),
    ]  # fmt: skip

    async def scenario():
        environment = os.environ | {"BERTH_LOG": "ERROR"}
        child = await asyncio.create_subprocess_exec(*command, env=environment)
        watching = await connected(settings, admin, child)
        async with watching:
            await watching.send("GET", f"{MAPS}?watch=true")
            assert (await watching.head())[0] == 200
            loop = asyncio.get_running_loop()
            before = loop.time()
            child.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(child.wait(), 10) == 0
            assert loop.time() - before < 1.0

    asyncio.run(scenario())


async def connected(settings, certificate, child):
    deadline = asyncio.get_running_loop().time() + 20
    while asyncio.get_running_loop().time() < deadline and child.returncode is None:
        probe = Connection(settings, certificate)
        try:
            async with probe:
                await probe.ask("GET", "/readyz")
        except OSError:
            await asyncio.sleep(0.05)
        else:
            return Connection(settings, certificate)
    raise AssertionError("the server did not start")
