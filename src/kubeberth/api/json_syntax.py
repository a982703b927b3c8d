"""JSON texts to values; and what is wrong with what is no JSON, in the words of Go's decoder.

Only when the fast parser has refused a text the slow scanner looks for the reason.
"""

from __future__ import annotations

from typing import Any

import msgspec

_SPACE = " \t\r\n"
_LITERALS = {"t": "true", "f": "false", "n": "null"}


class NumberText(str):
    """A JSON number with a fraction or exponent, still as it was written.

    Quantities keep every digit that way, and complaints quote what was sent.
    """

    __slots__ = ()


class JSONSyntaxError(ValueError):
    """A text is no JSON; reads as Go prints it."""


class _SyntaxError(Exception):
    """The first thing Go's scanner trips over."""


_decode = msgspec.json.Decoder(float_hook=NumberText).decode

# Go stops at 10,000. Whatever walks over a value takes up to three frames of Python's stack for
# each level, so that this much always fits.
MAX_DEPTH = 200
TOO_DEEP = "exceeded max depth"
# A tuple: every value of a large cluster is asked, and a union of types takes three times as long.
_HOLDERS = (dict, list)


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON text; numbers with a fraction come as `NumberText`.

    Raises
    ------
    JSONSyntaxError
        The text is no JSON.
    """
    try:
        value = _decode(body)
    except UnicodeDecodeError:
        # As in Go: what is no UTF-8 becomes the replacement character.
        return parse_json(body.decode("utf-8", "replace").encode())
    except RecursionError as error:
        raise JSONSyntaxError(TOO_DEEP) from error
    except msgspec.DecodeError as error:
        raise JSONSyntaxError(syntax_error(body)) from error
    # Counting brackets is quick, and few bodies have so many.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and is_too_deep(value):
        raise JSONSyntaxError(TOO_DEEP)
    return value


def is_too_deep(value: Any) -> bool:
    """Return whether a value is nested deeper than `MAX_DEPTH`."""
    level = [value] if isinstance(value, _HOLDERS) else []
    for _ in range(MAX_DEPTH):
        level = [
            item
            for holder in level
            for item in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(item, _HOLDERS)
        ]
        if not level:
            return False
    return True


def syntax_error(body: bytes) -> str:
    """Return Go's complaint about a malformed JSON text."""
    scanner = _Scanner(body.decode("utf-8", "replace"))
    try:
        scanner.document()
    except _SyntaxError as error:
        return str(error)
    except RecursionError:
        return "exceeded max depth"
    return "invalid character in JSON input"


class _Scanner:
    """Recursive descent over the text; raises at the first fault."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        """Return the next character that matters."""
        while self.at < len(self.text) and self.text[self.at] in _SPACE:
            self.at += 1
        return self.raw()

    def raw(self) -> str:
        """Return the very next character."""
        if self.at >= len(self.text):
            raise _SyntaxError("unexpected end of JSON input")
        return self.text[self.at]

    def fail(self, where: str) -> _SyntaxError:
        """Return the complaint about the character at hand."""
        char = self.text[self.at]
        shown = {"'": r"'\''", '"': "'\"'", "\n": r"'\n'", "\t": r"'\t'", "\r": r"'\r'"}
        return _SyntaxError(f"invalid character {shown.get(char, repr(char))} {where}")

    def document(self) -> None:
        self.value()
        if self.text[self.at :].strip(_SPACE):
            self.peek()
            raise self.fail("after top-level value")

    def value(self) -> None:
        char = self.peek()
        if char == "{":
            self.members()
        elif char == "[":
            self.elements()
        elif char == '"':
            self.string()
        elif char in _LITERALS:
            self.literal(_LITERALS[char])
        elif char == "-" or char.isdecimal():
            self.number()
        else:
            raise self.fail("looking for beginning of value")

    def members(self) -> None:
        self.at += 1
        if self.peek() == "}":
            self.at += 1
            return
        while True:
            if self.peek() != '"':
                raise self.fail("looking for beginning of object key string")
            self.string()
            if self.peek() != ":":
                raise self.fail("after object key")
            self.at += 1
            self.value()
            if self.follows("}", "after object key:value pair"):
                return

    def elements(self) -> None:
        self.at += 1
        if self.peek() == "]":
            self.at += 1
            return
        while True:
            self.value()
            if self.follows("]", "after array element"):
                return

    def follows(self, closing: str, where: str) -> bool:
        """Step over a comma or the closing bracket; tell whether it was the bracket."""
        char = self.peek()
        if char not in (",", closing):
            raise self.fail(where)
        self.at += 1
        return char == closing

    def string(self) -> None:
        self.at += 1
        while (char := self.raw()) != '"':
            if char < " ":
                raise self.fail("in string literal")
            self.at += 1
            if char == "\\":
                self.escape()
        self.at += 1

    def escape(self) -> None:
        char = self.raw()
        if char not in '"\\/bfnrtu':
            raise self.fail("in string escape code")
        self.at += 1
        for _ in range(4 if char == "u" else 0):
            if self.raw() not in "0123456789abcdefABCDEF":
                raise self.fail(r"in \u hexadecimal character escape")
            self.at += 1

    def literal(self, word: str) -> None:
        for expected in word:
            if self.raw() != expected:
                raise self.fail(f"in literal {word} (expecting '{expected}')")
            self.at += 1

    def number(self) -> None:
        if self.raw() == "-":
            self.at += 1
        if self.raw() == "0":
            self.at += 1
        else:
            self.digits("in numeric literal")
        if self.next_is("."):
            self.at += 1
            self.digits("after decimal point in numeric literal")
        if self.next_is("eE"):
            self.at += 1
            if self.next_is("+-"):
                self.at += 1
            self.digits("in exponent of numeric literal")

    def next_is(self, chars: str) -> bool:
        return self.at < len(self.text) and self.text[self.at] in chars

    def digits(self, where: str) -> None:
        if self.raw() not in "0123456789":
            raise self.fail(where)
        while self.next_is("0123456789"):
            self.at += 1
