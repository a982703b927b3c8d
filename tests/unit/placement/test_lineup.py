"""A lineup gives the best node first, however entries have changed meanwhile."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kubeberth.placement.lineup import END, Lineup
from kubeberth.placement.ties import RANK_BITS

N_SLOTS = 6
scores = st.integers(0, 3)
changes = st.lists(
    st.tuples(st.integers(0, N_SLOTS - 1), st.one_of(st.none(), scores)), max_size=200
)


def entry(slot: int, score: int) -> int:
    return score << RANK_BITS | slot


@given(st.lists(scores, min_size=N_SLOTS, max_size=N_SLOTS), changes)
def test_the_top_is_the_lowest_true_entry(
    start: list[int], steps: list[tuple[int, int | None]]
) -> None:
    entries = [entry(slot, score) for slot, score in enumerate(start)]
    groups, order = [0] * N_SLOTS, list(range(N_SLOTS))
    lineup = Lineup()
    lineup.fill(np.array(entries, dtype=np.int64))
    for slot, score in steps:
        old_entry, was_there = entries[slot], groups[slot] == 0
        groups[slot] = 0 if score is not None else -1
        entries[slot] = old_entry if score is None else entry(slot, score)
        # As its owner does: those that became worse, or left, are mended later.
        if score is not None and (not was_there or entries[slot] < old_entry):
            lineup.push(entries[slot])
        present = [entries[slot] for slot in range(N_SLOTS) if groups[slot] == 0]
        assert lineup.settle(entries, groups, 0, order) == min(present, default=END)


def test_a_node_of_another_group_does_not_come_to_the_top() -> None:
    lineup = Lineup()
    entries = [entry(0, 1), entry(1, 2)]
    lineup.fill(np.array(entries, dtype=np.int64))
    assert lineup.settle(entries, [1, 0], 0, [0, 1]) == entries[1]
