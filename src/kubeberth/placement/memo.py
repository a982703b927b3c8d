"""Memo: a dict that works out what it does not hold yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(dict[K, V]):
    """What a function of one argument has returned, so far.

    A subscript is all that asking for something known costs: no call, no test.
    """

    __slots__ = ("_limit", "_work_out")

    def __init__(self, work_out: Callable[[K], V], limit: int = 1 << 17) -> None:
        super().__init__()
        self._work_out = work_out
        self._limit = limit

    def __missing__(self, key: K) -> V:
        """Work it out, and keep it; when it gets too much, begin anew."""
        if len(self) >= self._limit:
            self.clear()
        value = self[key] = self._work_out(key)
        return value
