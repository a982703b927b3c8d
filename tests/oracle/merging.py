"""The topology policies, word for word as upstream goes about it: over the product of all hints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from kubeberth.topology.hint import Hint, Hints
from kubeberth.topology.masks import mask_of
from kubeberth.topology.merge import BEST_EFFORT, SINGLE_NUMA_NODE, Narrowness


def merge(
    name: str, numa_ids: Sequence[int], narrowness: Narrowness, provided: Iterable[Hints]
) -> tuple[Hint, bool]:
    """Return the best hint and whether the policy admits it."""
    everything = mask_of(numa_ids)
    lists = []
    for answers in provided:
        for hints in answers.values():
            listed = [Hint(None, True)] if hints is None else list(hints) or [Hint(None, False)]
            if name == SINGLE_NUMA_NODE:
                listed = [
                    hint
                    for hint in listed
                    if hint.preferred and (hint.mask is None or hint.mask.bit_count() == 1)
                ]
            lists.append(listed)
    wanted = max(
        (min((h.mask.bit_count() for h in hints if h.mask is not None), default=0))
        for hints in [*lists, []]
    )
    best: Hint | None = None
    for combination in product(*lists):
        candidate = _combined(combination, everything)
        if candidate.mask and (best is None or _wins(candidate, best, wanted, narrowness)):
            best = candidate
    best = best or Hint(everything, False)
    if name == SINGLE_NUMA_NODE and best.mask == everything:
        best = Hint(None, best.preferred)
    return best, best.preferred or name == BEST_EFFORT


def _combined(hints: Sequence[Hint], everything: int) -> Hint:
    mask, named = everything, [hint.mask for hint in hints if hint.mask is not None]
    for one in named:
        mask &= one
    preferred = all(hint.preferred for hint in hints) and len(set(named)) <= 1
    return Hint(mask, preferred)


def _wins(candidate: Hint, current: Hint, wanted: int, narrowness: Narrowness) -> bool:
    assert candidate.mask is not None
    assert current.mask is not None
    if candidate.preferred != current.preferred:
        return candidate.preferred
    is_narrower = narrowness(candidate.mask) < narrowness(current.mask)
    if candidate.preferred:
        return is_narrower
    new, old = candidate.mask.bit_count(), current.mask.bit_count()
    if old > wanted:
        return is_narrower
    if old == wanted:
        return new == wanted and is_narrower
    if new > wanted:
        return False
    return new > old or (new == old and is_narrower)
