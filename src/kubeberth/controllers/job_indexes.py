"""Sets of completion indexes, and their text: `1,3-5,7`.

Matches Kubernetes 1.36 (`pkg/controller/job/indexed_job_utils.go`): three or more numbers in a row
are written as a range.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Indexes = frozenset[int]


def parse_indexes(text: str, completions: int) -> Indexes:
    """Return the indexes of a text that are below the number of completions."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        found.update(range(int(first), min(int(last or first), completions - 1) + 1))
    return frozenset(found)


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
