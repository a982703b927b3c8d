"""Suppressions: comments that say that a finding is known, and why it may stay.

    disktype: ssd  # berth: ignore KB111 these nodes set nothing themselves
    # berth: ignore KB301, KB303 one zone until autumn
    topologySpreadConstraints:

A comment at the end of a line, or on lines of its own before it, is about what begins on that line
and all that is within.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_COMMENT = re.compile(r"(?:^|\s)#\s*berth:\s*ignore\b(?P<rest>.*)$")
_IDS = re.compile(r"\s*(?P<ids>KB\d{3}(?:\s*,\s*KB\d{3})*)\b:?\s*(?P<reason>.*)$")


@dataclass(frozen=True, slots=True)
class Suppression:
    """One comment.

    Parameters
    ----------
    line, column
        Where the comment is, from 1.
    about
        The line that it is about.
    ids
        Rules; empty when it names none.
    """

    line: int
    column: int
    about: int
    ids: tuple[str, ...]
    reason: str


def suppressions_in(text: str) -> list[Suppression]:
    """Return all suppressions in a text."""
    if "berth:" not in text:
        return []
    return list(_found(text.splitlines()))


def covering(
    suppressions: Iterable[Suppression], rule_id: str, lines: Iterable[int]
) -> Suppression | None:
    """Return the suppression of a rule that is about one of some lines."""
    about = set(lines)
    return next((one for one in suppressions if rule_id in one.ids and one.about in about), None)


def _found(lines: list[str]) -> Iterator[Suppression]:
    for index, line in enumerate(lines):
        comment = _COMMENT.search(line)
        if comment is None:
            continue
        about = index
        if line.lstrip().startswith("#"):
            while about < len(lines) and _is_no_content(lines[about]):
                about += 1
        named = _IDS.match(comment["rest"])
        ids = tuple(re.split(r"\s*,\s*", named["ids"])) if named else ()
        reason = named["reason"].strip() if named else ""
        column = line.index("#", comment.start()) + 1
        yield Suppression(index + 1, column, about + 1, ids, reason)


def _is_no_content(line: str) -> bool:
    stripped = line.strip()
    return not stripped or stripped.startswith(("#", "---"))
