"""Counters per value of a topology key, and the classes of pods that they count.

Pods are not looked at one by one: those that agree in namespace and labels form a `LabelClass`, and
a term either counts a whole class or does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.podterm import PodTerm
from kubeberth.placement.pulse import Pulse
from kubeberth.placement.spread_counter import SpreadCounter
from kubeberth.placement.vocabulary import ABSENT, LabelColumn


class DomainCounter:
    """A sum per domain: what lies on all nodes that share a value of the term's topology key.

    Invariant: nothing is ever added for nodes without the key, so `sums[ABSENT]` is 0.

    Attributes
    ----------
    sums
        ndarray of int64, shape (n_domains,), indexed by the ids of the topology key's column.
    view
        The same numbers for one domain at a time.
    n_entries
        How many additions are in it; more than 0 although the sums are 0 when weights cancel out.
    version
        Grows with every change.
    n_flips
        Grows when a domain's sum becomes positive or ceases to be.
    n_started
        Grows when the counter gets its first entry or loses its last.
    pulse
        Beats with the last two.
    """

    __slots__ = (
        "column",
        "n_entries",
        "n_flips",
        "n_started",
        "n_users",
        "pulse",
        "sums",
        "term",
        "version",
        "view",
    )

    def __init__(self, term: PodTerm, column: LabelColumn, pulse: Pulse) -> None:
        self.term = term
        self.column = column
        self.pulse = pulse
        self.n_entries = self.n_users = self.version = self.n_flips = self.n_started = 0
        self._set_sums(np.zeros(column.n_values, dtype=np.int64))

    def add(self, slot: int, amount: int, n_entries: int) -> None:
        """Add an amount on a node; take it back with both numbers negative."""
        domain = self.column.view[slot]
        if domain == ABSENT:
            return
        view = self.view
        try:
            before = view[domain]
        except IndexError:
            view = self.fit()
            before = view[domain]
        view[domain] = after = before + amount
        self.version += 1
        if (before > 0) is not (after > 0):
            self.n_flips += 1
            self.pulse.n_beats += 1
        before = self.n_entries
        self.n_entries = after = before + n_entries
        if not before or not after:
            self.n_started += 1
            self.pulse.n_beats += 1

    def on(self, nodes: slice | NDArray[np.intp]) -> NDArray[np.int64]:
        """Return each node's sum: ndarray of int64, shape (n,)."""
        self.fit()
        found: NDArray[np.int64] = self.sums[self.column.ids[nodes]]
        return found

    def fit(self) -> memoryview:
        """Make room for every domain there is, and return the view."""
        view = self.view
        missing = self.column.n_values - len(view)
        if missing <= 0:
            return view
        self._set_sums(np.concatenate([self.sums, np.zeros(missing, dtype=np.int64)]))
        return self.view

    def copy(self, column: LabelColumn, pulse: Pulse) -> DomainCounter:
        """Return a counter over a copy of the column that changes on its own from now on."""
        other = DomainCounter(self.term, column, pulse)
        other._set_sums(self.sums.copy())
        other.n_entries, other.n_users = self.n_entries, self.n_users
        return other

    def _set_sums(self, sums: NDArray[np.int64]) -> None:
        self.sums = sums
        self.view = memoryview(sums.data)


@dataclass(slots=True, eq=False)
class LabelClass:
    """Pods that no term can tell apart.

    Terminating pods are a class of their own: they are not counted when pods are spread.

    Parameters
    ----------
    labels
        All their labels but those that are known to differ from pod to pod.
    on_slots
        How many of these pods there are on each node.
    counted_by
        Counters of pods of this class.
    anti, affinity, preferred
        Counters of pods *holding* a term that means this class: required anti-affinity, required
        affinity, and signed weights of preferred terms.
    spread
        Counters of pods of this class for spreading.
    spread_uncounted
        Those that mean this class and do not count it all the same.
    """

    namespace: str
    labels: Mapping[str, str]
    is_terminating: bool = False
    on_slots: dict[int, int] = field(default_factory=dict)
    counted_by: dict[DomainCounter, None] = field(default_factory=dict)
    anti: dict[DomainCounter, None] = field(default_factory=dict)
    affinity: dict[DomainCounter, None] = field(default_factory=dict)
    preferred: dict[DomainCounter, None] = field(default_factory=dict)
    spread: dict[SpreadCounter, None] = field(default_factory=dict)
    spread_uncounted: dict[SpreadCounter, None] = field(default_factory=dict)
    n_users: int = 0

    def share(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """Return the labels of a pod of this class, the same object wherever possible."""
        return self.labels if len(labels) == len(self.labels) else labels
