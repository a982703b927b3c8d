"""How long the questions that are asked before anything is applied take, as people type them.

    python benchmarks/bench_plan.py [--nodes 5000] [--pods 10000] [--runs 5] [--live]

Each is a process of its own, from its start to its last line: `berth plan` of a Deployment,
`berth why` of a pod that fits nowhere, `berth capacity`, all against a file, and `berth --help`.
With `--live`, a cluster with as many nodes is started, too, and its scheduler is asked why.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubeberth.api.node_labels import HOSTNAME, ZONE

BIN = Path(sys.executable).parent
ZONES = "abc"


@dataclass(frozen=True)
class Taken:
    """What one run took."""

    wall_s: float
    cpu_s: float


def node(index: int) -> dict[str, Any]:
    """Return a node of 16 CPUs."""
    name = f"node-{index:05d}"
    amounts = {"cpu": "16", "memory": "64Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {HOSTNAME: name, ZONE: ZONES[index % len(ZONES)]}},
        "status": {"capacity": amounts, "allocatable": amounts},
    }


def pod_spec(cpu: str, **more: Any) -> dict[str, Any]:
    """Return the spec of a pod of one container."""
    container = {"name": "main", "image": "nginx", "resources": {"requests": {"cpu": cpu}}}
    return {"containers": [container], **more}


def deployment(n_pods: int) -> dict[str, Any]:
    """Return a Deployment of small pods."""
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": pod_spec("500m")}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": n_pods, "selector": {"matchLabels": labels}, "template": template},
    }


def hopeless_pod() -> dict[str, Any]:
    """Return a pod that is too large for every node, and wants a label that none has."""
    spec = pod_spec("64", nodeSelector={"disk": "ssd"})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "search"}, "spec": spec}


def timed(command: Sequence[str | Path], expected: frozenset[int] = frozenset((0,))) -> Taken:
    """Run a command to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    wall_s = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in expected:
        raise SystemExit(f"{command}: {done.stderr}")
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Taken(wall_s, cpu_s)


def report(name: str, runs: Sequence[Taken]) -> None:
    """Print one line."""
    wall, cpu = [run.wall_s for run in runs], [run.cpu_s for run in runs]
    print(
        f"{name:28} median {statistics.median(wall):6.2f} s  min {min(wall):.2f}  "
        f"max {max(wall):.2f}   CPU {statistics.median(cpu):.2f} s",
        flush=True,
    )


def offline(folder: Path, options: argparse.Namespace) -> None:
    """Measure what needs no cluster."""
    files = {
        "nodes": {
            "kind": "List",
            "apiVersion": "v1",
            "items": list(map(node, range(options.nodes))),
        },
        "web": deployment(options.pods),
        "search": hopeless_pod(),
    }
    paths = {name: folder / f"{name}.json" for name in files}
    for name, document in files.items():
        paths[name].write_text(json.dumps(document))
    berth, cluster = BIN / "berth", ("--cluster", paths["nodes"])
    questions: dict[str, tuple[str | Path, ...]] = {
        "berth --help": (berth, "--help"),
        "berth plan": (berth, "plan", "-f", paths["web"], *cluster),
        "berth why, of a file": (berth, "why", "search", "-f", paths["search"], *cluster),
        "berth capacity": (berth, "capacity", "-f", paths["web"], *cluster),
    }
    # The first run of each may have to compile; of a user's many runs it is one.
    for command in questions.values():
        timed(command)
    # In turn, so that what else goes on on the machine is everybody's.
    runs = [
        {name: timed(command) for name, command in questions.items()} for _ in range(options.runs)
    ]
    for name in questions:
        report(name, [run[name] for run in runs])


def live(folder: Path, options: argparse.Namespace) -> None:
    """Measure what the scheduler of a running cluster answers."""
    data = folder / "cluster"
    berth, where = BIN / "berth", ("--data-dir", data)
    subprocess.run(
        (berth, "up", *where, "--port", "0", "--nodes", str(options.nodes), "--detach"), check=True
    )
    try:
        environment = {**os.environ, "KUBECONFIG": str(data / "kubeconfig")}
        kubectl = ("kubectl", "apply", "-f", folder / "search.json")
        subprocess.run(kubectl, env=environment, check=True, capture_output=True)
        wait = ("kubectl", "wait", "--for=condition=PodScheduled=false", "pod/search")
        subprocess.run(wait, env=environment, check=True, capture_output=True)
        report(
            "berth why, of a scheduler",
            [timed((berth, "why", "search", *where)) for _ in range(options.runs)],
        )
    finally:
        subprocess.run((berth, "down", *where, "--delete"), check=True)


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--live", action="store_true", help="ask a running scheduler, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kubeberth-bench-") as folder:
        offline(Path(folder), options)
        if options.live:
            live(Path(folder), options)


if __name__ == "__main__":
    main()
