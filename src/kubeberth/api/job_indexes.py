"""Sets of completion indexes, and their text: `1,3-5,7`.

Matches Kubernetes 1.36 (`pkg/controller/job/indexed_job_utils.go`): three or more numbers in a row
are written as a range.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Indexes = frozenset[int]


class IndexesError(ValueError):
    """A text is no set of indexes; reads as the API server says it."""


def parse_indexes(text: str, completions: int) -> Indexes:
    """Return the indexes of a text that are below the number of completions."""
    return frozenset(
        index for part in _parts(text) for index in range(*part) if index < completions
    )


def checked_indexes(text: str, completions: int) -> Indexes:
    """Return the indexes of a text that somebody wrote.

    Raises
    ------
    IndexesError
        The text is none, has numbers out of order, or names an index that there is not.
    """
    last = -1
    for first, end in _parts(text):
        for index in (first, end - 1):
            if index >= completions:
                raise IndexesError(f'too large index: "{index}"')
        if first <= last:
            raise IndexesError(f"non-increasing order, previous: {last}, current: {first}")
        last = end - 1
    return parse_indexes(text, completions)


def _parts(text: str) -> Iterator[tuple[int, int]]:
    """Yield the first index of each part, and the one after its last."""
    for part in text.split(",") if text else ():
        first, *more = ends = part.split("-")
        if len(ends) > 2:
            raise IndexesError(
                f'the fragment "{part}" violates the requirement that an index interval can have '
                "at most two parts separated by '-'"
            )
        for end in ends:
            if not (end.isascii() and end.isdecimal()):
                raise IndexesError(f'cannot convert string to integer for index: "{end}"')
        if more and int(first) >= int(more[0]):
            raise IndexesError(f"non-increasing order, previous: {first}, current: {more[0]}")
        yield int(first), int(ends[-1]) + 1


def format_indexes(indexes: Iterable[int]) -> str:
    """Return the text of some indexes."""
    return ",".join(
        f"{first}-{last}" if last - first > 1 else ",".join(map(str, sorted({first, last})))
        for first, last in _ranges(indexes)
    )


def _ranges(indexes: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last of what follows one another without a gap."""
    first = last = None
    for index in sorted(indexes):
        if first is None or last is None:
            first = last = index
        elif index == last + 1:
            last = index
        else:
            yield first, last
            first = last = index
    if first is not None and last is not None:
        yield first, last
