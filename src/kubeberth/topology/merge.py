"""The topology manager's policies: many hints merged into the best one, and whether it will do.

Rule: https://kubernetes.io/docs/tasks/administer-cluster/topology-manager/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from kubeberth.topology.hint import Hint, Hints
from kubeberth.topology.masks import Mask, mask_of, members, narrowness

NONE = "none"
BEST_EFFORT = "best-effort"
RESTRICTED = "restricted"
SINGLE_NUMA_NODE = "single-numa-node"

# The less, the better; a total order.
Narrowness = Callable[[Mask], tuple[float, ...]]

_ANYWHERE = Hint(None, preferred=True)
_NOWHERE = Hint(None, preferred=False)


@dataclass(frozen=True, slots=True)
class TopologyPolicy:
    """One of the policies that ask for hints.

    Parameters
    ----------
    numa_ids
        All NUMA nodes of the machine.
    narrowness
        Which of two sets of nodes is better, all else being equal.
    """

    name: str
    numa_ids: tuple[int, ...]
    narrowness: Narrowness = narrowness

    def merge(self, provided: Iterable[Hints]) -> tuple[Hint, bool]:
        """Return the best hint that all resources can live with, and whether the policy admits it.

        Parameters
        ----------
        provided
            What each resource manager said.
        """
        lists = [_as_list(hints) for answers in provided for hints in answers.values()]
        if self.name == SINGLE_NUMA_NODE:
            lists = [list(filter(_is_single, hints)) for hints in lists]
        everything = mask_of(self.numa_ids)
        best = _best(lists, everything, self.narrowness)
        if self.name == SINGLE_NUMA_NODE and best.mask == everything:
            best = Hint(None, best.preferred)
        return best, best.preferred or self.name == BEST_EFFORT


def _as_list(hints: Sequence[Hint] | None) -> list[Hint]:
    if hints is None:
        return [_ANYWHERE]
    return list(hints) or [_NOWHERE]


def _is_single(hint: Hint) -> bool:
    return hint.preferred and (hint.mask is None or hint.mask.bit_count() == 1)


def _best(lists: Sequence[Sequence[Hint]], everything: Mask, narrowness: Narrowness) -> Hint:
    """Return the best of all combinations of one hint of each list.

    A combination stands for the nodes that all of its hints share, and is preferred if all of them
    are and name the same nodes. The kubelet goes through the product of the lists; as its order of
    two combinations is total, the set of those that there are is enough, and that stays small.
    """
    agreed = _agreed(lists, everything)
    if agreed:
        return Hint(min(agreed, key=narrowness), preferred=True)
    shared = {everything}
    for hints in lists:
        masks = {everything if hint.mask is None else hint.mask for hint in hints}
        shared = {one & other for one in shared for other in masks} - {0}
    if not shared:
        return Hint(everything, preferred=False)
    wanted = max(map(_least_size, lists), default=0)
    return Hint(min(shared, key=lambda mask: _unpreferred(mask, wanted, narrowness)), False)


def _agreed(lists: Sequence[Sequence[Hint]], everything: Mask) -> set[Mask]:
    """Return the sets of nodes that are preferred by all lists that have an opinion."""
    agreed: set[Mask] | None = None
    for hints in lists:
        preferred = {hint.mask for hint in hints if hint.preferred}
        if None in preferred:
            continue
        masks = {mask for mask in preferred if mask is not None}
        agreed = masks if agreed is None else agreed & masks
    return {everything} if agreed is None else agreed


def _least_size(hints: Iterable[Hint]) -> int:
    return min((hint.mask.bit_count() for hint in hints if hint.mask is not None), default=0)


def _unpreferred(mask: Mask, wanted: int, narrowness: Narrowness) -> tuple[float, ...]:
    """Rank a set that is not preferred: as large as the pickiest resource needs, else close to it.

    Smaller than `wanted` is better than larger.
    """
    size = mask.bit_count()
    return (*((0, wanted - size) if size <= wanted else (1, size)), *narrowness(mask))


def closeness(distances: Mapping[int, Sequence[int]]) -> Narrowness:
    """Return the order of `prefer-closest-numa-nodes`.

    Of sets of one size the one with the least mean distance between its nodes, their own included,
    is better.

    Parameters
    ----------
    distances
        By NUMA id; the i-th is the distance to the node with id i.
    """

    def key(mask: Mask) -> tuple[float, ...]:
        ids = members(mask)
        mean = sum(distances[one][other] for one in ids for other in ids) / len(ids) ** 2
        return len(ids), mean, mask

    return key
