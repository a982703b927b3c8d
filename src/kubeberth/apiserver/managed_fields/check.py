"""What an applied configuration has wrong, before it is merged.

Matches the validation of `typed` in `sigs.k8s.io/structured-merge-diff`; the texts are those of
its errors, the first of which the answer shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubeberth.apiserver.managed_fields.field_set import step_text
from kubeberth.apiserver.managed_fields.shape import ANY, LIST, MAP, SCALAR, ListKeyError, Shape
from kubeberth.apiserver.patch.go_text import go_text

_GO_TYPES = {
    str: "string",
    bool: "bool",
    list: "[]interface {}",
    dict: "map[string]interface {}",
    int: "int64",
    float: "float64",
}


def problems_of(shape: Shape, value: Any) -> str:
    """Return what is wrong with a configuration, as one text; empty when nothing is."""
    problems = [f"{path}: {problem}" if path else problem for path, problem in _check(shape, value)]
    if len(problems) <= 1:
        return "".join(problems)
    return "\n".join(["errors:", *(f"  {problem}" for problem in problems)])


Problems = Iterator[tuple[str, str]]


def _check(shape: Shape, value: Any) -> Problems:
    if value is None:
        return
    if shape.code == SCALAR:
        if problem := _scalar_problem(shape.scalar, value):
            yield "", problem
    elif shape.code == MAP:
        if isinstance(value, dict):
            yield from _check_map(shape, value)
        else:
            yield "", f"expected map, got {_shown(value)}"
    elif shape.code == LIST:
        if isinstance(value, list):
            yield from _check_list(shape, value)
        else:
            yield "", f"expected list, got {_shown(value)}"


def _check_map(shape: Shape, value: dict[str, Any]) -> Problems:
    for name, item in value.items():
        if not shape.is_open and not shape.declares(name):
            yield f".{name}", "field not declared in schema"
            return
        child = shape.child(name)
        if child.code != ANY:
            for path, problem in _check(child, item):
                yield f".{name}{path}", problem


def _check_list(shape: Shape, value: list[Any]) -> Problems:
    seen = set()
    for index, item in enumerate(value):
        if shape.is_atomic:
            text = f"[{index}]"
        else:
            try:
                step = shape.step_of(item)
            except ListKeyError as error:
                yield "", f"element {index}: {error}"
                return
            text = step_text(step)
            if step in seen:
                yield "", f"duplicate entries for key {text}"
            seen.add(step)
        for path, problem in _check(shape.element, item):
            yield f"{text}{path}", problem


def _scalar_problem(expected: str, value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match expected:
        case "numeric" if not is_number:
            return f"expected numeric (int or float), got {_GO_TYPES.get(type(value), 'float64')}"
        case "string" if not isinstance(value, str):
            return f"expected string, got &value.valueUnstructured{{Value:{_in_go_syntax(value)}}}"
        case "boolean" if not isinstance(value, bool):
            return f"expected boolean, got {_shown(value)}"
        case "untyped" if isinstance(value, dict | list):
            return f"expected any scalar, got {_shown(value)}"
    return ""


def _shown(value: Any) -> str:
    """Return a value as Go's `%v` prints the holder of one."""
    return f"&{{{go_text(value)}}}"


def _in_go_syntax(value: Any) -> str:
    """Return a value as Go's `%#v` prints it."""
    if isinstance(value, dict):
        items = (f'"{key}":{_in_go_syntax(value[key])}' for key in sorted(value))
        return f"map[string]interface {{}}{{{', '.join(items)}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(_in_go_syntax, value))}}}"
    if isinstance(value, str):
        return f'"{value}"'
    return "interface {}(nil)" if value is None else go_text(value)
