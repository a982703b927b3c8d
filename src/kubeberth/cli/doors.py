"""Options that say where a component is to be looked at, as kube-scheduler has them."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import click

from kubeberth.client.client import Client
from kubeberth.clock import SystemClock
from kubeberth.errors import UsageError
from kubeberth.scheduler.access import Access, server_context
from kubeberth.scheduler.self_signed import self_signed
from kubeberth.scheduler.serving import Door

F = TypeVar("F", bound=Callable[..., Any])

SECURE_PORT = 10259
_FILE = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class DoorFlags:
    """What was said on the command line."""

    bind_address: str
    secure_port: int
    tls_cert_file: Path | None
    tls_private_key_file: Path | None
    client_ca_file: Path | None
    insecure_http: str | None

    def open(self, client: Client) -> list[Door]:
        """Return the doors, listening.

        Raises
        ------
        UsageError
            An address cannot be had, or a certificate cannot be used.
        """
        doors = []
        if self.secure_port:
            listener = _listen(self.bind_address, self.secure_port)
            doors.append(Door(listener, self._context(), Access(client, SystemClock())))
        if self.insecure_http:
            doors.append(Door(_listen(*_local_address(self.insecure_http))))
        return doors

    def _context(self) -> ssl.SSLContext:
        authorities = None if self.client_ca_file is None else str(self.client_ca_file)
        try:
            if self.tls_cert_file is not None:
                key = self.tls_private_key_file or self.tls_cert_file
                return server_context(str(self.tls_cert_file), str(key), authorities)
            with tempfile.NamedTemporaryFile(prefix="berth-") as file:
                file.write(self_signed(self.bind_address, SystemClock().now()))
                file.flush()
                return server_context(file.name, file.name, authorities)
        except OSError as error:
            raise UsageError(f"the certificate to serve with cannot be used: {error}") from None


def door_options(function: F) -> F:
    """Add kube-scheduler's options of serving, given to the command as `doors`."""

    def command(**arguments: Any) -> Any:
        names = [field.name for field in fields(DoorFlags)]
        return function(doors=DoorFlags(*(arguments.pop(name) for name in names)), **arguments)

    command.__name__, command.__doc__ = function.__name__, function.__doc__
    # The parameters that other decorators have added so far.
    command.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    wrapped: Any = command
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


_OPTIONS = (
    click.option(
        "--bind-address", default="0.0.0.0", show_default=True, help="Where to serve HTTPS."
    ),
    click.option(
        "--secure-port",
        type=click.IntRange(0, 65535),
        default=SECURE_PORT,
        show_default=True,
        help="Port of /healthz, /metrics, /debug and /why; 0 serves none of them.",
    ),
    click.option(
        "--tls-cert-file", type=_FILE, help="Certificate to serve with.  [default: self-signed]"
    ),
    click.option("--tls-private-key-file", type=_FILE, help="The key that goes with it."),
    click.option(
        "--client-ca-file", type=_FILE, help="Who signs the certificates of clients, PEM."
    ),
    click.option(
        "--insecure-http",
        metavar="ADDRESS:PORT",
        help="Serve everybody on this machine, too: over plain HTTP, on a loopback address.",
    ),
)


def _local_address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    try:
        is_local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not is_local or not port.isdecimal():
        raise UsageError(f"--insecure-http takes a loopback address and a port, not {text!r}")
    return host, int(port)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror}: name another port with "
            "--secure-port (0 serves nothing)"
        ) from None
    return listener
