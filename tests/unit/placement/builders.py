"""Pods and nodes in one line."""

from __future__ import annotations

from typing import Any

import msgspec

from kubeberth.api.core import Node, Pod
from kubeberth.placement.decision import Decision
from kubeberth.placement.delta import NodePut, PodPut
from kubeberth.placement.engine import Engine
from kubeberth.placement.state import ClusterState

ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def make_node(
    name: str,
    *,
    labels: dict[str, str] | None = None,
    cpu: str = "4",
    memory: str = "8Gi",
    pods: str = "110",
    more: dict[str, str] | None = None,
    **spec: Any,
) -> Node:
    """Return a node with its host name as a label, and more resources."""
    return msgspec.convert(
        {
            "metadata": {"name": name, "labels": {HOST: name, **(labels or {})}},
            "spec": spec,
            "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods, **(more or {})}},
        },
        Node,
    )


def make_pod(
    name: str,
    *,
    namespace: str = "default",
    labels: dict[str, str] | None = None,
    requests: dict[str, str] | None = None,
    **spec: Any,
) -> Pod:
    """Return a pod with one container."""
    containers = [{"name": "main", "resources": {"requests": requests or {}}}]
    return msgspec.convert(
        {
            "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
            "spec": {"containers": containers, **spec},
        },
        Pod,
    )


def term(key: str, app: str, **more: Any) -> dict[str, Any]:
    """Return a pod affinity term over the label `app`."""
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}, **more}


def near(*terms: dict[str, Any]) -> dict[str, Any]:
    """Return required pod affinity."""
    return {"podAffinity": {REQUIRED: list(terms)}}


def far(*terms: dict[str, Any]) -> dict[str, Any]:
    """Return required pod anti-affinity."""
    return {"podAntiAffinity": {REQUIRED: list(terms)}}


def node_terms(*terms: list[dict[str, Any]]) -> dict[str, Any]:
    """Return required node affinity, a term per list of expressions."""
    selector = {"nodeSelectorTerms": [{"matchExpressions": term} for term in terms]}
    return {"nodeAffinity": {REQUIRED: selector}}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    """Return one node selector requirement."""
    return {"key": key, "operator": operator, "values": list(values)}


class Cluster:
    """A state and an engine."""

    def __init__(self, *nodes: Node) -> None:
        self.state = ClusterState()
        self.engine = Engine(self.state)
        self.put(*nodes)

    def put(self, *nodes: Node) -> None:
        """Add or change nodes."""
        self.state.apply_all(NodePut(node) for node in nodes)

    def bind(self, pod: Pod, node: str) -> None:
        """Put a pod on a node."""
        self.state.apply(PodPut(pod, node))

    def decide(self, pod: Pod) -> Decision:
        """Return the decision about a pod, which is not placed."""
        return self.engine.place(pod)

    def place(self, pod: Pod) -> str | None:
        """Place a pod, and return where."""
        decision = self.decide(pod)
        if decision.node is not None:
            self.bind(pod, decision.node)
        return decision.node

    def why_not(self, pod: Pod) -> str:
        """Return the message of a pod that fits nowhere, without the part about preemption."""
        failure = self.decide(pod).failure
        assert failure is not None
        return failure.message.removesuffix(".").split(". ")[0]
