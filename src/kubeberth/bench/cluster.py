"""Measures a whole cluster: how soon pods that are created have a node, and what that costs.

The cluster is `berth up` in a temporary folder, or a foreign one; the load comes from a process of
its own (`kubeberth.bench.cluster_load`).
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from kubeberth.api.scheme import NODES, PODS, Resource
from kubeberth.bench.apiserver import (
    LoadGenerator,
    OwnServer,
    empty_namespace,
    make_namespace,
    store_all,
)
from kubeberth.bench.calm import Writes
from kubeberth.bench.processes import cpu_seconds, resident_kibibytes
from kubeberth.bench.workloads import TEAM, Workload, node_manifest, workload_named
from kubeberth.clock import Clock, rfc3339
from kubeberth.cluster.datadir import DataDir
from kubeberth.errors import UsageError

LOAD_MODULE = "kubeberth.bench.cluster_load"
STOP_TIMEOUT_S = 30.0
# Pods that are placed before anything is measured, so that every process has seen one of its kind.
N_WARM = 20
# An arrival rate is kept up for so long.
ARRIVAL_S = 20.0
# What went before is over within so many looks of so many seconds.
SETTLE_S, SETTLE_TRIES = 3.0, 20


class Cost(msgspec.Struct, frozen=True):
    """What one process took for a measurement, and the memory that it has at its end."""

    process: str
    cpu_s: float | None
    mebibytes: float


class Placement(msgspec.Struct, frozen=True):
    """How soon pods that were created had a node.

    Parameters
    ----------
    rate
        How many came a second; 0 when they came as fast as the clients got answers.
    n_bound
        Fewer than `n_pods` when the rest got no node.
    per_second
        From the first request to the moment when the last one had a node.
    p50_ms, p99_ms
        From the moment when a pod was to be created to when it had a node.
    answered_p50_ms, answered_p99_ms
        To when its request was answered: how much of that the API server and the load itself take,
        before a scheduler can have heard of the pod.
    running_s
        From the first request until all of them ran; None when some never did.
    """

    workload: str
    n_nodes: int
    n_pods: int
    rate: float
    n_bound: int
    per_second: float
    created_per_second: float
    p50_ms: float
    p99_ms: float
    answered_p50_ms: float
    answered_p99_ms: float
    running_s: float | None
    costs: tuple[Cost, ...] = ()


class SchedulerStart(msgspec.Struct, frozen=True):
    """From the start of a scheduler to the first pod that it has bound, and its memory then."""

    n_nodes: int
    n_pods: int
    seconds: float
    mebibytes: float


Result = Placement | SchedulerStart


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Parameters
    ----------
    pods
        How many are created at most; fewer when no more of a workload fit.
    rate
        How many come a second in the measurement of arrivals.
    placed
        Pods on the nodes that a starting scheduler finds.
    """

    nodes: int = 500
    pods: int = 5000
    connections: int = 16
    rate: float = 200.0
    placed: int = 5000


class OwnCluster:
    """A cluster in a temporary folder, as `berth up` runs it; a context manager."""

    def __init__(self, n_nodes: int) -> None:
        self.n_nodes = n_nodes
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        prefix = "kubeberth-bench-"
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix)))
        self._datadir = DataDir(folder / "cluster")
        manifests = folder / "nodes.json"
        items = [node_manifest(index) for index in range(self.n_nodes)]
        document = {"apiVersion": "v1", "kind": "NodeList", "items": items}
        manifests.write_bytes(msgspec.json.encode(document))
        command = [sys.executable, "-m", "kubeberth", "up", "--port", "0"]
        command += ["--data-dir", str(self._datadir.path), "--filename", str(manifests)]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A Ctrl-C in the terminal is ours to handle.
            start_new_session=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=STOP_TIMEOUT_S)
        self._stack.close()

    def wait(self) -> None:
        """Return when every process is ready and every node is registered."""
        assert self._process is not None
        assert self._process.stdout
        assert self._process.stderr
        if not self._process.stdout.readline():
            words = self._process.stderr.read().decode(errors="replace").strip()
            raise UsageError(f"the cluster did not start: {words}")

    @property
    def kubeconfig(self) -> Path:
        """Of somebody who may do anything."""
        return self._datadir.kubeconfig

    def pids(self) -> dict[str, int]:
        """Return the processes that run."""
        running = self._datadir.running()
        return {} if running is None else {entry.name: entry.pid for entry in running.processes}


