"""Sets of NUMA nodes as int: bit i is the node with id i."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

Mask = int


def mask_of(numa_ids: Iterable[int]) -> Mask:
    """Return the set of some NUMA nodes."""
    mask = 0
    for numa_id in numa_ids:
        mask |= 1 << numa_id
    return mask


def members(mask: Mask) -> tuple[int, ...]:
    """Return the ids in a set, ascending."""
    return tuple(index for index in range(mask.bit_length()) if mask >> index & 1)


def subsets(numa_ids: Sequence[int]) -> Iterator[Mask]:
    """Yield all sets but the empty one: small ones first, those of a size in the order of ids."""
    for size in range(1, len(numa_ids) + 1):
        for subset in combinations(numa_ids, size):
            yield mask_of(subset)


def narrowness(mask: Mask) -> tuple[int, int]:
    """Return the key that the narrower of two sets has less of."""
    return mask.bit_count(), mask
