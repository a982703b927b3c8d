"""Loads: all that pods take on a node, in one int.

A load is a row of 64-bit lanes: the node's capacity class in the first, then one lane per resource.
Putting a pod on a node is then one addition whatever it asks for, and one dictionary lookup answers
what a rule has once said about a node of that size that is that full.

No lane spills into the next one: amounts are held to `MAX_AMOUNT`, of which 512 fit in a lane.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

LANE_BITS = 64
_LANE_BYTES = LANE_BITS // 8
_LANE = (1 << LANE_BITS) - 1

MAX_AMOUNT = 2**53
"""No node has 9 petabytes, and doubles are exact up to here."""


def pack(amounts: Iterable[tuple[int, int]], capacity_class: int = 0) -> int:
    """Return a load of these (resource id, amount) pairs."""
    load = capacity_class
    for resource, amount in amounts:
        load += min(amount, MAX_AMOUNT) << (LANE_BITS * (resource + 1))
    return load


def capacity_class_of(load: int) -> int:
    """Return the first lane."""
    return load & _LANE


def unpack(load: int, n_resources: int) -> tuple[int, ...]:
    """Return the amounts, one per resource id."""
    raw = load.to_bytes(_LANE_BYTES * (n_resources + 1), "little")
    return tuple(memoryview(raw).cast("q"))[1:]


def to_matrix(loads: Sequence[int], n_resources: int) -> NDArray[np.int64]:
    """Return the amounts of many loads: ndarray of int64, shape (n_resources, n_loads)."""
    n_bytes = _LANE_BYTES * (n_resources + 1)
    raw = b"".join([load.to_bytes(n_bytes, "little") for load in loads])
    rows = np.frombuffer(raw, dtype="<i8").reshape(len(loads), n_resources + 1)
    matrix: NDArray[np.int64] = rows[:, 1:].T
    return matrix
