"""A webhook to be called over HTTPS: it keeps what it was asked and answers as a test says."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import ipaddress
import json
import ssl
import tempfile
import threading
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)
NAMES = ("127.0.0.1", "localhost", "hooks.default.svc")


def allowed(**response):
    """Return an answer that lets a write pass."""
    return lambda review: _answer(review, {"allowed": True, **response})


def denied(**status):
    """Return an answer that refuses a write."""
    return lambda review: _answer(review, {"allowed": False, "status": status})


def patching(*operations):
    """Return an answer that changes the object."""
    patch = base64.b64encode(json.dumps(operations).encode()).decode()
    return allowed(patchType="JSONPatch", patch=patch)


def plain(status=200, text="", **headers):
    """Return an answer that is no review."""
    return lambda review: web.Response(status=status, text=text, headers=headers)


def _answer(review, response):
    uid = review["request"]["uid"]
    return {
        "apiVersion": review["apiVersion"],
        "kind": review["kind"],
        "response": {"uid": uid, **response},
    }


def _general_name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """Signs certificates for webhooks."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhooks")])
        self._certificate = self._sign(self._name, self._key.public_key(), (), is_ca=True)

    @property
    def bundle(self) -> str:
        """The `caBundle` of those who trust it."""
        pem = self._certificate.public_bytes(serialization.Encoding.PEM)
        return base64.b64encode(pem).decode()

    def _sign(self, subject, key, names, *, is_ca=False, ended=False):
        now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
            .not_valid_after(now - 300 * DAY if ended else now + 36500 * DAY)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if names:
            alternatives = x509.SubjectAlternativeName(list(map(_general_name, names)))
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def context(self, names=NAMES, *, ended=False) -> ssl.SSLContext:
        """Return what a server needs that is called by these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhook")])
        certificate = self._sign(subject, key.public_key(), names, ended=ended)
        pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "server.pem"
            path.write_bytes(pem)
            context.load_cert_chain(path)
        return context


class WebhookServer:
    """Listens on a port of this machine as long as it is entered.

    Attributes
    ----------
    answers
        By path, what to answer: a function of the review that returns JSON, a Response, or an
        awaitable of them. Whoever is not in there lets everything pass.
    reviews
        What was asked, with the path.
    n_connections
        How many connections there were.
    """

    def __init__(self, context: ssl.SSLContext | None, bundle: str = "") -> None:
        self._context = context
        self.bundle = bundle
        self.answers: dict[str, Any] = {}
        self.reviews: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.queries: list[str] = []
        self._transports: dict[Any, Any] = {}
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def n_connections(self) -> int:
        return len(self._transports)

    def hang_up(self) -> None:
        """Close all connections."""
        for transport in self._transports.values():
            transport.abort()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.port}{path}"

    def client(self, path: str = "/") -> dict[str, Any]:
        """Return the `clientConfig` of a webhook that is served here."""
        return {"url": self.url(path), "caBundle": self.bundle}

    def requests(self, path: str = "/") -> list[dict[str, Any]]:
        """Return the requests that were asked about under a path."""
        return [review["request"] for where, review in self.reviews if where == path]

    async def __aenter__(self):
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/{path:.*}", self._handle)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *error) -> None:
        self.hang_up()
        await self._runner.cleanup()
        for _ in range(5):  # until the loop has let go of the connections
            await asyncio.sleep(0)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        review = await request.json()
        self.reviews.append((request.path, review))
        self.headers.append(dict(request.headers))
        self.queries.append(request.query_string)
        peer = request.transport.get_extra_info("peername")
        self._transports[peer] = request.transport
        answer = self.answers.get(request.path, allowed())(review)
        if asyncio.iscoroutine(answer):
            answer = await answer
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)


def server(authority: Authority | None = None, names=NAMES, **options) -> WebhookServer:
    """Return a server that whoever trusts its own bundle can call."""
    authority = authority or Authority()
    return WebhookServer(authority.context(names, **options), authority.bundle)


@contextlib.contextmanager
def running(made: WebhookServer):
    """Run a server in a thread of its own, for tests that do not run in an event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(made.__aenter__(), loop).result(10)
        yield made
        asyncio.run_coroutine_threadsafe(made.__aexit__(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def webhook(name="hook.example.com", client=None, **changes) -> dict[str, Any]:
    """Return a webhook that looks at all writes of config maps."""
    rule = {
        "operations": ["*"],
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "resources": ["configmaps"],
    }
    return {
        "name": name,
        "clientConfig": client or {},
        "rules": [rule | changes.pop("rule", {})],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **changes,
    }


def configuration(name, *webhooks) -> dict[str, Any]:
    """Return the body of a webhook configuration."""
    return {"metadata": {"name": name}, "webhooks": list(webhooks)}
