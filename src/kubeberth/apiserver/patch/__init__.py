"""Patches: a document and a patch body give the next document; pure.

One file per kind of patch; this one chooses by content type and turns what goes wrong into the
answers that upstream gives. The result is plain JSON: whoever patched decodes it
(`codec.decode_document`), sets its defaults and validates it, like any other body.
"""

from __future__ import annotations

from typing import Any

from kubeberth.api import schema
from kubeberth.api.json_syntax import JSONSyntaxError, NumberText, parse_json
from kubeberth.api.scheme import Resource
from kubeberth.api.validation.field_error import invalid, invalid_error
from kubeberth.apiserver.patch.go_text import go_text
from kubeberth.apiserver.patch.json_patch import MAX_OPERATIONS, JSONPatchError, apply_json_patch
from kubeberth.apiserver.patch.merge import apply_merge_patch
from kubeberth.apiserver.patch.strategic import (
    StrategicPatchError,
    apply_strategic_patch,
    is_plain,
)
from kubeberth.errors import (
    ApiError,
    BadRequestError,
    InvalidError,
    RequestEntityTooLargeError,
    UnsupportedMediaTypeError,
)

__all__ = ["APPLY_PATCH", "JSON_PATCH", "MERGE_PATCH", "STRATEGIC_PATCH", "apply_patch", "go_text"]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
# In the order in which upstream lists them.
ACCEPTED = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)
_CUSTOM_ACCEPTED = tuple(kind for kind in ACCEPTED if kind != STRATEGIC_PATCH)

_JSON_NAMES = {str: "string", NumberText: "number", bool: "bool", list: "array", dict: "object"}


def patch_types(resource: Resource) -> tuple[str, ...]:
    """Return the kinds of patches that a resource takes: custom ones know no strategies."""
    return ACCEPTED if resource.custom is None else _CUSTOM_ACCEPTED


def apply_patch(
    content_type: str, resource: Resource, document: dict[str, Any], patch: bytes
) -> dict[str, Any]:
    """Return a document with a patch applied; the document itself stays as it is.

    Parameters
    ----------
    content_type
        The request's header; what follows `;` is ignored.

    Raises
    ------
    UnsupportedMediaTypeError
        The content type is no kind of patch that is served.
    ApiError
        The patch is malformed, or cannot be applied to this document.
    """
    media_type = content_type.partition(";")[0].strip()
    match media_type:
        case "application/json-patch+json":
            return _json_patched(document, patch)
        case "application/merge-patch+json":
            return _merged(document, _parse_object(patch))
        case "application/strategic-merge-patch+json":
            try:
                changes = _parse_object(patch)
            except _PatchSyntaxError as error:
                raise BadRequestError(error.why) from error  # told without the usual preface
            return _strategically_merged(resource, document, changes, plain=is_plain(patch))
    raise UnsupportedMediaTypeError("415: Unsupported Media Type")


def _json_patched(document: dict[str, Any], patch: bytes) -> dict[str, Any]:
    operations = _parse(patch)
    if operations is None:
        operations = []
    if not isinstance(operations, list):
        raise _PatchSyntaxError(_mismatch(operations, "[]handlers.jsonPatchOp"))
    if len(operations) > MAX_OPERATIONS:
        raise RequestEntityTooLargeError(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, "
            f"got {len(operations)}"
        )
    try:
        patched = apply_json_patch(document, operations)
    except JSONPatchError as error:
        # An operation that cannot be applied is told without saying which.
        raise InvalidError(
            "the server rejected our request due to an error in our request", details={}
        ) from error
    if not isinstance(patched, dict):
        raise BadRequestError("the patched document is not an object")
    return patched


def _merged(document: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = apply_merge_patch(document, patch)
    return merged


def _strategically_merged(
    resource: Resource, document: dict[str, Any], patch: dict[str, Any], *, plain: bool
) -> dict[str, Any]:
    kind, api_version = document.get("kind", resource.kind), document.get("apiVersion", "")
    definition = schema.definition_of(api_version or resource.api_version, kind)
    try:
        return apply_strategic_patch(document, patch, definition, plain=plain)
    except StrategicPatchError as error:
        if error.code == BadRequestError.code:
            raise BadRequestError(str(error)) from error
        if error.code == InvalidError.code:
            field_error = invalid("patch", go_text(patch), str(error))
            raise invalid_error("", "", [field_error]) from error
        raise ApiError(str(error), code=error.code, reason="") from error


def _parse(patch: bytes) -> Any:
    try:
        return parse_json(patch)
    except JSONSyntaxError as error:
        raise _PatchSyntaxError(str(error)) from error


def _parse_object(patch: bytes) -> dict[str, Any]:
    value = _parse(patch)
    if value is None:
        raise BadRequestError("Invalid JSON Patch")
    if not isinstance(value, dict):
        raise _PatchSyntaxError(_mismatch(value, "map[string]interface {}"))
    return value


def _mismatch(value: Any, go_type: str) -> str:
    name = _JSON_NAMES.get(type(value), "number")
    return f"json: cannot unmarshal {name} into Go value of type {go_type}"


class _PatchSyntaxError(BadRequestError):
    """A patch that cannot be read."""

    def __init__(self, why: str) -> None:
        super().__init__(f"error decoding patch: {why}")
        self.why = why
