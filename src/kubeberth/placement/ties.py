"""Ties: which of equally good nodes it is.

kube-scheduler takes whichever its parallel search makes the root of a heap, so any of the best is a
right answer. Here the choice is a fixed order of the nodes: the same cluster gives the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

RANK_BITS = 20
"""A million nodes can be told apart."""

_MASK = (1 << RANK_BITS) - 1
# Seeds next to each other give factors far apart, not far from the golden section of the range.
_START, _STEP = 0x9E379, 0x7F4A6


class TieBreak(Protocol):
    """An order of all slots."""

    def ranks(self, slots: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the rank of each slot, no two the same; the lowest wins."""


class FirstAdded:
    """The node that has been there longest."""

    def ranks(self, slots: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the slots themselves."""
        return slots.astype(np.int64)


class Shuffled:
    """An order that looks random and is the same for the same seed."""

    def __init__(self, seed: int) -> None:
        # Multiplying by an odd number permutes the numbers below a power of two.
        self._factor = (seed * _STEP + _START) & _MASK | 1
        # Far apart as well: the first slot would come first under every small seed otherwise.
        self._offset = (seed + 1) * _START & _MASK

    def ranks(self, slots: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the slots in shuffled order."""
        return ((slots.astype(np.int64) * self._factor + self._offset) & _MASK).astype(np.int64)


class Listed:
    """The node that comes first in a list of slots; those that are not in it come last."""

    def __init__(self, slots: Iterable[int]) -> None:
        self._ranks = {slot: rank for rank, slot in enumerate(slots)}

    def ranks(self, slots: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the places in the list."""
        behind = len(self._ranks)
        return np.array([self._ranks.get(s, behind + s) for s in slots.tolist()], dtype=np.int64)


class Order:
    """The slots as a tie break orders them, worked out once for everybody who needs it.

    Attributes
    ----------
    ranks, rank_list
        ndarray of intp, shape (n_slots,): place of each slot; and the same as a list.
    slots
        The slot in each place.
    """

    def __init__(self, ties: TieBreak) -> None:
        self._ties = ties
        self.ranks: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self.rank_list: list[int] = []
        self.slots: list[int] = []

    def fit(self, slots: NDArray[np.intp]) -> None:
        """Take in all slots that there are."""
        if len(slots) == len(self.slots):
            return
        order = np.argsort(self._ties.ranks(slots))
        self.slots = order.tolist()
        self.ranks = np.empty_like(order)
        self.ranks[order] = slots
        self.rank_list = self.ranks.tolist()
