"""On clusters too large for the plain evaluator, rankings find what a look at every node finds."""

from __future__ import annotations

from random import Random

import pytest

from kubeberth.bench.workloads import WORKLOADS, Workload, make_node
from kubeberth.placement.delta import NodePut, NodeRemoved, PodPut, PodRemoved
from kubeberth.placement.engine import Engine
from kubeberth.placement.rows import Rows
from kubeberth.placement.state import ClusterState
from kubeberth.placement.ties import Shuffled

N_NODES, N_PODS = 300, 400
PLAIN = [workload for workload in WORKLOADS if not (workload.churns or workload.preempts)]


@pytest.mark.parametrize("workload", PLAIN, ids=lambda workload: workload.name)
def test_a_ranking_finds_the_node_that_a_look_at_every_node_finds(workload: Workload) -> None:
    random, ties, state = Random(1), Shuffled(1), ClusterState()
    state.apply_all(workload.setup())
    state.apply_all(NodePut(make_node(index)) for index in range(N_NODES))
    engine = Engine(state, ties=ties)
    placed: list[str] = []
    for pod in workload.pods(N_PODS):
        decision, request = engine.place(pod), state.request(pod)
        rows = Rows(state, engine.profile.concerning(request), request, ties)
        choice = rows.best()
        if choice is None:
            assert decision.node is None
        else:
            slot, score, n_feasible = choice
            assert (decision.node, decision.n_feasible) == (state.nodes.name_of[slot], n_feasible)
            assert decision.score == score or n_feasible == 1
            placed.append(pod.metadata.key)
            state.apply(PodPut(pod, state.nodes.name_of[slot]))
        shake(state, placed, random)


def shake(state: ClusterState, placed: list[str], random: Random) -> None:
    """Let a pod end now and then, and a node go or come back."""
    if placed and random.random() < 0.3:
        state.apply(PodRemoved(placed.pop(random.randrange(len(placed)))))
    if random.random() < 0.05:
        node = make_node(random.randrange(N_NODES))
        is_there = state.slot_of(node.name) is not None
        state.apply(NodeRemoved(node.name) if is_there else NodePut(node))
