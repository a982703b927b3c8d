"""One walk over a body: types checked, values made canonical, unknown fields taken out.

Input is parsed JSON, output a new document that holds what Go would print for the same body: no
nulls, no optional zero values, required ones filled in, quantities and times in canonical form.
Driven by `schema.py`; knows no kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NoReturn

from kubeberth.api.json_syntax import NumberText
from kubeberth.api.quantity import QuantityError, parse_quantity
from kubeberth.api.schema import (
    ANY,
    BOOL,
    BYTES,
    DOUBLE,
    INT32,
    INT64,
    INT_OR_STRING,
    LIST,
    MAP,
    MICRO_TIME,
    OBJECT,
    QUANTITY,
    STRING,
    TIME,
    Definition,
    Type,
)
from kubeberth.api.times import TimeError, canonical_micro_time, canonical_time

_LIMITS = {INT32: 2**31, INT64: 2**63}
_JSON_NAMES = {
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
}


class FieldTypeError(ValueError):
    """A value does not have its field's type; reads as Go's decoder prints it.

    Attributes
    ----------
    field
        Path of the field, as far as the walk had come: `spec.containers[0].name`.
    """

    field = ""


class Walk:
    """The walk over one document.

    Attributes
    ----------
    unknown
        Dotted paths of the fields that the kind does not have, in document order.
    n_keys
        Number of keys seen; a text with more of them has duplicates.
    """

    __slots__ = ("_path", "n_keys", "unknown")

    def __init__(self) -> None:
        self.unknown: list[str] = []
        self.n_keys = 0
        self._path: list[str | int] = []

    def object(self, value: Any, definition: Definition) -> dict[str, Any]:
        """Return the canonical form of an object.

        Raises
        ------
        FieldTypeError
            Some value has the wrong type.
        """
        try:
            return self._object(value, definition)
        except FieldTypeError as error:
            error.field = self._dotted(self._path) + error.field
            raise

    def _object(self, value: dict[str, Any], definition: Definition) -> dict[str, Any]:
        self.n_keys += len(value)
        path = self._path
        fields = definition.fields
        result: dict[str, Any] = {}
        for name, item in value.items():
            field = fields.get(name)
            if field is None:
                path.append(name)
                self.unknown.append(self._dotted(path))
                path.pop()
                continue
            if item is None:
                continue
            # Texts and objects are most of what comes; the rest goes the general way.
            if type(item) is field.plain:
                canonical = item
            else:
                path.append(name)
                if field.code == OBJECT and type(item) is dict:
                    canonical = self._object(item, field.type.definition)
                else:
                    canonical = self._value(item, field.type, definition)
                path.pop()
            if canonical or not (field.omit_zero or item == []):
                result[name] = canonical
        for name, zero in definition.always:
            if name not in result:
                result[name] = zero()
        return result

    def _value(self, value: Any, type_: Type, owner: Definition) -> Any:
        code = type_.code
        kind = type(value)
        if code == OBJECT:
            if kind is dict:
                return self._object(value, type_.definition)
        elif code == LIST:
            if kind is list:
                return self._list(value, type_.element or type_, owner)
        elif code == MAP:
            if kind is dict:
                return self._map(value, type_.element or type_, owner)
        elif code == STRING:
            if kind is str:
                return value
        elif code == BOOL:
            if kind is bool:
                return value
        elif code in (INT32, INT64):
            return self._integer(value, code, owner)
        elif code == QUANTITY:
            return self._quantity(value, owner)
        elif code in (TIME, MICRO_TIME):
            return self._time(value, code, owner)
        elif code == INT_OR_STRING:
            return value if kind is str else self._integer(value, INT32, owner)
        elif code == DOUBLE:
            if kind in (int, NumberText, float):
                return float(value)
        elif code == BYTES:
            if kind is str:
                return value
        elif code == ANY:
            return self._anything(value)
        return self._mismatch(value, owner, type_.go_type)

    def _list(self, values: list[Any], element: Type, owner: Definition) -> list[Any]:
        if element.code == STRING and _are_texts(values):
            return values
        path = self._path
        result = []
        path.append(0)
        for index, value in enumerate(values):
            path[-1] = index
            result.append(_zero(element) if value is None else self._value(value, element, owner))
        path.pop()
        return result

    def _map(self, values: dict[str, Any], element: Type, owner: Definition) -> dict[str, Any]:
        self.n_keys += len(values)
        if element.code == STRING and _are_texts(values.values()):
            return values
        if element.code == QUANTITY:
            # Resource lists never hold anything finer than a thousandth.
            return {
                key: _milli_quantity(self._entry(key, value, owner))
                for key, value in values.items()
            }
        return {
            key: _zero(element) if value is None else self._value(value, element, owner)
            for key, value in values.items()
        }

    def _anything(self, value: Any) -> Any:
        if isinstance(value, dict):
            self.n_keys += len(value)
            # Most of what is free-form says who owns fields, and holds nothing but empty objects.
            return {key: self._anything(item) if item else item for key, item in value.items()}
        if isinstance(value, list):
            return [self._anything(item) for item in value]
        return float(value) if isinstance(value, NumberText) else value

    def _integer(self, value: Any, code: int, owner: Definition) -> int:
        if type(value) is int and -_LIMITS[code] <= value < _LIMITS[code]:
            return value
        number = f"number {value}" if type(value) in (int, float, NumberText) else ""
        return self._mismatch(value, owner, "int32" if code == INT32 else "int64", number)

    def _quantity(self, value: Any, owner: Definition) -> str:
        if value is None:
            return "0"
        if type(value) not in (str, int, NumberText, float):
            self._mismatch(value, owner, "resource.Quantity")
        try:
            return _canonical_quantity(value if type(value) is str else str(value))
        except QuantityError as error:
            raise FieldTypeError(str(error)) from error

    def _entry(self, key: str, value: Any, owner: Definition) -> str:
        try:
            return self._quantity(value, owner)
        except FieldTypeError as error:
            error.field = f"[{key}]"
            raise

    def _time(self, value: Any, code: int, owner: Definition) -> str:
        if type(value) is not str:
            self._mismatch(value, owner, "string")
        try:
            return _known_time(value) if code == TIME else canonical_micro_time(value)
        except TimeError as error:
            raise FieldTypeError(str(error)) from error

    def _mismatch(self, value: Any, owner: Definition, go_type: str, found: str = "") -> NoReturn:
        names = ".".join(part for part in self._path if isinstance(part, str))
        found = found or _JSON_NAMES.get(type(value), "number")
        raise FieldTypeError(
            f"json: cannot unmarshal {found} into Go struct field "
            f"{owner.go_name}.{names} of type {go_type}"
        )

    @staticmethod
    def _dotted(path: list[str | int]) -> str:
        """Return a path as `spec.containers[0].name`."""
        text = ""
        for part in path:
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
        return text


def _are_texts(values: Iterable[Any]) -> bool:
    """Tell whether all values are plain texts; a number as written is none."""
    return set(map(type, values)) <= _TEXT


_TEXT = {str}


def _zero(type_: Type) -> Any:
    """Return what Go makes of a null within a list or map."""
    if type_.code == OBJECT:
        return type_.definition.empty()
    zeros: dict[int, Any] = {STRING: "", BYTES: "", BOOL: False, INT32: 0, INT64: 0, QUANTITY: "0"}
    return zeros.get(type_.code)


# What happens within a second has the same time.
_known_time = lru_cache(maxsize=4096)(canonical_time)


@lru_cache(maxsize=4096)
def _canonical_quantity(text: str) -> str:
    return str(parse_quantity(text))


@lru_cache(maxsize=4096)
def _milli_quantity(text: str) -> str:
    return str(parse_quantity(text).rounded_up_to_milli())
