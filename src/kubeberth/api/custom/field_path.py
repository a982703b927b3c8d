"""Simple JSON paths into documents: `.spec.replicas`, `.conditions[?(@.type=="Ready")].status`.

The part of `k8s.io/client-go/util/jsonpath` that columns, scale and selectable fields use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

Step = Callable[[Any], Iterable[Any]]

_NAME = re.compile(r"\.?((?:[^.\[\]\\]|\\.)+)")
_QUOTED = re.compile(r"""\[(['"])((?:\\.|(?!\1).)*)\1\]""")
_INDEX = re.compile(r"\[(-?\d+)\]")
_ALL = re.compile(r"\[\*\]|\.\*")
_FILTER = re.compile(
    r"""\[\?\(\s*@\.([\w.\-/]+)\s*(?:(==|!=|<=|>=|<|>)\s*("[^"]*"|'[^']*'|[^\s)]+)\s*)?\)\]"""
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


class PathError(ValueError):
    """A text that is no path."""


@lru_cache(maxsize=1024)
def parse_path(text: str) -> tuple[Step, ...]:
    """Return the steps of a path.

    Raises
    ------
    PathError
        It is none, or uses more of JSONPath than is known here.
    """
    rest = text.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    steps: list[Step] = []
    while rest:
        for pattern, make in _SYNTAX:
            if match := pattern.match(rest):
                steps.append(make(match))
                rest = rest[match.end() :]
                break
        else:
            raise PathError(f"unrecognized text {rest!r} in path {text!r}")
    return tuple(steps)


def values_at(document: Any, path: str) -> list[Any]:
    """Return the values that a path leads to; none where it leads nowhere."""
    found = [document]
    for step in parse_path(path):
        found = [value for item in found for value in step(item)]
    return found


def value_at(document: Any, path: str) -> Any:
    """Return the first value that a path leads to, or None."""
    return next(iter(values_at(document, path)), None)


def names_of(path: str) -> list[str]:
    """Return the names of a path of fields alone: `spec`, `replicas` for `.spec.replicas`."""
    return path.strip().removeprefix("$").removeprefix(".").split(".")


def _field(name: str) -> Step:
    return lambda item: [item[name]] if isinstance(item, dict) and name in item else []


def _index(index: int) -> Step:
    def step(item: Any) -> Iterable[Any]:
        is_there = isinstance(item, list) and -len(item) <= index < len(item)
        return [item[index]] if is_there else []

    return step


def _all(item: Any) -> Iterable[Any]:
    if isinstance(item, dict):
        return list(item.values())
    return item if isinstance(item, list) else []


def _filter(match: re.Match[str]) -> Step:
    names, operator, literal = match[1].split("."), match[2], match[3]

    def selects(item: Any) -> bool:
        for name in names:
            if not isinstance(item, dict) or name not in item:
                return False
            item = item[name]
        if not operator:
            return True
        try:
            return _COMPARE[operator](item, _literal(literal))
        except TypeError:
            return False  # a text is neither less nor more than a number

    return lambda item: [x for x in item if selects(x)] if isinstance(item, list) else []


def _literal(text: str) -> Any:
    if text[0] in "\"'":
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text)
    except ValueError:
        return text


_SYNTAX: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Step]], ...] = (
    (_FILTER, _filter),
    (_ALL, lambda match: _all),
    (_INDEX, lambda match: _index(int(match[1]))),
    (_QUOTED, lambda match: _field(re.sub(r"\\(.)", r"\1", match[2]))),
    (_NAME, lambda match: _field(re.sub(r"\\(.)", r"\1", match[1]))),
)