class Meter:
    """Reads what the processes of a cluster take, and the load that it is under.

    Parameters
    ----------
    cluster
        None for a foreign one, of which nothing can be seen.
    """

    def __init__(self, load: LoadGenerator, cluster: OwnCluster | None) -> None:
        self._load = load
        self._cluster = cluster
        self._before: dict[str, float | None] = {}

    def begin(self) -> None:
        """Count from now on."""
        self._before = {name: cpu_seconds(pid) for name, pid in self._pids().items()}

    def costs(self) -> tuple[Cost, ...]:
        """Return what each process took since then."""
        return tuple(self._costs())

    def _costs(self) -> Iterator[Cost]:
        for name, pid in self._pids().items():
            was, now = self._before.get(name), cpu_seconds(pid)
            used = None if was is None or now is None else now - was
            yield Cost(name, used, resident_kibibytes(pid) / 1024)

    def _pids(self) -> dict[str, int]:
        if self._cluster is None:
            return {}
        return {**self._cluster.pids(), "load": self._load.pid}


class Measurement:
    """Measures one cluster, in namespaces of its own.

    Parameters
    ----------
    sleep
        Waits for so many seconds.
    cluster
        Whose processes are looked at; None for a foreign one, which does what else it does.
    """

    def __init__(
        self,
        load: LoadGenerator,
        plan: Plan,
        clock: Clock,
        sleep: Callable[[float], None],
        cluster: OwnCluster | None = None,
    ) -> None:
        self._load = load
        self._plan = plan
        listed = load.do("read", path="/api/v1/nodes?limit=1")
        n_others = listed["metadata"].get("remainingItemCount", 0)
        self.n_nodes: int = len(listed["items"]) + n_others
        self._clock = clock
        self._meter = Meter(load, cluster)
        self._writes = None if cluster is None else Writes(load, clock, sleep)

    def burst(self, workload: Workload, tell: Callable[[int], None]) -> Placement:
        """Measure pods that come as fast as the clients get answers."""
        return self._place(workload, self.n_pods(workload), 0.0, tell)

    def arrivals(self, workload: Workload, tell: Callable[[int], None]) -> Placement:
        """Measure pods that come at a fixed rate, whether or not those before are placed."""
        rate = self._plan.rate
        return self._place(workload, self.n_arrivals(workload), rate, tell)

    def n_pods(self, workload: Workload) -> int:
        """Return how many pods of a workload are placed at once."""
        return min(self._plan.pods, self._room(workload))

    def n_arrivals(self, workload: Workload) -> int:
        """Return how many pods of a workload come at the rate."""
        return min(round(self._plan.rate * ARRIVAL_S), self._room(workload))

    def _room(self, workload: Workload) -> int:
        return max(1, workload.per_node * self.n_nodes - N_WARM)

    def _place(
        self, workload: Workload, n_pods: int, rate: float, tell: Callable[[int], None]
    ) -> Placement:
        connections = self._plan.connections
        with self._namespaces(workload) as (run, namespaces):
            job: dict[str, Any] = {"workload": workload.name, "namespaces": namespaces, "run": run}
            self._load.do("place", **job, prefix="warm", n=N_WARM, connections=1)
            self._load.do("until_running", run=run)
            if self._writes is not None:
                self._writes.settle(self.n_nodes, SETTLE_S, SETTLE_TRIES)
            self._meter.begin()
            began_at = self._clock.monotonic()
            found = self._load.do(
                "place",
                tell,
                **job,
                prefix="pod",
                n=n_pods,
                # Whoever comes at a fixed rate waits for nobody.
                connections=connections * 4 if rate else connections,
                rate=rate,
            )
            costs = self._meter.costs()
            runs = self._load.do("until_running", run=run)["is_complete"]
            running_s = self._clock.monotonic() - began_at if runs else None
        seconds, answered = found["seconds"], found["answered"]
        n_bound = len(seconds)
        if not n_bound:
            raise UsageError(
                f"the cluster cannot be measured: no pod of {workload.name!r} gets a node"
            )
        return Placement(
            workload.name,
            self.n_nodes,
            n_pods,
            rate,
            n_bound,
            n_bound / found["elapsed"],
            n_pods / found["creating"],
            *_quantiles_ms(seconds),
            *_quantiles_ms(answered),
            running_s,
            costs,
        )

    @contextmanager
    def _namespaces(self, workload: Workload) -> Iterator[tuple[str, list[str]]]:
        """Make the namespaces of a workload, and take them away again with what is in them.

        They are gone in the end, so that whatever is measured next is measured alone; but nobody
        who has given up waits for that.
        """
        run = uuid.uuid4().hex[:8]
        names = [f"bench-{run}-{index}" for index in range(max(1, workload.n_namespaces))]
        for name in names:
            make_namespace(self._load, name, TEAM if workload.n_namespaces else {})
        if workload.has_service:
            spec = {"selector": workload.templates()[0]["labels"], "ports": [{"port": 80}]}
            body = {"metadata": {"name": "all"}, "spec": spec}
            path = f"/api/v1/namespaces/{names[0]}/services"
            self._load.do("ask", method="POST", path=path, body=body)
        try:
            yield run, names
        finally:
            for name in names:
                empty_namespace(self._load, name)
                path = f"/api/v1/namespaces/{name}"
                self._load.do("ask", method="DELETE", path=path, ok=[409])
        for name in names:
            self._load.do("until_gone", path=f"/api/v1/namespaces/{name}")


