"""Config maps, secrets and service accounts."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from kubeberth.api.validation.field_error import FieldError, forbidden, invalid, required, too_long
from kubeberth.api.validation.metadata import (
    IMMUTABLE,
    validate_metadata,
    validate_metadata_update,
)
from kubeberth.api.validation.rules import Rules

MAX_BYTES = 1024 * 1024
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_BAD_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
    "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_WHEN_IMMUTABLE = "field is immutable when `immutable` is set"
# Keys that a secret of a known type must have.
_NEEDED_KEYS = {
    "kubernetes.io/basic-auth": (),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_JSON_KEYS = (".dockercfg", ".dockerconfigjson")


def validate_config_map(config_map: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a config map."""
    errors = validate_metadata(config_map.get("metadata") or {})
    data, binary = config_map.get("data") or {}, config_map.get("binaryData") or {}
    size = 0
    for key, value in data.items():
        errors += _validate_key(key, f"data[{key}]")
        if key in binary:
            errors.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        size += len(value.encode())
    for key, value in binary.items():
        errors += _validate_key(key, f"binaryData[{key}]")
        size += _n_bytes(value)
    if size > MAX_BYTES:
        errors.append(too_long("", MAX_BYTES))
    return errors


def validate_config_map_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a config map's update is not allowed."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    return errors + _validate_sealed(new, old, ("data", "binaryData")) + validate_config_map(new)


def validate_secret(secret: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a secret."""
    errors = validate_metadata(secret.get("metadata") or {})
    data = secret.get("data") or {}
    for key in data:
        errors += _validate_key(key, f"data[{key}]")
    if sum(map(_n_bytes, data.values())) > MAX_BYTES:
        errors.append(too_long("data", MAX_BYTES))
    return errors + _validate_secret_type(secret, data)


def validate_secret_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a secret's update is not allowed."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    if new.get("type") != old.get("type"):
        errors.append(invalid("type", new.get("type", ""), IMMUTABLE))
    return errors + _validate_sealed(new, old, ("data",)) + validate_secret(new)


def _validate_secret_type(secret: Mapping[str, Any], data: Mapping[str, str]) -> list[FieldError]:
    kind = secret.get("type", "")
    if kind == "kubernetes.io/service-account-token":
        annotation = "kubernetes.io/service-account.name"
        annotations = (secret.get("metadata") or {}).get("annotations") or {}
        return (
            [] if annotations.get(annotation) else [required(f"metadata.annotations[{annotation}]")]
        )
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        return [required("data[username]"), required("data[password]")]
    errors: list[FieldError] = []
    for key in _NEEDED_KEYS.get(kind, ()):
        if key not in data:
            errors.append(required(f"data[{key}]"))
        elif key in _JSON_KEYS and not _is_json(data[key]):
            errors.append(
                FieldError(
                    "FieldValueInvalid",
                    f"data[{key}]",
                    'Invalid value: "<secret contents redacted>": invalid character',
                )
            )
    return errors


def _validate_sealed(
    new: Mapping[str, Any], old: Mapping[str, Any], fields: tuple[str, ...]
) -> list[FieldError]:
    """Return the fields that changed although the object said that it never will."""
    if not old.get("immutable"):
        return []
    errors = [] if new.get("immutable") else [forbidden("immutable", _WHEN_IMMUTABLE)]
    changed = [field for field in fields if (new.get(field) or {}) != (old.get(field) or {})]
    return errors + [forbidden(field, _WHEN_IMMUTABLE) for field in changed]


def validate_service_account_update(
    new: Mapping[str, Any], old: Mapping[str, Any]
) -> list[FieldError]:
    """Return what of a service account's update is not allowed."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    return errors + validate_metadata(new["metadata"])


def _validate_key(key: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if len(key) > 253:
        errors.append(invalid(path, key, "must be no more than 253 characters"))
    if not _KEY.fullmatch(key):
        errors.append(invalid(path, key, _BAD_KEY))
    elif key == ".":
        errors.append(invalid(path, key, "must not be '.'"))
    elif key.startswith(".."):
        detail = "must not be '..'" if key == ".." else "must not start with '..'"
        errors.append(invalid(path, key, detail))
    return errors


def _n_bytes(encoded: str) -> int:
    """Return the size of what a base64 text stands for."""
    return len(encoded) * 3 // 4 - encoded[-2:].count("=")


def _is_json(encoded: str) -> bool:
    try:
        msgspec.json.decode(base64.b64decode(encoded))
    except (binascii.Error, msgspec.DecodeError):
        return False
    return True


RULES = {
    "configmaps": Rules(validate_config_map, validate_config_map_update),
    "secrets": Rules(validate_secret, validate_secret_update),
    "serviceaccounts": Rules(
        lambda document: validate_metadata(document.get("metadata") or {}),
        validate_service_account_update,
    ),
}
"""By resource."""
