"""SpreadCounter: how many pods of a kind there are in each domain, and the fewest in any of them.

What is counted is a `SpreadTerm`. Constraints that mean the same pods on the same nodes share one,
whatever skew they allow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.selectors import Selector
from kubeberth.placement.counted_nodes import CountedNodes, Inclusion
from kubeberth.placement.label_index import Label
from kubeberth.placement.node_table import Nodes
from kubeberth.placement.pulse import Pulse
from kubeberth.placement.vocabulary import ABSENT


@dataclass(frozen=True, slots=True)
class SpreadTerm:
    """Pods of one namespace, counted per value of a topology key on the nodes that take part.

    Parameters
    ----------
    topology_key
        `PER_NODE` counts every node by itself.
    """

    namespace: str
    selector: Selector
    topology_key: str
    inclusion: Inclusion

    @property
    def label(self) -> Label | None:
        """A label that all pods that are meant have, None when no single one is demanded."""
        return self.selector.label

    def counts(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Return whether a pod of that namespace, with these labels, is counted.

        As upstream, a selector that everything matches counts nothing.
        """
        return bool(self.selector.requirements) and self.means(namespace, labels)

    def means(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Return whether a pod of that namespace, with these labels, is meant."""
        return namespace == self.namespace and self.selector.matches(labels)


class SpreadCounter:
    """The pods of one term, per domain.

    Invariant: a domain whose count is not 0 has a node that takes part, so domains without pods are
    those that `nodes` knows beyond the ones that the levels count.

    Attributes
    ----------
    counts
        ndarray of int64, shape (n_ids,), indexed by the domain ids of `nodes`. Below 0 while pods
        are left out of account that were never counted.
    view
        The same numbers for one domain at a time.
    version
        Grows with every change of a count.
    latest
        The domain of the last change.
    pulse
        Beats with it once somebody has asked for the minimum.
    """

    __slots__ = (
        "_levels",
        "_lowest",
        "_n_inhabited",
        "counts",
        "latest",
        "n_users",
        "nodes",
        "pulse",
        "term",
        "version",
        "view",
    )

    def __init__(self, term: SpreadTerm, nodes: CountedNodes, pulse: Pulse) -> None:
        self.term = term
        self.nodes = nodes
        self.pulse = pulse
        self.n_users = self.version = 0
        self.latest = ABSENT
        # How many domains have so many pods, zeros aside; the lowest such number; their sum. Not
        # kept until somebody asks for the minimum.
        self._levels: dict[int, int] | None = None
        self._lowest = 0
        self._n_inhabited = 0
        self._set(np.zeros(nodes.n_ids, dtype=np.int64))

    def add(self, slot: int, amount: int) -> None:
        """Count pods on a node; take them back with a negative amount."""
        domain = self.nodes.view[slot]
        if domain < 0:
            return
        view = self.view
        if domain >= len(view):
            view = self.fit()
        before = view[domain]
        view[domain] = after = before + amount
        self.version += 1
        self.latest = domain
        if self._levels is not None and domain != ABSENT:
            self._follow(self._levels, before, after)
            self.pulse.n_beats += 1

    def minimum(self, min_domains: int) -> int:
        """Return the fewest pods in any domain; 0 when there are fewer domains than that."""
        if self._levels is None:
            self._levels = Counter(self.counts[ABSENT + 1 :].tolist())
            del self._levels[0]
            self._lowest = min(self._levels, default=0)
            self._n_inhabited = sum(self._levels.values())
        n_domains = self.nodes.n_domains
        if n_domains < min_domains:
            return 0
        if self._n_inhabited < n_domains:
            return min(self._lowest, 0)
        return self._lowest

    def at(self, domain: int) -> int:
        """Return the count of one domain."""
        view = self.view
        return view[domain] if domain < len(view) else 0

    def on(self, nodes: Nodes) -> NDArray[np.int64]:
        """Return the count on each node that takes part: ndarray of int64, shape (n,)."""
        self.fit()
        found: NDArray[np.int64] = self.counts[self.nodes.domains[nodes]]
        return found

    def fit(self) -> memoryview:
        """Make room for every domain there is, and return the view."""
        missing = self.nodes.n_ids - len(self.counts)
        if missing > 0:
            self._set(np.pad(self.counts, (0, missing)))
        return self.view

    def copy(self, nodes: CountedNodes, pulse: Pulse) -> SpreadCounter:
        """Return a counter over a copy of the nodes that changes on its own from now on."""
        other = SpreadCounter(self.term, nodes, pulse)
        other._set(self.counts.copy())
        other.n_users = self.n_users
        return other

    def _follow(self, levels: dict[int, int], before: int, after: int) -> None:
        """Keep account of the levels."""
        if before:
            self._n_inhabited -= 1
            levels[before] -= 1
            if not levels[before]:
                del levels[before]
        if after:
            self._n_inhabited += 1
            levels[after] = levels.get(after, 0) + 1
        if before == self._lowest or after < self._lowest:
            self._lowest = min(levels, default=0)

    def _set(self, counts: NDArray[np.int64]) -> None:
        self.counts = counts
        self.view = memoryview(counts.data)
