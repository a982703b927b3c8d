"""The value of a CEL expression.

Rule: https://github.com/google/cel-spec/blob/master/doc/langdef.md
An error in one operand of `&&` or `||` does not matter when the other one decides.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kubeberth.api.cel.functions import (
    FUNCTIONS,
    CelError,
    Optional,
    Receiver,
    contains,
    equals,
    no_overload,
)
from kubeberth.api.cel.syntax import (
    Call,
    Index,
    ListNode,
    Literal,
    MapNode,
    Name,
    Node,
    Select,
    StructNode,
)

Variables = Mapping[str, Any]

# Under this name, which no expression can write, stands how much a host lets one do.
BUDGET = "#budget"

_MACROS = frozenset(("all", "exists", "exists_one", "existsOne", "filter", "map", "optMap"))
_NAMESPACES = frozenset(("math", "sets", "optional", "ip", "cidr", "format", "jsonpatch"))
_TYPES = frozenset(("bool", "int", "uint", "double", "string", "bytes", "list", "map"))
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_OPERATORS = frozenset(("&&", "||", "?:", "!", "==", "!=", "in", "/", "%", "has"))


class Budget:
    """How often the bodies of macros may be evaluated: nothing else repeats."""

    def __init__(self, n_rounds: int) -> None:
        self._left = n_rounds

    def spend(self, n_rounds: int) -> None:
        """Take something out.

        Raises
        ------
        CelError
            There is not that much left.
        """
        self._left -= n_rounds
        if self._left < 0:
            raise CelError("operation cancelled: actual cost limit exceeded")


def unknown_functions(node: Node) -> set[str]:
    """Return the functions of an expression that do not exist here."""
    found: set[str] = set()
    for part in parts_of(node):
        if isinstance(part, Call):
            name = _function_name(part)
            known = name in FUNCTIONS or name in _MACROS or name in _OPERATORS
            if not known and name not in _ARITHMETIC and name not in _COMPARISONS:
                found.add(name)
    return found


def names_in(node: Node) -> set[str]:
    """Return the variables that an expression reads, those of its macros too."""
    return {part.name for part in parts_of(node) if isinstance(part, Name)}


def free_names(node: Node, bound: frozenset[str] = _TYPES) -> set[str]:
    """Return the variables that an expression takes from outside."""
    match node:
        case Name():
            return set() if node.name in bound else {node.name}
        case Call() if node.target is not None and is_macro(node):
            *names, body = node.arguments
            own = {name.name for name in names if isinstance(name, Name)}
            inner = bound | own
            conditions = [name for name in names if not isinstance(name, Name)]
            found = free_names(node.target, bound)
            for part in (body, *conditions):
                found |= free_names(part, inner)
            return found
        case Call(target=Name()) if _function_name(node) != node.function:
            return {name for part in node.arguments for name in free_names(part, bound)}
    return {name for part in parts_below(node) for name in free_names(part, bound)}


def is_macro(call: Call) -> bool:
    """Tell whether a call binds variables of its own."""
    return call.function in _MACROS and len(call.arguments) >= 2


def parts_of(node: Node) -> Iterator[Node]:
    """Yield a node and all below it."""
    yield node
    for part in parts_below(node):
        yield from parts_of(part)


def parts_below(node: Node) -> Iterator[Node]:
    """Yield what a node is made of."""
    match node:
        case Select():
            yield node.of
        case Index():
            yield from (node.of, node.key)
        case Call():
            if node.target is not None:
                yield node.target
            yield from node.arguments
        case ListNode():
            yield from node.items
        case MapNode():
            for entry in node.entries:
                yield from entry
        case StructNode():
            yield from (value for _, value, _ in node.fields)


def _function_name(call: Call) -> str:
    if isinstance(call.target, Name) and call.target.name in _NAMESPACES:
        full = f"{call.target.name}.{call.function}"
        if full in FUNCTIONS:
            return full
    return call.function


def evaluate(node: Node, variables: Variables) -> Any:
    """Return the value of an expression.

    Raises
    ------
    CelError
        It has none.
    """
    match node:
        case Literal():
            return node.value
        case Name():
            return _variable(node.name, variables)
        case Select():
            return _select(node, variables)
        case Index():
            return _index(node, variables)
        case ListNode():
            return _list(node, variables)
        case MapNode():
            return _map(node, variables)
        case StructNode():
            return _struct(node, variables)
        case Call():
            return _call(node, variables)


def _list(node: ListNode, variables: Variables) -> list[Any]:
    items = [evaluate(item, variables) for item in node.items]
    if not node.optional:
        return items
    return [
        item.value if index in node.optional else item
        for index, item in enumerate(items)
        if index not in node.optional or _is_there(item)
    ]


def _map(node: MapNode, variables: Variables) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for index, (key, part) in enumerate(node.entries):
        value = evaluate(part, variables)
        if index not in node.optional:
            found[evaluate(key, variables)] = value
        elif _is_there(value):
            found[evaluate(key, variables)] = value.value
    return found


def _struct(node: StructNode, variables: Variables) -> Any:
    # The host of an expression brings along what makes values of a type: `Object{}`.
    make = variables.get(f"{node.type_name.partition('.')[0]}{{}}")
    if make is None:
        raise CelError(f"undeclared reference to '{node.type_name}'")
    fields: dict[str, Any] = {}
    for name, part, is_optional in node.fields:
        value = evaluate(part, variables)
        if not is_optional:
            fields[name] = value
        elif _is_there(value):
            fields[name] = value.value
    return make(node.type_name, fields)


def _is_there(value: Any) -> bool:
    """Return whether an optional value is there."""
    if not isinstance(value, Optional):
        raise no_overload("optional entry")
    return value.has_value


def _variable(name: str, variables: Variables) -> Any:
    if name in variables:
        return variables[name]
    if name in _TYPES:
        return name
    raise CelError(f"undeclared reference to '{name}'")


def _select(node: Select, variables: Variables) -> Any:
    of = evaluate(node.of, variables)
    is_optional = node.is_optional or isinstance(of, Optional)
    if isinstance(of, Optional):
        if not of.has_value:
            return Optional()
        of = of.value
    if isinstance(of, dict) and node.field in of:
        return Optional(of[node.field]) if is_optional else of[node.field]
    if isinstance(of, Receiver):
        return of.field(node.field)
    if is_optional:
        return Optional()
    raise CelError(f"no such key: {node.field}")


def _index(node: Index, variables: Variables) -> Any:
    of, key = evaluate(node.of, variables), evaluate(node.key, variables)
    is_optional = node.is_optional or isinstance(of, Optional)
    if isinstance(of, Optional):
        of = of.value
    if isinstance(of, dict) and key in of:
        return Optional(of[key]) if is_optional else of[key]
    if isinstance(of, list) and isinstance(key, int) and 0 <= key < len(of):
        return Optional(of[key]) if is_optional else of[key]
    if is_optional:
        return Optional()
    what = "index out of bounds" if isinstance(of, list) else "no such key"
    raise CelError(f"{what}: {key}")


def _call(call: Call, variables: Variables) -> Any:
    name = call.function
    if call.target is None and name in _LAZY:
        return _LAZY[name](call.arguments, variables)
    if call.target is not None and is_macro(call):
        return _macro(call, variables)
    arguments = [evaluate(argument, variables) for argument in call.arguments]
    full = _function_name(call)
    if call.target is not None and full == name:
        arguments.insert(0, evaluate(call.target, variables))
    try:
        return _apply(full, arguments)
    except (TypeError, AttributeError) as error:
        raise no_overload(name) from error
    except (ValueError, OverflowError) as error:
        raise error if isinstance(error, CelError) else CelError(str(error)) from error


def _apply(name: str, arguments: list[Any]) -> Any:
    if name == "!":
        if not isinstance(arguments[0], bool):
            raise no_overload("!_")
        return not arguments[0]
    if name == "-" and len(arguments) == 1:
        return -arguments[0]
    if name == "==":
        return equals(*arguments)
    if name == "!=":
        return not equals(*arguments)
    if name == "in":
        return contains(arguments[1], arguments[0])
    if name in _ARITHMETIC:
        return _ARITHMETIC[name](*arguments)
    if name in _COMPARISONS:
        return bool(_COMPARISONS[name](*arguments))
    if name in ("/", "%"):
        return _divide(name, *arguments)
    function = FUNCTIONS.get(name)
    if function is None:
        raise CelError(f"undeclared reference to '{name}'")
    return function(*arguments)


def _divide(sign: str, a: Any, b: Any) -> Any:
    if isinstance(a, float) or isinstance(b, float):
        return a / b if b else float("inf")
    if b == 0:
        raise CelError("division by zero" if sign == "/" else "modulus by zero")
    quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)  # towards zero
    return quotient if sign == "/" else a - quotient * b


def _has(arguments: tuple[Node, ...], variables: Variables) -> bool:
    field = arguments[0]
    if not isinstance(field, Select):
        raise CelError("invalid argument to has() macro")
    of = evaluate(field.of, variables)
    if isinstance(of, Optional):
        of = of.value
    return isinstance(of, dict) and field.field in of


def _decide(decisive: bool) -> Callable[[tuple[Node, ...], Variables], bool]:
    """Return `||` (True decides) or `&&` (False decides)."""

    def decide(arguments: tuple[Node, ...], variables: Variables) -> bool:
        error: CelError | None = None
        for argument in arguments:
            try:
                value = evaluate(argument, variables)
                if not isinstance(value, bool):
                    raise no_overload("||" if decisive else "&&")
            except CelError as found:
                error = error or found
                continue
            if value is decisive:
                return decisive
        if error is not None:
            raise error
        return not decisive

    return decide


def _choose(arguments: tuple[Node, ...], variables: Variables) -> Any:
    condition = evaluate(arguments[0], variables)
    if not isinstance(condition, bool):
        raise no_overload("?:")
    return evaluate(arguments[1 if condition else 2], variables)


_LAZY: dict[str, Callable[[tuple[Node, ...], Variables], Any]] = {
    "has": _has,
    "&&": _decide(False),
    "||": _decide(True),
    "?:": _choose,
}


def _macro(call: Call, variables: Variables) -> Any:
    assert call.target is not None
    of = evaluate(call.target, variables)
    *names, body = call.arguments
    if call.function == "optMap":
        if not of.has_value:
            return Optional()
        return Optional(evaluate(body, {**variables, _name(names[0]): of.value}))
    if not isinstance(of, list | dict):
        raise no_overload(call.function)
    budget: Budget | None = variables.get(BUDGET)
    if budget is not None:
        budget.spend(len(of))
    if call.function == "map" and len(names) == 2 and not isinstance(names[1], Name):
        # With a condition between the name and the value.
        name, condition = _name(names[0]), names[1]
        scopes = [{**variables, name: item} for item in of]
        return [evaluate(body, scope) for scope in scopes if evaluate(condition, scope) is True]
    scopes = list(_scopes(of, [_name(name) for name in names], variables))
    match call.function:
        case "all":
            return _decide_each(body, scopes, decisive=False)
        case "exists":
            return _decide_each(body, scopes, decisive=True)
        case "exists_one" | "existsOne":
            return sum(evaluate(body, scope) is True for scope in scopes) == 1
        case "filter":
            kept = zip(of, scopes, strict=True)
            return [item for item, scope in kept if evaluate(body, scope) is True]
        case _:
            return [evaluate(body, scope) for scope in scopes]


def _scopes(
    of: list[Any] | dict[Any, Any], names: list[str], variables: Variables
) -> Iterator[dict[str, Any]]:
    """Yield the variables for each element: itself, or with two names also where it is."""
    if len(names) == 1:
        yield from ({**variables, names[0]: item} for item in of)
        return
    pairs = of.items() if isinstance(of, dict) else enumerate(of)
    for key, value in pairs:
        yield {**variables, names[0]: key, names[1]: value}


def _decide_each(body: Node, scopes: list[dict[str, Any]], *, decisive: bool) -> bool:
    error: CelError | None = None
    for scope in scopes:
        try:
            value: Any = evaluate(body, scope)
            if value is decisive:
                return bool(decisive)
        except CelError as found:
            error = error or found
    if error is not None:
        raise error
    return not decisive


def _name(node: Node) -> str:
    if not isinstance(node, Name):
        raise CelError("argument must be a simple name")
    return node.name
