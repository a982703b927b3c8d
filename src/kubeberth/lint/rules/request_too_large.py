"""A pod asks for more than any node has.

Compared is what nodes have to give in all, `status.allocatable`, and not what is free at the
moment: the pod would stay pending on an empty cluster, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.near import did_you_mean
from kubeberth.api.requests import is_counted, shown_amount
from kubeberth.lint.amounts import request_of
from kubeberth.lint.field import Field
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import KnownNode, World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    request = {
        name: amount for name, amount in request_of(workload.spec).items() if is_counted(name)
    }
    # Where no node is eligible, which is told elsewhere, size is judged by all.
    possible = world.eligible(workload) or world.nodes or ()
    nodes = [node for node in possible if node.allocatable]
    if not nodes:
        return
    lacking = [name for name in request if request[name] > _largest(nodes, name)]
    for name in lacking:
        field = _field(workload, name)
        if not any(name in node.allocatable for node in nodes):
            hint = did_you_mean(name, {known for node in nodes for known in node.allocatable})
            yield Problem(
                field, f"no node for these pods has the resource {name}{hint}", is_key=True
            )
            continue
        asked, there = shown_amount(name, request[name]), shown_amount(name, _largest(nodes, name))
        yield Problem(
            field,
            f"a pod requests {asked} of {name}, and the largest node for it has {there}",
        )
    if not lacking and not any(_has_all(node, request) for node in nodes):
        names = " and ".join(f"{shown_amount(name, request[name])} of {name}" for name in request)
        yield Problem(_field(workload, ""), f"no node for these pods has {names} together")


def _largest(nodes: list[KnownNode], name: str) -> int:
    return max(node.allocatable.get(name, 0) for node in nodes)


def _has_all(node: KnownNode, request: dict[str, int]) -> bool:
    return all(node.allocatable.get(name, 0) >= amount for name, amount in request.items())


def _field(workload: Workload, name: str) -> Field:
    """Return where most of a resource is requested."""
    containers = [*workload.spec.each("containers"), *workload.spec.each("initContainers")]
    for container in containers:
        for list_ in ("requests", "limits"):
            field = container.at("resources", list_, name)
            if field.exists:
                return field
    return containers[0].at("resources") if containers else workload.spec


RULE = Rule(
    "KB501",
    "request-too-large",
    Severity.ERROR,
    __doc__,
    of_workload=_check,
    needs_cluster=True,
)
