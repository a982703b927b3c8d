"""What is wrong with one field, and the 422 answer that a list of such errors makes.

Matches `k8s.io/apimachinery/pkg/util/validation/field` of Kubernetes 1.36.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kubeberth.api.scheme import Resource
from kubeberth.errors import InvalidError


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of a document.

    Parameters
    ----------
    type
        The cause's reason: `FieldValueInvalid`, `FieldValueRequired`, ...
    field
        Path of the field: `spec.containers[0].name`.
    body
        What is wrong, without the path.
    """

    type: str
    field: str
    body: str

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"

    def to_cause(self) -> dict[str, str]:
        """Return the error as a `StatusCause`."""
        return {"reason": self.type, "message": self.body, "field": self.field}


def required(field: str, detail: str = "") -> FieldError:
    """Return the error of a field that must be there."""
    return FieldError("FieldValueRequired", field, _with("Required value", detail))


def invalid(field: str, value: Any, detail: str) -> FieldError:
    """Return the error of a value that cannot be."""
    return FieldError("FieldValueInvalid", field, _with(f"Invalid value: {shown(value)}", detail))


def not_supported(field: str, value: Any, supported: Sequence[str]) -> FieldError:
    """Return the error of a value that is none of a few; they are listed in the order given."""
    listed = ", ".join(shown(choice) for choice in supported)
    body = _with(f"Unsupported value: {shown(value)}", f"supported values: {listed}")
    return FieldError("FieldValueNotSupported", field, body)


def duplicate(field: str, value: Any, detail: str = "") -> FieldError:
    """Return the error of a value that may be there only once."""
    return FieldError(
        "FieldValueDuplicate", field, _with(f"Duplicate value: {shown(value)}", detail)
    )


def forbidden(field: str, detail: str) -> FieldError:
    """Return the error of a field that may not be there, or not change."""
    return FieldError("FieldValueForbidden", field, _with("Forbidden", detail))


def not_found(field: str, value: Any, detail: str = "") -> FieldError:
    """Return the error of a name that refers to nothing."""
    return FieldError("FieldValueNotFound", field, _with(f"Not found: {shown(value)}", detail))


def too_long(field: str, max_bytes: int) -> FieldError:
    """Return the error of a text that is too long."""
    return FieldError(
        "FieldValueTooLong", field, f"Too long: may not be more than {max_bytes} bytes"
    )


def too_many(field: str, found: int, most: int) -> FieldError:
    """Return the error of a list or map with more in it than may be."""
    detail = f"must have at most {most} item{'' if most == 1 else 's'}"
    return FieldError("FieldValueTooMany", field, f"Too many: {found}: {detail}")


def each_invalid(field: str, value: Any, details: Iterable[str]) -> list[FieldError]:
    """Return one Invalid error per detail."""
    return [invalid(field, value, detail) for detail in details] if details else []


def shown(value: Any) -> str:
    """Return a value as errors print it: text quoted, objects as compact JSON."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if value.isprintable() else _quoted(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _quoted(text: str) -> str:
    """Return a text with unprintable characters as Go's `%q` writes it."""
    return '"' + "".join(map(_quoted_character, text)) + '"'


def _quoted_character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    if character.isprintable():
        return character
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def invalid_error(
    resource: Resource | str, name: str, errors: Sequence[FieldError]
) -> InvalidError:
    """Return the 422 answer for a document with these faults.

    Parameters
    ----------
    resource
        Whose kind the document has; or the kind itself, with its group behind a dot.
    """
    if isinstance(resource, Resource):
        kind, group = resource.kind, resource.group
    else:
        kind, _, group = resource.partition(".")
    # An error that was found twice is told once.
    texts = list(dict.fromkeys(str(error) for error in errors))
    why = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    details: dict[str, Any] = {"name": name, "group": group, "kind": kind}
    details = {key: value for key, value in details.items() if value}
    details["causes"] = [error.to_cause() for error in errors]
    qualified = f"{kind}.{group}" if group else kind
    return InvalidError(f'{qualified} "{name}" is invalid: {why}', details=details)


def _with(body: str, detail: str) -> str:
    return f"{body}: {detail}" if detail else body
