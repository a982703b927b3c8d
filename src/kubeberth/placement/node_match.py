"""Which nodes meet node affinity and carry no taint that is not tolerated, many nodes at a time.

Rules: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/ and
https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.core import Taint, Toleration
from kubeberth.api.selectors import Requirement
from kubeberth.api.taints import tolerates
from kubeberth.placement.node_table import Nodes, NodeTable
from kubeberth.placement.nodeterm import NameRequirement, NodeTerm

Mask = NDArray[np.bool_]

HARD_EFFECTS = ("NoSchedule", "NoExecute")
SOFT_EFFECTS = ("PreferNoSchedule",)


def meets_any(table: NodeTable, terms: tuple[NodeTerm, ...], nodes: Nodes) -> Mask:
    """Return which nodes meet at least one term: ndarray of bool, shape (n,)."""
    found = np.zeros(len(table.slots[nodes]), dtype=bool)
    for term in terms:
        found |= meets(table, term, nodes)
    return found


def meets(table: NodeTable, term: NodeTerm, nodes: Nodes) -> Mask:
    """Return which nodes meet a term: ndarray of bool, shape (n,)."""
    found = meets_all(table, term.labels, nodes)
    for requirement in term.names:
        found &= _has_name(table, requirement, nodes)
    return found


def meets_all(table: NodeTable, labels: tuple[Requirement, ...], nodes: Nodes) -> Mask:
    """Return which nodes' labels meet every requirement: ndarray of bool, shape (n,)."""
    found = np.ones(len(table.slots[nodes]), dtype=bool)
    for requirement in labels:
        column = table.column(requirement.key)
        found &= column.table(requirement)[column.ids[nodes]]
    return found


def _has_name(table: NodeTable, requirement: NameRequirement, nodes: Nodes) -> Mask:
    slot = table.slot_of.get(requirement.name, -1)
    is_it: Mask = table.slots[nodes] == slot
    return ~is_it if requirement.negated else is_it


def n_untolerated(
    table: NodeTable, tolerations: Sequence[Toleration], effects: Sequence[str], nodes: Nodes
) -> NDArray[np.int64]:
    """Return how many taints of these effects each node has that nothing tolerates.

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    # Clusters have few distinct taint lists: decide once for each, then look up.
    numbers = [
        sum(
            effect in effects
            and not any(
                tolerates(toleration, Taint(key=key, value=value, effect=effect))
                for toleration in tolerations
            )
            for key, value, effect in taints
        )
        for taints in table.taint_lists.values
    ]
    found: NDArray[np.int64] = np.array(numbers, dtype=np.int64)[table.taint_list_ids[nodes]]
    return found
