"""CountedNodes: which nodes take part when pods are counted for spreading, and in which domain.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
A node takes part when it has the topology keys of all constraints that are looked at together and
passes what the constraint's `nodeAffinityPolicy` and `nodeTaintsPolicy` honor. Few templates
differ in that, so what is known of the nodes is shared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.core import Toleration
from kubeberth.api.selectors import Requirement
from kubeberth.placement.node_match import HARD_EFFECTS, meets_all, meets_any, n_untolerated
from kubeberth.placement.node_table import Nodes, NodeTable
from kubeberth.placement.nodeterm import NodeTerm
from kubeberth.placement.pulse import Pulse
from kubeberth.placement.vocabulary import ABSENT

PER_NODE = ""
"""In place of a topology key: every node is its own domain."""

_LEFT_OUT = -1


@dataclass(frozen=True, slots=True)
class Inclusion:
    """What a node must be like for its pods to be counted.

    Parameters
    ----------
    keys
        Labels that it must have.
    selector, required
        nodeSelector and required node affinity that it must meet; see `NodeRules`.
    tolerations
        What tolerates its hard taints; None when taints do not matter.
    """

    keys: frozenset[str] = frozenset()
    selector: tuple[Requirement, ...] = ()
    required: tuple[NodeTerm, ...] | None = None
    tolerations: tuple[Toleration, ...] | None = None


class CountedNodes:
    """The nodes that one inclusion lets in, by their domain.

    Attributes
    ----------
    domains
        ndarray of int32, shape (n_slots,): id of the node's domain, -1 where it does not take part.
        Nodes without the topology key form the domain `ABSENT`.
    view
        The same numbers for one node at a time.
    n_domains
        How many domains have a node that takes part, `ABSENT` aside.
    version
        Grows when that number changes.
    """

    def __init__(self, table: NodeTable, key: str, inclusion: Inclusion) -> None:
        self.key = key
        self.inclusion = inclusion
        self.n_users = self.version = 0
        self._table = table
        self._column = None if key == PER_NODE else table.column(key)
        self._set(self._domains(slice(None)))
        # How many nodes of each domain take part, `ABSENT` being one like the others.
        counts = np.bincount(self.domains[self.domains >= 0], minlength=self.n_ids)
        self._n_nodes: list[int] = counts.tolist()
        self.n_domains = int(np.count_nonzero(counts[ABSENT + 1 :]))

    @property
    def n_ids(self) -> int:
        """How many ids of domains there are, `ABSENT` included."""
        return self._table.n_slots + 1 if self._column is None else self._column.n_values

    def renew(self, slot: int) -> None:
        """Take note of a node that has come, changed or gone; no pods may be counted on it now."""
        old = self.view[slot]
        new = int(self._domains(np.array([slot], dtype=np.intp))[0])
        if new == old:
            return
        self.view[slot] = new
        self._n_nodes += [0] * (self.n_ids - len(self._n_nodes))
        if old >= 0:
            self._n_nodes[old] -= 1
            self._note(old, self._n_nodes[old] == 0, -1)
        if new >= 0:
            self._n_nodes[new] += 1
            self._note(new, self._n_nodes[new] == 1, +1)

    def grow(self) -> None:
        """Make room for more nodes."""
        more = self._table.n_slots - len(self.domains)
        self._set(np.pad(self.domains, (0, more), constant_values=_LEFT_OUT))

    def copy(self, table: NodeTable) -> CountedNodes:
        """Return the same nodes over a copy of the table."""
        other = CountedNodes(table, self.key, self.inclusion)
        other.n_users = self.n_users
        return other

    def _set(self, domains: NDArray[np.int32]) -> None:
        self.domains = domains
        self.view = memoryview(domains.data)

    def _note(self, domain: int, has_turned: bool, change: int) -> None:
        """Count a domain that got its first node, or lost its last."""
        if has_turned and domain != ABSENT:
            self.n_domains += change
            self.version += 1

    def _domains(self, nodes: Nodes) -> NDArray[np.int32]:
        """Return the domain of each node as it looks now: ndarray of int32, shape (n,)."""
        found = np.where(self._takes_part(nodes), self._ids(nodes), _LEFT_OUT)
        return found.astype(np.int32)

    def _ids(self, nodes: Nodes) -> NDArray[np.int32] | NDArray[np.intp]:
        return self._table.slots[nodes] + 1 if self._column is None else self._column.ids[nodes]

    def _takes_part(self, nodes: Nodes) -> NDArray[np.bool_]:
        table, inclusion = self._table, self.inclusion
        found = table.exists[nodes].copy()
        for key in inclusion.keys:
            found &= table.column(key).ids[nodes] != ABSENT
        if inclusion.selector:
            found &= meets_all(table, inclusion.selector, nodes)
        if inclusion.required is not None:
            found &= meets_any(table, inclusion.required, nodes)
        if inclusion.tolerations is not None:
            found &= n_untolerated(table, inclusion.tolerations, HARD_EFFECTS, nodes) == 0
        return found


class CountedNodesBook:
    """Every `CountedNodes` of one cluster that is in use.

    Attributes
    ----------
    pulse
        Beats with every change; for whoever counts something else to beat it as well.
    """

    def __init__(self, table: NodeTable) -> None:
        self.pulse = Pulse()
        self._table = table
        self._entries: dict[tuple[str, Inclusion], CountedNodes] = {}

    def lend(self, key: str, inclusion: Inclusion) -> CountedNodes:
        """Return the nodes of an inclusion to one user more."""
        entry = self._entries.get((key, inclusion))
        if entry is None:
            entry = CountedNodes(self._table, key, inclusion)
            self._entries[key, inclusion] = entry
        entry.n_users += 1
        return entry

    def get(self, key: str, inclusion: Inclusion) -> CountedNodes:
        """Return the nodes of an inclusion that somebody uses already."""
        return self._entries[key, inclusion]

    def release(self, entry: CountedNodes) -> None:
        """Give back what `lend` returned."""
        entry.n_users -= 1
        if not entry.n_users:
            del self._entries[entry.key, entry.inclusion]

    @property
    def reads_taints(self) -> bool:
        """Whether taints decide for any of them."""
        return any(inclusion.tolerations is not None for _, inclusion in self._entries)

    def renew(self, slot: int) -> None:
        """Take note of a node that has come, changed or gone; no pods may be counted on it now."""
        self.pulse.n_beats += 1
        for entry in self._entries.values():
            entry.renew(slot)

    def grow(self) -> None:
        """Make room for more nodes."""
        for entry in self._entries.values():
            entry.grow()

    def copy(self, table: NodeTable) -> CountedNodesBook:
        """Return the same book over a copy of the table."""
        other = CountedNodesBook(table)
        other._entries = {key: entry.copy(table) for key, entry in self._entries.items()}
        return other
