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
        self._n_kept = self._trim_at = 64

    def add(self, slot: int) -> None:
        """Note that a node has changed."""
        self._slots.append(slot)
        self.end = end = self.end + 1
        if end > self._trim_at:
            self._trim()

    def keep(self, n_slots: int) -> None:
        """Keep a round of all nodes; a reader that is further behind is served with everything."""
        self._n_kept = n_slots + 64
        self._trim_at = self._start + 2 * self._n_kept

    def since(self, position: int, at_most: int) -> list[int] | None:
        """Return the nodes that changed from that position on, the same one perhaps repeatedly.

        None says that they are more than `at_most`, or no longer known; so does a position of -1.
        """
        if position < self._start or self.end - position > at_most:
            return None
        return self._slots[position - self._start :]

    def _trim(self) -> None:
        self._start = self.end - self._n_kept
        del self._slots[: -self._n_kept]
        self._trim_at = self._start + 2 * self._n_kept
