"""Protobuf bodies of the Kubernetes types to JSON documents, by the table of `messages.py`.

Every typed Go client since 0.32 writes its requests that way. Layout: four magic bytes, then a
`runtime.Unknown` that names the kind and holds the object's own message. Go writes every field
that is not a pointer, zero or not; those zeros are dropped again, as JSON does not have them.
Unknown field numbers are skipped, as every protobuf reader does.
"""

from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

from kubeberth.api import messages
from kubeberth.api.json_syntax import TOO_DEEP, JSONSyntaxError, parse_json
from kubeberth.api.messages import MessageField

MAGIC = b"k8s\x00"

_SCALARS = frozenset("sybild")
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ProtobufError(ValueError):
    """A body is not what it says it is."""


def decode(body: bytes) -> dict[str, Any]:
    """Return the object of a body, with `apiVersion` and `kind`, not yet in canonical form.

    Raises
    ------
    ProtobufError
        The body is not in the wire format, or of a kind that has no table.
    """
    if not body.startswith(MAGIC):
        raise ProtobufError(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    envelope = dict(_wire_fields(body[len(MAGIC) :]))
    type_meta = dict(_wire_fields(envelope.get(1, b"")))
    api_version = _text(type_meta.get(1, b""))
    kind = _text(type_meta.get(2, b""))
    if not kind:
        raise ProtobufError("missing kind")
    name = _message_name(api_version, kind)
    if name is None:
        # The caller knows better what to say of a kind that it did not expect.
        return {"apiVersion": api_version, "kind": kind}
    try:
        return {"apiVersion": api_version, "kind": kind, **_message(envelope.get(2, b""), name)}
    except RecursionError as error:  # JSONSchemaProps hold themselves
        raise ProtobufError(f"proto: {TOO_DEEP}") from error


def _message_name(api_version: str, kind: str) -> str | None:
    """Return the full name of a kind's message."""
    group, _, version = api_version.rpartition("/")
    package = f"{group.partition('.')[0] or 'core'}.{version}"
    return messages.resolve(package, kind)


def _wire_fields(data: Any) -> list[tuple[int, Any]]:
    """Return number and raw value of every field in a message."""
    data = _bytes(data)
    fields: list[tuple[int, Any]] = []
    at = 0
    try:
        while at < len(data):
            key, at = _varint(data, at)
            number, wire_type = key >> 3, key & 7
            if wire_type == _VARINT:
                value, at = _varint(data, at)
                fields.append((number, value))
            elif wire_type == _BYTES:
                size, at = _varint(data, at)
                if at + size > len(data):
                    raise ProtobufError("unexpected EOF")
                fields.append((number, data[at : at + size]))
                at += size
            elif wire_type in (_FIXED64, _FIXED32):
                size = 8 if wire_type == _FIXED64 else 4
                if at + size > len(data):
                    raise ProtobufError("unexpected EOF")
                fields.append((number, data[at : at + size]))
                at += size
            else:
                raise ProtobufError(f"proto: illegal wireType {wire_type}")
    except IndexError as error:
        raise ProtobufError("unexpected EOF") from error
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a variable-length integer and where the next thing begins."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ProtobufError("proto: integer overflow")


def _bytes(raw: Any) -> bytes:
    """Return what a field holds that is no number."""
    if not isinstance(raw, bytes):
        raise ProtobufError("proto: wrong wireType = 0")
    return raw


def _signed(value: Any) -> int:
    """Return a varint as the signed number that it stands for."""
    if not isinstance(value, int):
        raise ProtobufError("proto: wrong wireType = 2")
    return value - (1 << 64) if value >= 1 << 63 else value


def _message(data: Any, name: str) -> dict[str, Any]:
    """Return the JSON object of a message."""
    package = name.rpartition(".")[0]
    table = {field.number: field for field in messages.message(name)}
    result: dict[str, Any] = {}
    for number, raw in _wire_fields(data):
        field = table.get(number)
        if field is None:
            continue
        if field.inlined:
            result |= _message(raw, messages.resolve(package, field.type) or "")
        elif field.is_map:
            key, value = _map_entry(raw, field, package)
            result.setdefault(field.name, {})[key] = value
        elif field.repeated:
            result.setdefault(field.name, []).extend(_elements(raw, field, package))
        else:
            value = _value(raw, field.type, package)
            if value or field.pointer or field.type not in _SCALARS:
                result[field.name] = value
    return result


def _elements(raw: Any, field: MessageField, package: str) -> list[Any]:
    """Return the elements that one occurrence of a repeated field holds: one, or packed numbers."""
    if field.type in ("i", "l") and isinstance(raw, bytes):
        numbers = []
        at = 0
        while at < len(raw):
            number, at = _varint(raw, at)
            numbers.append(_signed(number))
        return numbers
    return [_value(raw, field.type, package)]


def _map_entry(raw: bytes, field: MessageField, package: str) -> tuple[str, Any]:
    entry = dict(_wire_fields(raw))
    value = entry.get(2, b"")
    return _text(entry.get(1, b"")), _value(value, field.type, package)


def _value(raw: Any, type_: str, package: str) -> Any:
    match type_:
        case "s":
            return _text(raw)
        case "y":
            return base64.b64encode(_bytes(raw)).decode()
        case "b":
            return bool(_signed(raw))
        case "i" | "l":
            return _signed(raw)
        case "d":
            if len(_bytes(raw)) != struct.calcsize("<d"):
                raise ProtobufError("proto: wrong wireType = 2")
            return struct.unpack("<d", raw)[0]
        case "Quantity":
            return _text(dict(_wire_fields(raw)).get(1, b"0"))
        case "Time" | "MicroTime":
            return _time(raw, type_)
        case "IntOrString":
            return _int_or_string(raw)
        case "FieldsV1" | "RawExtension" | "JSON":
            return _json(dict(_wire_fields(raw)).get(1, b"null"))
        case (
            "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrBool" | "JSONSchemaPropsOrStringArray"
        ) as choice:
            return _schema_or(choice, raw, package)
        case "Verbs" | "ExtraValue":
            return [_text(item) for number, item in _wire_fields(raw) if number == 1]
    name = messages.resolve(package, type_)
    return _message(raw, name) if name else {}


def _schema_or(choice: str, raw: Any, package: str) -> Any:
    """Return a schema, or what the type allows instead of it: `schema` is field 1 or 2."""
    fields = _wire_fields(raw)
    number = 2 if choice == "JSONSchemaPropsOrBool" else 1
    schemas = [value for found, value in fields if found == number]
    others = [value for found, value in fields if found != number]
    if schemas:
        return _value(schemas[-1], "JSONSchemaProps", package)
    if choice == "JSONSchemaPropsOrBool":
        return bool(others and _signed(others[-1]))
    element = "JSONSchemaProps" if choice == "JSONSchemaPropsOrArray" else "s"
    return [_value(other, element, package) for other in others]


def _json(raw: Any) -> Any:
    try:
        return parse_json(_bytes(raw))
    except JSONSyntaxError as error:
        raise ProtobufError(str(error)) from error


def _text(raw: Any) -> str:
    try:
        return _bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise ProtobufError("proto: field contains invalid UTF-8") from error


def _time(raw: bytes, type_: str) -> str | None:
    """Return a time as JSON prints it; an empty message is no time at all."""
    fields = dict(_wire_fields(raw))
    if not fields:
        return None
    seconds, nanos = _signed(fields.get(1, 0)), fields.get(2, 0)
    try:
        moment = _EPOCH + timedelta(seconds=seconds, microseconds=_signed(nanos) // 1000)
    except OverflowError as error:
        raise ProtobufError("Time.MarshalJSON: year outside of range [0,9999]") from error
    return moment.strftime(
        "%Y-%m-%dT%H:%M:%S.%fZ" if type_ == "MicroTime" else "%Y-%m-%dT%H:%M:%SZ"
    )


def _int_or_string(raw: bytes) -> int | str:
    fields = dict(_wire_fields(raw))
    if fields.get(1):
        return _text(fields.get(3, b""))
    return _signed(fields.get(2, 0))
