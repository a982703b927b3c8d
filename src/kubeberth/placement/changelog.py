"""ChangeLog: which nodes have changed since a reader last looked."""

from __future__ import annotations


class ChangeLog:
    """An append-only list of node slots, of which old parts are dropped.

    Attributes
    ----------
    end
        Position behind the last entry; a reader remembers it and asks `since` that position.
    """

    def __init__(self) -> None:
        self.end = 0
        self._slots: list[int] = []
        self._start = 0

    def add(self, slot: int, n_slots: int) -> None:
        """Note that a node has changed.

        A reader that is more than a round of all nodes behind is cheaper served with everything,
        so no more than that is kept.
        """
        self._slots.append(slot)
        self.end += 1
        if len(self._slots) > 2 * n_slots + 64:
            self._start += n_slots + 32
            del self._slots[: n_slots + 32]

    def since(self, position: int, at_most: int) -> list[int] | None:
        """Return the nodes that changed from that position on, the same one perhaps repeatedly.

        None says that they are more than `at_most`, or no longer known; so does a position of -1.
        """
        if position < self._start or self.end - position > at_most:
            return None
        return self._slots[position - self._start :]
