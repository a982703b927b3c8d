"""Requests for certificates: who signs them, what is asked for, and who may ask for what.

Rule: https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
Matches `pkg/apis/certificates/helpers.go` and `pkg/controller/certificates/signer` of Kubernetes
1.36.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"

NODE_ORGANIZATION = "system:nodes"
NODE_PREFIX = "system:node:"
# What a key may be used for: as X.509 names it, first the key usages, then the extended ones.
KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "key agreement": "key_agreement",
    "data encipherment": "data_encipherment",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}
EXTENDED_USAGES = {
    "any": "2.5.29.37.0",
    "server auth": "1.3.6.1.5.5.7.3.1",
    "client auth": "1.3.6.1.5.5.7.3.2",
    "code signing": "1.3.6.1.5.5.7.3.3",
    "email protection": "1.3.6.1.5.5.7.3.4",
    "s/mime": "1.3.6.1.5.5.7.3.4",
    "ipsec end system": "1.3.6.1.5.5.7.3.5",
    "ipsec tunnel": "1.3.6.1.5.5.7.3.6",
    "ipsec user": "1.3.6.1.5.5.7.3.7",
    "timestamping": "1.3.6.1.5.5.7.3.8",
    "ocsp signing": "1.3.6.1.5.5.7.3.9",
    "microsoft sgc": "1.3.6.1.4.1.311.10.3.3",
    "netscape sgc": "2.16.840.1.113730.4.1",
}
_OPTIONAL_USAGE = "key encipherment"


class RequestError(ValueError):
    """A text is no request for a certificate; the message is told to who sent it."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a request says of who shall have the certificate.

    Parameters
    ----------
    der
        The request itself.
    """

    common_name: str
    organizations: tuple[str, ...]
    dns_names: tuple[str, ...]
    addresses: tuple[str, ...]
    emails: tuple[str, ...]
    uris: tuple[str, ...]
    der: bytes


def parse_request(encoded: str) -> Request:
    """Return what the `spec.request` of a CertificateSigningRequest holds.

    Raises
    ------
    RequestError
        It is no certificate request in PEM, or not signed with its own key.
    """
    # Late: few processes ever see one, and the library loads slowly.
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        pem = base64.b64decode(encoded, validate=True)
    except ValueError:
        pem = b""
    if b"-----BEGIN CERTIFICATE REQUEST-----" not in pem:
        raise RequestError("PEM block type must be CERTIFICATE REQUEST")
    try:
        request = x509.load_pem_x509_csr(pem)
        is_signed = request.is_signature_valid
        subject, names = request.subject, _alternative_names(request)
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise RequestError(f"malformed certificate request: {error}") from error
    if not is_signed:
        raise RequestError("the certificate request is not signed with its own key")
    common = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    groups = subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    return Request(
        str(common[-1].value) if common else "",
        tuple(str(group.value) for group in groups),
        tuple(names.get_values_for_type(x509.DNSName)) if names else (),
        tuple(map(str, names.get_values_for_type(x509.IPAddress))) if names else (),
        tuple(names.get_values_for_type(x509.RFC822Name)) if names else (),
        tuple(names.get_values_for_type(x509.UniformResourceIdentifier)) if names else (),
        request.public_bytes(Encoding.DER),
    )


def _alternative_names(request: Any) -> Any:
    """Return the names besides the subject, or None."""
    from cryptography.x509 import ExtensionNotFound, SubjectAlternativeName

    try:
        return request.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return None


def client_fault(request: Request, usages: Sequence[str]) -> str:
    """Return why a request is none for a client of the API server; empty when it is one."""
    for usage in usages:
        if usage not in ("digital signature", _OPTIONAL_USAGE, "client auth"):
            return f"invalid usage for client certificate: {usage}"
    if "client auth" not in usages:
        return "missing required usage for client certificate: client auth"
    return ""


def kubelet_client_fault(request: Request, usages: Sequence[str]) -> str:
    """Return why a request is none for a kubelet as a client; empty when it is one."""
    if request.organizations != (NODE_ORGANIZATION,):
        return "subject organization is not system:nodes"
    for values, what in (
        (request.dns_names, "DNS"),
        (request.emails, "Email"),
        (request.addresses, "IP"),
        (request.uris, "URI"),
    ):
        if values:
            return f"{what} subjectAltNames are not allowed"
    if not request.common_name.startswith(NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    return _usage_fault(usages, "client auth")


def kubelet_serving_fault(request: Request, usages: Sequence[str]) -> str:
    """Return why a request is none for a kubelet as a server; empty when it is one."""
    if request.organizations != (NODE_ORGANIZATION,):
        return "subject organization is not system:nodes"
    if not (request.dns_names or request.addresses):
        return "DNS or IP subjectAltName is required"
    if request.emails:
        return "Email subjectAltNames are not allowed"
    if request.uris:
        return "URI subjectAltNames are not allowed"
    if fault := _usage_fault(usages, "server auth"):
        return fault
    if not request.common_name.startswith(NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    return ""


def _usage_fault(usages: Sequence[str], purpose: str) -> str:
    wanted = {"digital signature", purpose}
    if set(usages) in (wanted, wanted | {_OPTIONAL_USAGE}):
        return ""
    return f"usages did not match [{' '.join(sorted(wanted | {_OPTIONAL_USAGE}))}]"


# What the signers that every cluster has make sure of.
FAULT_OF: dict[str, Callable[[Request, Sequence[str]], str]] = {
    CLIENT: client_fault,
    KUBELET_CLIENT: kubelet_client_fault,
    KUBELET_SERVING: kubelet_serving_fault,
}