def _quantiles_ms(seconds: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile of sorted values."""
    n = len(seconds)
    return seconds[n // 2] * 1000, seconds[n * 99 // 100] * 1000


def measure_scheduler_start(clock: Clock, n_nodes: int, n_pods: int) -> SchedulerStart:
    """Start a scheduler on an API server that knows nodes with running pods, and one that waits."""
    basic = workload_named("basic")
    with OwnServer(clock) as server:
        server.start()
        with LoadGenerator(server.kubeconfig, LOAD_MODULE) as load:
            template = _stored_pod(load, basic)
        server.stop()
        asyncio.run(store_all(server.data_dir, _placed(n_nodes, n_pods, template, clock.now())))
        server.start()
        command = [sys.executable, "-m", "kubeberth", "scheduler"]
        command += ["--kubeconfig", str(server.kubeconfig), "--leader-elect=false", "--v=1"]
        command += ["--secure-port", "0"]
        with LoadGenerator(server.kubeconfig, LOAD_MODULE) as load:
            load.do("ask", method="GET", path="/readyz")
            began_at = clock.monotonic()
            scheduler = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            try:
                found = load.do(
                    "place",
                    workload=basic.name,
                    namespaces=["default"],
                    run="start",
                    prefix="first",
                    n=1,
                    connections=1,
                )
                seconds = clock.monotonic() - began_at
                mebibytes = resident_kibibytes(scheduler.pid) / 1024
            finally:
                scheduler.terminate()
                scheduler.wait(STOP_TIMEOUT_S)
    if not found["seconds"]:
        raise UsageError("the scheduler cannot be measured: it binds no pod")
    return SchedulerStart(n_nodes, n_pods, seconds, mebibytes)


def _stored_pod(load: LoadGenerator, workload: Workload) -> dict[str, Any]:
    """Return a pod as the API server keeps it."""
    load.do(
        "ask",
        method="POST",
        path="/api/v1/namespaces/default/serviceaccounts",
        body={"metadata": {"name": "default"}},
        ok=[409],
    )
    path = "/api/v1/namespaces/default/pods"
    template = workload.templates()[0]
    body = {
        "metadata": {"name": "template", "labels": template["labels"]},
        "spec": template["spec"],
    }
    load.do("ask", method="POST", path=path, body=body)
    document = load.do("read", path=f"{path}/template")
    load.do("ask", method="DELETE", path=f"{path}/template?gracePeriodSeconds=0")
    return document


def _placed(
    n_nodes: int, n_pods: int, template: dict[str, Any], now: float
) -> Iterator[tuple[Resource, dict[str, Any]]]:
    """Yield nodes, and running pods that are spread over them."""
    stamp = rfc3339(now)
    for index in range(n_nodes):
        node = node_manifest(index)
        node["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": stamp}
        yield NODES, node
    conditions = [
        {"type": name, "status": "True", "lastTransitionTime": stamp}
        for name in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")
    ]
    for index in range(n_pods):
        metadata = {**template["metadata"], "name": f"placed-{index}", "uid": str(uuid.uuid4())}
        spec = {**template["spec"], "nodeName": node_manifest(index % n_nodes)["metadata"]["name"]}
        status = {**template["status"], "phase": "Running", "conditions": conditions}
        yield PODS, {**template, "metadata": metadata, "spec": spec, "status": status}
