"""Fields that an expression reads and that no object of the expected kind has; pure.

What is told is certain: a value whose type is not known from the schemas has all fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from kubeberth.api import schema
from kubeberth.api.cel.evaluate import is_macro, parts_below
from kubeberth.api.cel.syntax import Call, Index, Name, Node, Select, parse
from kubeberth.api.schema import Type

Scope = Mapping[str, Type | None]


def type_of_kind(api_version: str, kind: str) -> Type | None:
    """Return the type of the objects of a kind; None when it is not built in."""
    definition = schema.definition_of(api_version, kind)
    return Type(schema.OBJECT, definition.name) if definition is not None else None


def field_errors(text: str, scope: Scope) -> list[str]:
    """Return what is wrong with the fields that an expression reads, as cel-go tells it.

    Parameters
    ----------
    scope
        The variables, as far as their types are known.

    Raises
    ------
    CelSyntaxError
        The text is no expression.
    """
    return [_error(text, field) for field in _undefined(parse(text), scope)]


def _undefined(node: Node, scope: Scope) -> Iterator[str]:
    """Yield the fields that are not there, from left to right."""
    if isinstance(node, Call) and node.target is not None and is_macro(node):
        yield from _undefined(node.target, scope)
        *names, body = node.arguments
        own = [name.name for name in names if isinstance(name, Name)]
        inner = {**scope, **_elements(own, _type(node.target, scope))}
        for part in (*(name for name in names if not isinstance(name, Name)), body):
            yield from _undefined(part, inner)
        return
    for part in parts_below(node):
        yield from _undefined(part, scope)
    if isinstance(node, Select):
        of = _type(node.of, scope)
        is_object = of is not None and of.code == schema.OBJECT
        if is_object and of is not None and node.field not in of.definition.fields:
            yield node.field


def _elements(names: list[str], of: Type | None) -> dict[str, Type | None]:
    """Return the variables of a macro: keys have no fields, elements of maps are not visited."""
    element = of.element if of is not None and of.code == schema.LIST else None
    return {name: element if index == len(names) - 1 else None for index, name in enumerate(names)}


def _type(node: Node, scope: Scope) -> Type | None:
    """Return the type of what a node stands for; None when it is not known."""
    match node:
        case Name():
            return scope.get(node.name)
        case Select():
            of = _type(node.of, scope)
            if of is not None and of.code == schema.OBJECT:
                field = of.definition.fields.get(node.field)
                return field.type if field is not None else None
            return of.element if of is not None and of.code == schema.MAP else None
        case Index():
            of = _type(node.of, scope)
            return of.element if of is not None and of.code in (schema.LIST, schema.MAP) else None
    return None


def _error(text: str, field: str) -> str:
    found = re.search(rf"\.\??\s*{re.escape(field)}\b", text)
    at = found.start() if found else 0
    number = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1)
    line = text.splitlines()[number - 1]
    return (
        f"ERROR: <input>:{number}:{column + 1}: undefined field '{field}'\n"
        f" | {line}\n | {'.' * column}^"
    )
