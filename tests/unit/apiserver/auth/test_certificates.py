"""Which client certificates count, without any TLS."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeberth.apiserver.auth.authn import AUTHENTICATED, Authenticator, Shown, User
from kubeberth.apiserver.auth.certificates import MAX_CHAIN, ClientCertificates
from kubeberth.errors import UnauthorizedError

NOW = 1_800_000_000.0
DAY = 86400.0
ADMIN = User("admin", frozenset(("system:masters", AUTHENTICATED)))
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


def at(days: float) -> datetime:
    return datetime.fromtimestamp(NOW + days * DAY, UTC)


class Holder:
    """A key with a certificate, who may sign others, rightfully or not."""

    def __init__(self, name="ca", *groups, by=None, days=(-1, 1), **extensions):
        self.key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
        parts += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        self.subject = x509.Name(parts)
        signer = by or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name(signer.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(at(days[0]))
            .not_valid_after(at(days[1]))
        )
        for extension, is_critical in _extensions(**extensions):
            builder = builder.add_extension(extension, is_critical)
        self.certificate = builder.sign(signer.key, hashes.SHA256())
        self.der = self.certificate.public_bytes(Encoding.DER)


def _extensions(*, ca=None, usage=None, may_sign=None, path_length=None, more=None):
    if ca is not None:
        yield x509.BasicConstraints(ca, path_length), True
    if usage is not None:
        yield x509.ExtendedKeyUsage(usage), False
    if may_sign is not None:
        usages = [True, False, False, False, False, may_sign, False, False, False]
        yield x509.KeyUsage(*usages), True
    if more is not None:
        yield more, True


ROOT = Holder(ca=True)


def certificates(*roots):
    pem = b"".join(root.certificate.public_bytes(Encoding.PEM) for root in roots or (ROOT,))
    return ClientCertificates(pem)


def admin(**how):
    return Holder("admin", "system:masters", **{"by": ROOT, **how})


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({}, id="no extensions"),
        pytest.param({"ca": False}, id="basic constraints"),
        pytest.param({"usage": [ExtendedKeyUsageOID.CLIENT_AUTH]}, id="for clients"),
        pytest.param({"usage": [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]}, id="for anything"),
        pytest.param(
            {"usage": [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]},
            id="for both ends",
        ),
    ],
)
def test_a_certificate_of_the_authority_names_its_user(how):
    assert certificates().user_of((admin(**how).der,), NOW) == ADMIN


def test_an_intermediate_authority_connects():
    between = Holder("between", by=ROOT, ca=True, may_sign=True)
    chain = (admin(by=between).der, between.der)
    assert certificates().user_of(chain, NOW) == ADMIN
    with pytest.raises(UnauthorizedError):
        certificates().user_of(chain[:1], NOW)


def test_one_of_several_authorities_is_enough():
    other = Holder("other", ca=True)
    assert certificates(ROOT, other).user_of((admin(by=other).der,), NOW) == ADMIN


def bad_chains():
    impostor = Holder(ca=True)
    yield "self-signed", [Holder("admin", "system:masters", ca=False)]
    yield "self-signed under the authority's name", [impostor]
    yield "foreign, same name", [admin(by=impostor)]
    yield "foreign, with its authority", [admin(by=impostor), impostor]
    yield "foreign, with ours beside it", [admin(by=impostor), ROOT]
    yield "for servers only", [admin(usage=[ExtendedKeyUsageOID.SERVER_AUTH])]
    yield "expired", [admin(days=(-2, -1))]
    yield "not yet valid", [admin(days=(1, 2))]
    yield "unknown critical extension", [admin(more=UNKNOWN)]
    for kind, how in {
        "a user's": {"ca": False},
        "a user's, of old": {},
        "expired": {"ca": True, "days": (-2, -0.5)},
        "not meant to sign": {"ca": True, "may_sign": False},
        "for servers only": {"ca": True, "usage": [ExtendedKeyUsageOID.SERVER_AUTH]},
    }.items():
        between = Holder("bob", by=ROOT, **how)
        yield f"signed by a certificate that is {kind}", [admin(by=between), between]
    first = Holder("first", by=ROOT, ca=True, path_length=0)
    second = Holder("second", by=first, ca=True)
    yield "too far from a limited authority", [admin(by=second), second, first]
    yield "too long", [admin(), *(Holder(str(i)) for i in range(MAX_CHAIN))]


@pytest.mark.parametrize("chain", [pytest.param(c, id=name) for name, c in bad_chains()])
def test_nobody_gets_in_with_a_certificate_that_is(chain):
    with pytest.raises(UnauthorizedError):
        certificates().user_of(tuple(holder.der for holder in chain), NOW)


@pytest.mark.parametrize("bit", range(8))
def test_no_bit_of_a_certificate_can_be_turned_round(bit):
    known, der = certificates(), admin().der
    for index in range(len(der)):
        changed = bytearray(der)
        changed[index] ^= 1 << bit
        with pytest.raises(UnauthorizedError):
            known.user_of((bytes(changed),), NOW)


@pytest.mark.parametrize(
    "root",
    [
        pytest.param(Holder(), id="no authority"),
        pytest.param(Holder(ca=False), id="expressly none"),
        pytest.param(Holder(ca=True, days=(-2, -0.5)), id="expired"),
    ],
)
def test_a_configured_authority_must_be_one(root):
    with pytest.raises(UnauthorizedError):
        certificates(root).user_of((admin(by=root).der,), NOW)


def test_what_is_no_certificate_is_refused():
    for chain in ((b"",), (b"nonsense",), (admin().der[:-1],), (admin().der, b"nonsense")):
        with pytest.raises(UnauthorizedError):
            certificates().user_of(chain, NOW)


def test_a_certificate_that_was_good_ends_to_count_when_it_expires():
    known = certificates()
    chain = (admin(days=(-1, 1)).der,)
    assert known.user_of(chain, NOW) == ADMIN
    assert known.user_of(chain, NOW + 0.9 * DAY) == ADMIN
    for later in (NOW + 1.1 * DAY, NOW - 1.1 * DAY):
        with pytest.raises(UnauthorizedError):
            known.user_of(chain, later)


def test_a_certificate_without_a_name_is_nobodys():
    nobody = Holder("", "system:masters", by=ROOT)
    assert certificates().user_of((nobody.der,), NOW) is None
    shown = Shown(certificates=(nobody.der,))
    open_house = Authenticator(certificates=certificates(), allow_anonymous=True)
    assert open_house.authenticate(shown, NOW).name == "system:anonymous"


def test_a_bad_certificate_is_not_taken_for_nobody_but_a_good_token_counts():
    bob = User("bob")
    authenticator = Authenticator({"t": bob}, certificates=certificates(), allow_anonymous=True)
    bad = (admin(days=(-2, -1)).der,)
    with pytest.raises(UnauthorizedError):
        authenticator.authenticate(Shown(certificates=bad), NOW)
    with pytest.raises(UnauthorizedError):
        authenticator.authenticate(Shown(certificates=bad, authorization="Bearer x"), NOW)
    shown = Shown(certificates=bad, authorization="Bearer t")
    assert authenticator.authenticate(shown, NOW) == bob
