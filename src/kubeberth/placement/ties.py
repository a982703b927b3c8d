"""Ties: which of equally good nodes it is.

kube-scheduler takes whichever its parallel search makes the root of a heap, so any of the best is a
right answer. Here the choice is a fixed order of the nodes: the same cluster gives the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

RANK_BITS = 20
"""A million nodes can be told apart."""

_MASK = (1 << RANK_BITS) - 1


class TieBreak(Protocol):
    """An order of all slots: ranks are distinct, from 0 to 2**RANK_BITS - 1; the lowest wins."""

    def ranks(self, slots: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the rank of each slot."""

    def slot_of(self, rank: int) -> int:
        """Return the slot of a rank."""


class FirstAdded:
    """The node that has been there longest."""

    def ranks(self, slots: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the slots themselves."""
        return slots.astype(np.int64)

    def slot_of(self, rank: int) -> int:
        """Return the same number."""
        return rank


class Shuffled:
    """An order that looks random and is the same for the same seed."""

    def __init__(self, seed: int) -> None:
        random = Random(seed)  # noqa: S311 - an order, not a secret
        # Multiplying by an odd number permutes the numbers below a power of two.
        self._factor = random.randrange(_MASK) | 1
        self._offset = random.randrange(_MASK)
        self._inverse = pow(self._factor, -1, _MASK + 1)

    def ranks(self, slots: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the slots in shuffled order."""
        return (slots.astype(np.int64) * self._factor + self._offset) & _MASK

    def slot_of(self, rank: int) -> int:
        """Return the slot of a rank."""
        return (rank - self._offset) * self._inverse & _MASK


class Listed:
    """The node that comes first in a list; those that are not in it come last.

    Parameters
    ----------
    slots
        The order, of nodes that keep their slots.
    """

    def __init__(self, slots: Iterable[int]) -> None:
        listed = list(slots)
        others = set(range(max(listed, default=-1) + 1)) - set(listed)
        self._slot_of = [*listed, *sorted(others)]
        self._rank_of = np.argsort(np.array(self._slot_of, dtype=np.int64))

    def ranks(self, slots: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the places in the list."""
        n_listed = len(self._rank_of)
        known = self._rank_of[np.minimum(slots, max(n_listed - 1, 0))] if n_listed else slots
        return np.where(slots < n_listed, known, slots).astype(np.int64)

    def slot_of(self, rank: int) -> int:
        """Return the slot at a place in the list."""
        return self._slot_of[rank] if rank < len(self._slot_of) else rank
