"""Measures the placement engine alone: no API server, no network, one process."""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from time import perf_counter_ns

import msgspec

from kubeberth.api.core import Pod
from kubeberth.bench.workloads import WORKLOADS, Workload, make_node
from kubeberth.placement.decision import Decision
from kubeberth.placement.delta import NodePut, NodeRemoved, Nominated, PodPut, PodRemoved
from kubeberth.placement.engine import Engine
from kubeberth.placement.explain import explain
from kubeberth.placement.state import ClusterState

# With churn: after so many decisions a node goes and comes back, and some pods end.
_CHURN_EVERY = 10
_CHURN_PODS = 5
_VICTIMS_PER_NODE = 20
_NEW_TEMPLATES = 10


class Rate(msgspec.Struct, frozen=True):
    """How fast pods of one workload are decided and assumed, one after the other.

    Parameters
    ----------
    n_placed
        How many of `n_pods` found a node.
    per_second
        Median of the repeats; `slowest` and `fastest` are the others.
    p50_us, p99_us
        Of single decisions, over all repeats.
    """

    workload: str
    n_nodes: int
    n_pods: int
    n_placed: int
    per_second: float
    slowest: float
    fastest: float
    p50_us: float
    p99_us: float


class Latencies(msgspec.Struct, frozen=True):
    """What single questions cost, in milliseconds, medians of the repeats.

    Parameters
    ----------
    first_sight
        The first decision about a template, here one with zone affinity.
    explanation
        Every node's verdict and scores for a pod that fits.
    refusal
        The message for a pod that fits nowhere.
    first_victims, victims
        Finding whom to preempt, with so many pods on every node, all nodes considered: the first
        time and later on.
    """

    n_nodes: int
    first_sight: float
    explanation: float
    refusal: float
    first_victims: float
    victims: float


class Footprint(msgspec.Struct, frozen=True):
    """What the engine's picture of a cluster takes, in MiB of resident memory."""

    n_nodes: int
    n_pods: int
    mebibytes: float
    seconds_to_build: float


def build(n_nodes: int, n_placed: int = 0, workload: Workload = WORKLOADS[0]) -> ClusterState:
    """Return a cluster with pods of the basic workload on it, evenly."""
    state = ClusterState()
    state.apply_all(workload.setup())
    state.apply_all(NodePut(make_node(index)) for index in range(n_nodes))
    names = state.nodes.name_of
    state.apply_all(workload.fillers(names))
    for index, pod in enumerate(_placed_pods(n_placed)):
        state.apply(PodPut(pod, names[index % n_nodes]))
    return state


def _placed_pods(n_pods: int) -> Iterator[Pod]:
    """Yield basic pods that no workload's rules mean; they share all but their names."""
    for template in WORKLOADS[0].pods(min(n_pods, 1)):
        for index in range(n_pods):
            name, labels = f"placed-{index}", {"color": "other"}
            meta = msgspec.structs.replace(template.metadata, name=name, labels=labels)
            yield msgspec.structs.replace(template, metadata=meta)


