"""AdmissionReview: what a webhook is asked, and what its answer must be like; pure.

Matches `plugin/webhook/request` and `plugin/webhook/errors` of k8s.io/apiserver 1.36.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubeberth.api.scheme import Resource
from kubeberth.apiserver.admission.chain import Attributes, Document
from kubeberth.apiserver.admission.matching import namespace_of
from kubeberth.apiserver.auth.authn import User
from kubeberth.errors import ApiError

GROUP = "admission.k8s.io"
KIND = "AdmissionReview"
VERSIONS = ("v1", "v1beta1")
JSON_PATCH = "JSONPatch"
BAD_REQUEST = 400


class ReviewError(Exception):
    """A webhook's answer is no answer to the question."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The object of a write in the version and shape in which it is shown.

    Parameters
    ----------
    resource
        Whose version it is.
    """

    resource: Resource
    document: Document | None
    old: Document | None

    @property
    def kind(self) -> tuple[str, str]:
        """`apiVersion` and kind of the object."""
        found = self.document or self.old or {}
        api_version = found.get("apiVersion") or self.resource.api_version
        return api_version, found.get("kind") or self.resource.kind


def review_version(accepted: Sequence[str]) -> str:
    """Return the first version of reviews that both sides speak.

    Raises
    ------
    ReviewError
        There is none.
    """
    for version in accepted:
        if version in VERSIONS:
            return version
    raise ReviewError("webhook does not accept known AdmissionReview versions (v1, v1beta1)")


def review_of(version: str, uid: str, attributes: Attributes, asked: Asked) -> Document:
    """Return the question."""
    request = request_of(attributes, asked)
    body = {
        "uid": uid,
        **request,
        "object": asked.document,
        "oldObject": asked.old,
        "dryRun": attributes.dry_run,
        "options": options_of(attributes),
    }
    return {"kind": KIND, "apiVersion": f"{GROUP}/{version}", "request": body}


def request_of(attributes: Attributes, asked: Asked) -> Document:
    """Return an AdmissionRequest without the objects, as expressions see it, too."""
    sub = {"subResource": attributes.subresource} if attributes.subresource else {}
    asked_sub = {"requestSubResource": attributes.subresource} if attributes.subresource else {}
    # The version of the request itself, whatever the webhook wants to see.
    kind = asked.kind
    if asked.resource is not attributes.resource and kind[0] == asked.resource.api_version:
        kind = (attributes.resource.api_version, attributes.resource.kind)
    request = {
        "kind": _kind(*asked.kind),
        "resource": _resource(asked.resource),
        **sub,
        "requestKind": _kind(*kind),
        "requestResource": _resource(attributes.resource),
        **asked_sub,
        "name": attributes.name,
        "namespace": namespace_of(attributes),
        "operation": attributes.operation,
        "userInfo": _user_info(attributes.user),
    }
    for name in ("name", "namespace"):
        if not request[name]:
            del request[name]
    return request


def options_of(attributes: Attributes) -> Document | None:
    """Return the options of a request, or None for the server's own writes."""
    return attributes.options() if attributes.options is not None else None


def _kind(api_version: str, kind: str) -> Document:
    group, _, version = api_version.rpartition("/")
    return {"group": group, "version": version, "kind": kind}


def _resource(resource: Resource) -> Document:
    return {"group": resource.group, "version": resource.version, "resource": resource.plural}


def _user_info(user: User) -> Document:
    info: Document = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    if groups := user.group_list:
        info["groups"] = groups
    if user.extra:
        info["extra"] = {name: list(values) for name, values in user.extra.items()}
    return info


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a webhook says.

    Parameters
    ----------
    status
        Why not, as a Status; None when it does not say.
    patch
        A JSON patch as text; empty for none.
    """

    is_allowed: bool
    status: Mapping[str, Any] | None = None
    patch: bytes = b""
    patch_type: str = ""
    warnings: Sequence[str] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


def verdict_of(review: Document, version: str, uid: str, *, may_patch: bool) -> Verdict:
    """Return what an answer says.

    Raises
    ------
    ReviewError
        It is no answer to this question.
    """
    response = review.get("response")
    if response is None:
        raise ReviewError("webhook response was absent")
    response = _typed(response, dict, "response", "v1.AdmissionResponse")
    patch, patch_type = _patch_of(response), response.get("patchType")
    if version == "v1":
        _check_v1(review, response, uid)
        if may_patch:
            _check_patch(patch, patch_type)
        elif patch:
            raise ReviewError("validating webhook may not return response.patch")
        elif patch_type is not None:
            raise ReviewError("validating webhook may not return response.patchType")
    elif patch:
        patch_type = JSON_PATCH  # the only one there is, told or not
    status = response.get("status")
    annotations = response.get("auditAnnotations") or {}
    warnings = _typed(response.get("warnings") or [], list, "response.warnings", "[]string")
    return Verdict(
        _typed(response.get("allowed", False), bool, "response.allowed", "bool"),
        None if status is None else _typed(status, dict, "response.status", "v1.Status"),
        patch if may_patch else b"",
        patch_type or "",
        [str(text) for text in warnings],
        _typed(annotations, dict, "response.auditAnnotations", "map[string]string"),
    )


def _check_v1(review: Document, response: Document, uid: str) -> None:
    found = str(response.get("uid") or "")
    if found != uid:
        raise ReviewError(f'expected response.uid="{uid}", got "{found}"')
    kind = (str(review.get("apiVersion") or ""), str(review.get("kind") or ""))
    if kind != (f"{GROUP}/v1", KIND):
        group, _, version = kind[0].rpartition("/")
        raise ReviewError(
            f"expected webhook response of {GROUP}/v1, Kind={KIND}, got {group}/{version}, "
            f"Kind={kind[1]}"
        )


def _check_patch(patch: bytes, patch_type: Any) -> None:
    if patch and patch_type is None:
        raise ReviewError("webhook returned response.patch but not response.patchType")
    if not patch and patch_type is not None:
        raise ReviewError("webhook returned response.patchType but not response.patch")
    if patch_type == "":
        raise ReviewError('webhook returned invalid response.patchType of ""')


def _patch_of(response: Document) -> bytes:
    text = response.get("patch")
    if text is None:
        return b""
    try:
        return base64.b64decode(_typed(text, str, "response.patch", "[]uint8"), validate=True)
    except binascii.Error as error:
        raise ReviewError("illegal base64 data at input byte 0") from error


_NAMES = {str: "string", bool: "bool", list: "array", dict: "object"}


def _typed(value: Any, kind: type, path: str, go_type: str) -> Any:
    """Return a value that must be of a type."""
    if not isinstance(value, kind):
        raise ReviewError(
            f"json: cannot unmarshal {_NAMES.get(type(value), 'number')} into Go struct field "
            f"AdmissionReview.{path} of type {go_type}"
        )
    return value


def denial(webhook: str, status: Mapping[str, Any] | None) -> ApiError:
    """Return the answer to a write that a webhook refuses."""
    found = status or {}
    code = found.get("code")
    if not isinstance(code, int) or code < BAD_REQUEST:
        code = BAD_REQUEST
    denied = f'admission webhook "{webhook}" denied the request'
    why = found.get("message") or found.get("reason")
    message = f"{denied}: {why}" if why else f"{denied} without explanation"
    return ApiError(
        message, code=code, reason=str(found.get("reason") or ""), details=found.get("details")
    )


def no_dry_run(webhook: str) -> ApiError:
    """Return the answer to a trial that a webhook would not take for one."""
    return ApiError(
        f'admission webhook "{webhook}" does not support dry run', code=400, reason="BadRequest"
    )
