"""A node joins: it asks for a certificate of its own, and waits until it is approved and signed.

Matches what a kubelet does with `--bootstrap-kubeconfig`, `k8s.io/client-go/util/certificate`.
"""

from __future__ import annotations

import asyncio
import base64
import warnings
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kubeberth.api.certificates import KUBELET_CLIENT, NODE_ORGANIZATION, NODE_PREFIX
from kubeberth.api.scheme import CERTIFICATE_SIGNING_REQUESTS
from kubeberth.client.client import Client
from kubeberth.errors import NotFoundError, UsageError

# A person may have to approve it.
PATIENCE_S = 900.0
LOOK_AGAIN_S = 0.2
USAGES = ("digital signature", "client auth")


class NotAdmittedError(UsageError):
    """A node is not given a certificate; the text says why."""


async def join(client: Client, node: str, patience_s: float = PATIENCE_S) -> bytes:
    """Return a certificate for a node and its key, PEM.

    Parameters
    ----------
    client
        Who may ask for certificates, usually by a bootstrap token.

    Raises
    ------
    NotAdmittedError
        The request was denied, cannot be signed, is gone, or was not approved in time.
    ApiError
        The client may not ask.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    created = await client.create(CERTIFICATE_SIGNING_REQUESTS, _request(node, key))
    name = created["metadata"]["name"]
    try:
        async with asyncio.timeout(patience_s):
            certificate = await _issued(client, name, node)
    except TimeoutError:
        raise NotAdmittedError(
            f"node {node} has no certificate after {patience_s:.0f} s: nobody has approved the "
            f"request (kubectl certificate approve {name}), or nobody signs it"
        ) from None
    return certificate + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


async def _issued(client: Client, name: str, node: str) -> bytes:
    """Return the certificate as soon as it is there."""
    while True:
        try:
            found = await client.get(CERTIFICATE_SIGNING_REQUESTS, name)
        except NotFoundError:
            raise NotAdmittedError(f"node {node}: its request {name} is gone") from None
        status = found.get("status") or {}
        for condition in status.get("conditions") or ():
            if condition["type"] in ("Denied", "Failed"):
                why = condition.get("message") or condition.get("reason") or "no reason is told"
                verdict = condition["type"].lower()
                raise NotAdmittedError(f"node {node}: its request {name} was {verdict}: {why}")
        if certificate := status.get("certificate"):
            return base64.b64decode(certificate)
        await asyncio.sleep(LOOK_AGAIN_S)


def _request(node: str, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of names longer than X.520 has them
        subject = x509.Name(
            [
                x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, NODE_ORGANIZATION),
                x509.NameAttribute(
                    x509.NameOID.COMMON_NAME, f"{NODE_PREFIX}{node}", _validate=False
                ),
            ]
        )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    pem = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return {
        "apiVersion": CERTIFICATE_SIGNING_REQUESTS.api_version,
        "kind": CERTIFICATE_SIGNING_REQUESTS.kind,
        "metadata": {"generateName": "csr-"},
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": KUBELET_CLIENT,
            "usages": list(USAGES),
        },
    }
