"""Decisions per second of the engine, pods of one template placed one after the other.

    python benchmarks/bench_engine.py [--nodes 1000 5000] [--pods 2000]

Prints median and spread of five runs; each run starts with an empty cluster and takes in the
template beforehand. Every decision is followed by the assumption of its pod, as in the scheduler.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import msgspec

from kubeberth.api.core import Node, Pod
from kubeberth.placement.delta import NodePut, ServicePut
from kubeberth.placement.engine import Engine
from kubeberth.placement.state import ClusterState

N_ZONES = 10


def make_node(index: int) -> Node:
    """Return an empty node, in one of ten zones."""
    name = f"node-{index:05d}"
    return msgspec.convert(
        {
            "metadata": {
                "name": name,
                "labels": {
                    "kubernetes.io/hostname": name,
                    "topology.kubernetes.io/zone": f"zone-{index % N_ZONES}",
                },
            },
            "status": {"allocatable": {"cpu": "32", "memory": "128Gi", "pods": "110"}},
        },
        Node,
    )


def make_pod(name: str, spec: dict[str, Any], labels: dict[str, str]) -> Pod:
    """Return a small pod."""
    requests = {"cpu": "100m", "memory": "500Mi"}
    return msgspec.convert(
        {
            "metadata": {"name": name, "namespace": "default", "labels": labels},
            "spec": {
                "containers": [{"name": "main", "resources": {"requests": requests}}],
                **spec,
            },
        },
        Pod,
    )


def term(key: str) -> dict[str, Any]:
    """Return a term over blue pods."""
    return {"topologyKey": key, "labelSelector": {"matchLabels": BLUE}}


def spread(key: str, when: str) -> dict[str, Any]:
    """Return a constraint over blue pods, which may differ by one pod."""
    constraint = {**term(key), "maxSkew": 1, "whenUnsatisfiable": when}
    return {"topologySpreadConstraints": [constraint]}


REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
BLUE = {"color": "blue"}
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"

WORKLOADS: dict[str, dict[str, Any]] = {
    "basic": {},
    "host anti-affinity": {"affinity": {"podAntiAffinity": {REQUIRED: [term(HOST)]}}},
    "zone affinity": {"affinity": {"podAffinity": {REQUIRED: [term(ZONE)]}}},
    "preferred zone affinity": {
        "affinity": {"podAffinity": {PREFERRED: [{"weight": 1, "podAffinityTerm": term(ZONE)}]}}
    },
    "preferred node affinity": {
        "affinity": {
            "nodeAffinity": {
                PREFERRED: [
                    {
                        "weight": 1,
                        "preference": {
                            "matchExpressions": [
                                {"key": ZONE, "operator": "In", "values": ["zone-1"]}
                            ]
                        },
                    }
                ]
            }
        }
    },
    "hard zone spread": spread(ZONE, "DoNotSchedule"),
    "hard host spread": spread(HOST, "DoNotSchedule"),
    "soft zone spread": spread(ZONE, "ScheduleAnyway"),
    "default spread": {},
}
WITH_SERVICE = {"default spread"}


def run(workload: str, n_nodes: int, n_pods: int) -> float:
    """Return decisions per second of one run."""
    state = ClusterState()
    state.apply_all(NodePut(make_node(index)) for index in range(n_nodes))
    if workload in WITH_SERVICE:
        state.apply(ServicePut("default", "blue", BLUE))
    engine = Engine(state)
    pods = [make_pod(f"pod-{index}", WORKLOADS[workload], BLUE) for index in range(n_pods)]
    engine.place(pods[0])
    started = time.perf_counter()
    for decision in engine.place_all(pods):
        assert decision.node is not None
    return n_pods / (time.perf_counter() - started)


def first_sight_ms(n_nodes: int) -> float:
    """Return how long the first decision of a new template takes."""
    state = ClusterState()
    state.apply_all(NodePut(make_node(index)) for index in range(n_nodes))
    engine = Engine(state)
    engine.place(make_pod("warm", {}, {}))
    pod = make_pod("first", WORKLOADS["zone affinity"], BLUE)
    started = time.perf_counter()
    engine.place(pod)
    return (time.perf_counter() - started) * 1000


def unschedulable_ms(n_nodes: int) -> float:
    """Return how long it takes to say why a pod fits nowhere."""
    state = ClusterState()
    state.apply_all(NodePut(make_node(index)) for index in range(n_nodes))
    engine = Engine(state)
    nowhere = {"affinity": {"podAffinity": {REQUIRED: [term("no-such-key")]}}}
    pod = make_pod("none", nowhere, BLUE)
    engine.place(pod)
    started = time.perf_counter()
    engine.place(pod)
    return (time.perf_counter() - started) * 1000


def report(measure: Callable[[], float], repeats: int = 5) -> str:
    """Return median and spread of some measurements."""
    values = [measure() for _ in range(repeats)]
    return f"{statistics.median(values):10,.2f}  ({min(values):,.2f} to {max(values):,.2f})"


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--nodes", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--pods", type=int, default=900)
    options = parser.parse_args()
    for n_nodes in options.nodes:
        for name in WORKLOADS:
            line = report(lambda w=name, n=n_nodes: run(w, n, options.pods))
            print(f"{n_nodes:6} nodes  {name:26} decisions/s {line}", flush=True)
        print(
            f"{n_nodes:6} nodes  {'first sight':26} ms          "
            + report(lambda n=n_nodes: first_sight_ms(n))
        )
        print(
            f"{n_nodes:6} nodes  {'fits nowhere':26} ms          "
            + report(lambda n=n_nodes: unschedulable_ms(n))
        )


if __name__ == "__main__":
    main()
