"""Kubeconfig files: which server, whom to trust there, and who we are."""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubeberth.errors import UsageError


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to reach a server and show who we are.

    Parameters
    ----------
    ca, cert, key
        PEM; without `ca` the machine's own authorities are trusted.
    insecure
        Take any server certificate.
    """

    server: str
    ca: bytes | None = None
    cert: bytes | None = None
    key: bytes | None = None
    token: str | None = None
    namespace: str = "default"
    insecure: bool = False

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
            context = ssl.create_default_context(cadata=self.ca.decode() if self.ca else None)
            if self.cert and self.key:
                _load_identity(context, self.cert, self.key)
        except (ssl.SSLError, ValueError) as error:
            raise UsageError(f"the credentials for {self.server} cannot be used: {error}") from None
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _load_identity(context: ssl.SSLContext, cert: bytes, key: bytes) -> None:
    # OpenSSL's Python binding reads certificates from files alone.
    with tempfile.NamedTemporaryFile(prefix="berth-") as file:
        file.write(cert + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)


def load_kubeconfig(path: Path, context: str | None = None) -> Credentials:
    """Return the credentials of a kubeconfig's context, the current one by default.

    Raises
    ------
    UsageError
        The file cannot be read or does not say what is needed; the text names file and entry.
    """
    try:
        document = yaml.load(
            path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
    except OSError as error:
        raise UsageError(f"cannot read kubeconfig {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"kubeconfig {path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise UsageError(f"kubeconfig {path} is empty, or no kubeconfig")
    return _Kubeconfig(path, document).credentials(context)


class _Kubeconfig:
    """One parsed file, asked for named entries."""

    def __init__(self, path: Path, document: Mapping[str, Any]) -> None:
        self._path = path
        self._document = document

    def credentials(self, context_name: str | None) -> Credentials:
        name = context_name or self._document.get("current-context")
        if not name:
            raise UsageError(f"kubeconfig {self._path} has no current-context: name one")
        context = self._entry("contexts", "context", name)
        cluster = self._entry("clusters", "cluster", context.get("cluster"))
        user = self._entry("users", "user", context["user"]) if context.get("user") else {}
        if not cluster.get("server"):
            raise UsageError(f"kubeconfig {self._path}: cluster {context['cluster']} has no server")
        if "exec" in user or "auth-provider" in user:
            raise UsageError(
                f"kubeconfig {self._path}: user {context['user']} gets credentials from a plugin, "
                "which is not supported: use a certificate or a token"
            )
        return Credentials(
            server=cluster["server"].rstrip("/"),
            ca=self._pem(cluster, "certificate-authority"),
            cert=self._pem(user, "client-certificate"),
            key=self._pem(user, "client-key"),
            token=self._token(user),
            namespace=context.get("namespace") or "default",
            insecure=bool(cluster.get("insecure-skip-tls-verify")),
        )

    def _entry(self, section: str, kind: str, name: Any) -> Mapping[str, Any]:
        for entry in self._document.get(section) or ():
            if entry.get("name") == name:
                return entry.get(kind) or {}
        raise UsageError(f"kubeconfig {self._path} has no {kind} named {name!r}")

    def _pem(self, entry: Mapping[str, Any], field: str) -> bytes | None:
        if data := entry.get(f"{field}-data"):
            try:
                return base64.b64decode(data, validate=True)
            except (binascii.Error, ValueError):
                raise UsageError(f"kubeconfig {self._path}: {field}-data is not base64") from None
        return self._read(entry[field]) if entry.get(field) else None

    def _token(self, user: Mapping[str, Any]) -> str | None:
        if user.get("tokenFile"):
            return self._read(user["tokenFile"]).decode().strip()
        return user.get("token")

    def _read(self, name: str) -> bytes:
        path = self._path.parent / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise UsageError(f"kubeconfig {self._path}: {path}: {error.strerror}") from None
