"""How long one search for victims takes on a full cluster, all nodes looked at.

    python benchmarks/bench_preemption.py [--nodes 5000] [--pods 20]

Prints the first search, and median and spread of later ones: between two searches the victims of
the one before leave and the pod for which they did takes their place, as in a scheduler.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import msgspec

from kubeberth.api.core import Node, Pod
from kubeberth.api.policy import PodDisruptionBudget
from kubeberth.placement.delta import NodePut, PdbPut, PodPut, PodRemoved
from kubeberth.placement.engine import Engine
from kubeberth.placement.state import ClusterState

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
N_APPS = 25


def make_node(index: int, n_pods: int) -> Node:
    """Return a node with room for exactly so many pods."""
    name = f"node-{index:05d}"
    labels = {HOST: name, ZONE: f"zone-{index % 10}"}
    amounts = {"cpu": str(n_pods), "memory": f"{2 * n_pods}Gi", "pods": "110"}
    document = {
        "metadata": {"name": name, "labels": labels},
        "status": {"allocatable": amounts},
    }
    return msgspec.convert(document, Node)


def make_pod(name: str, app: str, priority: int, cpu: str, started: int = 0, **spec: Any) -> Pod:
    """Return a pod that has been running for a while."""
    requests = {"cpu": cpu, "memory": "1Gi"}
    document = {
        "metadata": {"name": name, "namespace": "default", "labels": {"app": app}},
        "spec": {
            "containers": [{"name": "main", "resources": {"requests": requests}}],
            "priority": priority,
            **spec,
        },
        "status": {"startTime": f"2026-01-01T{started // 60:02d}:{started % 60:02d}:00Z"},
    }
    return msgspec.convert(document, Pod)


def full_cluster(n_nodes: int, n_pods: int) -> ClusterState:
    """Return nodes that are full of pods of ten priorities."""
    state = ClusterState()
    for index in range(n_nodes):
        node = make_node(index, n_pods)
        state.apply(NodePut(node))
        for number in range(n_pods):
            serial = index * n_pods + number
            app, priority = f"app-{serial % N_APPS}", (serial * 7919) % 10
            pod = make_pod(f"pod-{serial}", app, priority, "1", serial * 31 % 1440)
            state.apply(PodPut(pod, node.name))
    return state


def protect(state: ClusterState) -> None:
    """Put a budget that allows one disruption over every other application."""
    for number in range(0, N_APPS, 2):
        document = {
            "metadata": {"name": f"app-{number}", "namespace": "default"},
            "spec": {"selector": {"matchLabels": {"app": f"app-{number}"}}},
            "status": {"disruptionsAllowed": 1},
        }
        state.apply(PdbPut(msgspec.convert(document, PodDisruptionBudget)))


def search_ms(state: ClusterState, name: str, spec: dict[str, Any], repeats: int) -> list[float]:
    """Return how long each of some searches takes, the first one first."""
    engine, times = Engine(state), []
    for index in range(repeats):
        pod = make_pod(f"{name}-{index}", "new", 100, "2500m", **spec)
        started = time.perf_counter()
        nomination = engine.place(pod).nomination
        times.append((time.perf_counter() - started) * 1000)
        assert nomination is not None
        for victim in nomination.victims:
            state.apply(PodRemoved(victim))
        state.apply(PodPut(pod, nomination.node))
    return times


def hopeless_ms(state: ClusterState, repeats: int) -> list[float]:
    """Return how long it takes to say that no victim would help."""
    engine, times = Engine(state), []
    for index in range(repeats):
        pod = make_pod(f"low-{index}", "new", 0, "1")
        started = time.perf_counter()
        assert engine.place(pod).nomination is None
        times.append((time.perf_counter() - started) * 1000)
    return times


def far_from(app: str) -> dict[str, Any]:
    """Return required anti-affinity to the pods of an application on the same host."""
    term = {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": app}}}
    return {"affinity": {"podAntiAffinity": {REQUIRED: [term]}}}


def report(name: str, times: list[float]) -> None:
    """Print one line."""
    later = times[1:]
    print(
        f"{name:28} first {times[0]:9.1f} ms   later {statistics.median(later):9.1f} ms"
        f"  ({min(later):.1f} to {max(later):.1f})",
        flush=True,
    )


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--pods", type=int, default=20)
    options = parser.parse_args()
    state = full_cluster(options.nodes, options.pods)
    report("no victims at all", hopeless_ms(state, 6))
    report("resources only", search_ms(state, "plain", {}, 11))
    protect(state)
    report("with disruption budgets", search_ms(state, "kept", {}, 11))
    report("host anti-affinity", search_ms(state, "far", far_from("app-1"), 4))


if __name__ == "__main__":
    main()
