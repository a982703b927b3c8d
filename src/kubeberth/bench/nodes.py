"""Measures nodes: how soon the pods that they are given run, and what they take while idle.

The cluster is `berth up` in a temporary folder; the load comes from a process of its own
(`kubeberth.bench.node_load`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from kubeberth.bench.apiserver import LoadGenerator, make_namespace
from kubeberth.bench.calm import Writes, heartbeats
from kubeberth.bench.cluster import Cost, Meter, OwnCluster
from kubeberth.clock import Clock
from kubeberth.errors import UsageError

LOAD_MODULE = "kubeberth.bench.node_load"
# While it takes long to tell in events of all the pods that have started.
SETTLE_S, SETTLE_TRIES = 10.0, 60
# Of nodes that have just come, there is little more to tell.
REST_S = 2.0

Tell = Callable[[int], None]


class Started(msgspec.Struct, frozen=True):
    """How soon pods that were given to nodes ran.

    Parameters
    ----------
    running_s
        From the first request until all of them ran.
    """

    n_nodes: int
    n_pods: int
    created_per_second: float
    running_per_second: float
    running_s: float
    costs: tuple[Cost, ...] = ()


class Idle(msgspec.Struct, frozen=True):
    """What is done while nothing happens but signs of life.

    Parameters
    ----------
    writes_per_second
        By all processes.
    budget_per_second
        What docs/nodes.md says of so many nodes.
    """

    n_nodes: int
    n_pods: int
    seconds: float
    writes_per_second: float
    budget_per_second: float
    costs: tuple[Cost, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    nodes: int = 500
    pods_per_node: int = 10
    idle_s: float = 60.0
    connections: int = 16


class Measurement:
    """Measures the nodes of one cluster.

    Parameters
    ----------
    sleep
        Waits for so many seconds.
    """

    def __init__(
        self,
        load: LoadGenerator,
        plan: Plan,
        clock: Clock,
        cluster: OwnCluster,
        sleep: Callable[[float], None],
    ) -> None:
        self._load = load
        self._plan = plan
        self._clock = clock
        self._meter = Meter(load, cluster)
        self._writes = Writes(load, clock, sleep)
        self._n_pods = 0

    def started(self, tell: Tell) -> Started:
        """Measure how soon every node runs its pods, after a rest."""
        plan, run = self._plan, uuid.uuid4().hex[:8]
        # Thousands of nodes that have just come keep the server busy for a while.
        self._writes.settle(plan.nodes, REST_S, SETTLE_TRIES)
        make_namespace(self._load, namespace := f"bench-{run}")
        self._meter.begin()
        found = self._load.do(
            "start_pods",
            tell,
            namespace=namespace,
            run=run,
            n_nodes=plan.nodes,
            per_node=plan.pods_per_node,
            connections=plan.connections,
        )
        if found["running"] is None:
            raise UsageError("the nodes cannot be measured: some of their pods do not run")
        self._n_pods = plan.nodes * plan.pods_per_node
        return Started(
            plan.nodes,
            self._n_pods,
            self._n_pods / found["creating"],
            self._n_pods / found["running"],
            found["running"],
            self._meter.costs(),
        )

    def idle(self, tell: Tell) -> Idle:
        """Measure a while in which nothing happens, once all is written about what did."""
        plan = self._plan
        self._writes.settle(plan.nodes, SETTLE_S, SETTLE_TRIES)
        began_at = self._clock.monotonic()
        self._meter.begin()
        per_second = self._writes.per_second(plan.idle_s, tell)
        costs, elapsed_s = self._meter.costs(), self._clock.monotonic() - began_at
        return Idle(plan.nodes, self._n_pods, elapsed_s, per_second, heartbeats(plan.nodes), costs)
