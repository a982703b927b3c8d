"""ChangeLog: which nodes have changed since a reader last looked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_EVERYTHING = slice(None)


class ChangeLog:
    """An append-only list of node slots, of which old parts are dropped.

    Attributes
    ----------
    end
        Position behind the last entry; a reader remembers it and asks `since` that position.
    """

    def __init__(self) -> None:
        self._slots: list[int] = []
        self._start = 0

    @property
    def end(self) -> int:
        """Position behind the last entry."""
        return self._start + len(self._slots)

    def add(self, slot: int, n_slots: int) -> None:
        """Note that a node has changed.

        A reader that is more than a round of all nodes behind is cheaper served with everything,
        so no more than that is kept.
        """
        self._slots.append(slot)
        if len(self._slots) > 2 * n_slots + 64:
            self._start += n_slots + 32
            del self._slots[: n_slots + 32]

    def since(self, position: int, n_slots: int) -> slice | NDArray[np.intp]:
        """Return the nodes that changed from that position on; a full slice when nearly all did.

        A position of -1 asks for everything.
        """
        if position < self._start or self.end - position > n_slots // 4 + 1:
            return _EVERYTHING
        fresh = self._slots[position - self._start :]
        return np.array(fresh if len(fresh) < 2 else sorted(set(fresh)), dtype=np.intp)
