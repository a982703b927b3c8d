"""CEL text to a tree.

Grammar: https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
  | (?P<number>0x[0-9a-fA-F]+u?|\d+\.\d+([eE][+-]?\d+)?|\d+[eE][+-]?\d+
        |\.\d+([eE][+-]?\d+)?|\d+u?)
  | (?P<text>[rRbB]{0,2}(\"\"\"(\\.|[^\\])*?\"\"\"|'''(\\.|[^\\])*?'''
        |"(\\.|[^"\\\n])*"|'(\\.|[^'\\\n])*'))
  | (?P<name>[A-Za-z_]\w*)
  | (?P<quoted>`[\w.\-/ ]+`)
  | (?P<sign>&&|\|\||==|!=|<=|>=|\?\.|\[\?|[-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE,
)
_BINARY = (("||",), ("&&",), ("<", "<=", ">=", ">", "==", "!=", "in"), ("+", "-"), ("*", "/", "%"))
# How fields are written that CEL could not name otherwise.
_ESCAPES = {
    "__underscores__": "__",
    "__dot__": ".",
    "__dash__": "-",
    "__slash__": "/",
}
_RESERVED = re.compile(r"__(\w+?)__$")


class CelSyntaxError(ValueError):
    """A text that is no expression."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value."""

    value: Any


