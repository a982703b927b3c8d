"""Counters per value of a topology key, and the classes of pods that they count.

Pods are not looked at one by one: those that agree in namespace and in every label that some term
selects by form a `LabelClass`, and a term either counts a whole class or does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.podterm import PodTerm
from kubeberth.placement.vocabulary import ABSENT, LabelColumn


class DomainCounter:
    """A sum per domain: what lies on all nodes that share a value of the term's topology key.

    Invariant: nothing is ever added for nodes without the key, so `sums[ABSENT]` is 0.

    Attributes
    ----------
    sums
        ndarray of int64, shape (n_domains,), indexed by the ids of the topology key's column.
    n_entries
        How many additions are in it; more than 0 although the sums are 0 when weights cancel out.
    """

    __slots__ = ("column", "n_entries", "n_users", "sums", "term")

    def __init__(self, term: PodTerm, column: LabelColumn) -> None:
        self.term = term
        self.column = column
        self.sums: NDArray[np.int64] = np.zeros(column.n_values, dtype=np.int64)
        self.n_entries = 0
        self.n_users = 0

    def add(self, slot: int, amount: int, n_entries: int) -> None:
        """Add an amount on a node; take it back with both numbers negative."""
        domain = self.column.ids[slot]
        if domain == ABSENT:
            return
        self._fit()
        self.sums[domain] += amount
        self.n_entries += n_entries

    def on(self, nodes: slice | NDArray[np.intp]) -> NDArray[np.int64]:
        """Return each node's sum: ndarray of int64, shape (n,)."""
        self._fit()
        found: NDArray[np.int64] = self.sums[self.column.ids[nodes]]
        return found

    def _fit(self) -> None:
        missing = self.column.n_values - len(self.sums)
        if missing > 0:
            self.sums = np.concatenate([self.sums, np.zeros(missing, dtype=np.int64)])


@dataclass(slots=True, eq=False)
class LabelClass:
    """Pods that no term can tell apart.

    Parameters
    ----------
    labels
        Only the labels that some term selects by.
    on_slots
        How many of these pods there are on each node.
    counted_by
        Counters of pods of this class.
    anti, affinity, preferred
        Counters of pods *holding* a term that means this class: required anti-affinity, required
        affinity, and signed weights of preferred terms.
    """

    namespace: str
    labels: Mapping[str, str]
    on_slots: Counter[int] = field(default_factory=Counter)
    counted_by: dict[DomainCounter, None] = field(default_factory=dict)
    anti: dict[DomainCounter, None] = field(default_factory=dict)
    affinity: dict[DomainCounter, None] = field(default_factory=dict)
    preferred: dict[DomainCounter, None] = field(default_factory=dict)
    n_users: int = 0
