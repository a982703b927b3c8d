import stat

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from kubeberth.cluster.pki import Authority, Identity, node_identity
from kubeberth.errors import UsageError

NOW = 1_800_000_000.0
DAY = 86400.0


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "pki", NOW)


def certificate(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def names(cert, oid):
    return [attribute.value for attribute in cert.subject.get_attributes_for_oid(oid)]


def test_a_client_certificate_says_user_and_groups(authority):
    cert = certificate(authority.client("node", node_identity("n1")))
    assert names(cert, NameOID.COMMON_NAME) == ["system:node:n1"]
    assert names(cert, NameOID.ORGANIZATION_NAME) == ["system:nodes"]


def test_a_node_name_may_be_longer_than_a_common_name(authority):
    name = "n" * 200
    cert = certificate(authority.client("node", node_identity(name)))
    with pytest.warns(UserWarning, match="length must be"):
        assert names(cert, NameOID.COMMON_NAME) == [f"system:node:{name}"]


def test_the_authority_signs_what_it_makes(authority):
    cert = certificate(authority.server("server", ["localhost", "127.0.0.1"]))
    cert.verify_directly_issued_by(certificate(authority.cert_file))


def test_keys_are_readable_by_their_owner_alone(authority):
    path = authority.client("admin", Identity("admin"))
    for file in (path, path.parent / "ca.key"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_good_certificate_is_kept(authority, tmp_path):
    path = authority.client("admin", Identity("admin"))
    before = path.read_bytes()
    again = Authority(tmp_path / "pki", NOW + DAY).client("admin", Identity("admin"))
    assert again.read_bytes() == before


def test_a_certificate_about_to_expire_is_made_again(authority, tmp_path):
    path = authority.client("admin", Identity("admin"))
    before = path.read_bytes()
    Authority(tmp_path / "pki", NOW + 350 * DAY).client("admin", Identity("admin"))
    assert path.read_bytes() != before


def test_a_server_certificate_is_made_again_for_other_names(authority):
    before = authority.server("server", ["localhost"]).read_bytes()
    assert authority.server("server", ["localhost", "::1"]).read_bytes() != before


def test_a_certificate_of_another_authority_is_made_again(authority, tmp_path):
    path = authority.client("admin", Identity("admin"))
    foreign = Authority(tmp_path / "other", NOW + 1).client("admin", Identity("admin"))
    path.write_bytes(foreign.read_bytes())
    authority.client("admin", Identity("admin"))
    assert certificate(path).issuer == certificate(authority.cert_file).subject


@pytest.mark.parametrize("name", ["ca.key", "ca.crt"])
def test_a_damaged_authority_is_named_and_kept(authority, tmp_path, name):
    (tmp_path / "pki" / name).write_text("garbage")
    with pytest.raises(UsageError, match=r"the certificate authority in .* is damaged"):
        Authority(tmp_path / "pki", NOW)
    assert (tmp_path / "pki" / name).read_text() == "garbage"


def test_half_an_authority_is_not_made_whole_silently(authority, tmp_path):
    (tmp_path / "pki" / "ca.key").unlink()
    with pytest.raises(UsageError, match="is damaged"):
        Authority(tmp_path / "pki", NOW)
