"""YAML as kubectl reads it: libyaml's parser with the scalar rules of YAML 1.1 as Go has them.

`yes`, `on` and `y` are booleans, `0x10`, `0b1` and `010` integers, `1_000` too; dates stay text.
Keys become text, as they must in JSON.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

_BOOLS = {
    **dict.fromkeys(
        ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True
    ),
    **dict.fromkeys(
        ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False
    ),
}
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)$")
_FLOAT = re.compile(r"[-+]?[0-9]*\.?[0-9]+([eE][-+][0-9]+)?$|[-+]?[0-9]+\.$")
# From here on Go prints a float with an exponent.
_EXPONENT_FROM = 1e21
_INFINITIES = {
    ".inf": math.inf,
    ".Inf": math.inf,
    ".INF": math.inf,
    "+.inf": math.inf,
    "+.Inf": math.inf,
    "+.INF": math.inf,
    "-.inf": -math.inf,
    "-.Inf": -math.inf,
    "-.INF": -math.inf,
    ".nan": math.nan,
    ".NaN": math.nan,
    ".NAN": math.nan,
}

_PLAIN = "plain"


class YAMLError(ValueError):
    """A text is not YAML; reads as the API server prints it."""


def resolve_scalar(text: str) -> Any:
    """Return what a plain (unquoted) scalar means."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if text[0] not in "+-.0123456789":
        return text
    digits = text.replace("_", "")
    if _INTEGER.match(digits):
        return _integer(digits)
    if _FLOAT.match(digits):
        return _float(digits)
    return _INFINITIES.get(text, text)


def _float(digits: str) -> int | float:
    """Return a number with a fraction; on its way through JSON a whole one becomes an integer."""
    number = float(digits)
    return int(number) if number.is_integer() and abs(number) < _EXPONENT_FROM else number


def _integer(digits: str) -> int:
    """Return the value of an integer in Go's notations."""
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)


class _Loader(yaml.CSafeLoader):
    """Builds plain JSON values from libyaml's nodes."""

    def __init__(self, stream: str | bytes, repeated: list[str] | None) -> None:
        super().__init__(stream)
        self.repeated = repeated

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        """Mark plain scalars; quoted, block and tagged ones are text, whatever they say."""
        return _PLAIN if kind is yaml.ScalarNode and implicit[0] else ""

    def construct_document(self, node: yaml.Node) -> Any:
        return self._value(node)

    def _value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item) for item in node.value]
        return self._mapping(node)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        return resolve_scalar(node.value) if node.tag == _PLAIN else node.value

    def _mapping(self, node: yaml.Node) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == "<<":
                merged |= self._merged(value_node)
                continue
            key = _key(self._value(key_node))
            if self.repeated is not None and key in own:
                line = key_node.start_mark.line + 1
                self.repeated.append(f'line {line}: key "{key}" already set in map')
            own[key] = self._value(value_node)
        return merged | own

    def _merged(self, node: yaml.Node) -> dict[str, Any]:
        """Return what the merge key `<<` brings in; earlier maps of a list win."""
        maps = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in reversed(maps):
            merged |= self._mapping(part)
        return merged


def _key(value: Any) -> str:
    """Return a mapping key as JSON must have it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def parse_documents(text: str | bytes, *, repeated: list[str] | None = None) -> Iterator[Any]:
    """Yield every document of a YAML stream as JSON value; see `numbered_documents`."""
    return (document for _, document in numbered_documents(text, repeated=repeated))


def numbered_documents(
    text: str | bytes, *, repeated: list[str] | None = None
) -> Iterator[tuple[int, Any]]:
    """Yield every document of a YAML stream as JSON value, with the line where it begins.

    Parameters
    ----------
    repeated
        Takes a line for each key that a mapping has twice; the last value counts.

    Raises
    ------
    YAMLError
        The text is not YAML.
    """
    try:
        loader = _Loader(text, repeated)
        try:
            while loader.check_node():
                node = loader.get_node()
                if node is not None:
                    yield node.start_mark.line + 1, loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise YAMLError(f"yaml: {_place(error)}{error.problem}") from error
    except yaml.YAMLError as error:
        raise YAMLError(f"yaml: {error}") from error


def _place(error: yaml.MarkedYAMLError) -> str:
    """Return where an error is, as Go's parser counts: from 0, but for what the scanner finds."""
    line = error.problem_mark.line if error.problem_mark else 0
    if line and isinstance(error, yaml.scanner.ScannerError):
        line += 1
    elif not line and error.context_mark:
        line = error.context_mark.line
    return f"line {line}: " if line else ""


def parse(text: str | bytes, *, repeated: list[str] | None = None) -> Any:
    """Return the first document of a YAML stream, None when it is empty."""
    return next(parse_documents(text, repeated=repeated), None)
