"""Regular expressions in Go's syntax, by the engine that has this syntax: RE2.

It takes time in proportion to the text whatever the pattern, so nobody who defines a resource can
keep the server busy with one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

import re2

_MAX_BYTES = 1 << 20
_IN_WORDS_OF_GO = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "trailing \\": "trailing backslash at end of expression",
    "invalid named capture group": "invalid named capture",
}


class Pattern(Protocol):
    """A compiled regular expression."""

    def search(self, text: str) -> Any:
        """Return the first match anywhere in a text, or None."""

    def finditer(self, text: str) -> Any:
        """Yield all matches that do not overlap."""


class PatternError(ValueError):
    """A text that is no regular expression; says why as Go does."""


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> Pattern:
    """Return a pattern to search with.

    Raises
    ------
    PatternError
        It is malformed.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_BYTES
    try:
        compiled: Pattern = re2.compile(pattern, options)
    except re2.error as error:
        raise PatternError(_told_by_go(error.args[0].decode("utf-8", "replace"))) from error
    return compiled


def _told_by_go(why: str) -> str:
    code, _, part = why.partition(": ")
    code = _IN_WORDS_OF_GO.get(code, code)
    return f"error parsing regexp: {code}: `{part}`"
