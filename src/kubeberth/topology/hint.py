"""What a resource manager would like: on which NUMA nodes a request could be met, and how well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kubeberth.topology.masks import Mask, members, subsets


@dataclass(frozen=True, slots=True)
class Hint:
    """One way to meet a request.

    Parameters
    ----------
    mask
        The NUMA nodes; None for no opinion.
    preferred
        Whether no fewer nodes could ever do.
    """

    mask: Mask | None
    preferred: bool

    def __str__(self) -> str:
        nodes = "*" if self.mask is None else ",".join(map(str, members(self.mask)))
        return nodes + ("+" if self.preferred else "-")


# By resource. None: the resource does not care; empty: it cannot be had anywhere.
Hints = Mapping[str, Sequence[Hint] | None]

NO_OPINION: Hints = {}


def hints_where(
    numa_ids: Sequence[int],
    could_ever: Callable[[Mask], bool],
    can_now: Callable[[Mask], bool],
    is_as_good: Callable[[Mask, int], bool] = lambda mask, least: False,
) -> list[Hint]:
    """Return a hint for each set of nodes that can meet a request now.

    Preferred are those of the least size that could meet it if the machine were empty, and those
    that are as good, given that size.
    """
    least = len(numa_ids)
    masks = []
    for mask in subsets(numa_ids):
        if mask.bit_count() < least and could_ever(mask):
            least = mask.bit_count()
        if can_now(mask):
            masks.append(mask)
    return [Hint(m, m.bit_count() == least or is_as_good(m, least)) for m in masks]
