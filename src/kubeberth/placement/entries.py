"""Entries: what every node is worth by the room on it, for all pods that ask for the same.

A node's *entry* is an int, the smaller the better: `(BASE - score) << RANK_BITS | rank`. Most
templates of a cluster come in a few sizes, and an entry depends on nothing else. So a node that has
changed is judged once for each size, mostly by one dictionary lookup (see `loads.py`), however many
templates there are.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.changelog import ChangeLog
from kubeberth.placement.memo import Memo
from kubeberth.placement.plugin import MAX_TOTAL
from kubeberth.placement.state import ClusterState
from kubeberth.placement.ties import Order

Ints = NDArray[np.int64]

BASE = MAX_TOTAL
"""What scores are subtracted from, that the best come first: more than any total."""
NO_ROOM = 1 << 60
"""Verdict on a node without room."""
FULL = 1 << 59
"""Entries of nodes without room are above this, whatever their bases are; no others are."""


class LoadJudge(Protocol):
    """The rules over loads, as they concern pods of one size."""

    def judge_load(self, load: int) -> int:
        """Return the high bits of an entry, or `NO_ROOM`."""
        ...

    def judge_loads(self) -> Ints:
        """Return the same for every node: ndarray of int64, shape (n_slots,)."""
        ...


class Entries:
    """The entries of all nodes for one size of pods.

    Parameters
    ----------
    bases
        ndarray of int64, shape (n_slots,): rank of each node, less what it earns by its looks.
    is_shared
        Whether they are those of several templates.

    Attributes
    ----------
    of_slot
        The entry of each slot, as of the last call of `follow`; the same list for good.
    n_many
        With more changes than this it is cheaper to start over, for rankings too: whoever is behind
        by more has missed what has not become news.
    news
        Slots whose entry became lower, or where there was no room left. Of the others, those who
        have lined them up need not know before they come to them.
    """

    def __init__(
        self, state: ClusterState, judge: LoadJudge, bases: Ints, *, is_shared: bool
    ) -> None:
        self.is_shared = is_shared
        self.of_slot: list[int] = []
        self.news = ChangeLog()
        self._loads, self._log = state.loads, state.usage_log
        self._judge = judge
        self._verdicts = Memo(judge.judge_load)
        self.start(bases)

    def start(self, bases: Ints) -> None:
        """Judge every node at once."""
        self._bases: list[int] = bases.tolist()
        self._array = self._judge.judge_loads() + bases
        self.of_slot[:] = self._array.tolist()
        self.n_many = len(bases) // 2 + 64
        self.news.keep(len(bases))
        self._seen = self._seen_by_array = self._log.end

    def follow(self) -> None:
        """Judge the nodes again where pods came or went."""
        log = self._log
        n_new = log.end - self._seen
        if n_new == 1:
            self._judge_one(log.latest[0])
        elif n_new:
            changed = log.since(self._seen, self.n_many)
            if changed is None:
                self.start(np.array(self._bases))
            else:
                for slot in changed:
                    self._judge_one(slot)
        self._seen = log.end

    def _judge_one(self, slot: int) -> None:
        old_entry = self.of_slot[slot]
        entry = self._verdicts[self._loads[slot]] + self._bases[slot]
        self.of_slot[slot] = entry
        if entry < old_entry or entry > FULL:
            self.news.add(slot)

    def rebase(self, slots: NDArray[np.intp], bases: Ints) -> bool:
        """Take in what the looks of some nodes are worth now; False when others share the entries.

        To be called when the log has been followed.
        """
        for slot, base in zip(slots.tolist(), bases.tolist(), strict=True):
            if base != self._bases[slot]:
                if self.is_shared:
                    return False
                self._bases[slot] = base
                entry = self._verdicts[self._loads[slot]] + base
                self.of_slot[slot] = self._array[slot] = entry
        return True

    def to_array(self) -> Ints:
        """Return all entries: ndarray of int64, shape (n_slots,); to be read at once."""
        changed = self._log.since(self._seen_by_array, len(self.of_slot) // 4)
        if changed is None:
            self._array = np.array(self.of_slot, dtype=np.int64)
        elif changed:
            self._array[changed] = [self.of_slot[slot] for slot in changed]
        self._seen_by_array = self._seen
        return self._array


class EntriesBook:
    """Every `Entries` of one engine that is in use.

    Attributes
    ----------
    order
        The order of the nodes that everybody goes by.
    """

    def __init__(self, state: ClusterState, order: Order) -> None:
        self.order = order
        self._state = state
        self._shared: WeakValueDictionary[Hashable, Entries] = WeakValueDictionary()

    def lend(self, size: Hashable, judge: LoadJudge, bases: Ints) -> Entries:
        """Return up-to-date entries.

        Parameters
        ----------
        size
            The same for pods that rules over loads judge alike.
        """
        if not np.array_equal(bases, self.order.ranks):
            # Some nodes look better to this template than to others.
            return Entries(self._state, judge, bases, is_shared=False)
        entries = self._shared.get(size)
        if entries is None:
            entries = self._shared[size] = Entries(self._state, judge, bases, is_shared=True)
        elif len(entries.of_slot) != len(bases):
            entries.start(bases)
        else:
            entries.follow()
        return entries
