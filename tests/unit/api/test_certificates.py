"""What requests for certificates hold, and which of them the signers take."""

import base64

import pytest
from tests.certificate_requests import address, dns, encoded_request

from kubeberth.api.certificates import (
    CLIENT,
    FAULT_OF,
    KUBELET_CLIENT,
    KUBELET_SERVING,
    RequestError,
    parse_request,
)

AS_CLIENT = ("digital signature", "client auth")
AS_SERVER = ("digital signature", "key encipherment", "server auth")
NODE = ("system:node:n1", ("system:nodes",))


def fault(signer, usages, *request):
    return FAULT_OF[signer](parse_request(encoded_request(*request)), usages)


def test_a_request_tells_who_shall_have_the_certificate():
    request = parse_request(encoded_request("n", ("a", "b"), (dns("n1"), address("10.0.0.1"))))
    assert (request.common_name, request.organizations) == ("n", ("a", "b"))
    assert (request.dns_names, request.addresses) == (("n1",), ("10.0.0.1",))


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"nonsense", id="no PEM"),
        pytest.param(
            b"-----BEGIN CERTIFICATE REQUEST-----\nYQ==\n-----END CERTIFICATE REQUEST-----\n",
            id="an empty frame",
        ),
    ],
)
def test_what_is_no_request_is_told_apart(pem):
    with pytest.raises(RequestError):
        parse_request(base64.b64encode(pem).decode())


def test_a_request_has_to_be_signed_with_its_own_key():
    mine = base64.b64decode(encoded_request("mine")).decode()
    der = bytearray(base64.b64decode("".join(mine.splitlines()[1:-1])))
    der[-1] ^= 1
    lines = ["-----BEGIN CERTIFICATE REQUEST-----", base64.b64encode(der).decode()]
    pem = "\n".join([*lines, "-----END CERTIFICATE REQUEST-----", ""])
    with pytest.raises(RequestError, match="not signed with its own key"):
        parse_request(base64.b64encode(pem.encode()).decode())


@pytest.mark.parametrize(
    ("signer", "usages", "request_", "expected"),
    [
        pytest.param(CLIENT, AS_CLIENT, ("jane", ("dev",)), "", id="a client"),
        pytest.param(
            CLIENT,
            AS_SERVER,
            ("jane",),
            "invalid usage for client certificate: server auth",
            id="a client that serves",
        ),
        pytest.param(
            CLIENT,
            ("digital signature",),
            ("jane",),
            "missing required usage for client certificate: client auth",
            id="a client for nothing",
        ),
        pytest.param(KUBELET_CLIENT, AS_CLIENT, NODE, "", id="a kubelet"),
        pytest.param(
            KUBELET_CLIENT,
            AS_CLIENT,
            ("jane", ("system:nodes",)),
            "subject common name does not begin with system:node:",
            id="a kubelet of no node",
        ),
        pytest.param(
            KUBELET_CLIENT,
            AS_CLIENT,
            ("system:node:n1", ("system:nodes", "system:masters")),
            "subject organization is not system:nodes",
            id="a kubelet that wants more",
        ),
        pytest.param(
            KUBELET_CLIENT,
            AS_CLIENT,
            (*NODE, (dns("n1"),)),
            "DNS subjectAltNames are not allowed",
            id="a kubelet with names",
        ),
        pytest.param(
            KUBELET_CLIENT,
            AS_SERVER,
            NODE,
            "usages did not match [client auth digital signature key encipherment]",
            id="a kubelet that serves",
        ),
        pytest.param(
            KUBELET_SERVING, AS_SERVER, (*NODE, (address("10.0.0.1"),)), "", id="a kubelet's server"
        ),
        pytest.param(
            KUBELET_SERVING,
            AS_SERVER,
            NODE,
            "DNS or IP subjectAltName is required",
            id="a kubelet's server without a name",
        ),
    ],
)
def test_each_signer_takes_its_own_requests_alone(signer, usages, request_, expected):
    assert fault(signer, usages, *request_) == expected
