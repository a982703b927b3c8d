"""The check of plugins finds every way to break a promise, and nothing where none is broken."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, ClassVar

import numpy as np
import pytest

from kubeberth.placement.per_node import NodeView, PerNodeFilter, PerNodeScore, PodView
from kubeberth.placement.plugin import (
    Amounts,
    Codes,
    Normalization,
    Reads,
    Rejection,
    Scores,
)
from kubeberth.placement.plugins import SchedulingGates, in_tree_plugins
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.vocabulary import CPU, PODS
from kubeberth.testing import PluginFaultError, check_plugin

RULES = [rule for rule in in_tree_plugins() if not isinstance(rule, SchedulingGates)]


class SomeScore:
    """A soft rule that is in order, to be spoilt."""

    name: ClassVar[str] = "Spoilt"
    reads: ClassVar[Reads] = Reads.LOAD
    normalization: ClassVar[Normalization] = Normalization.NONE

    def scores(self, state: ClusterState, request: PodRequest) -> bool:
        return True

    def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
        return np.minimum(state.requested[PODS, nodes], 100)

    def score_load(
        self, state: ClusterState, request: PodRequest, capacity: Amounts, used: Amounts
    ) -> int:
        return min(used[PODS], 100)


class SomeFilter:
    """A hard rule that is in order, to be spoilt."""

    name: ClassVar[str] = "Spoilt"
    reads: ClassVar[Reads] = Reads.USAGE

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        return (state.requested[PODS, nodes] > 1).astype(np.int64)

    def filter_one(self, state: ClusterState, request: PodRequest, slot: int) -> int:
        return int(state.requested[PODS, slot] > 1)

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        return Rejection(self.name, ("two are company",), resolvable=True)


def fault(plugin: Any) -> str:
    with pytest.raises(PluginFaultError) as raised:
        check_plugin(plugin)
    return str(raised.value)


@pytest.mark.parametrize("rule", [*RULES, SomeScore(), SomeFilter()], ids=lambda rule: rule.name)
def test_rules_that_keep_their_word_pass(rule: Any) -> None:
    report = check_plugin(rule, n_clusters=8)
    assert report.n_clusters == 8
    assert report.n_answers > 0


def test_small_score_that_differs_from_the_large_one() -> None:
    class Spoilt(SomeScore):
        def score_load(self, *args: Any) -> int:
            return super().score_load(*args) + 1

    assert fault(Spoilt()) == ("Spoilt score_load of node-0 gives 1, score 0 [node-0 came]")


def test_small_filter_that_differs_from_the_large_one() -> None:
    class Spoilt(SomeFilter):
        def filter_one(self, *args: Any) -> int:
            return 0

    text = fault(Spoilt())
    assert text.startswith("Spoilt filter_one of node-0 gives 0, filter 1 [node-0 came; ")


def test_answer_of_one_node_that_depends_on_the_others_asked_for() -> None:
    class Spoilt(SomeScore):
        reads: ClassVar[Reads] = Reads.NODE

        def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
            return np.full(len(state.slots[nodes]), len(state.slots[nodes]), dtype=np.int64)

    assert fault(Spoilt()).startswith("Spoilt score of node-0 alone gives 1, of all nodes 2 [")


def test_rule_over_looks_that_looks_at_pods() -> None:
    class Spoilt(SomeScore):
        reads: ClassVar[Reads] = Reads.NODE

    assert re.match(
        r"Spoilt says reads = Reads.NODE, so its answer for a node may depend on what the node "
        r"itself looks like alone, but for asked-0 its score of node-0 went from 0 to 1 when "
        r"(pod-\d) came to node-0 \[node-0 came;.* \1 came to node-0\]",
        fault(Spoilt()),
    )


def test_rule_over_loads_that_looks_at_names() -> None:
    class Spoilt(SomeFilter):
        reads: ClassVar[Reads] = Reads.LOAD

        def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
            names = [state.nodes.name_of[slot] for slot in state.slots[nodes]]
            return np.array([name == "node-1" for name in names], dtype=np.int64)

    assert re.search(
        r"says reads = Reads.LOAD, but answers \d for node-\d and \d for node-\d, which have as "
        r"much and use as much",
        fault(Spoilt()),
    )


def test_rule_over_usage_that_looks_at_other_nodes() -> None:
    class Spoilt(SomeFilter):
        def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
            return np.full(len(state.slots[nodes]), int(state.n_pods > 2), dtype=np.int64)

        def filter_one(self, state: ClusterState, request: PodRequest, slot: int) -> int:
            return int(state.n_pods > 2)

    assert "says reads = Reads.USAGE, so its answer for a node may depend on" in fault(Spoilt())


def test_rule_that_changes_the_cluster() -> None:
    class Spoilt(SomeScore):
        def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
            state.allocatable[CPU] += 1
            return super().score(state, request, nodes)

    assert fault(Spoilt()).startswith("Spoilt changes the cluster: allocatable differs")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        pytest.param([0], "score returns list; scores are an ndarray of int64", id="a list"),
        pytest.param(
            np.zeros(1), "score returns float64; scores are an ndarray of int64", id="floats"
        ),
        pytest.param(
            np.zeros(7, dtype=int), "score returns 7 scores for 1 nodes", id="another shape"
        ),
        pytest.param(
            np.array([101]),
            "scores a node 101; without a normalization it is 0 to 100",
            id="too much",
        ),
        pytest.param(
            np.array([-1]), "scores a node -1; without a normalization it is 0 to 100", id="less"
        ),
    ],
)
def test_answer_of_the_wrong_kind(answer: Any, text: str) -> None:
    class Spoilt(SomeScore):
        def score(self, *args: Any) -> Scores:
            return answer

    assert fault(Spoilt()) == f"Spoilt {text} [node-0 came]"


def test_answer_that_is_the_clusters_own_memory() -> None:
    class Spoilt(SomeScore):
        def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
            return state.requested[PODS][slice(0, len(state.slots[nodes]))]

    assert "returns a part of the cluster's own columns, not a copy" in fault(Spoilt())


def test_rule_that_raises() -> None:
    class Spoilt(SomeScore):
        def score(self, *args: Any) -> Scores:
            raise KeyError("zone")

    assert fault(Spoilt()) == "Spoilt raised KeyError('zone') [node-0 came]"


def test_refusal_without_a_reason() -> None:
    class Spoilt(SomeFilter):
        def rejection(self, *args: Any) -> Rejection:
            return Rejection(self.name, (), resolvable=True)

    assert fault(Spoilt()).startswith("Spoilt rejection has no reason [")


def test_refusal_of_a_pod_that_is_said_not_to_be_concerned() -> None:
    class Spoilt(SomeFilter):
        def concerns(self, request: PodRequest) -> bool:
            return False

    assert fault(Spoilt()).startswith("Spoilt refuses a node to a pod that does not concern it [")


def test_rule_that_goes_by_more_of_a_pod_than_it_says() -> None:
    class Spoilt(SomeFilter):
        reads: ClassVar[Reads] = Reads.NODE

        def criteria(self, state: ClusterState, request: PodRequest) -> Hashable:
            return request.priority

        def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
            is_large = dict(request.amounts).get(CPU, 0) > 200
            return np.full(len(state.slots[nodes]), is_large, dtype=np.int64)

    assert re.search(
        r"has the same criteria for asked-\d and asked-\d, but answers differently",
        fault(Spoilt()),
    )


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        pytest.param({"name": ""}, "has to have a name", id="no name"),
        pytest.param({"reads": None}, "has to declare what it depends on", id="no reads"),
        pytest.param({"normalization": "none"}, "has to be a Normalization", id="normalization"),
    ],
)
def test_plugin_that_lacks_something(attributes: dict[str, Any], text: str) -> None:
    assert text in fault(type("Spoilt", (SomeScore,), attributes)())


def test_rule_for_one_node_at_a_time_passes() -> None:
    class Small(PerNodeFilter, PerNodeScore):
        name = "Small"
        reads = Reads.USAGE

        def refuse(self, pod: PodView, node: NodeView) -> str | None:
            busy = node.requested.get("cpu", 0) + pod.requests.get("cpu", 0)
            return "node(s) were busy" if busy > 1500 else None

        def rate(self, pod: PodView, node: NodeView) -> int:
            return max(100 - 10 * len(node.pods), 0)

    report = check_plugin(Small())
    assert 0 < report.n_refusals < report.n_answers
    assert len(report.scores) > 3


def test_rule_for_one_node_at_a_time_sees_only_what_it_declares() -> None:
    class Curious(PerNodeScore):
        name = "Curious"

        def rate(self, pod: PodView, node: NodeView) -> int:
            return len(node.pods)

    assert fault(Curious()) == (
        "Curious ends the attempt: node.pods changes as pods come and go: a rule that looks at it "
        "has to say reads = Reads.USAGE [node-0 came]"
    )
