"""Workloads: the shapes of pods and nodes that kube-scheduler's own performance suite uses.

Nodes have 4 CPUs, 32 GiB and room for 110 pods, in ten zones; pods ask for 100m and 500Mi. Those
that preempt ask for 3 CPUs, of nodes with four pods of 900m.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import lcm
from typing import Any

import msgspec

from kubeberth.api.core import Node, Pod
from kubeberth.api.node_labels import HOSTNAME, ZONE
from kubeberth.placement.delta import Delta, NamespacePut, PodPut, ServicePut

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"

N_ZONES = 10
N_NAMESPACES = 100
TEAM = {"team": "devops"}
_FILLERS_PER_NODE = 4
_PODS_PER_NODE = 40

Spec = dict[str, Any]
Shape = Callable[[str], Spec]
"""Makes the rules of a pod of some colour."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Pods to be placed one after the other.

    Parameters
    ----------
    shapes
        Taken in turn, each with every colour.
    n_colors
        How many colours each shape comes in.
    n_namespaces
        How many namespaces of one team the pods are spread over; 0 is `default` alone.
    has_service
        Whether a Service selects the pods, so that they are spread by default.
    churns
        Whether nodes and pods come and go all the while.
    preempts
        Whether the nodes are full of less important pods, some of which have to go for each pod.
    per_node
        How many find room for each node there is: forty by their CPUs, fewer where they shun each
        other or have to gather in one zone.
    """

    name: str
    shapes: tuple[Shape, ...]
    n_colors: int = 1
    n_namespaces: int = 0
    has_service: bool = False
    churns: bool = False
    preempts: bool = False
    per_node: int = _PODS_PER_NODE

    @property
    def n_templates(self) -> int:
        """How many templates the pods are of."""
        return lcm(len(self.shapes) * self.n_colors, max(self.n_namespaces, 1))

    def setup(self) -> Iterator[Delta]:
        """Yield what has to be there besides nodes."""
        for index in range(self.n_namespaces):
            yield NamespacePut(f"team-{index}", TEAM)
        if self.has_service:
            yield ServicePut("default", "all", {"color": _color(0)})

    def fillers(self, node_names: Sequence[str]) -> Iterator[Delta]:
        """Yield the less important pods that fill the nodes."""
        if not self.preempts:
            return
        spec = _filler("")
        for name in node_names:
            for index in range(_FILLERS_PER_NODE):
                meta = {"name": f"filler-{name}-{index}", "namespace": "default"}
                yield PodPut(msgspec.convert({"metadata": meta, "spec": spec}, Pod), name)

    def pods(self, n_pods: int) -> Iterator[Pod]:
        """Yield the pods, each an object of its own, as they come from a watch."""
        templates = self.templates()
        for index in range(n_pods):
            template = templates[index % len(templates)]
            namespace = f"team-{index % self.n_namespaces}" if self.n_namespaces else "default"
            meta = {
                "name": f"pod-{index}",
                "namespace": namespace,
                "labels": template["labels"],
            }
            yield msgspec.convert({"metadata": meta, "spec": template["spec"]}, Pod)

    def templates(self) -> list[dict[str, Any]]:
        """Return labels and spec of each kind of pod, in the order in which they are taken."""
        return [
            {"labels": {"color": _color(index)}, "spec": _spec(shape(_color(index)))}
            for index in range(self.n_colors)
            for shape in self.shapes
        ]


def make_node(index: int) -> Node:
    """Return an empty node."""
    return msgspec.convert(node_manifest(index), Node)


def node_manifest(index: int) -> dict[str, Any]:
    """Return the manifest of an empty node."""
    name = f"node-{index:06d}"
    room = {"cpu": "4", "memory": "32Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {HOSTNAME: name, ZONE: f"zone-{index % N_ZONES}"}},
        "status": {"capacity": room, "allocatable": room},
    }


def _color(index: int) -> str:
    return f"color-{index}"


def _spec(rules: Spec) -> Spec:
    return {"containers": [_container("100m")], **rules}


# Shapes


def _basic(color: str) -> Spec:
    return {}


def _node_affinity(color: str) -> Spec:
    zones = {"key": ZONE, "operator": "In", "values": ["zone-1", "zone-2"]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [zones]}]}
    return {"affinity": {"nodeAffinity": {REQUIRED: terms}}}


def _preferred_node_affinity(color: str) -> Spec:
    zone = {"key": ZONE, "operator": "In", "values": ["zone-1"]}
    preferred = [{"weight": 1, "preference": {"matchExpressions": [zone]}}]
    return {"affinity": {"nodeAffinity": {PREFERRED: preferred}}}


def _term(color: str, key: str, **more: Any) -> Spec:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"color": color}}, **more}


def _required(kind: str, key: str, **more: Any) -> Shape:
    return lambda color: {"affinity": {kind: {REQUIRED: [_term(color, key, **more)]}}}


def _preferred(kind: str, key: str, **more: Any) -> Shape:
    def shape(color: str) -> Spec:
        entry = {"weight": 1, "podAffinityTerm": _term(color, key, **more)}
        return {"affinity": {kind: {PREFERRED: [entry]}}}

    return shape


def _spread(key: str, when: str) -> Shape:
    def shape(color: str) -> Spec:
        constraint = {**_term(color, key), "maxSkew": 1, "whenUnsatisfiable": when}
        return {"topologySpreadConstraints": [constraint]}

    return shape


def _filler(color: str) -> Spec:
    return {"containers": [_container("900m")]}


def _important(color: str) -> Spec:
    return {"containers": [_container("3")], "priority": 10}


def _container(cpu: str) -> Spec:
    resources = {"requests": {"cpu": cpu, "memory": "500Mi"}}
    return {"name": "main", "image": "registry.k8s.io/pause:3.10", "resources": resources}


LIKE, UNLIKE = "podAffinity", "podAntiAffinity"
_OF_TEAM = {"namespaceSelector": {"matchLabels": TEAM}}

_MIXED = (
    _basic,
    _required(UNLIKE, HOSTNAME),
    _required(LIKE, ZONE),
    _preferred(LIKE, ZONE),
    _preferred_node_affinity,
    _spread(ZONE, "DoNotSchedule"),
    _preferred(UNLIKE, HOSTNAME),
)

WORKLOADS = (
    Workload("basic", (_basic,)),
    Workload("node affinity", (_node_affinity,)),
    Workload("preferred node affinity", (_preferred_node_affinity,)),
    Workload("host anti-affinity", (_required(UNLIKE, HOSTNAME),), per_node=1),
    Workload("zone affinity", (_required(LIKE, ZONE),), per_node=4),
    Workload("preferred host anti-affinity", (_preferred(UNLIKE, HOSTNAME),)),
    Workload("preferred host affinity", (_preferred(LIKE, HOSTNAME),)),
    Workload("preferred zone anti-affinity", (_preferred(UNLIKE, ZONE),)),
    Workload("preferred zone affinity", (_preferred(LIKE, ZONE),)),
    Workload(
        "host anti-affinity, ns selector",
        (_required(UNLIKE, HOSTNAME, **_OF_TEAM),),
        1,
        1,
        per_node=1,
    ),
    Workload("zone affinity, ns selector", (_required(LIKE, ZONE, **_OF_TEAM),), 1, 1, per_node=4),
    Workload("preferred zone affinity, ns selector", (_preferred(LIKE, ZONE, **_OF_TEAM),), 1, 1),
    Workload(
        f"zone affinity over {N_NAMESPACES} namespaces",
        (_required(LIKE, ZONE, **_OF_TEAM),),
        1,
        N_NAMESPACES,
        per_node=4,
    ),
    Workload("hard zone spread", (_spread(ZONE, "DoNotSchedule"),)),
    Workload("hard host spread", (_spread(HOSTNAME, "DoNotSchedule"),)),
    Workload("soft zone spread", (_spread(ZONE, "ScheduleAnyway"),)),
    Workload("soft host spread", (_spread(HOSTNAME, "ScheduleAnyway"),)),
    Workload("default spread of a Service", (_basic,), has_service=True),
    Workload("7 templates in turn", _MIXED, per_node=7),
    Workload("35 templates in turn", _MIXED, 5),
    Workload("497 templates in turn", _MIXED, 71),
    Workload("basic, with churn", (_basic,), churns=True),
    Workload("35 templates in turn, with churn", _MIXED, 5, churns=True),
    Workload("preemption", (_important,), preempts=True, per_node=1),
)


def workload_named(name: str) -> Workload:
    """Return the workload of a name."""
    (found,) = (workload for workload in WORKLOADS if workload.name == name)
    return found
