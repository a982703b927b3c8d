"""Client certificates: which ones count, and whose they are; pure.

Matches `k8s.io/apiserver/pkg/authentication/request/x509` of Kubernetes 1.36: the handshake only
proves that the client holds the key of the certificate it shows. Everything else is decided here,
on every request, so that a connection ends to count when its certificate expires.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeberth.apiserver.auth.authn import AUTHENTICATED, User
from kubeberth.errors import UnauthorizedError

# Longer chains cost more to search than anybody who is let in would need.
MAX_CHAIN = 8
# Verified chains that are remembered: every client of a large cluster, and then some.
REMEMBERED = 16384
CLIENT_USAGES = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
ANY = verification.Criticality.AGNOSTIC

Chain = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Verified:
    """A chain that was found good, the user it stands for, and until when all of it is valid."""

    user: User | None
    starts_at: float
    ends_at: float


class ClientCertificates:
    """Verifies what clients show against the authorities that may sign for them.

    Parameters
    ----------
    authorities
        PEM, one or more certificates.

    Raises
    ------
    ValueError
        There is no certificate in the PEM, or one that cannot be read.
    """

    def __init__(self, authorities: bytes) -> None:
        store = verification.Store(x509.load_pem_x509_certificates(authorities))
        self._policy = (
            verification.PolicyBuilder()
            .store(store)
            .max_chain_depth(MAX_CHAIN)
            .extension_policies(ca_policy=_authority_policy(), ee_policy=_client_policy())
        )
        self._verified: dict[Chain, _Verified] = {}

    def user_of(self, chain: Chain, now: float) -> User | None:
        """Return the user that a chain stands for; None when its certificate names nobody.

        Parameters
        ----------
        chain
            DER, the client's own certificate first, then what it shows to connect it with an
            authority, as the handshake brought them.
        now
            Seconds since 1970.

        Raises
        ------
        UnauthorizedError
            It is not signed by an authority, not valid now, or not meant for clients.
        """
        known = self._verified.get(chain)
        if known is None or not known.starts_at <= now <= known.ends_at:
            known = self._verify(chain, datetime.fromtimestamp(now, UTC))
            if len(self._verified) >= REMEMBERED:
                self._verified.clear()
            self._verified[chain] = known
        return known.user

    def _verify(self, chain: Chain, moment: datetime) -> _Verified:
        if len(chain) > MAX_CHAIN:
            raise UnauthorizedError
        verifier = self._policy.time(moment.replace(tzinfo=None)).build_client_verifier()
        try:
            leaf, *others = map(_parsed, chain)
            path = verifier.verify(leaf, others).chain
            user = user_of_certificate(leaf)
        except (ValueError, x509.InvalidVersion, verification.VerificationError) as error:
            raise UnauthorizedError from error
        return _Verified(
            user,
            max(certificate.not_valid_before_utc.timestamp() for certificate in path),
            min(certificate.not_valid_after_utc.timestamp() for certificate in path),
        )


def _parsed(der: bytes) -> x509.Certificate:
    """Return a certificate, if it is written in the one way there is for it.

    Raises
    ------
    ValueError, InvalidVersion
        It is none.
    """
    with warnings.catch_warnings():
        # What the library only warns of, Go refuses: serial numbers below one.
        warnings.simplefilter("error", CryptographyDeprecationWarning)
        try:
            certificate = x509.load_der_x509_certificate(der)
        except CryptographyDeprecationWarning as warning:
            raise ValueError(str(warning)) from warning
    # The signature ends the certificate, and says before how many of its last bits do not count.
    if der[-len(certificate.signature) - 1]:
        raise ValueError("a signature of no whole bytes")
    return certificate


def user_of_certificate(certificate: x509.Certificate) -> User | None:
    """Return the user of a certificate, and by which one he is known."""
    user = user_named(certificate.subject)
    if user is None:
        return None
    credential = f"X509SHA256={certificate.fingerprint(hashes.SHA256()).hex()}"
    return replace(user, extra={"authentication.kubernetes.io/credential-id": (credential,)})


def user_named(subject: x509.Name) -> User | None:
    """Return the user of a subject: the last CN is the name, as Go reads it, each O a group."""
    names = _values(subject, NameOID.COMMON_NAME)
    if not names or not names[-1]:
        return None
    groups = _values(subject, NameOID.ORGANIZATION_NAME)
    return User.of(names[-1], (*groups, AUTHENTICATED))


def _values(subject: x509.Name, oid: x509.ObjectIdentifier) -> Sequence[str]:
    return [str(attribute.value) for attribute in subject.get_attributes_for_oid(oid)]


def _authority_policy() -> verification.ExtensionPolicy:
    """Return what an authority's certificate must say: what Go asks, less than the WebPKI does."""
    return (
        verification.ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, ANY, None)  # that it is one, the library checks
        .may_be_present(x509.KeyUsage, ANY, _signs_certificates)
        .may_be_present(x509.ExtendedKeyUsage, ANY, _is_for_clients)
    )


def _client_policy() -> verification.ExtensionPolicy:
    return verification.ExtensionPolicy.permit_all().may_be_present(
        x509.ExtendedKeyUsage, ANY, _is_for_clients
    )


def _is_for_clients(
    policy: verification.Policy,
    certificate: x509.Certificate,
    usage: x509.ExtendedKeyUsage | None,
) -> None:
    if usage is not None and CLIENT_USAGES.isdisjoint(usage):
        raise ValueError("not meant for clients")


def _signs_certificates(
    policy: verification.Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None
) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("not meant to sign certificates")
