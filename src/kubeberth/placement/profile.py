"""Profile: which rules take part, and what each soft rule weighs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace

from kubeberth.api.scheduler_config import DEFAULT_SCHEDULER_NAME, Plugins
from kubeberth.placement.extension_points import Chosen, Point, choose
from kubeberth.placement.plugin import (
    FilterPlugin,
    Impartial,
    Plugin,
    PreEnqueuePlugin,
    PreFilterPlugin,
    ReservePlugin,
    ScorePlugin,
)
from kubeberth.placement.plugins import in_tree_plugins
from kubeberth.placement.request import PodRequest
from kubeberth.placement.sample import EVERY_NODE, Sample
from kubeberth.placement.state import ClusterState


@dataclass(frozen=True, slots=True)
class Profile:
    """The rules of one scheduler, each list in order.

    Parameters
    ----------
    name
        The `spec.schedulerName` that it answers to.
    scores
        Soft rules with their weights.
    post_filters
        Names of the plugins that are asked to help when no node fits.
    preemption
        How many nodes are tried for victims.
    """

    name: str
    pre_enqueue: tuple[PreEnqueuePlugin, ...]
    pre_filters: tuple[PreFilterPlugin, ...]
    filters: tuple[FilterPlugin, ...]
    scores: tuple[tuple[ScorePlugin, int], ...]
    reserves: tuple[ReservePlugin, ...]
    post_filters: tuple[str, ...] = ()
    preemption: Sample = EVERY_NODE

    def concerning(self, request: PodRequest) -> Profile:
        """Return the profile without the rules that say they have nothing to do with a template."""
        return replace(
            self,
            pre_filters=tuple(rule for rule in self.pre_filters if concerns(rule, request)),
            filters=tuple(rule for rule in self.filters if concerns(rule, request)),
            reserves=tuple(rule for rule in self.reserves if concerns(rule, request)),
        )


def concerns(rule: object, request: PodRequest) -> bool:
    """Return whether a rule may have something to say about a template."""
    # To ask the protocol whether the rule is `Selective` would cost a hundred times as much.
    ask: Callable[[PodRequest], bool] | None = getattr(rule, "concerns", None)
    return ask is None or ask(request)


def criteria(rule: object, state: ClusterState, request: PodRequest) -> Hashable:
    """Return all of a template that a rule goes by: the template itself if it does not say."""
    return rule.criteria(state, request) if isinstance(rule, Impartial) else request


def assemble(
    name: str, chosen: Chosen, plugins: Iterable[Plugin], preemption: Sample = EVERY_NODE
) -> Profile:
    """Return the profile of the chosen plugins; names without a rule here are passed over.

    Parameters
    ----------
    plugins
        Every rule there is, in any order.
    """
    rules = {plugin.name: plugin for plugin in plugins}

    def at(point: Point) -> list[tuple[Plugin, int]]:
        refs = chosen[point]
        return [(rules[ref.name], ref.weight or 1) for ref in refs if ref.name in rules]

    return Profile(
        name,
        tuple(rule for rule, _ in at("preEnqueue") if isinstance(rule, PreEnqueuePlugin)),
        tuple(rule for rule, _ in at("preFilter") if isinstance(rule, PreFilterPlugin)),
        tuple(rule for rule, _ in at("filter") if isinstance(rule, FilterPlugin)),
        tuple((rule, weight) for rule, weight in at("score") if isinstance(rule, ScorePlugin)),
        tuple(rule for rule, _ in at("reserve") if isinstance(rule, ReservePlugin)),
        tuple(ref.name for ref in chosen["postFilter"]),
        preemption,
    )


def points_of(rule: type[Plugin]) -> tuple[Point, ...]:
    """Return the extension points at which a rule can take part."""
    methods: dict[Point, str] = {
        "preEnqueue": "pre_enqueue",
        "preFilter": "pre_filter",
        "filter": "filter",
        "score": "score",
    }
    return tuple(point for point, method in methods.items() if hasattr(rule, method))


def default_profile(name: str = DEFAULT_SCHEDULER_NAME) -> Profile:
    """Return what kube-scheduler does without a configuration."""
    chosen, _ = choose(Plugins())
    return assemble(name, chosen, in_tree_plugins())
