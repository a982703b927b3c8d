"""PATCH: apply a patch to a document, and read the result as strictly as a body."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from kubeberth.api import codec
from kubeberth.api.scheme import Resource
from kubeberth.api.validation.field_error import FieldError, invalid_error, shown
from kubeberth.apiserver.objects import Document
from kubeberth.apiserver.patch import apply_patch
from kubeberth.errors import BadRequestError, InvalidError

STRATEGIC = "application/strategic-merge-patch+json"


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
    media_type = content_type.partition(";")[0].strip()
    document = apply_patch(media_type, resource, old, patch)
    try:
        decoded = codec.decode_document(document, resource, sub)
    except BadRequestError as error:
        why = error.message.partition(" cannot be handled as a ")[2].partition(": ")[2]
        raise _invalid_patch(media_type, document, patch, why or error.message) from error
    duplicates = [] if media_type == "application/yaml" else codec.duplicate_fields(patch)
    warnings = [
        *decoded.warnings,
        *(f'duplicate field "{path}"' for path in duplicates),
    ]
    if is_strict and warnings:
        why = "strict decoding error: " + ", ".join(warnings)
        raise _invalid_patch(media_type, document, patch, why)
    return decoded.document, warnings


def _invalid_patch(media_type: str, document: Document, patch: bytes, why: str) -> InvalidError:
    """Return the refusal; it shows the result as JSON, or a strategic patch as Go prints maps."""
    if media_type == STRATEGIC:
        value = f'"{go_text(msgspec.json.decode(patch))}"'
    else:
        value = shown(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    error = FieldError("FieldValueInvalid", "patch", f"Invalid value: {value}: {why}")
    return invalid_error("", "", [error])


def go_text(value: Any) -> str:
    """Return a JSON value as Go's `%v` prints it."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(go_text, value))}]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
