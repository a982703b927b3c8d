"""YAML as kubectl reads it: libyaml's parser with the scalar rules of YAML 1.1 as Go has them.

`yes`, `on` and `y` are booleans, `0x10`, `0b1` and `010` integers, `1_000` too; dates stay text.
Keys become text, as they must in JSON.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from kubeberth.api.json_syntax import MAX_DEPTH, TOO_DEEP

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
# A longer integer is beyond every number that Go has, and stays text.
_MAX_DIGITS = 308
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

_ANCHOR = re.compile(r"&([^\s,\[\]{}]+)")
_PLAIN = "plain"
# Go's parser looks at the share of values that come from aliases once there are more of these, and
# allows less of it the larger the document is.
_ALIASED_FREE, _VALUES_FREE = 100, 1000
_SMALL, _LARGE = 400_000, 4_000_000
_SHARE_OF_SMALL, _SHARE_OF_LARGE = 0.99, 0.10


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
    if _INTEGER.match(digits) and len(digits) <= _MAX_DIGITS:
        return _integer(digits)
    if _FLOAT.match(digits) and math.isfinite(float(digits)):
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
        self._text = stream if isinstance(stream, str) else stream.decode("utf-8", "replace")
        self._n_values = self._n_aliased = 0
        # How deep, and how deep below an alias, the value at hand lies.
        self._depth = self._alias_depth = 0
        self._seen: set[yaml.Node] = set()
        self._open: set[yaml.Node] = set()

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        """Mark plain scalars; quoted, block and tagged ones are text, whatever they say."""
        return _PLAIN if kind is yaml.ScalarNode and implicit[0] else ""

    def construct_document(self, node: yaml.Node) -> Any:
        return self._value(node)

    def _value(self, node: yaml.Node) -> Any:
        self._count()
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        with self._entered(node):
            if isinstance(node, yaml.SequenceNode):
                return [self._value(item) for item in node.value]
            return self._mapping(node)

    def _anchor(self, node: yaml.Node) -> str:
        """Return the name behind the `&` where a node begins."""
        found = _ANCHOR.match(self._text, node.start_mark.index)
        return found[1] if found else ""

    def _count(self) -> None:
        """Refuse a small text that unfolds into a large value, by the measure of Go's parser."""
        self._n_values += 1
        self._n_aliased += self._alias_depth > 0
        if self._n_aliased <= _ALIASED_FREE or self._n_values <= _VALUES_FREE:
            return
        if self._n_aliased > self._n_values * _alias_share(self._n_values):
            raise YAMLError("yaml: document contains excessive aliasing")

    @contextmanager
    def _entered(self, node: yaml.Node) -> Iterator[None]:
        """Keep count of what the values below a node are part of."""
        if node in self._open:
            raise YAMLError(f"yaml: anchor '{self._anchor(node)}' value contains itself")
        if self._depth >= MAX_DEPTH:
            raise YAMLError(f"yaml: {TOO_DEEP}")
        is_alias = node in self._seen
        self._seen.add(node)
        self._open.add(node)
        self._depth += 1
        self._alias_depth += is_alias
        try:
            yield
        finally:
            self._alias_depth -= is_alias
            self._depth -= 1
            self._open.discard(node)

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
            if not isinstance(part, yaml.MappingNode):
                raise YAMLError("yaml: map merge requires map or sequence of maps as the value")
            merged |= self._value(part)
        return merged


def _alias_share(n_values: int) -> float:
    """Return the share of values that may come from aliases."""
    if n_values <= _SMALL:
        return _SHARE_OF_SMALL
    grown = min(1.0, (n_values - _SMALL) / (_LARGE - _SMALL))
    return _SHARE_OF_SMALL - grown * (_SHARE_OF_SMALL - _SHARE_OF_LARGE)


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
    except yaml.reader.ReaderError as error:
        raise YAMLError(f"yaml: {error.reason}") from error


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
