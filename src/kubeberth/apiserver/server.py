"""The API server process: sockets, certificates, the store, and an orderly end."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from kubeberth.apiserver.admission_selection import AdmissionSettings
from kubeberth.apiserver.app import App, AppSettings
from kubeberth.apiserver.audit.auditor import Auditor
from kubeberth.apiserver.audit.log import AuditLog, LogSettings
from kubeberth.apiserver.audit.policy import DEFAULT_POLICY, Policy, parse_policy
from kubeberth.apiserver.auth.authn import Authenticator
from kubeberth.apiserver.auth.certificates import ClientCertificates
from kubeberth.apiserver.auth.signing_key import SigningKey
from kubeberth.apiserver.auth.tls import accept_any_certificate
from kubeberth.apiserver.auth.token_file import read_token_file
from kubeberth.apiserver.certificate_files import CertificateFiles
from kubeberth.apiserver.encryption.configuration import NO_ENCRYPTION, read_encryption
from kubeberth.apiserver.expiry import expire_events
from kubeberth.apiserver.http.server import BACKLOG, HttpServer
from kubeberth.apiserver.storage.memory import MemoryStore
from kubeberth.apiserver.storage.store import StorageError, Store
from kubeberth.clock import Clock
from kubeberth.errors import UsageError

logger = logging.getLogger(__name__)

# History older than this is forgotten, as kube-apiserver has etcd do.
HOUSEKEEPING_S = 300.0
# As kube-apiserver: so long a connection is silent before the system asks whether it is there.
KEEP_ALIVE_S = 180
# Of TLS 1.2: with forward secrecy and authenticated encryption, as Go prefers; 1.3 has no others.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
# In the data directory, unless told otherwise.
SIGNING_KEY = "service-account.key"
# Watches end at once when the server stops; what is left then is a slow client.
SHUTDOWN_S = 1.0


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How to serve.

    Parameters
    ----------
    port
        0 lets the system choose.
    client_ca_file
        Who signs the certificates of clients.
    data_dir
        Where objects are kept; None keeps them in memory.
    advertise_address
        `HOST:PORT` under which clients reach the server; empty for host and port.
    allow_anonymous
        Whether who shows no certificate may ask as `system:anonymous`.
    signing_key_file
        Holds the key that signs tokens of service accounts, and is made when it is not there. None
        keeps it in the data directory.
    token_auth_file
        Bearer tokens and whose they are.
    takes_bootstrap_tokens
        Whether secrets with bootstrap tokens let their owners in.
    encryption_file
        How objects are encrypted at rest; None leaves them as they are.
    audit_log, audit_policy_file
        Where it is written down who asks for what, and how much of it; without a log, nothing is,
        and without a policy, what `DEFAULT_POLICY` says.
    admission
        Which admission plugins are on, and what they are told.
    """

    host: str
    port: int
    cert_file: Path
    key_file: Path
    client_ca_file: Path
    data_dir: Path | None = None
    advertise_address: str = ""
    allow_anonymous: bool = False
    service_cidr: str = "10.96.0.0/16"
    signing_key_file: Path | None = None
    token_auth_file: Path | None = None
    takes_bootstrap_tokens: bool = False
    encryption_file: Path | None = None
    audit_log: LogSettings | None = None
    audit_policy_file: Path | None = None
    admission: AdmissionSettings = field(default_factory=AdmissionSettings)


async def serve(
    settings: ServerSettings,
    *,
    clock: Clock,
    ready: Callable[[], None] | None = None,
    listener: socket.socket | None = None,
) -> None:
    """Serve until cancelled, then end the watches and finish what is under way.

    Parameters
    ----------
    ready
        Called once when the server answers.
    listener
        A socket that listens already, as `listen` returns; closed in the end.

    Raises
    ------
    UsageError
        The address, a certificate or the data directory cannot be used.
    """
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listener or listen(settings.host, settings.port))
        context = tls_context(settings)
        store = open_store(settings.data_dir, settings.encryption_file)
        stack.push_async_callback(store.close)
        app_settings = _app_settings(settings, listener)
        if settings.audit_log is not None:
            policy = audit_policy(settings.audit_policy_file)
            auditor = Auditor(policy, AuditLog(settings.audit_log, clock), clock)
            stack.callback(auditor.close)
            app_settings.auditor = auditor
        files = CertificateFiles(
            context,
            app_settings.authenticator,
            cert_file=settings.cert_file,
            key_file=settings.key_file,
            client_ca_file=settings.client_ca_file,
        )
        following = asyncio.ensure_future(files.run())
        stack.callback(following.cancel)
        await _serve(App(store, clock, app_settings), listener, context, store, clock, ready)


