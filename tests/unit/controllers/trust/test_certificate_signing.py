"""What becomes of approved requests for certificates."""

import base64

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.certificate_requests import address, encoded_request

from kubeberth.api.meta import ObjectMeta
from kubeberth.cluster import pki
from kubeberth.controllers.trust.certificate_signing import (
    RequestSpec,
    RequestStatus,
    SigningRequest,
    reconcile_request,
)
from kubeberth.controllers.trust.signing_authority import Authority
from kubeberth.errors import UsageError

NOW = 1_800_000_000.0
APPROVED = {"type": "Approved", "status": "True"}
CLIENT = "kubernetes.io/kube-apiserver-client"
SERVING = "kubernetes.io/kubelet-serving"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    pki.Authority(folder, NOW)
    return Authority(folder / "ca.crt", folder / "ca.key")


def request(*conditions, encoded=None, signer=CLIENT, usages=("client auth",), **more):
    certificate = more.pop("certificate", "")
    encoded = encoded or encoded_request("jane", ("dev",))
    return SigningRequest(
        metadata=ObjectMeta(name="r", uid="u", resource_version="7"),
        spec=RequestSpec(request=encoded, signer_name=signer, usages=usages, **more),
        status=RequestStatus(conditions=conditions, certificate=certificate),
    )


def written(authority, *conditions, **spec):
    (action,) = reconcile_request(request(*conditions, **spec), authority, NOW).actions
    assert (action.target.name, action.sub) == ("r", "status")
    assert action.patch["metadata"] == {"resourceVersion": "7"}
    return action.patch["status"]


def issued(authority, **spec):
    pem = base64.b64decode(written(authority, APPROVED, **spec)["certificate"])
    return x509.load_pem_x509_certificate(pem)


@pytest.mark.parametrize(
    ("conditions", "spec"),
    [
        pytest.param((), {}, id="not decided"),
        pytest.param((APPROVED, {"type": "Denied", "status": "True"}), {}, id="denied"),
        pytest.param((APPROVED, {"type": "Failed", "status": "True"}), {}, id="failed"),
        pytest.param((APPROVED,), {"certificate": "YQ=="}, id="issued"),
        pytest.param((APPROVED,), {"signer": "example.com/other"}, id="of another signer"),
    ],
)
def test_what_is_not_ours_to_sign_is_left_alone(authority, conditions, spec):
    assert reconcile_request(request(*conditions, **spec), authority, NOW).actions == ()


def test_an_approved_client_gets_a_certificate_of_the_cluster(authority):
    cert = issued(authority)
    assert cert.subject.rfc4514_string() == "O=dev,CN=jane"
    usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    lifetime = cert.not_valid_after_utc.timestamp() - NOW
    assert lifetime == 365 * 24 * 3600
    assert cert.not_valid_before_utc.timestamp() == NOW - 300


@pytest.mark.parametrize(("asked", "seconds"), [(3600, 3600), (1, 600), (10**9, 365 * 24 * 3600)])
def test_a_certificate_is_good_as_long_as_was_asked_for_within_reason(authority, asked, seconds):
    cert = issued(authority, expiration_seconds=asked)
    assert cert.not_valid_after_utc.timestamp() == NOW + seconds


def test_a_kubelets_server_keeps_its_addresses(authority):
    encoded = encoded_request("system:node:n1", ("system:nodes",), (address("10.0.0.1"),))
    cert = issued(
        authority,
        encoded=encoded,
        signer=SERVING,
        usages=("digital signature", "key encipherment", "server auth"),
    )
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.1"]
    usage = cert.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment) == (True, True)
    assert not usage.key_cert_sign


def test_a_request_that_its_signer_does_not_sign_fails_and_keeps_its_approval(authority):
    status = written(authority, APPROVED, usages=("server auth",))
    approved, failed = status["conditions"]
    assert approved == APPROVED
    assert (failed["type"], failed["reason"]) == ("Failed", "SignerValidationFailure")
    assert failed["message"] == "invalid usage for client certificate: server auth"


def test_files_that_cannot_sign_are_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match=r"absent\.crt"):
        Authority(tmp_path / "absent.crt", tmp_path / "absent.key")
    (tmp_path / "ca.crt").write_text("nonsense")
    with pytest.raises(UsageError, match="it holds no certificate"):
        Authority(tmp_path / "ca.crt", tmp_path / "ca.key")
