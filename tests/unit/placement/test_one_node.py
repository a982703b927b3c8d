"""Rules that read loads answer alike for one node and for many."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.placement.builders import Cluster, make_node, make_pod

from kubeberth.placement.loads import capacity_class_of, unpack
from kubeberth.placement.plugins import NodeResourcesBalancedAllocation, NodeResourcesFit

cpu = st.integers(0, 200_000).map(lambda n: f"{n}m")
memory = st.integers(0, 2**45).map(str)


@given(
    sizes=st.tuples(cpu, memory),
    used=st.tuples(cpu, memory),
    asked=st.tuples(cpu, memory),
    pods=st.sampled_from(["0", "1", "2"]),
)
@settings(max_examples=300, deadline=None)
def test_arrays_and_plain_numbers_agree(
    sizes: tuple[str, str], used: tuple[str, str], asked: tuple[str, str], pods: str
) -> None:
    cluster = Cluster(make_node("a", cpu=sizes[0], memory=sizes[1], pods=pods))
    cluster.bind(make_pod("old", requests={"cpu": used[0], "memory": used[1]}), "a")
    request = cluster.state.request(make_pod("new", requests={"cpu": asked[0], "memory": asked[1]}))
    nodes = np.array([0], dtype=np.intp)
    fit, balance = NodeResourcesFit(), NodeResourcesBalancedAllocation()
    codes = fit.filter(cluster.state, request, nodes)
    assert codes is not None
    state = cluster.state
    assert state.slot_of("a") == 0
    load = state.loads[0]
    capacity = state.nodes.capacity(capacity_class_of(load))
    in_use = unpack(load, len(state.resources))
    assert codes.tolist() == [fit.filter_load(state, request, capacity, in_use)]
    for rule in (fit, balance):
        scores = rule.score(state, request, nodes).tolist()
        assert scores == [rule.score_load(state, request, capacity, in_use)]
