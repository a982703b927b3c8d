"""Documents: the objects that people have at hand, as the JSON values of a manifest.

Understood are mappings as in YAML, the structs of `kubeberth.api`, the models of the official
`kubernetes` client, and objects whose `to_dict()` returns the manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kubeberth.api.meta import ApiStruct
from kubeberth.errors import InvalidObjectError
from kubeberth.library.kinds import RESOURCES

Document = dict[str, Any]

# What leaves a field out; an empty object does not.
_NOTHING: tuple[object, ...] = (None, "", [])

_EXPECTED = (
    "must be a mapping as in a manifest, a kubeberth.api struct, a model of the kubernetes client, "
    "or have to_dict()"
)


def to_document(item: object) -> Document:
    """Return an object as JSON values of its own.

    Raises
    ------
    InvalidObjectError
        When it is none, or holds something that JSON cannot say.
    """
    try:
        raw = msgspec.json.encode(_to_mapping(item), enc_hook=_to_mapping)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidObjectError(_kind_of(item), "", _name_of(item), [("", str(error))]) from error
    document = msgspec.json.decode(raw)
    if not isinstance(document, dict):
        raise InvalidObjectError(_kind_of(item), "", "", [("", _EXPECTED)])
    return document


def _to_mapping(item: object) -> Any:
    if isinstance(item, Mapping):
        return dict(item)
    if isinstance(item, ApiStruct):
        return _identity(type(item).__name__) | _expanded(item)
    names = getattr(item, "attribute_map", None)
    if isinstance(names, Mapping):
        # What `to_dict()` of these models returns has the names of Python, not those of JSON.
        given = {json: getattr(item, name, None) for name, json in names.items()}
        return _identity(_model_kind(item)) | {k: v for k, v in given.items() if v is not None}
    to_dict = getattr(item, "to_dict", None)
    if callable(to_dict):
        return to_dict()
    raise TypeError(_EXPECTED)


def _expanded(value: Any) -> Any:
    """Return a struct with its defaults spelt out: an API server's need not be the same."""
    if isinstance(value, ApiStruct):
        kind = type(value)
        given = zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True)
        fields = {json: _expanded(getattr(value, name)) for json, name in given}
        return {json: field for json, field in fields.items() if field not in _NOTHING}
    if isinstance(value, tuple):
        return [_expanded(entry) for entry in value]
    return value


def _identity(kind: str) -> Document:
    """Return apiVersion and kind of an object that does not tell them itself."""
    resource = RESOURCES.get(kind)
    return {} if resource is None else {"apiVersion": resource.api_version, "kind": kind}


def _model_kind(item: object) -> str:
    """Return the kind in a class name such as `V1Pod`."""
    return type(item).__name__.removeprefix("V1")


def _kind_of(item: object) -> str:
    kind = item.get("kind") if isinstance(item, Mapping) else None
    return kind if isinstance(kind, str) else type(item).__name__


def _name_of(item: object) -> str:
    meta = item.get("metadata") if isinstance(item, Mapping) else None
    name = meta.get("name") if isinstance(meta, Mapping) else None
    return name if isinstance(name, str) else ""
