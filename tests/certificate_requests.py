"""Requests for certificates, as clients make them."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Sequence
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID


@cache
def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def encoded_request(
    name: str = "jane", groups: Sequence[str] = (), names: Sequence[x509.GeneralName] = ()
) -> str:
    """Return a request as `spec.request` holds it."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    subject += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    request = builder.sign(new_key(), hashes.SHA256())
    return base64.b64encode(request.public_bytes(Encoding.PEM)).decode()


def dns(name: str) -> x509.GeneralName:
    return x509.DNSName(name)


def address(text: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(text))
