"""Select: which of the best nodes it is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.plugin import Scores
from kubeberth.placement.state import ClusterState


class Select(Protocol):
    """Chooses one of some nodes."""

    def __call__(
        self, state: ClusterState, candidates: NDArray[np.intp], totals: Scores
    ) -> tuple[int, int]:
        """Return the chosen slot, and how many were as good."""


class SeededSelect:
    """Any of the best, by a generator with a seed: same seed and history, same choice.

    Upstream takes whichever of the best its parallel search makes the root of a heap, so any of
    them is a right answer.
    """

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def __call__(
        self, state: ClusterState, candidates: NDArray[np.intp], totals: Scores
    ) -> tuple[int, int]:
        """Return the chosen slot, and how many were as good."""
        best = candidates[totals == totals.max()]
        index = int(self._generator.integers(len(best))) if len(best) > 1 else 0
        return int(best[index]), len(best)


def select_first_by_name(
    state: ClusterState, candidates: NDArray[np.intp], totals: Scores
) -> tuple[int, int]:
    """Return the best node whose name sorts first, as the recorded decisions do."""
    best = candidates[totals == totals.max()].tolist()
    return min(best, key=lambda slot: state.node(slot).name), len(best)
