"""Label masks: which nodes meet requirements on their labels, many nodes at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.selectors import Requirement
from kubeberth.placement.state import ClusterState, Nodes

Mask = NDArray[np.bool_]
"""One Boolean per node looked at."""


def meets_all(state: ClusterState, labels: Iterable[Requirement], nodes: Nodes) -> Mask:
    """Return which nodes meet every requirement."""
    found = np.ones(len(state.slots[nodes]), dtype=bool)
    for requirement in labels:
        column = state.label_column(requirement.key)
        found &= column.table(requirement)[column.ids[nodes]]
    return found


def meets_any(state: ClusterState, rows: Sequence[Iterable[Requirement]], nodes: Nodes) -> Mask:
    """Return which nodes meet every requirement of one row at least."""
    found = np.zeros(len(state.slots[nodes]), dtype=bool)
    for row in rows:
        found |= meets_all(state, row, nodes)
    return found
