"""What a way of finding the best node gives back."""

from __future__ import annotations

from typing import Protocol

Choice = tuple[int, int, int]
"""Slot of the best node, its total score, and how many nodes passed."""


class Search(Protocol):
    """Finds the best node for the pods of one template, again and again."""

    def best(self) -> Choice | None:
        """Return the best node, None when no node passes.

        Raises
        ------
        PlacementError
            When there is more than one node to choose from and scoring fails.
        """
