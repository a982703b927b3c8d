"""Credentials: how to reach a server and show who we are, and where fresh ones come from.

    FileToken     a token in a file that somebody else renews, such as a service account's
    FileIdentity  a certificate and its key in such files
    ExecPlugin    a program that is run for a token or a certificate

Matches client-go 1.36 (plugin/pkg/client/auth/exec, transport/token_source.go).
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from kubeberth.api.times import TimeError, canonical_time, seconds_of
from kubeberth.clock import Clock, SystemClock
from kubeberth.errors import TransportError, UsageError

# A token is read again so often; whoever renews it does so well before it expires.
REREAD_S = 10.0
# Certificates last longer, and a process may have thousands.
LOOK_AGAIN_S = 60.0
EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
EXEC_S = 60.0


@dataclass(frozen=True, slots=True)
class Proof:
    """Who we are: a token, or a certificate and its key (PEM), or nothing."""

    token: str | None = None
    cert: bytes | None = None
    key: bytes | None = None


class ProofSource(Protocol):
    """Where a proof comes from that does not hold for ever."""

    async def get(self) -> Proof:
        """Return a proof that holds.

        Raises
        ------
        TransportError
            There is none at the moment.
        """

    def refused(self) -> None:
        """Take note that the server does not take the last one."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to reach a server and show who we are.

    Parameters
    ----------
    ca, cert, key
        PEM; without `ca` the machine's own authorities are trusted.
    insecure
        Take any server certificate.
    source
        Where the proof comes from that is to be shown instead of `token`, `cert` and `key`.
    """

    server: str
    ca: bytes | None = None
    cert: bytes | None = None
    key: bytes | None = None
    token: str | None = None
    namespace: str = "default"
    insecure: bool = False
    source: ProofSource | None = field(default=None, compare=False)

    def without_proof(self) -> Credentials:
        """Return how to reach the server without showing who we are."""
        return replace(self, cert=None, key=None, token=None, source=None)

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return what a TLS connection needs, or None for a plain one.

        Raises
        ------
        UsageError
            The certificate or key is no PEM, or they do not belong together.
        """
        if not self.server.startswith("https:"):
            return None
        try:
            context = client_context(self.ca, insecure=self.insecure)
            if self.cert and self.key:
                load_identity(context, self.cert, self.key)
        except (ssl.SSLError, ValueError) as error:
            raise self.unusable(error) from None
        return context

    def unusable(self, error: Exception) -> UsageError:
        """Return what to say of credentials with which no connection can be made."""
        return UsageError(f"the credentials for {self.server} cannot be used: {error}")


def client_context(ca: bytes | None, *, insecure: bool) -> ssl.SSLContext:
    """Return a context that trusts authorities, the machine's own when none are given.

    Raises
    ------
    ssl.SSLError, ValueError
        They are no PEM.
    """
    context = ssl.create_default_context(cadata=ca.decode() if ca else None)
    context.options |= ssl.OP_NO_RENEGOTIATION
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def load_identity(context: ssl.SSLContext, cert: bytes, key: bytes) -> None:
    """Show a certificate from now on, in new connections."""
    # OpenSSL's Python binding reads certificates from files alone.
    with tempfile.NamedTemporaryFile(prefix="berth-") as file:
        file.write(cert + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)


