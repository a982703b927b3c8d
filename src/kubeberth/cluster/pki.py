"""The cluster's own certificate authority, and one identity per process and node.

P-256 keys; private keys are readable by their owner alone. An identity is one PEM file with the
certificate and its key, made when it is missing or about to expire.
"""

from __future__ import annotations

import ipaddress
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeberth.errors import UsageError
from kubeberth.private_file import write_private

CA_LIFETIME = timedelta(days=3650)
LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
# A laptop that wakes up with a slow clock still trusts what was made just now.
CLOCK_SKEW = timedelta(minutes=5)

FOR_SIGNING = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a certificate says its owner is: a user and the groups that the user is in."""

    user: str
    groups: tuple[str, ...] = ()


ADMIN = Identity("berth-admin", ("system:masters",))
SCHEDULER = Identity("system:kube-scheduler")
CONTROLLERS = Identity("system:kube-controller-manager")


def node_identity(name: str) -> Identity:
    """Return the identity of the kubelet on a node."""
    return Identity(f"system:node:{name}", ("system:nodes",))


class Authority:
    """A certificate authority that lives in a folder, made there when it is not.

    Parameters
    ----------
    now
        Wall clock, seconds since 1970.

    Raises
    ------
    UsageError
        The folder holds half an authority, or something else under its name.
    """

    def __init__(self, folder: Path, now: float) -> None:
        self._folder = folder
        self._now = datetime.fromtimestamp(now, UTC)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.cert_file.exists():
            self._make()
        try:
            self._key = _load_key(folder / "ca.key")
            self._cert = x509.load_pem_x509_certificate(self.cert_file.read_bytes())
        except (OSError, ValueError):
            raise UsageError(
                f"the certificate authority in {folder} is damaged: restore ca.crt and ca.key, or "
                "delete the folder to have new ones (clients need the new kubeconfig then)"
            ) from None

    @property
    def cert_file(self) -> Path:
        """PEM file of the authority's certificate."""
        return self._folder / "ca.crt"

    def client(self, name: str, identity: Identity) -> Path:
        """Return the PEM file, certificate and key, of a client."""
        subject = [(NameOID.COMMON_NAME, identity.user)]
        subject += [(NameOID.ORGANIZATION_NAME, group) for group in identity.groups]
        return self._identity(name, subject, ExtendedKeyUsageOID.CLIENT_AUTH)

    def server(self, name: str, hosts: Sequence[str], user: str = "kube-apiserver") -> Path:
        """Return the PEM file, certificate and key, of a server reached by these names."""
        subject = [(NameOID.COMMON_NAME, user)]
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        return self._identity(name, subject, ExtendedKeyUsageOID.SERVER_AUTH, names)

    def _identity(
        self,
        name: str,
        subject: list[tuple[x509.ObjectIdentifier, str]],
        usage: x509.ObjectIdentifier,
        names: x509.SubjectAlternativeName | None = None,
    ) -> Path:
        path = self._folder / f"{name}.pem"
        if self._is_good(path, names):
            return path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            self._builder(_name(subject), LIFETIME)
            .issuer_name(self._cert.subject)
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(_authority_key_id(self._cert), critical=False)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        cert = builder.sign(self._key, hashes.SHA256())
        write_private(path, cert.public_bytes(serialization.Encoding.PEM) + _pem(key))
        return path

    def _is_good(self, path: Path, names: x509.SubjectAlternativeName | None) -> bool:
        try:
            cert = x509.load_pem_x509_certificate(path.read_bytes())
        except (FileNotFoundError, ValueError):
            return False
        if names is not None and names != _alternative_names(cert):
            return False
        ours = cert.issuer == self._cert.subject
        return ours and cert.not_valid_after_utc - RENEW_BEFORE > self._now

    def _make(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        # The moment of making tells two authorities apart whose certificates get mixed up.
        name = _name([(NameOID.COMMON_NAME, f"kubeberth-ca@{self._now.timestamp():.0f}")])
        cert = (
            self._builder(name, CA_LIFETIME)
            .issuer_name(name)
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(FOR_SIGNING, critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        write_private(self._folder / "ca.key", _pem(key))
        # Written last: whoever finds the certificate finds the key too.
        write_private(self.cert_file, cert.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, lifetime: timedelta) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - CLOCK_SKEW)
            .not_valid_after(self._now + lifetime)
        )


def _authority_key_id(cert: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    key_id = cert.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id)


def _alternative_names(cert: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def _name(parts: list[tuple[x509.ObjectIdentifier, str]]) -> x509.Name:
    with warnings.catch_warnings():
        # X.520 ends a common name at 64 letters; a node's name alone may have 253, and TLS
        # libraries take it.
        warnings.simplefilter("ignore", UserWarning)
        return x509.Name([x509.NameAttribute(o, value, _validate=False) for o, value in parts])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path} holds no elliptic curve key")
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
