"""Room is worth what the strategy says: examples from the reference of kube-scheduler 1.36."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from tests.unit.placement.builders import make_node, make_pod

from kubeberth.api.scheduler_config import (
    NodeResourcesBalancedAllocationArgs,
    NodeResourcesFitArgs,
    ScoringStrategy,
)
from kubeberth.placement.delta import NodePut, PodPut
from kubeberth.placement.plugins import NodeResourcesBalancedAllocation, NodeResourcesFit
from kubeberth.placement.scoring import to_strategy
from kubeberth.placement.state import ClusterState

STORAGE = {"ephemeral-storage": "100Gi"}
GPUS = {**STORAGE, "example.com/gpu": "4"}


def strategy(**fields: Any) -> ScoringStrategy:
    return msgspec.convert(fields, ScoringStrategy)


def ratio(*points: tuple[int, int], **fields: Any) -> ScoringStrategy:
    shape = [{"utilization": u, "score": s} for u, s in points]
    return strategy(
        type="RequestedToCapacityRatio", requestedToCapacityRatio={"shape": shape}, **fields
    )


def fit_score(
    scoring: ScoringStrategy,
    requests: dict[str, str],
    more: dict[str, str] = STORAGE,
    used: dict[str, str] | None = None,
) -> int:
    """Return the score of a node of 4 CPUs and 8 GiB, the same whichever way it is asked for."""
    rule = NodeResourcesFit(NodeResourcesFitArgs(scoring_strategy=scoring))
    return score_of(rule, requests, more, used)


def balance_score(resources: list[str], requests: dict[str, str], **node: dict[str, str]) -> int:
    specs = [{"name": name} for name in resources]
    args = msgspec.convert({"resources": specs}, NodeResourcesBalancedAllocationArgs)
    return score_of(NodeResourcesBalancedAllocation(args), requests, **node)


def score_of(
    rule: NodeResourcesFit | NodeResourcesBalancedAllocation,
    requests: dict[str, str],
    more: dict[str, str] = STORAGE,
    used: dict[str, str] | None = None,
) -> int:
    state = ClusterState()
    state.apply(NodePut(make_node("node", more=more)))
    if used:
        state.apply(PodPut(make_pod("there", requests=used), "node"))
    request = state.request(make_pod("new", requests=requests))
    slot = state.slot_of("node")
    assert slot is not None
    large = rule.score(state, request, np.array([slot]))
    capacity = state.allocatable[:, slot].tolist()
    small = rule.score_load(state, request, capacity, state.requested[:, slot].tolist())
    assert large.tolist() == [small]
    return small


@pytest.mark.parametrize(
    ("utilization", "score"),
    [(0, 100), (33, 53), (70, 0), (71, 0), (100, 0)],
)
def test_falling_shape_is_cut_towards_zero(utilization: int, score: int) -> None:
    found = to_strategy(ratio((0, 10), (70, 0)))
    assert found.share(utilization, 100) == score
    assert found.shares(np.array([utilization]), np.array([100])).tolist() == [score]


def test_before_the_first_point_and_after_the_last_a_shape_is_flat() -> None:
    found = to_strategy(ratio((20, 3), (60, 8)))
    assert [found.share(u, 100) for u in (0, 20, 40, 60, 100)] == [30, 30, 55, 80, 80]


def test_more_than_all_counts_as_all() -> None:
    assert to_strategy(ratio((0, 0), (100, 10))).share(500, 100) == 100
    assert to_strategy(strategy(type="MostAllocated")).share(500, 100) == 100
    assert to_strategy(strategy(type="LeastAllocated")).share(500, 100) == 0


def test_least_allocated_of_an_empty_node() -> None:
    assert fit_score(strategy(), {"cpu": "500m", "memory": "1Gi"}) == 87
    assert fit_score(strategy(), {}) == 97  # 100m and 200Mi are assumed


def test_most_allocated_prefers_the_full_node() -> None:
    most = strategy(type="MostAllocated")
    asked = {"cpu": "1", "memory": "2Gi"}
    assert fit_score(most, asked) == 25
    assert fit_score(most, asked, used={"cpu": "2", "memory": "4Gi"}) == 75


def test_weights_of_resources_make_a_weighted_mean() -> None:
    resources = [{"name": "cpu", "weight": 3}, {"name": "memory", "weight": 1}]
    most = strategy(type="MostAllocated", resources=resources)
    assert fit_score(most, {"cpu": "4", "memory": "0"}) == 75


def test_weight_of_zero_is_one() -> None:
    resources = [{"name": "cpu", "weight": 0}, {"name": "memory", "weight": 1}]
    most = strategy(type="MostAllocated", resources=resources)
    assert fit_score(most, {"cpu": "4", "memory": "0"}) == 50


def test_ratio_leaves_out_resources_that_score_zero_and_rounds() -> None:
    up = ratio((0, 0), (100, 10))
    assert fit_score(up, {"cpu": "2", "memory": "0"}) == 50  # memory at 0 does not count
    assert fit_score(up, {"cpu": "40m", "memory": f"{8 * 1024 * 1024 * 1024 // 50}"}) == 1


def test_extended_resource_counts_only_for_pods_that_ask_for_it() -> None:
    gpu = strategy(type="MostAllocated", resources=[{"name": "example.com/gpu", "weight": 5}])
    assert fit_score(gpu, {"cpu": "4"}, GPUS) == 0
    assert fit_score(gpu, {"example.com/gpu": "1"}, GPUS) == 25
    assert fit_score(gpu, {"example.com/gpu": "1"}) == 0  # the node has none


def test_ephemeral_storage_counts_for_every_pod() -> None:
    storage = strategy(type="LeastAllocated", resources=[{"name": "ephemeral-storage"}])
    assert fit_score(storage, {}, used={"ephemeral-storage": "25Gi"}) == 75


def test_balance_over_three_resources_is_their_standard_deviation() -> None:
    three = ["cpu", "memory", "ephemeral-storage"]
    used = {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "50Gi"}
    assert balance_score(three, {"cpu": "2"}, used=used) == 63
    assert balance_score(three, {"cpu": "1", "memory": "2Gi", "ephemeral-storage": "25Gi"}) == 75


def test_balance_with_one_resource_cannot_change() -> None:
    assert balance_score(["cpu"], {"cpu": "4"}) == 75
    assert balance_score(["cpu", "example.com/gpu"], {"cpu": "4"}) == 75


@pytest.mark.parametrize(
    ("node", "asked", "score"),
    [
        pytest.param({}, {"cpu": "2", "memory": "2Gi"}, 68, id="empty node loses balance"),
        pytest.param(
            {"used": {"cpu": "2", "memory": "2Gi"}},
            {"cpu": "1", "memory": "4Gi"},
            81,
            id="pod that balances",
        ),
        pytest.param({}, {"cpu": "1", "memory": "2Gi"}, 75, id="equal fractions"),
        pytest.param({}, {"cpu": "3", "memory": "1Gi"}, 59, id="lopsided pod"),
    ],
)
def test_balance_of_cpu_and_memory(
    node: dict[str, dict[str, str]], asked: dict[str, str], score: int
) -> None:
    assert balance_score(["cpu", "memory"], asked, **node) == score


def test_ignored_resources_and_groups_are_not_asked_for() -> None:
    state = ClusterState()
    state.apply(NodePut(make_node("node")))
    request = state.request(make_pod("new", requests={"example.com/gpu": "1", "other.com/x": "1"}))
    slot = state.slot_of("node")
    assert slot is not None

    def reasons(**fields: Any) -> tuple[str, ...]:
        rule = NodeResourcesFit(msgspec.convert(fields, NodeResourcesFitArgs))
        codes = rule.filter(state, request, np.array([slot]))
        assert codes is not None
        code = int(codes[0])
        capacity = state.allocatable[:, slot].tolist()
        used = state.requested[:, slot].tolist()
        assert code == rule.filter_load(state, request, capacity, used)
        return rule.rejection(state, request, code).reasons

    assert set(reasons()) == {"Insufficient example.com/gpu", "Insufficient other.com/x"}
    assert reasons(ignoredResources=["example.com/gpu"]) == ("Insufficient other.com/x",)
    assert reasons(ignoredResourceGroups=["other.com"]) == ("Insufficient example.com/gpu",)
    assert reasons(ignoredResources=["example.com/gpu"], ignoredResourceGroups=["other.com"]) == ()