class FileToken:
    """A token in a file that is renewed there."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self._path = path
        self._clock = clock or SystemClock()
        self._proof: Proof | None = None
        self._until = 0.0

    async def get(self) -> Proof:
        """Return what the file holds; a file that cannot be read leaves the last token as it is."""
        now = self._clock.monotonic()
        if self._proof is None or now >= self._until:
            try:
                text = self._path.read_text().strip()
            except OSError as error:
                text = ""
                if self._proof is None:
                    message = f"cannot read token {self._path}: {error.strerror}"
                    raise TransportError(message) from error
            if text:
                self._proof = Proof(text)
            self._until = now + REREAD_S
        if self._proof is None:
            raise TransportError(f"token {self._path} is empty")
        return self._proof

    def refused(self) -> None:
        """Read the file again next time."""
        self._until = 0.0


class FileIdentity:
    """A certificate and its key, PEM, in files that are renewed there.

    Parameters
    ----------
    proof
        What was in the files when they were read first.
    """

    __slots__ = ("_clock", "_files", "_proof", "_stamp", "_until")

    def __init__(self, cert: Path, key: Path, proof: Proof, clock: Clock | None = None) -> None:
        # As text: thousands of these wait, and a Path is several times as large.
        self._files = (str(cert), str(key))
        self._proof = proof
        self._clock = clock or SystemClock()
        self._until = self._clock.monotonic() + LOOK_AGAIN_S
        self._stamp = self._stamp_now()

    async def get(self) -> Proof:
        """Return what the files hold; what cannot be used leaves what they held before."""
        now = self._clock.monotonic()
        if now >= self._until:
            self._until = now + LOOK_AGAIN_S
            stamp = self._stamp_now()
            if stamp != self._stamp:
                self._read(stamp)
        return self._proof

    def refused(self) -> None:
        """Look at the files again next time."""
        self._until = 0.0

    def _read(self, stamp: tuple[int, ...]) -> None:
        try:
            cert, key = (Path(file).read_bytes() for file in self._files)
            # Somebody may have written one of them and be about to write the other.
            load_identity(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), cert, key)
        except (OSError, ssl.SSLError):
            return
        self._proof, self._stamp = Proof(cert=cert, key=key), stamp

    def _stamp_now(self) -> tuple[int, ...]:
        """Return what changes when a file does; nothing while one is not there."""
        try:
            stats = [os.stat(file) for file in self._files]
        except OSError:
            return ()
        return tuple(number for stat in stats for number in (stat.st_ino, stat.st_mtime_ns))


class ExecPlugin:
    """A program that says who we are; run again when what it said expires or is refused.

    Parameters
    ----------
    config
        `exec` of a kubeconfig's user.
    folder
        Of the kubeconfig: a command with a path is relative to it.
    cluster
        What the plugin is told about the cluster, if it wants to know.

    Raises
    ------
    UsageError
        The configuration says what cannot be done.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        folder: Path,
        cluster: Mapping[str, Any],
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._version = config.get("apiVersion", "")
        command = str(config.get("command") or "")
        if self._version not in EXEC_VERSIONS:
            raise UsageError(
                f"exec plugin: invalid apiVersion {self._version!r}: one of "
                f"{', '.join(EXEC_VERSIONS)}"
            )
        if not command:
            raise UsageError("exec plugin: command is missing")
        if config.get("interactiveMode") == "Always":
            raise UsageError(
                f"exec plugin {command} wants to ask questions (interactiveMode: Always)"
            )
        self._command = str(folder / command) if "/" in command else command
        self._arguments = [str(argument) for argument in config.get("args") or ()]
        self._env = {entry["name"]: str(entry["value"]) for entry in config.get("env") or ()}
        self._hint = str(config.get("installHint") or "")
        spec: dict[str, Any] = {"interactive": False}
        if config.get("provideClusterInfo"):
            spec["cluster"] = cluster
        self._info = {"apiVersion": self._version, "kind": "ExecCredential", "spec": spec}
        self._proof: Proof | None = None
        self._expires_at: float | None = None
        self._running = asyncio.Lock()

    async def get(self) -> Proof:
        """Return what the program said last, or run it."""
        async with self._running:
            if self._proof is None or self._is_over():
                self._proof, self._expires_at = self._read(await self._run())
            return self._proof

    def refused(self) -> None:
        """Run the program again next time."""
        self._proof = None

    def _is_over(self) -> bool:
        return self._expires_at is not None and self._clock.now() >= self._expires_at

    async def _run(self) -> bytes:
        env = {**os.environ, **self._env, "KUBERNETES_EXEC_INFO": json.dumps(self._info)}
        try:
            process = await asyncio.create_subprocess_exec(
                self._command,
                *self._arguments,
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            hint = f"\n\n{self._hint}" if self._hint else ""
            raise self._failure(f"{error.strerror}{hint}") from error
        try:
            async with asyncio.timeout(EXEC_S):
                output, _ = await process.communicate()
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise self._failure("no answer in time") from error
        if process.returncode:
            raise self._failure(f"failed with exit code {process.returncode}")
        return output

    def _read(self, output: bytes) -> tuple[Proof, float | None]:
        """Return what a program's output says, and until when it holds."""
        try:
            document = msgspec.json.decode(output)
            if document["apiVersion"] != self._version or document["kind"] != "ExecCredential":
                raise self._failure(
                    f"is configured to use {self._version}, but returned {document['apiVersion']}"
                )
            status = document.get("status") or {}
            expires = status.get("expirationTimestamp")
            until = seconds_of(canonical_time(expires)) if expires else None
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError, TimeError) as error:
            raise self._failure(f"decoding stdout: {error}") from error
        cert, key = status.get("clientCertificateData"), status.get("clientKeyData")
        if not status.get("token") and not (cert and key):
            raise self._failure("did not return a token or cert/key pair")
        return (
            Proof(
                status.get("token") or None,
                cert.encode() if cert else None,
                key.encode() if key else None,
            ),
            until,
        )

    def _failure(self, why: str) -> TransportError:
        return TransportError(f"getting credentials: exec: executable {self._command}: {why}")