@dataclass(frozen=True, slots=True)
class Name:
    """A variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """A field of an object; an optional one may be absent."""

    of: Node
    field: str
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """An element of a list or map; an optional one may be absent."""

    of: Node
    key: Node
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A function, perhaps of a value; operators are functions called by their sign."""

    function: str
    arguments: tuple[Node, ...]
    target: Node | None = None


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list; an optional element may be absent."""

    items: tuple[Node, ...]
    optional: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class MapNode:
    """A map; an optional entry may be absent."""

    entries: tuple[tuple[Node, Node], ...]
    optional: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class StructNode:
    """A value of a named type, field by field: `Object.spec{replicas: 3}`."""

    type_name: str
    fields: tuple[tuple[str, Node, bool], ...]


Node = Literal | Name | Select | Index | Call | ListNode | MapNode | StructNode


def parse(text: str) -> Node:
    """Return the tree of an expression.

    Raises
    ------
    CelSyntaxError
        It is none.
    """
    parser = _Parser(_tokens(text))
    try:
        node = parser.expression()
    except RecursionError:
        raise CelSyntaxError("expression recursion limit exceeded") from None
    if parser.peek():
        raise CelSyntaxError(f"Syntax error: extraneous input '{parser.peek()}'")
    return node


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise CelSyntaxError(f"Syntax error: token recognition error at: '{text[at]}'")
        if match.lastgroup != "space":
            kind = next(k for k in ("number", "text", "name", "quoted", "sign") if match[k])
            found.append((kind, match[0]))
        at = match.end()
    return found


class _Parser:
    """Recursive descent, one level per precedence."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _kind(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self.peek()
        if not token:
            raise CelSyntaxError("Syntax error: mismatched input '<EOF>'")
        self._at += 1
        return token

    def _take(self, sign: str) -> bool:
        if self.peek() == sign and self._kind() != "text":
            self._at += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise CelSyntaxError(
                f"Syntax error: mismatched input '{self.peek() or '<EOF>'}' expecting '{sign}'"
            )

    def expression(self) -> Node:
        condition = self._binary(0)
        if not self._take("?"):
            return condition
        yes = self._binary(0)
        self._expect(":")
        return Call("?:", (condition, yes, self.expression()))

    def _binary(self, level: int) -> Node:
        if level == len(_BINARY):
            return self._unary()
        left = self._binary(level + 1)
        while self.peek() in _BINARY[level] and self._kind() != "text":
            sign = self._next()
            left = Call(sign, (left, self._binary(level + 1)))
        return left

    def _unary(self) -> Node:
        if self._take("!"):
            return Call("!", (self._unary(),))
        if self._take("-"):
            return Call("-", (self._unary(),))
        return self._member()

    def _member(self) -> Node:
        node = self._primary()
        while True:
            if self._take("."):
                node = self._field(node)
            elif self._take("?."):
                node = Select(node, self._field_name(), is_optional=True)
            elif self._take("[?"):
                node = self._element(node, is_optional=True)
            elif self._take("["):
                # `[?` may have come as two signs.
                node = self._element(node, is_optional=self._take("?"))
            elif (type_name := _type_name(node)) and self._take("{"):
                node = self._struct(type_name)
            else:
                return node

    def _struct(self, type_name: str) -> Node:
        fields: list[tuple[str, Node, bool]] = []
        while not self._take("}"):
            is_optional = self._take("?")
            name = self._field_name()
            self._expect(":")
            fields.append((name, self.expression(), is_optional))
            if not self._take(","):
                self._expect("}")
                break
        return StructNode(type_name, tuple(fields))

    def _element(self, node: Node, *, is_optional: bool) -> Node:
        key = self.expression()
        self._expect("]")
        return Index(node, key, is_optional)

    def _field(self, node: Node) -> Node:
        if self._take("?"):
            return Select(node, self._field_name(), is_optional=True)
        name = self._field_name()
        if self._take("("):
            return Call(name, self._arguments(")"), node)
        return Select(node, name)

    def _field_name(self) -> str:
        kind, token = self._kind(), self._next()
        if kind == "quoted":
            return token[1:-1]
        if kind != "name":
            raise CelSyntaxError(f"Syntax error: no viable alternative at input '.{token}'")
        return unescaped(token)

    def _arguments(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self._take(end):
            found.append(self.expression())
            if not self._take(","):
                self._expect(end)
                break
        return tuple(found)

    def _primary(self) -> Node:
        kind, token = self._kind(), self._next()
        if kind == "number":
            return Literal(_number(token))
        if kind == "text":
            return Literal(_text(token))
        if kind == "name":
            return self._named(token)
        if token == "(":
            node = self.expression()
            self._expect(")")
            return node
        if token == "[":
            return self._list()
        if token == "[?":
            return self._list(starts_optional=True)
        if token == "{":
            return self._map()
        raise CelSyntaxError(f"Syntax error: mismatched input '{token}'")

    def _named(self, token: str) -> Node:
        if token in ("true", "false"):
            return Literal(token == "true")
        if token == "null":
            return Literal(None)
        if self._take("("):
            return Call(token, self._arguments(")"))
        return Name(token)

    def _list(self, *, starts_optional: bool = False) -> Node:
        items: list[Node] = []
        optional: set[int] = set()
        while starts_optional or not self._take("]"):
            if starts_optional or self._take("?"):
                optional.add(len(items))
            starts_optional = False
            items.append(self.expression())
            if not self._take(","):
                self._expect("]")
                break
        return ListNode(tuple(items), frozenset(optional))

    def _map(self) -> Node:
        entries: list[tuple[Node, Node]] = []
        optional: set[int] = set()
        while not self._take("}"):
            if self._take("?"):
                optional.add(len(entries))
            key = self.expression()
            self._expect(":")
            entries.append((key, self.expression()))
            if not self._take(","):
                self._expect("}")
                break
        return MapNode(tuple(entries), frozenset(optional))


def _type_name(node: Node) -> str:
    """Return the dotted name that a node is; empty when it is something else."""
    match node:
        case Name():
            return node.name
        case Select(of=of, field=field, is_optional=False):
            above = _type_name(of)
            return f"{above}.{field}" if above else ""
    return ""


def unescaped(name: str) -> str:
    """Return the field that a name stands for: `__namespace__` is the reserved `namespace`."""
    for escape, plain in _ESCAPES.items():
        name = name.replace(escape, plain)
    match = _RESERVED.fullmatch(name)
    return match[1] if match else name


def _number(token: str) -> int | float:
    digits = token.rstrip("uU")
    if digits.startswith(("0x", "0X")):
        return _integer(token, int(digits, 16))
    if not re.search(r"[.eE]", digits):
        # What is longer is too large in any case, and Python reads no more than 4,300 digits.
        return _integer(token, int(digits) if len(digits) <= _MAX_DIGITS else _MAX_UINT + 1)
    if math.isinf(value := float(digits)):
        raise CelSyntaxError("Syntax error: invalid double literal")
    return value


def _integer(token: str, value: int) -> int:
    """Return an integer that fits into its type; the lowest one is written as `-` and 2^63."""
    is_unsigned = token[-1] in "uU"
    if value > (_MAX_UINT if is_unsigned else _MAX_INT + 1):
        raise CelSyntaxError(f"Syntax error: invalid {'uint' if is_unsigned else 'int'} literal")
    return value


_MAX_INT = 2**63 - 1
_MAX_UINT = 2**64 - 1
_MAX_DIGITS = 20


def _text(token: str) -> str | bytes:
    is_bytes = "b" in token[: token.find(token[-1])].lower()
    try:
        value: Any = ast.literal_eval(token.lstrip("bB") if is_bytes else token)
    except (SyntaxError, ValueError) as error:
        raise CelSyntaxError(f"Syntax error: invalid string {token}") from error
    return str(value).encode() if is_bytes else str(value)
