"""Client certificates, sound ones and others."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from kubeberth.cluster.pki import FOR_SIGNING

DAY = timedelta(days=1)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate with what connects it with an authority, and the key that goes with it."""

    chain: tuple[bytes, ...]
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """As a file that a client loads."""
        certificates = (x509.load_der_x509_certificate(der) for der in self.chain)
        encoded = (c.public_bytes(serialization.Encoding.PEM) for c in certificates)
        return b"".join(encoded) + self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


class Authority:
    """Signs certificates; one that is not trusted, mostly.

    Parameters
    ----------
    now
        When the certificates are made.
    """

    def __init__(self, name: str, now: datetime, parent: Authority | None = None) -> None:
        self.name = _name(name)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self._now = now
        self._parent = parent
        signer = parent or self
        self.certificate = (
            self._builder(self.name, self.key, signer.name, 10 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(FOR_SIGNING, critical=True)
            .sign(signer.key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        """Its own certificate, as servers load it."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        user: str,
        *groups: str,
        usage: ObjectIdentifier = CLIENT,
        begins: timedelta = -DAY,
        ends: timedelta = DAY,
        host: str = "localhost",
        signed_by: ec.EllipticCurvePrivateKey | None = None,
    ) -> Shown:
        """Return a certificate for a client, or with another usage for a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(_name(user, *groups), key, self.name, ends, begins)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(signed_by or self.key, hashes.SHA256())
        )
        chain = [certificate, *([self.certificate] if self._parent else [])]
        return Shown(tuple(c.public_bytes(serialization.Encoding.DER) for c in chain), key)

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        issuer: x509.Name,
        ends: timedelta,
        begins: timedelta = -2 * DAY,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now + begins)
            .not_valid_after(self._now + ends)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        )


def _name(user: str, *groups: str) -> x509.Name:
    parts = [(NameOID.COMMON_NAME, user)] if user else []
    parts += [(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])


def forged(trusted: Authority, now: datetime) -> dict[str, Shown]:
    """Return certificates that nobody is let in with, by what is wrong with them."""
    foreign = Authority("a foreign authority", now)
    namesake = Authority("the authority", now)
    # A client that acts as an authority: its certificate does not say that it is one.
    client = trusted.issue("jane")
    posing = Authority("jane", now)
    posing.key = client.key
    below = posing.issue("admin", MASTERS)
    old = Authority("an authority that was", now - 30 * DAY, parent=trusted)
    return {
        "of a foreign authority": foreign.issue("admin", MASTERS),
        "of an authority of the same name": namesake.issue("admin", MASTERS),
        "signed by itself": _self_signed(now),
        "signed with another key": trusted.issue("admin", MASTERS, signed_by=foreign.key),
        "expired": trusted.issue("admin", MASTERS, begins=-3 * DAY, ends=-DAY),
        "not valid yet": trusted.issue("admin", MASTERS, begins=DAY, ends=2 * DAY),
        "of a server": trusted.issue("admin", MASTERS, usage=SERVER),
        "for signing code": trusted.issue("admin", MASTERS, usage=ExtendedKeyUsageOID.CODE_SIGNING),
        "signed by a client": Shown((*below.chain, *client.chain), below.key),
        "of an authority that has expired": old.issue("admin", MASTERS),
        "without a name": trusted.issue("", MASTERS),
        "with a foreign authority in front": Shown(
            (*foreign.issue("admin", MASTERS).chain, *client.chain), client.key
        ),
    }


def _self_signed(now: datetime) -> Shown:
    own = Authority("admin", now)
    return Shown((own.certificate.public_bytes(serialization.Encoding.DER),), own.key)


def flipped(shown: Shown, chance: random.Random) -> tuple[bytes, ...]:
    """Return a chain whose own certificate has one bit turned round."""
    own = bytearray(shown.chain[0])
    own[chance.randrange(len(own))] ^= 1 << chance.randrange(8)
    return (bytes(own), *shown.chain[1:])
