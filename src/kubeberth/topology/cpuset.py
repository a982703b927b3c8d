"""Sets of CPUs in the kernel's list format, such as `0-3,8`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

Cpus = frozenset[int]
NO_CPUS: Cpus = frozenset()

_RANGE = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")


def parse_cpus(text: str) -> Cpus:
    """Return the set that a list stands for; an empty text is the empty set.

    Raises
    ------
    ValueError
        The text is no list of CPUs.
    """
    cpus: set[int] = set()
    for part in text.split(",") if text else ():
        found = _RANGE.fullmatch(part)
        if found is None:
            raise ValueError(f"{text!r} is no list of CPUs such as 0-3,8")
        first = int(found[1])
        last = int(found[2] or first)
        if last < first:
            raise ValueError(f"{text!r} is no list of CPUs: {part} ends before it begins")
        cpus.update(range(first, last + 1))
    return frozenset(cpus)


def cpu_list(cpus: Iterable[int]) -> str:
    """Return a set as a list of ranges, ascending."""
    runs = groupby(enumerate(sorted(cpus)), key=lambda pair: pair[1] - pair[0])
    return ",".join(_range([cpu for _, cpu in run]) for _, run in runs)


def _range(run: list[int]) -> str:
    return str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}"
