"""More replicas than nodes, while each takes the same port of its node.

A `hostPort` is there once on a node, so no two of the pods can share one. Mostly a Service, or a
DaemonSet, is what is meant.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.field import Field
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    replicas, n_nodes = workload.replicas, len(world.eligible(workload))
    if replicas is None or not n_nodes or replicas <= n_nodes:
        return
    for field in _host_ports(workload):
        yield Problem(
            field,
            f"{replicas} replicas each take port {field.number} of their node, and there are "
            f"{n_nodes} nodes for them: {replicas - n_nodes} will stay pending",
        )


def _host_ports(workload: Workload) -> Iterator[Field]:
    shares_network = workload.spec.at("hostNetwork").value is True
    for container in workload.spec.each("containers"):
        for port in container.each("ports"):
            field = port.at("hostPort")
            if not field.exists and shares_network:
                field = port.at("containerPort")
            if field.number:
                yield field


RULE = Rule(
    "KB502",
    "host-ports",
    Severity.ERROR,
    __doc__,
    of_workload=_check,
    needs_cluster=True,
)
