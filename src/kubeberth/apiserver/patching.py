"""PATCH: apply a patch to a document, and read the result as strictly as a body."""

from __future__ import annotations

import json

import msgspec

from kubeberth.api import codec
from kubeberth.api.scheme import Resource
from kubeberth.api.validation.field_error import FieldError, invalid_error, shown
from kubeberth.apiserver.objects import Document
from kubeberth.apiserver.patch import (
    ACCEPTED,
    APPLY_PATCH,
    STRATEGIC_PATCH,
    apply_patch,
    go_text,
    patch_types,
)
from kubeberth.apiserver.route import NO_DETAILS
from kubeberth.errors import BadRequestError, InvalidError, UnsupportedMediaTypeError


def media_type_of(content_type: str, resource: Resource) -> str:
    """Return the kind of a patch.

    Raises
    ------
    UnsupportedMediaTypeError
        It is none, or one that is not applied yet.
    """
    media_type = content_type.partition(";")[0].strip()
    if media_type == APPLY_PATCH:
        raise codec.unsupported_media_type(ACCEPTED)
    if media_type not in ACCEPTED:
        raise UnsupportedMediaTypeError("415: Unsupported Media Type", details=NO_DETAILS)
    if media_type not in patch_types(resource):
        raise codec.unsupported_media_type(patch_types(resource))
    return media_type


def patched(
    resource: Resource,
    old: Document,
    patch: bytes,
    content_type: str,
    *,
    sub: str = "",
    is_strict: bool = False,
) -> tuple[Document, list[str]]:
    """Return the patched document in canonical form, and what to warn of.

    Raises
    ------
    InvalidError
        The result is no object of the kind, or breaks strict field validation.
    """
    media_type = media_type_of(content_type, resource)
    document = apply_patch(media_type, resource, old, patch)
    try:
        decoded = codec.decode_document(document, resource, sub)
    except BadRequestError as error:
        why = error.message.partition(" cannot be handled as a ")[2].partition(": ")[2]
        raise _invalid_patch(media_type, document, patch, why or error.message) from error
    duplicates = (f'duplicate field "{path}"' for path in codec.duplicate_fields(patch))
    warnings = [*decoded.warnings, *duplicates]
    if is_strict and warnings:
        why = "strict decoding error: " + ", ".join(warnings)
        raise _invalid_patch(media_type, document, patch, why)
    return decoded.document, warnings


def _invalid_patch(media_type: str, document: Document, patch: bytes, why: str) -> InvalidError:
    """Return the refusal; it shows the result as JSON, or a strategic patch as Go prints maps."""
    if media_type == STRATEGIC_PATCH:
        value = f'"{go_text(msgspec.json.decode(patch))}"'
    else:
        value = shown(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    error = FieldError("FieldValueInvalid", "patch", f"Invalid value: {value}: {why}")
    return invalid_error("", "", [error])
