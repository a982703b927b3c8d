"""Signers: approved requests for certificates get one, or are told why not.

Rule 1: what is neither approved nor of a signer that every cluster has is left alone.
Rule 2: a request that its signer does not sign fails for good.
Rule 3: a certificate is good for as long as was asked for, within what the cluster allows.

Matches `pkg/controller/certificates/signer` of Kubernetes 1.36.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from kubeberth.api.certificates import FAULT_OF, Request, RequestError, parse_request
from kubeberth.api.meta import ApiStruct, ObjectMeta
from kubeberth.api.scheme import CERTIFICATE_SIGNING_REQUESTS
from kubeberth.clock import rfc3339
from kubeberth.controllers.action import Failure, Outcome, PatchObject
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.reconciler import Reconciler

LIFETIME_S = 365 * 24 * 3600
SHORTEST_S = 600
FAULT_REASON = "SignerValidationFailure"


class RequestSpec(ApiStruct, frozen=True):
    """What is asked for."""

    request: str = ""
    signer_name: str = ""
    usages: tuple[str, ...] = ()
    expiration_seconds: int | None = None
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, list[str]] = {}


class RequestStatus(ApiStruct, frozen=True):
    """What became of it; conditions stay as they are, to be written back."""

    conditions: tuple[dict[str, Any], ...] = ()
    certificate: str = ""


class SigningRequest(ApiStruct, frozen=True):
    """A CertificateSigningRequest."""

    metadata: ObjectMeta = ObjectMeta()
    spec: RequestSpec = RequestSpec()
    status: RequestStatus = RequestStatus()

    def has(self, condition: str) -> bool:
        """Return whether a condition is there, and true."""
        return any(
            (c.get("type"), c.get("status")) == (condition, "True") for c in self.status.conditions
        )


decode_signing_request = msgspec.json.Decoder(SigningRequest).decode


class Signer(Protocol):
    """Who signs certificates; see `signing_authority.Authority`."""

    def sign(self, request: Request, usages: Sequence[str], seconds: int, now: float) -> str:
        """Return a certificate, PEM."""


def reconcile_request(request: SigningRequest, authority: Signer, now: float) -> Outcome:
    """Return the certificate that a request gets, or its failure."""
    spec = request.spec
    is_open = request.has("Approved") and not request.has("Denied") and not request.has("Failed")
    fault_of = FAULT_OF.get(spec.signer_name)
    if not is_open or request.status.certificate or fault_of is None:
        return Outcome()
    try:
        parsed = parse_request(spec.request)
        fault = fault_of(parsed, spec.usages)
    except RequestError as error:
        fault = str(error)
    if fault:
        return _failed(request, fault, now)
    pem = authority.sign(parsed, spec.usages, _seconds(spec.expiration_seconds), now)
    certificate = base64.b64encode(pem.encode()).decode()
    return _patched(request, {"certificate": certificate})


def _seconds(asked: int | None) -> int:
    return LIFETIME_S if asked is None else min(max(asked, SHORTEST_S), LIFETIME_S)


def _failed(request: SigningRequest, fault: str, now: float) -> Outcome:
    failed = {
        "type": "Failed",
        "status": "True",
        "reason": FAULT_REASON,
        "message": fault,
        "lastUpdateTime": rfc3339(now),
    }
    return _patched(request, {"conditions": [*request.status.conditions, failed]})


def _patched(request: SigningRequest, status: dict[str, Any]) -> Outcome:
    target = ref_of(CERTIFICATE_SIGNING_REQUESTS, request)
    metadata = {"resourceVersion": request.metadata.resource_version}
    patch = {"metadata": metadata, "status": status}
    return Outcome((PatchObject(target, patch, sub="status", if_present=True),))


class CertificateSigningReconciler(Reconciler):
    """Feeds `reconcile_request` from the cache; keys are names of requests."""

    name = "certificatesigningrequest-signing-controller"
    account = "certificate-controller"
    resource = CERTIFICATE_SIGNING_REQUESTS

    def __init__(self, authority: Signer) -> None:
        self._authority = authority

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what becomes of a request."""
        request = cache.get(CERTIFICATE_SIGNING_REQUESTS, key)
        return Outcome() if request is None else reconcile_request(request, self._authority, now)
