"""Regular expressions in Go's syntax (RE2), run by Python's engine."""

from __future__ import annotations

import re
from functools import lru_cache

# What RE2 spells differently.
_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_POSIX = re.compile(r"\[:(\^?)(\w+):\]")
_LATE_FLAGS = re.compile(r"\(\?([imsU]+)\)")


class PatternError(ValueError):
    """A text that is no regular expression."""


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return a pattern to search with.

    Raises
    ------
    PatternError
        It is malformed, or uses what Python's engine does not have.
    """
    text = _POSIX.sub(lambda match: _CLASSES.get(match[2], match[0]), pattern)
    # `$` is the very end of the text in RE2, and `\z` its other name.
    text = re.sub(r"(?<!\\)((?:\\\\)*)\\z", r"\1\\Z", text)
    text = _at_the_end(text)
    flags = "".join(dict.fromkeys("".join(_LATE_FLAGS.findall(text)).replace("U", "")))
    text = _LATE_FLAGS.sub("", text)
    try:
        return re.compile(f"(?{flags}:{text})" if flags else text, re.ASCII)
    except re.error as error:
        raise PatternError(str(error)) from error


def _at_the_end(pattern: str) -> str:
    r"""Return a pattern whose `$` means the end, and not also a line feed before it."""
    out, is_class, at = [], False, 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            out.append(pattern[at : at + 2])
            at += 2
            continue
        if char == "[" and not is_class:
            is_class = True
        elif char == "]" and is_class and out[-1] not in ("[", "^"):
            is_class = False
        out.append(r"\Z" if char == "$" and not is_class else char)
        at += 1
    return "".join(out)
