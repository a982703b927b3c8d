"""Near misses: the word that was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SEPARATORS = re.compile(r"[-._/ ]")
# A longer word has room for a second slip.
_LONG = 6


def near_miss(word: str, choices: Iterable[str]) -> str:
    """Return the choice that a word is most probably a misspelling of; empty if there is none.

    `zone-a` is no misspelling of `zone-b`: parts of one letter and numbers tell siblings apart.
    """
    allowed = 2 if len(word) >= _LONG else 1
    found = [
        # Of two that are as near, the one that begins alike: the first letter is seldom wrong.
        (distance, choice[:1] != word[:1], choice)
        for choice in sorted(set(choices))
        if choice != word and not _are_siblings(word, choice)
        if (distance := _distance(word.lower(), choice.lower(), allowed)) <= allowed
        # Two slips in three letters are another word.
        if distance * 2 < max(len(word), 2)
    ]
    return min(found, default=(0, False, ""))[2]


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return `; did you mean ssd?`, or nothing."""
    found = near_miss(word, choices)
    return f"; did you mean {found}?" if found else ""


def listed(words: Iterable[str], most: int = 5) -> str:
    """Return words separated by commas, the first few of many."""
    every = sorted(set(words))
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def _are_siblings(one: str, other: str) -> bool:
    left, right = _SEPARATORS.split(one), _SEPARATORS.split(other)
    if len(left) != len(right):
        return False
    differing = [(a, b) for a, b in zip(left, right, strict=True) if a != b]
    letters = [(re.sub(r"\d+", "", a), re.sub(r"\d+", "", b)) for a, b in differing]
    return all(a == b or (len(a) <= 1 and len(b) <= 1) for a, b in letters)


def _distance(one: str, other: str, most: int) -> int:
    """Return how many letters are wrong, missing, too many or swapped; more than `most` is cut."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
