"""Integers in texts, as Go reads them: ASCII digits, and no more than fit into 64 bits."""

from __future__ import annotations

import re

_SIGNED = re.compile(r"[-+]?[0-9]+")
_UNSIGNED = re.compile(r"[0-9]+")
# More digits than any 64 bits have, and Python refuses to read numbers of some thousands.
_MAX_DIGITS = 20


class IntegerTextError(ValueError):
    """A text is no integer, or one that does not fit; reads as Go prints it."""


def parse_int(text: str, function: str = "ParseInt") -> int:
    """Return a signed integer, as `strconv.ParseInt` does.

    Parameters
    ----------
    function
        Who is named in the error: `Atoi` reads the same.

    Raises
    ------
    IntegerTextError
        It is none.
    """
    if not _SIGNED.fullmatch(text):
        raise _error(function, text, "invalid syntax")
    return _in_range(function, text, -(1 << 63), (1 << 63) - 1)


def parse_uint(text: str) -> int:
    """Return an unsigned integer, as `strconv.ParseUint` does.

    Raises
    ------
    IntegerTextError
        It is none.
    """
    if not _UNSIGNED.fullmatch(text):
        raise _error("ParseUint", text, "invalid syntax")
    return _in_range("ParseUint", text, 0, (1 << 64) - 1)


def _in_range(function: str, text: str, lowest: int, highest: int) -> int:
    if len(text.lstrip("+-0")) <= _MAX_DIGITS:
        number = int(text[:1].strip("0123456789") + (text.lstrip("+-0") or "0"))
        if lowest <= number <= highest:
            return number
    raise _error(function, text, "value out of range")


def _error(function: str, text: str, why: str) -> IntegerTextError:
    return IntegerTextError(f'strconv.{function}: parsing "{text}": {why}')
