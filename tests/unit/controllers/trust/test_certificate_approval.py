"""Which requests for certificates are approved without anybody being asked."""

import pytest
from tests.certificate_requests import dns, encoded_request

from kubeberth.api.meta import ObjectMeta
from kubeberth.controllers.action import ConfirmAllowed
from kubeberth.controllers.trust.certificate_approval import reconcile_approval
from kubeberth.controllers.trust.certificate_signing import (
    RequestSpec,
    RequestStatus,
    SigningRequest,
)

NOW = 1_800_000_000.0
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
NODE = encoded_request("system:node:n1", ("system:nodes",))
BOOTSTRAP = "system:bootstrap:abc123"


def request(*conditions, encoded=NODE, signer=KUBELET_CLIENT, username=BOOTSTRAP, **more):
    certificate = more.pop("certificate", "")
    spec = RequestSpec(
        request=encoded,
        signer_name=signer,
        usages=more.pop("usages", ("digital signature", "client auth")),
        username=username,
        groups=("system:bootstrappers",),
    )
    return SigningRequest(
        metadata=ObjectMeta(name="r", uid="u", resource_version="7"),
        spec=spec,
        status=RequestStatus(conditions=conditions, certificate=certificate),
    )


def test_who_may_have_it_is_asked_before_it_is_approved():
    review, patch = reconcile_approval(request(), NOW).actions
    assert isinstance(review, ConfirmAllowed)
    assert review.spec["user"] == BOOTSTRAP
    assert review.spec["groups"] == ["system:bootstrappers"]
    assert review.spec["resourceAttributes"] == {
        "group": "certificates.k8s.io",
        "version": "*",
        "resource": "certificatesigningrequests",
        "verb": "create",
        "subresource": "nodeclient",
    }
    assert patch.sub == "approval"
    assert patch.patch["metadata"] == {"resourceVersion": "7"}
    [condition] = patch.patch["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("Approved", "AutoApproved")
    assert condition["message"] == (
        "Auto approving kubelet client certificate after SubjectAccessReview."
    )


def test_a_node_that_renews_its_own_needs_another_right():
    review, patch = reconcile_approval(request(username="system:node:n1"), NOW).actions
    assert review.spec["resourceAttributes"]["subresource"] == "selfnodeclient"
    [condition] = patch.patch["status"]["conditions"]
    assert condition["message"] == (
        "Auto approving self kubelet client certificate after SubjectAccessReview."
    )


def test_a_node_that_asks_for_the_certificate_of_another_is_not_taken_for_it():
    review, _ = reconcile_approval(request(username="system:node:n2"), NOW).actions
    assert review.spec["resourceAttributes"]["subresource"] == "nodeclient"


@pytest.mark.parametrize(
    "left_alone",
    [
        pytest.param(request({"type": "Approved", "status": "True"}), id="approved"),
        pytest.param(request({"type": "Denied", "status": "True"}), id="denied"),
        pytest.param(request(certificate="x"), id="issued"),
        pytest.param(request(signer="kubernetes.io/kube-apiserver-client"), id="other signer"),
        pytest.param(request(encoded="nonsense"), id="no request"),
        pytest.param(request(encoded=encoded_request("jane", ("dev",))), id="no node"),
        pytest.param(
            request(encoded=encoded_request("system:node:n1", ("system:masters",))), id="masters"
        ),
        pytest.param(
            request(encoded=encoded_request("system:node:n1", ("system:nodes", "system:masters"))),
            id="one group more",
        ),
        pytest.param(
            request(encoded=encoded_request("system:node:n1", ("system:nodes",), [dns("x")])),
            id="other names",
        ),
        pytest.param(request(usages=("server auth",)), id="other usages"),
    ],
)
def test_anything_else_waits_for_people(left_alone):
    assert reconcile_approval(left_alone, NOW).actions == ()
