"""Kubeconfig files: which server, whom to trust there, and who we are.

Several files are merged as kubectl does: the first one that says something counts, and what a file
names by a relative path lies beside it. In a pod without a kubeconfig, the service account counts.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from kubeberth.client.credentials import (
    Credentials,
    ExecPlugin,
    FileIdentity,
    FileToken,
    Proof,
    ProofSource,
)
from kubeberth.client.default_kubeconfig import default_kubeconfig
from kubeberth.errors import UsageError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
HOST, PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")

Entry = Mapping[str, Any]


def load_kubeconfig(path: Path, context: str | None = None) -> Credentials:
    """Return the credentials of a kubeconfig's context, the current one by default.

    Parameters
    ----------
    path
        One file, or several with colons between them, as in KUBECONFIG.

    Raises
    ------
    UsageError
        The file cannot be read or does not say what is needed; the text names file and entry.
    """
    if path == default_kubeconfig() and not path.exists() and os.environ.get(HOST):
        return in_cluster()
    names = [name for name in str(path).split(os.pathsep) if name]
    if path.exists() or len(names) < 2:
        return _Kubeconfig(path, _read(path)).credentials(context)
    files = [Path(name) for name in names]
    documents = [_read(file) for file in files if file.exists()]
    if not documents:
        raise UsageError(f"none of the kubeconfigs {path} exists")
    return _Kubeconfig(path, _merged(documents)).credentials(context)


def in_cluster(folder: Path = SERVICE_ACCOUNT) -> Credentials:
    """Return the credentials of the service account that a pod runs as.

    Raises
    ------
    UsageError
        This is no pod, or one without a service account.
    """
    host, port = os.environ.get(HOST, ""), os.environ.get(PORT, "443")
    if not host:
        raise UsageError(f"this is no pod: {HOST} is not set")
    try:
        ca = (folder / "ca.crt").read_bytes()
        namespace = (folder / "namespace").read_text().strip()
        (folder / "token").read_bytes()
    except OSError as error:
        raise UsageError(
            f"this pod has no service account: {error.filename}: {error.strerror}"
        ) from None
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Credentials(server, ca=ca, namespace=namespace, source=FileToken(folder / "token"))


def _read(path: Path) -> dict[str, Any]:
    """Return a file's content, what it names by relative paths made absolute."""
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
    for section, kind in (("clusters", "cluster"), ("users", "user")):
        for entry in document.get(section) or ():
            named = entry.get(kind) or {}
            for field in _FILES:
                if named.get(field):
                    named[field] = str(path.parent / named[field])
            if "exec" in named:
                named["folder"] = str(path.parent)
    return document


def _merged(documents: Iterable[Entry]) -> dict[str, Any]:
    merged: dict[str, Any] = {"clusters": [], "users": [], "contexts": []}
    for document in documents:
        merged["current-context"] = merged.get("current-context") or document.get("current-context")
        for section in ("clusters", "users", "contexts"):
            known = {entry.get("name") for entry in merged[section]}
            more = document.get(section) or ()
            merged[section] += [entry for entry in more if entry.get("name") not in known]
    return merged


class _Kubeconfig:
    """What one file or several say, asked for named entries."""

    def __init__(self, path: Path, document: Entry) -> None:
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
        if "auth-provider" in user:
            raise UsageError(
                f"kubeconfig {self._path}: user {context['user']} gets credentials from an "
                "auth-provider, which is not supported: use an exec plugin, a certificate or a "
                "token"
            )
        cert, key = (self._pem(user, field) for field in ("client-certificate", "client-key"))
        return Credentials(
            server=cluster["server"].rstrip("/"),
            ca=self._pem(cluster, "certificate-authority"),
            cert=cert,
            key=key,
            token=user.get("token"),
            namespace=context.get("namespace") or "default",
            insecure=bool(cluster.get("insecure-skip-tls-verify")),
            source=self._source(user, cluster, Proof(cert=cert, key=key)),
        )

    def _source(self, user: Entry, cluster: Entry, proof: Proof) -> ProofSource | None:
        # A token that is spelled out comes before any that would have to be fetched.
        if user.get("token"):
            return None
        if user.get("tokenFile"):
            return FileToken(Path(user["tokenFile"]))
        if "exec" not in user:
            return _identity(user, proof)
        told = {
            "server": cluster["server"],
            "certificate-authority-data": base64.b64encode(
                self._pem(cluster, "certificate-authority") or b""
            ).decode(),
            "insecure-skip-tls-verify": bool(cluster.get("insecure-skip-tls-verify")),
        }
        try:
            return ExecPlugin(user["exec"], Path(user["folder"]), told)
        except UsageError as error:
            raise UsageError(f"kubeconfig {self._path}: {error}") from None

    def _entry(self, section: str, kind: str, name: Any) -> Entry:
        for entry in self._document.get(section) or ():
            if entry.get("name") == name:
                return entry.get(kind) or {}
        raise UsageError(f"kubeconfig {self._path} has no {kind} named {name!r}")

    def _pem(self, entry: Entry, field: str) -> bytes | None:
        if data := entry.get(f"{field}-data"):
            try:
                return base64.b64decode(data, validate=True)
            except (binascii.Error, ValueError):
                raise UsageError(f"kubeconfig {self._path}: {field}-data is not base64") from None
        return self._file(Path(entry[field])) if entry.get(field) else None

    def _file(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise UsageError(f"kubeconfig {self._path}: {path}: {error.strerror}") from None


def _identity(user: Entry, proof: Proof) -> FileIdentity | None:
    """Return where a certificate is read again, unless it is spelled out."""
    cert, key = user.get("client-certificate"), user.get("client-key")
    if not cert or not key or "client-certificate-data" in user or "client-key-data" in user:
        return None
    return FileIdentity(Path(cert), Path(key), proof)
