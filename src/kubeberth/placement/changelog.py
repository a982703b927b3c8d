"""Change logs: which nodes have changed since a reader last looked, and for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubeberth.placement.links import Links


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


class UsageLog(ChangeLog):
    """A change log that also tells whose pods came or went, as far as that is known.

    Attributes
    ----------
    latest
        The last entry: slot and cause.
    """

    def __init__(self) -> None:
        super().__init__()
        self.latest: tuple[int, Links | None] = (0, None)
        self._causes: list[Links | None] = []

    def add(self, slot: int, cause: Links | None = None) -> None:
        """Note that a node has changed, for a pod of a template or for whatever else."""
        self.latest = slot, cause
        self._causes.append(cause)
        self._slots.append(slot)
        self.end = end = self.end + 1
        if end > self._trim_at:
            self._trim()

    def causes(self, n_last: int) -> list[Links | None]:
        """Return what the last changes came from; there are as many as a reader was told of."""
        return self._causes[-n_last:]

    def _trim(self) -> None:
        super()._trim()
        del self._causes[: -self._n_kept]
