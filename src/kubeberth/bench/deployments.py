"""Measures the controllers of a whole cluster: how soon Deployments have the pods they shall have.

The load comes from a process of its own (`kubeberth.bench.deployment_load`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import msgspec

from kubeberth.bench.apiserver import LoadGenerator, make_namespace
from kubeberth.bench.cluster import Cost, Meter, OwnCluster
from kubeberth.clock import Clock

LOAD_MODULE = "kubeberth.bench.deployment_load"

Tell = Callable[[int], None]


class Settled(msgspec.Struct, frozen=True):
    """How long it took until things were as they were wished to be, and what that cost.

    Parameters
    ----------
    wish
        `created`: all pods run, and the Deployments say that they are available. `scaled to 0`: no
        pod is left.
    running_s, available_s, gone_s
        From the first request; None where it does not apply, or never came.
    """

    wish: str
    n_nodes: int
    n_deployments: int
    replicas: int
    running_s: float | None = None
    available_s: float | None = None
    gone_s: float | None = None
    costs: tuple[Cost, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Parameters
    ----------
    replicas
        Of one large Deployment.
    deployments
        How many small ones are created at once.
    small
        Replicas of each of these.
    """

    nodes: int = 500
    replicas: int = 5000
    deployments: int = 1000
    small: int = 3
    connections: int = 16


class Measurement:
    """Measures one cluster, in a namespace of its own.

    Parameters
    ----------
    cluster
        Whose processes are looked at; None for a foreign one.
    """

    def __init__(
        self, load: LoadGenerator, plan: Plan, clock: Clock, cluster: OwnCluster | None = None
    ) -> None:
        self._load = load
        self._plan = plan
        self._clock = clock
        self._meter = Meter(load, cluster)
        listed = load.do("read", path="/api/v1/nodes?limit=1")
        self.n_nodes = len(listed["items"]) + listed["metadata"].get("remainingItemCount", 0)
        self._run = uuid.uuid4().hex[:8]
        self._namespace = f"bench-{self._run}"

    @contextmanager
    def namespace(self) -> Iterator[Self]:
        """Make the namespace, and take it away again with what is in it."""
        make_namespace(self._load, self._namespace)
        try:
            # So that every process has seen one of its kind.
            self._deploy("warm", 1, 5, lambda _: None)
            self._scale_down("warm-0", 5, lambda _: None)
            yield self
        finally:
            path = f"/api/v1/namespaces/{self._namespace}"
            self._load.do("ask", method="DELETE", path=path, ok=[409])

    def large(self, tell: Tell) -> Settled:
        """Measure a Deployment of many replicas."""
        return self._deploy("large", 1, self._plan.replicas, tell)

    def scaled_down(self, tell: Tell) -> Settled:
        """Measure how soon none of its replicas is left."""
        return self._scale_down("large-0", self._plan.replicas, tell)

    def many(self, tell: Tell) -> Settled:
        """Measure many Deployments that are created at once."""
        return self._deploy("small", self._plan.deployments, self._plan.small, tell)

    def _deploy(self, prefix: str, n: int, replicas: int, tell: Tell) -> Settled:
        self._meter.begin()
        found = self._load.do(
            "deploy",
            tell,
            namespace=self._namespace,
            run=self._run,
            prefix=prefix,
            n=n,
            replicas=replicas,
            connections=min(n, self._plan.connections),
        )
        return self._settled("created", n, replicas, found)

    def _scale_down(self, name: str, replicas: int, tell: Tell) -> Settled:
        self._meter.begin()
        job: dict[str, Any] = {"namespace": self._namespace, "run": self._run, "name": name}
        found = self._load.do("remove_pods", tell, **job, n_pods=replicas)
        return self._settled("scaled to 0", 1, replicas, found)

    def _settled(self, wish: str, n: int, replicas: int, found: dict[str, Any]) -> Settled:
        return Settled(
            wish,
            self.n_nodes,
            n,
            replicas,
            found.get("running"),
            found.get("available"),
            found.get("gone"),
            self._meter.costs(),
        )
