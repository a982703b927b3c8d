"""PATCH: apply a patch or a configuration to a document, and read the result as a body is read."""

from __future__ import annotations

import json

import msgspec

from kubeberth.api import codec
from kubeberth.api.scheme import Resource
from kubeberth.api.validation.field_error import FieldError, invalid_error, shown
from kubeberth.apiserver.managed_fields import entries
from kubeberth.apiserver.objects import Document
from kubeberth.apiserver.patch import (
    ACCEPTED,
    STRATEGIC_PATCH,
    apply_patch,
    go_text,
    patch_types,
)
from kubeberth.apiserver.route import NO_DETAILS
from kubeberth.errors import ApiError, BadRequestError, InvalidError, UnsupportedMediaTypeError


def media_type_of(content_type: str, resource: Resource) -> str:
    """Return the kind of a patch.

    Raises
    ------
    UnsupportedMediaTypeError
        It is none.
    """
    media_type = content_type.partition(";")[0].strip()
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
    old = with_plain_entries(old) if b"managedFields" in patch else without_entries(old)
    document = apply_patch(media_type, resource, old, patch)
    try:
        decoded = codec.decode_document(document, resource, sub, before=old)
    except BadRequestError as error:
        why = error.message.partition(" cannot be handled as a ")[2].partition(": ")[2]
        raise _invalid_patch(media_type, document, patch, why or error.message) from error
    duplicates = (f'duplicate field "{path}"' for path in codec.duplicate_fields(patch))
    warnings = [*decoded.warnings, *duplicates]
    if is_strict and warnings:
        why = "strict decoding error: " + ", ".join(warnings)
        raise _invalid_patch(media_type, document, patch, why)
    return decoded.document, warnings


def without_entries(document: Document) -> Document:
    """Return a document without the entries that say who owns its fields."""
    metadata = document.get("metadata", {})
    if "managedFields" not in metadata:
        return document
    rest = {name: value for name, value in metadata.items() if name != "managedFields"}
    return {**document, "metadata": rest}


def with_plain_entries(document: Document) -> Document:
    """Return a document whose entries can be patched."""
    stored = document["metadata"].get("managedFields")
    metadata = {**document["metadata"], "managedFields": entries.plain(stored)}
    return {**document, "metadata": metadata}


def parse_config(body: bytes, resource: Resource, sub: str) -> tuple[Document, list[str]]:
    """Return the configuration that an apply sends, and which keys it has twice.

    Raises
    ------
    BadRequestError
        It is no YAML, or of another kind.
    """
    from kubeberth.api import yaml  # late: its parser loads slowly

    repeated: list[str] = []
    try:
        config = yaml.parse(body, repeated=repeated)
    except yaml.YAMLError as error:
        raise BadRequestError(
            f"error decoding YAML: error converting YAML to JSON: {error}"
        ) from error
    if config is None:
        config = {}
    if not isinstance(config, dict):
        kind = {list: "array", str: "string", bool: "bool"}.get(type(config), "number")
        raise BadRequestError(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot "
            f"unmarshal {kind} into Go value of type map[string]interface {{}}"
        )
    if (config.get("apiVersion"), config.get("kind")) != codec.kind_of(resource, sub):
        raise BadRequestError(f"invalid object type: {_go_kind(config)}")
    return config, repeated


def _go_kind(config: Document) -> str:
    """Return group, version and kind as Go prints them."""
    api_version, kind = config.get("apiVersion") or "", config.get("kind") or ""
    group, _, version = str(api_version).rpartition("/")
    return f"{group}/{version}, Kind={kind}"


def decode_applied(document: Document, resource: Resource, sub: str) -> Document:
    """Return what an apply has made in canonical form, with the entries that it came with.

    Raises
    ------
    ApiError
        Some value is not of its field's type.
    """
    owned = document["metadata"].get("managedFields")
    try:
        decoded = codec.decode_document(without_entries(document), resource, sub).document
    except BadRequestError as error:
        why = error.message.partition(" cannot be handled as a ")[2].partition(": ")[2]
        metadata, kind = document["metadata"], _go_kind(document)
        name = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {kind}"
        raise ApiError(
            f"failed to convert new object ({name}) to proper version "
            f"({document['apiVersion']}): unable to convert unstructured object to {kind}: "
            f"{why or error.message}",
            code=500,
            reason="",
        ) from error
    if owned:
        decoded["metadata"]["managedFields"] = owned
    return decoded


def _invalid_patch(media_type: str, document: Document, patch: bytes, why: str) -> InvalidError:
    """Return the refusal; it shows the result as JSON, or a strategic patch as Go prints maps."""
    if media_type == STRATEGIC_PATCH:
        value = f'"{go_text(msgspec.json.decode(patch))}"'
    else:
        value = shown(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    error = FieldError("FieldValueInvalid", "patch", f"Invalid value: {value}: {why}")
    return invalid_error("", "", [error])
