"""A check of plugins: random clusters, every answer asked for in every way that the engine asks.

Clusters start with one node and grow, so that the first fault that shows has a short story.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from random import Random

import msgspec
import numpy as np

from kubeberth.api.core import Node, Pod
from kubeberth.api.scheduler_config import PluginRef, Plugins, PluginSet
from kubeberth.placement.delta import NodePut, PodPut, PodRemoved
from kubeberth.placement.engine import Engine
from kubeberth.placement.explain import explain
from kubeberth.placement.extension_points import IN_TREE, Known, choose
from kubeberth.placement.plugin import (
    FilterPlugin,
    LoadFilter,
    LoadScore,
    Normalization,
    PlacementError,
    Plugin,
    PreFilterPlugin,
    Reads,
    Rejection,
    ScorePlugin,
    UsageFilter,
)
from kubeberth.placement.plugins import in_tree_plugins
from kubeberth.placement.profile import Profile, assemble, concerns, criteria, points_of
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState
from kubeberth.testing.random_objects import random_node, random_pod

N_CLUSTERS = 40
N_STEPS = 8
_WHO_SEES = {
    Reads.NODE: "what the node itself looks like",
    Reads.LOAD: "how much the node has and how much of it is taken",
    Reads.USAGE: "the node and the pods on it",
    Reads.CLUSTER: "everything",
}


class PluginFaultError(AssertionError):
    """A plugin does not keep its word; the text says which, and in what cluster."""


@dataclass
class Report:
    """What a check that found no fault has seen."""

    n_clusters: int = 0
    n_answers: int = 0
    n_refusals: int = 0
    scores: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class _Answer:
    """What a plugin says about one pod, by node name; None where it does not filter or score."""

    codes: dict[str, int] | None
    scores: dict[str, int] | None


def check_plugin(
    plugin: Plugin,
    nodes: Sequence[Node] = (),
    pods: Sequence[Pod] = (),
    n_clusters: int = N_CLUSTERS,
    seed: int = 0,
) -> Report:
    """Drive a plugin through random clusters.

    Parameters
    ----------
    nodes, pods
        Some that the plugin is about, to take part besides the random ones.

    Raises
    ------
    PluginFaultError
        When an answer has the wrong type, shape or range; differs between two ways to ask for it;
        depends on something that `reads` or `criteria` do not declare; or when the plugin changes
        the cluster.
    """
    _check_attributes(plugin)
    report = Report()
    for index in range(n_clusters):
        trial = _Trial(plugin, Random(f"{seed} {index}"), nodes, pods, report)
        trial.run(n_nodes=1 + index * 6 // n_clusters)
        report.n_clusters += 1
    return report


def _check_attributes(plugin: Plugin) -> None:
    name = getattr(plugin, "name", None)
    if not isinstance(name, str) or not name:
        raise PluginFaultError(f"{plugin!r} has to have a name, a text that is not empty")
    if not points_of(type(plugin)):
        raise PluginFaultError(f"{name} has to have a method filter or score")
    if not isinstance(getattr(plugin, "reads", None), Reads):
        raise PluginFaultError(f"{name} has to declare what it depends on, such as Reads.NODE")
    if hasattr(plugin, "filter") and not isinstance(plugin, FilterPlugin):
        raise PluginFaultError(f"{name} filters, so it has to have a method rejection as well")
    if hasattr(plugin, "score") and not isinstance(plugin, ScorePlugin):
        raise PluginFaultError(f"{name} scores, so it has to have scores and normalization as well")
    if isinstance(plugin, ScorePlugin) and not isinstance(plugin.normalization, Normalization):
        raise PluginFaultError(f"{name}.normalization has to be a Normalization")


class _Trial:
    """One cluster and what happens to it."""

    def __init__(
        self,
        plugin: Plugin,
        random: Random,
        nodes: Sequence[Node],
        pods: Sequence[Pod],
        report: Report,
    ) -> None:
        self._plugin, self._random, self._report = plugin, random, report
        self._reads: Reads = getattr(plugin, "reads")  # noqa: B009 - not every plugin has it
        self._nodes, self._pods = nodes, pods
        self._state = ClusterState()
        self._profile = _profile_with(plugin)
        self._engine = Engine(self._state, self._profile)
        self._story: list[str] = []
        self._placed: list[str] = []
        self._asked = [self._new_pod(f"asked-{number}") for number in range(3)]

    def run(self, n_nodes: int) -> None:
        """Let things happen, and ask before and after each."""
        for number in range(n_nodes):
            self._put_node(f"node-{number}", "came")
        steps = (self._add_pod, self._add_pod, self._remove_pod, self._change_node)
        for _ in range(N_STEPS):
            before = [self._answer(pod) for pod in self._asked]
            name, sees = self._random.choice(steps)()
            after = [self._answer(pod) for pod in self._asked]
            for pod, old, new in zip(self._asked, before, after, strict=True):
                self._compare(pod, old, new, name if self._reads in sees else None)
                self._compare_decision(pod)
            self._compare_alike(after)

    # What happens

    def _put_node(self, name: str, what: str) -> None:
        node = random_node(self._random, name)
        if self._nodes and self._random.random() < 0.5:
            node = self._random.choice(self._nodes)
            meta = msgspec.structs.replace(node.metadata, name=name)
            node = msgspec.structs.replace(node, metadata=meta)
        slot = self._state.slot_of(name)
        if slot is not None:
            # Of a node that changes, only the looks do: what it has is another matter.
            status = self._state.node(slot).status
            node = msgspec.structs.replace(node, status=status)
        self._state.apply(NodePut(node))
        self._story.append(f"{name} {what}")

    def _change_node(self) -> tuple[str, tuple[Reads, ...]]:
        name = self._random.choice(sorted(self._state.node_names))
        self._put_node(name, "got other labels and taints")
        return name, (Reads.NODE, Reads.USAGE)

    def _add_pod(self) -> tuple[str, tuple[Reads, ...]]:
        pod = self._new_pod(f"pod-{len(self._story)}")
        name = self._random.choice(sorted(self._state.node_names))
        self._state.apply(PodPut(pod, name))
        self._placed.append(pod.metadata.key)
        self._story.append(f"{pod.metadata.name} came to {name}")
        return name, (Reads.LOAD, Reads.USAGE)

    def _remove_pod(self) -> tuple[str, tuple[Reads, ...]]:
        if not self._placed:
            return self._add_pod()
        key = self._placed.pop(self._random.randrange(len(self._placed)))
        name = self._state.node_of(key) or ""
        self._state.apply(PodRemoved(key))
        self._story.append(f"{key.partition('/')[2]} went from {name}")
        return name, (Reads.LOAD, Reads.USAGE)

    def _new_pod(self, name: str) -> Pod:
        if not self._pods or self._random.random() < 0.5:
            return random_pod(self._random, name)
        pod = self._random.choice(self._pods)
        return msgspec.structs.replace(
            pod, metadata=msgspec.structs.replace(pod.metadata, name=name)
        )

    # Asking

    def _answer(self, pod: Pod) -> _Answer:
        """Return the plugin's answers, having asked in every way."""
        state, plugin = self._state, self._plugin
        request = state.request(pod)
        before = _fingerprint(state)
        try:
            answer = _Answer(self._codes(request), self._scores(request))
        except PluginFaultError:
            raise
        except PlacementError as error:
            raise self._fault(f"ends the attempt: {error}") from error
        except Exception as error:
            raise self._fault(f"raised {error!r}") from error
        for what, value in _fingerprint(state).items():
            if value != before[what]:
                raise self._fault(f"changes the cluster: {what} differs after it was asked")
        refuses = answer.codes is not None and any(answer.codes.values())
        if refuses and not concerns(plugin, request):
            raise self._fault("refuses a node to a pod that does not concern it")
        return answer

    def _codes(self, request: PodRequest) -> dict[str, int] | None:
        plugin, state = self._plugin, self._state
        if not isinstance(plugin, FilterPlugin):
            return None
        if isinstance(plugin, PreFilterPlugin):
            plugin.pre_filter(state, request)
        slots = np.flatnonzero(state.exists)
        large = self._checked_codes(plugin.filter(state, request, slice(None)), state.n_slots)
        codes = {state.nodes.name_of[slot]: large[slot] for slot in slots.tolist()}
        for slot in slots.tolist():
            name, one = state.nodes.name_of[slot], np.array([slot], dtype=np.intp)
            small = self._checked_codes(plugin.filter(state, request, one), 1)[0]
            self._must_agree(f"filter of {name} alone", small, "of all nodes", large[slot])
            if isinstance(plugin, UsageFilter) and self._reads is Reads.USAGE:
                small = plugin.filter_one(state, request, slot)
                self._must_agree(f"filter_one of {name}", small, "filter", large[slot])
            if isinstance(plugin, LoadFilter) and self._reads is Reads.LOAD:
                small = plugin.filter_load(state, request, *self._amounts(slot))
                self._must_agree(f"filter_load of {name}", small, "filter", large[slot])
            self._report.n_answers += 1
            if large[slot]:
                self._report.n_refusals += 1
                self._check_rejection(plugin.rejection(state, request, large[slot]))
        return codes

    def _scores(self, request: PodRequest) -> dict[str, int] | None:
        plugin, state = self._plugin, self._state
        if not isinstance(plugin, ScorePlugin) or not plugin.scores(state, request):
            return None
        slots = np.flatnonzero(state.exists)
        large = self._checked_scores(plugin, plugin.score(state, request, slots), len(slots))
        scores = {}
        for slot, score in zip(slots.tolist(), large, strict=True):
            name, one = state.nodes.name_of[slot], np.array([slot], dtype=np.intp)
            scores[name] = score
            if self._reads is not Reads.CLUSTER:
                small = self._checked_scores(plugin, plugin.score(state, request, one), 1)[0]
                self._must_agree(f"score of {name} alone", small, "of all nodes", score)
            if isinstance(plugin, LoadScore) and self._reads is Reads.LOAD:
                small = plugin.score_load(state, request, *self._amounts(slot))
                self._must_agree(f"score_load of {name}", small, "score", score)
            self._report.n_answers += 1
            self._report.scores.add(score)
        return scores

    def _amounts(self, slot: int) -> tuple[list[int], list[int]]:
        state = self._state
        return state.allocatable[:, slot].tolist(), state.requested[:, slot].tolist()

    # Judging

    def _checked_codes(self, codes: object, n_nodes: int) -> list[int]:
        if codes is None:
            return [0] * n_nodes
        return self._checked(codes, n_nodes, "filter", "codes")

    def _checked_scores(self, plugin: ScorePlugin, scores: object, n_nodes: int) -> list[int]:
        found = self._checked(scores, n_nodes, "score", "scores")
        least, most = min(found), max(found)
        if plugin.normalization is Normalization.NONE and not 0 <= least <= most <= 100:
            wrong = least if least < 0 else most
            raise self._fault(f"scores a node {wrong}; without a normalization it is 0 to 100")
        if plugin.normalization in (Normalization.DEFAULT, Normalization.REVERSED) and least < 0:
            raise self._fault(f"scores a node {least}; shares of the highest need 0 or more")
        return found

    def _checked(self, answer: object, n_nodes: int, method: str, what: str) -> list[int]:
        if not isinstance(answer, np.ndarray) or answer.dtype.kind not in "iu":
            kind = answer.dtype if isinstance(answer, np.ndarray) else type(answer).__name__
            raise self._fault(f"{method} returns {kind}; {what} are an ndarray of int64")
        if answer.shape != (n_nodes,):
            shape = "x".join(map(str, answer.shape)) or "none"
            raise self._fault(f"{method} returns {shape} {what} for {n_nodes} nodes")
        state = self._state
        if any(np.shares_memory(answer, own) for own in (state.allocatable, state.requested)):
            raise self._fault(f"{method} returns a part of the cluster's own columns, not a copy")
        found: list[int] = answer.tolist()
        return found

    def _check_rejection(self, rejection: object) -> None:
        if not isinstance(rejection, Rejection):
            raise self._fault(f"rejection returns {rejection!r}; it has to return a Rejection")
        if rejection.plugin != self._plugin.name:
            raise self._fault(f'rejection is by "{rejection.plugin}"; it has to be by the plugin')
        if not rejection.reasons or not all(rejection.reasons):
            raise self._fault("rejection has no reason")

    def _must_agree(self, small_what: str, small: object, large_what: str, large: int) -> None:
        if isinstance(small, bool) or not isinstance(small, int) or small != large:
            raise self._fault(f"{small_what} gives {small!r}, {large_what} {large}")

    def _compare(self, pod: Pod, old: _Answer, new: _Answer, changed: str | None) -> None:
        """Hold answers against those before the last event; only one node may have changed."""
        if self._reads is Reads.CLUSTER:
            return
        pairs = (("code", old.codes, new.codes), ("score", old.scores, new.scores))
        for what, before, after in pairs:
            if (before is None) is not (after is None):
                raise self._undeclared(pod, "whether it scores at all changed")
            for name in (before or {}).keys() & (after or {}).keys() - {changed}:
                was, now = (before or {})[name], (after or {})[name]
                if was != now:
                    raise self._undeclared(pod, f"its {what} of {name} went from {was} to {now}")
        if self._reads is Reads.LOAD:
            self._compare_twins(new)

    def _compare_twins(self, answer: _Answer) -> None:
        """Hold nodes of the same size and load against each other."""
        first: dict[int, str] = {}
        for found in (answer.codes or {}, answer.scores or {}):
            for name in found:
                slot = self._state.slot_of(name)
                twin = name if slot is None else first.setdefault(self._state.loads[slot], name)
                if found[twin] != found[name]:
                    raise self._fault(
                        f"says reads = Reads.LOAD, but answers {found[twin]} for {twin} and "
                        f"{found[name]} for {name}, which have as much and use as much"
                    )

    def _compare_alike(self, answers: list[_Answer]) -> None:
        """Hold answers about pods against each other that are the same to the rule."""
        first: dict[Hashable, tuple[Pod, _Answer]] = {}
        for pod, answer in zip(self._asked, answers, strict=True):
            key = criteria(self._plugin, self._state, self._state.request(pod))
            twin, twins_answer = first.setdefault(key, (pod, answer))
            if answer != twins_answer:
                raise self._fault(
                    f"has the same criteria for {twin.metadata.name} and {pod.metadata.name}, but "
                    "answers differently"
                )

    def _compare_decision(self, pod: Pod) -> None:
        """Hold the engine's quick way against a look at every node."""
        decision = self._engine.place(pod)
        story = explain(self._state, pod, self._profile)
        if decision.node is None:
            right = not story.feasible
        else:
            right = decision.node in story.best and decision.n_feasible == len(story.feasible)
        if not right:
            best = ", ".join(story.best) or "no node"
            raise self._fault(
                f"is told apart by the engine's quick way: it chose {decision.node or 'no node'} "
                f"of {decision.n_feasible}, a look at every node gives {best} of "
                f"{len(story.feasible)}; what a version or criteria say may be out of date"
            )

    def _undeclared(self, pod: Pod, text: str) -> PluginFaultError:
        sees = _WHO_SEES[self._reads]
        return self._fault(
            f"says reads = Reads.{self._reads.name}, so its answer for a node may depend on {sees} "
            f"alone, but for {pod.metadata.name} {text} when {self._story[-1]}"
        )

    def _fault(self, text: str) -> PluginFaultError:
        return PluginFaultError(f"{self._plugin.name} {text} [{'; '.join(self._story)}]")


def _profile_with(plugin: Plugin) -> Profile:
    """Return the default profile with a plugin added wherever it can take part."""
    enabled = PluginSet(enabled=(PluginRef(name=plugin.name),))
    known = (*IN_TREE, Known(plugin.name, points_of(type(plugin))))
    chosen, _ = choose(Plugins(multi_point=enabled), known)
    return assemble("default-scheduler", chosen, (*in_tree_plugins(), plugin))


def _fingerprint(state: ClusterState) -> dict[str, object]:
    """Return what no rule may change, by name."""
    return {
        "allocatable": state.allocatable.tobytes(),
        "requested": state.requested.tobytes(),
        "loads": tuple(state.loads),
        "exists": state.exists.tobytes(),
        "unschedulable": state.unschedulable.tobytes(),
        "taint_list_ids": state.taint_list_ids.tobytes(),
        "the pods": state.n_pods,
    }