def measure_rate(
    workload: Workload, n_nodes: int, n_pods: int, n_placed: int = 0, repeats: int = 5
) -> Rate:
    """Return how fast a workload is decided on clusters that start alike.

    Single decisions are timed in a run of their own, for looking at the clock takes time as well.
    """
    rates, single = [], []
    cluster = build(n_nodes, n_placed, workload)
    for _ in range(repeats):
        engine, pods = _prepare(workload, cluster, n_pods)
        decisions = _decide_all(engine, workload, pods)
        started = perf_counter_ns()
        found = sum(decision.node is not None for decision in decisions)
        rates.append(n_pods / (perf_counter_ns() - started) * 1e9)
        engine, pods = _prepare(workload, cluster, n_pods)
        before = perf_counter_ns()
        for _ in _decide_all(engine, workload, pods):
            now = perf_counter_ns()
            single.append(now - before)
            before = now
    ordered = sorted(single)
    return Rate(
        workload.name,
        n_nodes,
        n_pods,
        found,
        statistics.median(rates),
        min(rates),
        max(rates),
        ordered[len(ordered) // 2] / 1000,
        ordered[len(ordered) * 99 // 100] / 1000,
    )


def _prepare(workload: Workload, cluster: ClusterState, n_pods: int) -> tuple[Engine, list[Pod]]:
    """Return an engine over a fork of a cluster that has met a workload's templates, and the pods.

    Whoever measures holds on to both, or the time it takes to free them counts as well.
    """
    engine = Engine(cluster.fork())
    pods = list(workload.pods(n_pods))
    # Twice, for what the last templates ask of their neighbours concerns the first ones.
    for pod in pods[: workload.n_templates] * 2:
        engine.place(pod)
    # As every long-running process of ours does: what is there by now stays, and need not be
    # looked through again and again.
    gc.collect()
    gc.freeze()
    return engine, pods


def _decide_all(engine: Engine, workload: Workload, pods: list[Pod]) -> Iterator[Decision]:
    """Return the decisions about a workload's pods, which are made as they are asked for."""
    if workload.preempts:
        return _with_preemption(engine, pods)
    decisions = engine.place_all(pods)
    return _with_churn(engine.state, decisions, pods) if workload.churns else decisions


def _with_preemption(engine: Engine, pods: list[Pod]) -> Iterator[Decision]:
    """Yield where each pod goes once its victims have gone: two decisions and a search for one."""
    state = engine.state
    for pod in pods:
        decision = engine.place(pod)
        if decision.nomination is not None:
            state.apply(Nominated(pod, decision.nomination.node))
            state.apply_all(PodRemoved(key) for key in decision.nomination.victims)
            decision = engine.place(pod)
        if decision.node is not None:
            state.apply(PodPut(pod, decision.node))
        yield decision


def _with_churn(
    state: ClusterState, decisions: Iterator[Decision], pods: list[Pod]
) -> Iterator[Decision]:
    for index, decision in enumerate(decisions):
        if index % _CHURN_EVERY == 0:
            _churn(state, index, pods)
        yield decision


def _churn(state: ClusterState, index: int, pods: list[Pod]) -> None:
    node = state.node(index % state.n_nodes)
    state.apply(NodeRemoved(node.name))
    state.apply(NodePut(node))
    for pod in pods[max(0, index - 2 * _CHURN_PODS) : max(0, index - _CHURN_PODS)]:
        state.apply(PodRemoved(pod.metadata.key))


def measure_latencies(n_nodes: int, repeats: int = 5) -> Latencies:
    """Return what single questions cost on a cluster of that size."""
    zone_affinity = next(w for w in WORKLOADS if w.name == "zone affinity")
    empty = build(n_nodes)
    engine = Engine(empty)
    engine.place(_pod("warm"))
    gc.collect()
    gc.freeze()
    first_sight = []
    # Each of another colour, and so of another template.
    n_colors = _NEW_TEMPLATES * repeats
    for pod in replace(zone_affinity, n_colors=n_colors).pods(n_colors):
        first_sight.append(_ms(partial(engine.place, pod)))
    explanation = [_ms(partial(explain, empty, pod, engine.profile)) for _ in range(repeats)]
    nowhere = _pod("nowhere", cpu="64")
    engine.place(nowhere)
    refusal = [_ms(partial(engine.place, nowhere)) for _ in range(repeats)]

    full = build(n_nodes, n_nodes * _VICTIMS_PER_NODE)
    urgent = [_pod(f"urgent-{index}", cpu="3", priority=10) for index in range(repeats + 1)]
    engine = Engine(full)
    first = _ms(partial(engine.place, urgent[0]))
    later = [_ms(partial(engine.place, pod)) for pod in urgent[1:]]
    median = statistics.median
    return Latencies(
        n_nodes, median(first_sight), median(explanation), median(refusal), first, median(later)
    )


def measure_footprint(n_nodes: int, n_pods: int) -> Footprint:
    """Return what a cluster of that size takes; the first in a process is the truest."""
    gc.collect()
    before = _resident_mebibytes()
    started = perf_counter_ns()
    state = build(n_nodes, n_pods)
    seconds = (perf_counter_ns() - started) / 1e9
    gc.collect()
    return Footprint(state.n_nodes, state.n_pods, _resident_mebibytes() - before, seconds)


def _pod(name: str, cpu: str = "100m", priority: int = 0) -> Pod:
    resources = {"requests": {"cpu": cpu}}
    spec = {"containers": [{"name": "main", "resources": resources}], "priority": priority}
    return msgspec.convert({"metadata": {"name": name, "namespace": "default"}, "spec": spec}, Pod)


def _ms(action: Callable[[], object]) -> float:
    started = perf_counter_ns()
    action()
    return (perf_counter_ns() - started) / 1e6


def _resident_mebibytes() -> float:
    listing = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True
    )
    return int(listing.stdout) / 1024