def _app_settings(settings: ServerSettings, listener: socket.socket) -> AppSettings:
    host, port = listener.getsockname()[:2]
    return AppSettings(
        server_address=settings.advertise_address or f"{host}:{port}",
        service_cidr=settings.service_cidr,
        authenticator=Authenticator(
            {} if settings.token_auth_file is None else read_token_file(settings.token_auth_file),
            certificates=client_certificates(settings.client_ca_file),
            allow_anonymous=settings.allow_anonymous,
        ),
        signing_key=signing_key(settings),
        takes_bootstrap_tokens=settings.takes_bootstrap_tokens,
        admission=settings.admission,
    )


async def _serve(
    app: App,
    listener: socket.socket,
    context: ssl.SSLContext,
    store: Store,
    clock: Clock,
    ready: Callable[[], None] | None,
) -> None:
    await app.start()
    server = HttpServer(app.answer, clock)
    keeping = asyncio.ensure_future(keep_house(store, clock))
    try:
        await server.start(listener, context)
        if ready is not None:
            ready()
        await keeping
    finally:
        app.close()
        keeping.cancel()
        await server.stop(SHUTDOWN_S)


async def keep_house(store: Store, clock: Clock) -> None:
    """Forget, again and again, history older than the last time, and events that are over."""
    before = store.revision
    while True:
        await asyncio.sleep(HOUSEKEEPING_S)
        try:
            await store.compact(before)
            await expire_events(store, clock.now())
        except StorageError:
            logger.exception("cannot clean up the store")
        before = store.revision


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises
    ------
    UsageError
        Somebody else listens there, or the address is not ours.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit this: a client whose machine is gone is noticed, and its watches end.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEP_ALIVE_S)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} on {host} is in use by another process; choose another port"
            ) from error
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def tls_context(settings: ServerSettings) -> ssl.SSLContext:
    """Return the server's side of TLS: a client may show a certificate.

    Raises
    ------
    UsageError
        A file is missing or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    # A resumed session brings the client's certificate, but not the chain that goes with it.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"cannot use the certificate {settings.cert_file} with the key {settings.key_file}: "
            f"{error.strerror or error}"
        ) from error
    # With authorities at hand OpenSSL would show the one of the server's own certificate as well,
    # and each of thousands of connections keep it at the other end.
    if not accept_any_certificate(context):
        logger.info("clients with a bad certificate will be hung up on instead of answered")
        _load_authorities(context, settings.client_ca_file)
    return context


def _load_authorities(context: ssl.SSLContext, file: Path) -> None:
    try:
        context.load_verify_locations(file)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"cannot use {file} to verify clients: {error.strerror or error}"
        ) from error


def client_certificates(file: Path) -> ClientCertificates:
    """Return what verifies clients by the authorities in a file.

    Raises
    ------
    UsageError
        The file cannot be read or holds no certificates.
    """
    try:
        return ClientCertificates(file.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot use {file} to verify clients: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"cannot use {file} to verify clients: {error}") from error


def audit_policy(file: Path | None) -> Policy:
    """Return what is written down of requests, by a file or by our own policy.

    Raises
    ------
    UsageError
        The file cannot be read, or is no policy.
    """
    if file is None:
        return DEFAULT_POLICY
    try:
        return parse_policy(file.read_bytes(), str(file))
    except OSError as error:
        raise UsageError(f"cannot read the audit policy {file}: {error.strerror}") from error


def signing_key(settings: ServerSettings) -> SigningKey:
    """Return the key that signs tokens; without a place for it, a new one.

    Raises
    ------
    UsageError
        Its file cannot be used.
    """
    file = settings.signing_key_file
    if file is None and settings.data_dir is not None:
        file = settings.data_dir / SIGNING_KEY
    return SigningKey.generate() if file is None else SigningKey.of_file(file)


def open_store(data_dir: Path | None, encryption_file: Path | None = None) -> Store:
    """Return the store of a data directory, or one in memory."""
    # What is encrypted is refused rather than served, if nobody says how to read it.
    encryption = NO_ENCRYPTION if encryption_file is None else read_encryption(encryption_file)
    if data_dir is None:
        return MemoryStore()
    from kubeberth.apiserver.storage.sqlite import SqliteStore

    return SqliteStore(data_dir, sealing=encryption)
