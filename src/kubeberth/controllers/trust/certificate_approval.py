"""Approves what kubelets ask for as clients, if whoever asks may have it without being asked back.

Rule 1: what is decided already, and what is not a kubelet's, is left alone.
Rule 2: who asks for the certificate that he has already needs the right to `selfnodeclient`,
        anybody else that to `nodeclient`.
Rule 3: without the right, the request waits for people, and is looked at again later.

Matches `pkg/controller/certificates/approver` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.api.certificates import (
    KUBELET_CLIENT,
    RequestError,
    kubelet_client_fault,
    parse_request,
)
from kubeberth.api.scheme import CERTIFICATE_SIGNING_REQUESTS
from kubeberth.clock import rfc3339
from kubeberth.controllers.action import ConfirmAllowed, Failure, Outcome, PatchObject
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.reconciler import Reconciler
from kubeberth.controllers.trust.certificate_signing import SigningRequest

REASON = "AutoApproved"
MESSAGES = {
    "nodeclient": "Auto approving kubelet client certificate after SubjectAccessReview.",
    "selfnodeclient": "Auto approving self kubelet client certificate after SubjectAccessReview.",
}


def reconcile_approval(request: SigningRequest, now: float) -> Outcome:
    """Return the approval of a request, if whoever asks may have it."""
    spec = request.spec
    is_decided = request.has("Approved") or request.has("Denied")
    if is_decided or request.status.certificate or spec.signer_name != KUBELET_CLIENT:
        return Outcome()
    try:
        parsed = parse_request(spec.request)
    except RequestError:
        return Outcome()
    if kubelet_client_fault(parsed, spec.usages):
        return Outcome()
    permission = "selfnodeclient" if spec.username == parsed.common_name else "nodeclient"
    approved = {
        "type": "Approved",
        "status": "True",
        "reason": REASON,
        "message": MESSAGES[permission],
        "lastUpdateTime": rfc3339(now),
    }
    patch = {
        "metadata": {"resourceVersion": request.metadata.resource_version},
        "status": {"conditions": [*request.status.conditions, approved]},
    }
    target = ref_of(CERTIFICATE_SIGNING_REQUESTS, request)
    review = {
        "user": spec.username,
        "uid": spec.uid,
        "groups": list(spec.groups),
        "extra": spec.extra,
        "resourceAttributes": {
            "group": CERTIFICATE_SIGNING_REQUESTS.group,
            "version": "*",
            "resource": CERTIFICATE_SIGNING_REQUESTS.plural,
            "verb": "create",
            "subresource": permission,
        },
    }
    return Outcome(
        (ConfirmAllowed(review), PatchObject(target, patch, sub="approval", if_present=True))
    )


class CertificateApprovalReconciler(Reconciler):
    """Feeds `reconcile_approval` from the cache; keys are names of requests."""

    name = "certificatesigningrequest-approving-controller"
    account = "certificate-controller"
    resource = CERTIFICATE_SIGNING_REQUESTS

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what becomes of a request."""
        request = cache.get(CERTIFICATE_SIGNING_REQUESTS, key)
        return Outcome() if request is None else reconcile_approval(request, now)
