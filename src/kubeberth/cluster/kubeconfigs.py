"""The kubeconfig files of a cluster: one for people, one for each process."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml

NAME = "berth"


def kubeconfig(server: str, ca_file: Path, user: dict[str, Any], namespace: str = "") -> str:
    """Return a kubeconfig of one cluster, one user and the context that joins them.

    Parameters
    ----------
    namespace
        Where things go that name none; empty leaves it to `default`.
    """
    context = {"cluster": NAME, "user": NAME} | ({"namespace": namespace} if namespace else {})
    cluster = {"server": server, "certificate-authority-data": _base64(ca_file.read_bytes())}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": NAME, "user": user}],
        "contexts": [{"name": NAME, "context": context}],
        "current-context": NAME,
    }
    return yaml.safe_dump(document, sort_keys=False, width=10**6)


def embedded_user(identity_file: Path) -> dict[str, Any]:
    """Return a kubeconfig user that holds its certificate and key, and so can be copied."""
    pem = identity_file.read_bytes()
    split = pem.index(b"-----BEGIN PRIVATE KEY-----")
    return {
        "client-certificate-data": _base64(pem[:split]),
        "client-key-data": _base64(pem[split:]),
    }


def linked_user(identity_file: Path) -> dict[str, Any]:
    """Return a kubeconfig user that names the file of its certificate and key."""
    return {"client-certificate": str(identity_file), "client-key": str(identity_file)}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
