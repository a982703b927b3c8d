"""Profile: which rules take part, and what each soft rule weighs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kubeberth.placement.plugin import FilterPlugin, PreFilterPlugin, ScorePlugin, Selective
from kubeberth.placement.plugins import FILTERS, PRE_FILTERS, SCORES
from kubeberth.placement.request import PodRequest


@dataclass(frozen=True, slots=True)
class Profile:
    """The rules of one scheduler, each list in order.

    Parameters
    ----------
    name
        The `spec.schedulerName` that it answers to.
    scores
        Soft rules with their weights.
    """

    name: str = "default-scheduler"
    pre_filters: tuple[PreFilterPlugin, ...] = PRE_FILTERS
    filters: tuple[FilterPlugin, ...] = FILTERS
    scores: tuple[tuple[ScorePlugin, int], ...] = SCORES

    def concerning(self, request: PodRequest) -> Profile:
        """Return the profile without the hard rules that have nothing to say about a template."""
        return replace(
            self,
            pre_filters=tuple(rule for rule in self.pre_filters if concerns(rule, request)),
            filters=tuple(rule for rule in self.filters if concerns(rule, request)),
        )


def concerns(rule: object, request: PodRequest) -> bool:
    """Return whether a rule may have something to say about a template."""
    return not isinstance(rule, Selective) or rule.concerns(request)
