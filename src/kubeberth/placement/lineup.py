"""Lineup: the nodes of one group, the best first, though entries change all the time.

A node's *entry* is an int, the smaller the better, whose low bits say which node it is. Most nodes
are placed on in the order in which they stood, and become worse by it. So a lineup is a sorted line
to take from the front of, and a heap of those that have moved since; taking and putting behind cost
next to nothing. Whoever owns the lineup knows the true entries: what is in here may be out of date,
and is mended when it comes to the top.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush, heapreplace

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.ties import RANK_BITS

END = 1 << 61
"""Behind every entry there is."""

_RANK = (1 << RANK_BITS) - 1
# A heap that is smaller than this does not need to become a line.
_SMALL = 64
# So many of a line are at hand.
_HEAD = 64


class Lineup:
    """Some entries in order.

    Invariant: for each node of the group there is an entry in here that is not above its true one.
    """

    __slots__ = ("_behind", "_line", "_moved")

    def __init__(self) -> None:
        # From the last to the first: those that are far behind, and the head of the line. What
        # nobody comes to does not have to become Python's numbers.
        self._behind: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._line = [END]
        self._moved = [END]

    def __len__(self) -> int:
        return len(self._behind) + len(self._line) + len(self._moved) - 2

    def __iter__(self) -> Iterator[int]:
        yield from self._behind.tolist()
        yield from self._line[1:]
        yield from (entry for entry in self._moved if entry != END)

    def fill(self, entries: NDArray[np.int64]) -> None:
        """Hold just these entries, in any order."""
        self._behind = np.sort(entries)[::-1]
        self._moved = [END]
        self._advance()

    def _advance(self) -> None:
        """Have the next ones come to the head of the line, which is empty."""
        self._line[:] = [END, *self._behind[-_HEAD:].tolist()]
        self._behind = self._behind[:-_HEAD]

    def push(self, entry: int) -> int:
        """Put in an entry, and return how many have moved, the same one perhaps repeatedly."""
        heappush(self._moved, entry)
        return len(self._moved)

    def settle(self, entries: list[int], groups: list[int], group: int, order: list[int]) -> int:
        """Bring to the top what belongs there, and return it; `END` when no node is left.

        Parameters
        ----------
        entries, groups
            True entry and group of each slot.
        order
            Slot of each rank, which an entry has in its low bits.
        """
        line, moved = self._line, self._moved
        while True:
            top = line[-1]
            if top <= moved[0]:
                slot = order[top & _RANK]
                entry = entries[slot]
                if entry == top and groups[slot] == group:
                    return top
                if top == END:
                    return END
                line.pop()
                if entry > top and groups[slot] == group:
                    heappush(moved, entry)
                if len(line) == 1:
                    self._advance()
            elif len(line) == 1 and len(moved) > _SMALL:
                line[:] = sorted(moved, reverse=True)
                moved[:] = [END]
            else:
                top = moved[0]
                slot = order[top & _RANK]
                entry = entries[slot]
                if entry == top and groups[slot] == group:
                    return top
                if entry > top and groups[slot] == group:
                    heapreplace(moved, entry)
                else:
                    heappop(moved)
