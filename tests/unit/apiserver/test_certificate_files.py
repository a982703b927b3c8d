"""Certificates that are renewed while a server runs."""

import ssl
from contextlib import suppress

import pytest
from cryptography import x509

from kubeberth.apiserver.auth.authn import Authenticator, Shown
from kubeberth.apiserver.auth.tls import shown_chain
from kubeberth.apiserver.certificate_files import CertificateFiles
from kubeberth.apiserver.server import ServerSettings, client_certificates, tls_context
from kubeberth.cluster.pki import ADMIN, Authority
from kubeberth.errors import UnauthorizedError
from kubeberth.private_file import write_private

NOW = 1_800_000_000.0


def der(pem):
    return ssl.PEM_cert_to_DER_cert(pem[: pem.index(b"-----BEGIN PRIVATE")].decode())


class Running:
    """A server's handshakes and who it trusts, by files that others write."""

    def __init__(self, folder) -> None:
        self.own, self.authorities = folder / "server.pem", folder / "ca.crt"
        self.authority = Authority(folder / "first", NOW)
        self.renew(self.authority)
        settings = ServerSettings("localhost", 0, self.own, self.own, self.authorities)
        self.context = tls_context(settings)
        certificates = client_certificates(self.authorities)
        self.authenticator = Authenticator(certificates=certificates)
        self.files = CertificateFiles(
            self.context,
            self.authenticator,
            cert_file=self.own,
            key_file=self.own,
            client_ca_file=self.authorities,
        )

    def renew(self, authority):
        """Write what an authority signs, and the authority, in place of what was there."""
        write_private(self.own, authority.server("server", ["localhost"]).read_bytes())
        write_private(self.authorities, authority.cert_file.read_bytes())

    def lets_in(self, authority):
        chain = (der(authority.client("admin", ADMIN).read_bytes()),)
        try:
            user = self.authenticator.authenticate(Shown(certificates=chain), NOW)
        except UnauthorizedError:
            return False
        return user.name == ADMIN.user

    def shown(self):
        """Return the certificate that a client is shown in a handshake."""
        return x509.load_der_x509_certificate(self.shown_chain()[0])

    def shown_chain(self):
        """Return all that a client is shown in a handshake, DER."""
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting.wrap_bio(to_client, to_server)
        server = self.context.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(3):
            for side in (client, server):
                with suppress(ssl.SSLWantReadError):
                    side.do_handshake()
        return shown_chain(client)


@pytest.fixture
def running(tmp_path):
    return Running(tmp_path)


def test_a_new_certificate_is_shown_from_the_next_handshake_on(running, tmp_path):
    before = running.shown()
    running.renew(Authority(tmp_path / "second", NOW + 1))
    assert running.shown() == before
    running.files.look()
    assert running.shown().issuer != before.issuer


def test_a_client_is_shown_what_is_in_the_file_and_no_more(running, tmp_path):
    own, other = running.own.read_bytes(), Authority(tmp_path / "second", NOW).cert_file
    assert running.shown_chain() == (der(own),)
    write_private(running.own, own + other.read_bytes())
    running.files.look()
    assert running.shown_chain() == (der(own), ssl.PEM_cert_to_DER_cert(other.read_text()))


def test_clients_are_trusted_by_the_authorities_that_there_are_now(running, tmp_path):
    second = Authority(tmp_path / "second", NOW + 1)
    assert (running.lets_in(running.authority), running.lets_in(second)) == (True, False)
    running.renew(second)
    running.files.look()
    assert (running.lets_in(running.authority), running.lets_in(second)) == (False, True)


@pytest.mark.parametrize("content", [b"", b"nonsense", None], ids=["empty", "nonsense", "gone"])
def test_what_cannot_be_used_leaves_what_was_there(running, content, caplog):
    before = running.shown()
    for file in (running.own, running.authorities):
        file.unlink()
        if content is not None:
            file.write_bytes(content)
    running.files.look()
    assert running.shown() == before
    assert running.lets_in(running.authority)
    assert "keeping the last certificate" in caplog.text
    assert "keeping the authorities" in caplog.text
    caplog.clear()
    running.files.look()
    assert not caplog.text
