"""Booleans in texts, as Go's `strconv.ParseBool` reads them."""

from __future__ import annotations

_VALUES = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "FALSE", "false", "False"), False
)


class BooleanTextError(ValueError):
    """A text is no Boolean; reads as Go prints it."""


def parse_bool(text: str) -> bool:
    """Return a Boolean.

    Raises
    ------
    BooleanTextError
        It is none.
    """
    if text not in _VALUES:
        raise BooleanTextError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    return _VALUES[text]
