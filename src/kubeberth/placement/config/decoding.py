"""Strict decoding: a field that does not exist is an error, and so is one of another type.

As in Go, null stands for a field that was left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import TypeVar

import msgspec
from msgspec import inspect

from kubeberth.api.validation.field_error import FieldError
from kubeberth.errors import UsageError

T = TypeVar("T", bound=msgspec.Struct)

_MISMATCH = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_TYPES = {
    "int": "an integer",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


class ConfigurationError(UsageError):
    """A configuration that kube-scheduler would refuse; one line per fault.

    Parameters
    ----------
    errors
        What is wrong, by field.
    """

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))


def decode(document: object, kind: type[T], path: str = "") -> tuple[T | None, list[FieldError]]:
    """Return a struct, or None when its fields do not exist or have other types.

    Parameters
    ----------
    document
        A JSON value.
    path
        Where it is in its file.
    """
    document = _without_nulls(document)
    errors = list(_unknown_fields(document, inspect.type_info(kind), path))
    try:
        struct = msgspec.convert(document, kind)
    except msgspec.ValidationError as mismatch:
        return None, [*errors, _to_field_error(str(mismatch), path)]
    return struct, errors


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _unknown_fields(value: object, kind: inspect.Type, path: str) -> Iterator[FieldError]:
    """Yield an error for each field, at any depth, that its struct does not have."""
    match kind:
        case inspect.UnionType(types):
            for choice in types:
                yield from _unknown_fields(value, choice, path)
        case inspect.VarTupleType(item) if isinstance(value, list):
            for index, entry in enumerate(value):
                yield from _unknown_fields(entry, item, f"{path}[{index}]")
        case inspect.StructType() if isinstance(value, dict):
            fields = {field.encode_name: field.type for field in kind.fields}
            for name, entry in value.items():
                here = f"{path}.{name}" if path else str(name)
                if name in fields:
                    yield from _unknown_fields(entry, fields[name], here)
                else:
                    yield _unknown(here, str(name), fields)


def _unknown(path: str, name: str, fields: Iterable[str]) -> FieldError:
    close = get_close_matches(name, fields, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return FieldError("FieldValueInvalid", path, f"unknown field{hint}")


def _to_field_error(text: str, path: str) -> FieldError:
    found = _MISMATCH.fullmatch(text)
    what, inner = (found["what"], found["path"] or "") if found else (text, "")
    what = re.sub(r"`(\w+)`", lambda name: _TYPES.get(name[1], name[1]), what)
    here = f"{path}.{inner}" if path and inner and not inner.startswith("[") else path + inner
    return FieldError("FieldValueTypeInvalid", here or "the file", what[:1].lower() + what[1:])
