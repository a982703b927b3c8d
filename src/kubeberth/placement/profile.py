"""Profile: which rules take part, and what each soft rule weighs."""

from __future__ import annotations

from dataclasses import dataclass

from kubeberth.placement.plugin import FilterPlugin, NarrowPlugin, ScorePlugin
from kubeberth.placement.plugins import FILTERS, NARROWING, SCORES
from kubeberth.placement.sample import EVERY_NODE, Sample


@dataclass(frozen=True, slots=True)
class Profile:
    """The rules of one scheduler, each list in order.

    Parameters
    ----------
    name
        The `spec.schedulerName` that it answers to.
    scores
        Soft rules with their weights.
    preemption
        How many nodes are tried for victims.
    """

    name: str = "default-scheduler"
    narrowing: tuple[NarrowPlugin, ...] = NARROWING
    filters: tuple[FilterPlugin, ...] = FILTERS
    scores: tuple[tuple[ScorePlugin, int], ...] = SCORES
    preemption: Sample = EVERY_NODE
