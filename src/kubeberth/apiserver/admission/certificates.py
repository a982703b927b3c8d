"""Requests for certificates: who asks is written down, and who may decide and sign is looked at.

Matches the plugins CertificateApproval, CertificateSigning and CertificateSubjectRestriction in
`plugin/pkg/admission/certificates` of Kubernetes 1.36, and of the kind's strategy what needs the
user and the time.
"""

from __future__ import annotations

from collections.abc import Callable

from kubeberth.api.certificates import CLIENT, RequestError, parse_request
from kubeberth.api.scheme import CERTIFICATE_SIGNING_REQUESTS
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin
from kubeberth.apiserver.auth.authn import MASTERS, User
from kubeberth.apiserver.auth.rbac import Authorizer
from kubeberth.apiserver.route import Query, RequestInfo

_DECISIONS = ("Approved", "Denied")


class CertificateRequests(Plugin):
    """Writes down who asks, and when a condition came; this is no plugin of upstream's.

    Parameters
    ----------
    stamp
        Returns the present moment as objects tell it.
    """

    resources = (CERTIFICATE_SIGNING_REQUESTS,)

    def __init__(self, stamp: Callable[[], str]) -> None:
        self._stamp = stamp

    async def admit(self, attributes: Attributes) -> None:
        """Fill in what no request says of itself."""
        request, old = attributes.document, attributes.old
        if request is None:
            return
        if attributes.operation == "CREATE":
            request["spec"] = _with_asker(request.get("spec") or {}, attributes.user)
        elif attributes.subresource in ("approval", "status") and old is not None:
            if attributes.subresource == "status":
                _keep_decisions(request, old)
            self._stamp_conditions(request, old)

    def _stamp_conditions(self, request: Document, old: Document) -> None:
        status = request.get("status") or {}
        before = (old.get("status") or {}).get("conditions") or ()
        for condition in status.get("conditions") or ():
            if not condition.get("lastUpdateTime"):
                condition["lastUpdateTime"] = self._stamp()
            if not condition.get("lastTransitionTime"):
                same = (
                    c.get("lastTransitionTime")
                    for c in before
                    if (c["type"], c["status"]) == (condition.get("type"), condition.get("status"))
                )
                condition["lastTransitionTime"] = next(same, None) or self._stamp()


class CertificateApproval(Plugin):
    """Refuses decisions of who may not decide for the signer."""

    resources = (CERTIFICATE_SIGNING_REQUESTS,)

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, attributes: Attributes) -> None:
        """Look at a decision."""
        if _is_change_of(attributes, "approval"):
            _check_right(self._authorizer, attributes, "approve")


class CertificateSigning(Plugin):
    """Refuses certificates of who may not sign for the signer."""

    resources = (CERTIFICATE_SIGNING_REQUESTS,)

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, attributes: Attributes) -> None:
        """Look at what a signer writes."""
        if not _is_change_of(attributes, "status"):
            return
        if _issues(attributes.document or {}, attributes.old or {}):
            _check_right(self._authorizer, attributes, "sign")


class CertificateSubjectRestriction(Plugin):
    """Refuses requests for certificates of those who may do everything."""

    resources = (CERTIFICATE_SIGNING_REQUESTS,)

    async def validate(self, attributes: Attributes) -> None:
        """Look at a new request."""
        request = attributes.document
        if request is None:
            return
        if attributes.operation == "CREATE":
            _check_subject(attributes, request)


def _is_change_of(attributes: Attributes, sub: str) -> bool:
    if attributes.document is None:
        return False
    return attributes.old is not None and attributes.subresource == sub


def _check_right(authorizer: Authorizer, attributes: Attributes, verb: str) -> None:
    signer = (attributes.old or {})["spec"]["signerName"]
    domain = signer.partition("/")[0]
    for name in (signer, f"{domain}/*"):
        if authorizer.allows(attributes.user, _permission(verb, name)):
            return
    raise attributes.forbid(f'user not permitted to {verb} requests with signerName "{signer}"')


def _with_asker(spec: Document, user: User) -> Document:
    """Return what is asked for, by whom; what the request itself said of that does not count."""
    extra = {name: list(values) for name, values in user.extra.items()}
    asker = {"username": user.name, "uid": user.uid, "groups": user.group_list, "extra": extra}
    asked = {field: value for field, value in spec.items() if field not in asker}
    return {**asked, **{field: value for field, value in asker.items() if value}}


def _keep_decisions(request: Document, old: Document) -> None:
    """Set approvals and denials back to what they said, if there are as many as before."""
    kept = {
        kind: [c for c in (old.get("status") or {}).get("conditions") or () if c["type"] == kind]
        for kind in _DECISIONS
    }
    status = request.get("status") or {}
    conditions = status.get("conditions") or []
    for kind, found in kept.items():
        places = [i for i, c in enumerate(conditions) if c.get("type") == kind]
        if len(places) == len(found):
            for place, condition in zip(places, found, strict=True):
                conditions[place] = condition


def _issues(request: Document, old: Document) -> bool:
    """Return whether a status holds a certificate, or a failure to sign, that is new."""
    told = []
    for document in (request, old):
        status = document.get("status") or {}
        failed = [c for c in status.get("conditions") or () if c.get("type") == "Failed"]
        told.append((status.get("certificate"), failed))
    return told[0] != told[1]


def _check_subject(attributes: Attributes, request: Document) -> None:
    if request["spec"].get("signerName") != CLIENT:
        return
    try:
        groups = parse_request(request["spec"].get("request") or "").organizations
    except RequestError as error:
        raise attributes.forbid(f"failed to parse CSR: {error}") from error
    if MASTERS in groups:
        raise attributes.forbid(f"use of {CLIENT} signer with {MASTERS} group is not allowed")


def _permission(verb: str, signer: str) -> RequestInfo:
    return RequestInfo(
        method="",
        path="",
        query=Query(""),
        verb=verb,
        group=CERTIFICATE_SIGNING_REQUESTS.group,
        version="*",
        plural="signers",
        name=signer,
    )
