"""The general predicates: whether a node has what a pod needs, and the pod what the node asks for.

Matches kubelet 1.36 (`pkg/kubelet/lifecycle/predicate.go`), in its order, with its reasons and
messages. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from kubeberth.api.core import Node
from kubeberth.api.node_affinity import matches_node
from kubeberth.api.node_labels import OS
from kubeberth.api.requests import Amounts, effective_request, occupied, to_amounts
from kubeberth.api.taints import tolerates
from kubeberth.kubelet.pod import KubeletPod, KubeletPodSpec
from kubeberth.topology.refusal import Refusal

NODE_OS = "linux"
NATIVE = ("cpu", "memory", "ephemeral-storage")
ANY_ADDRESS = "0.0.0.0"


@dataclass(frozen=True, slots=True)
class Shortfall(Refusal):
    """A refusal for want of a resource.

    Parameters
    ----------
    missing
        How much more is asked for than is left.
    """

    resource: str = ""
    missing: int = 0


NODE_AFFINITY = Refusal(
    "NodeAffinity",
    "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
)
NODE_NAME = Refusal(
    "NodeName", "Predicate NodeName failed: node(s) didn't match the requested node name"
)
NODE_PORTS = Refusal(
    "NodePorts",
    "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
)
TAINT_TOLERATION = Refusal(
    "TaintToleration",
    "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
)
NO_NODE = Refusal("InvalidNodeInfo", "Kubelet cannot get node info.")
OS_LABEL = Refusal(
    "PodOSSelectorNodeLabelDoesNotMatch",
    "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
)
OS_FIELD = Refusal("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
STRICT_GROUPS = Refusal(
    "SupplementalGroupsPolicyNotSupported",
    "SupplementalGroupsPolicy=Strict is not supported in this node",
)


@dataclass(frozen=True, slots=True)
class Features:
    """What the simulated runtime can do."""

    supplemental_groups_policy: bool = False


NO_FEATURES = Features()


def failures(pod: KubeletPod, node: Node, others: Sequence[KubeletPod]) -> tuple[Refusal, ...]:
    """Return every predicate that does not hold, in order; the first one is what the pod is told.

    Parameters
    ----------
    node
        The Node from the kubelet's cache, `with_own_os`, or as the API has it now.
    others
        Every other pod on the node that has not ended.
    """
    return (*_missing_resources(pod, node, others), *_failed_rules(pod, node, others))


def with_own_os(node: Node) -> Node:
    """Return the Node as its kubelet keeps it: if it has any labels, with the right system."""
    labels = node.metadata.labels
    if not labels or labels.get(OS) == NODE_OS:
        return node
    metadata = msgspec.structs.replace(node.metadata, labels={**labels, OS: NODE_OS})
    return msgspec.structs.replace(node, metadata=metadata)


def unfit_for_system(pod: KubeletPod, features: Features) -> Refusal | None:
    """Return why a pod is made for another kind of node than a kubelet like this has."""
    if pod.metadata.labels.get(OS, NODE_OS) != NODE_OS:
        return OS_LABEL
    if pod.spec.os is not None and pod.spec.os.name != NODE_OS:
        return OS_FIELD
    context = pod.spec.security_context
    is_strict = context is not None and context.supplemental_groups_policy == "Strict"
    if is_strict and not features.supplemental_groups_policy:
        return STRICT_GROUPS
    return None


def _missing_resources(
    pod: KubeletPod, node: Node, others: Sequence[KubeletPod]
) -> Iterator[Refusal]:
    allocatable = to_amounts(node.status.allocatable)
    allowed = allocatable.get("pods", 0)
    if len(others) + 1 > allowed:
        yield _out_of("pods", 1, len(others), allowed)
    request = {
        name: amount
        for name, amount in effective_request(pod).items()
        if amount > 0 and not _is_unknown_extended(name, allocatable)
    }
    if not request:
        return
    used = _sum(map(_taken, others))
    for name in (*NATIVE, *sorted(request.keys() - {*NATIVE, "pods"})):
        wanted = request.get(name, 0)
        taken, total = used.get(name, 0), allocatable.get(name, 0)
        if wanted > total - taken and wanted > 0:
            yield _out_of(name, wanted, taken, total)


class _Template:
    """A pod's spec as a key: pods of one template have the very same (`sharing`)."""

    __slots__ = ("spec",)

    def __init__(self, spec: KubeletPodSpec) -> None:
        self.spec = spec

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Template) and self.spec is other.spec

    def __hash__(self) -> int:
        return id(self.spec)


@lru_cache(4096)
def _taken_by(template: _Template) -> Amounts:
    return occupied(KubeletPod(spec=template.spec))


def _taken(pod: KubeletPod) -> Amounts:
    """Return what a pod takes, which is asked for whenever another one comes."""
    status = pod.status
    if status.container_statuses or status.init_container_statuses or status.resources:
        return occupied(pod)  # a resize may be under way
    return _taken_by(_Template(pod.spec))


def _out_of(resource: str, requested: int, used: int, capacity: int) -> Shortfall:
    return Shortfall(
        f"OutOf{resource}",
        f"Node didn't have enough resource: {resource}, "
        f"requested: {requested}, used: {used}, capacity: {capacity}",
        resource,
        requested - (capacity - used),
    )


def _is_unknown_extended(name: str, allocatable: Amounts) -> bool:
    """Return whether a resource is one of the cluster's, not of this node: others count it."""
    domain, slash, _ = name.partition("/")
    is_extended = bool(slash) and not domain.endswith("kubernetes.io")
    return is_extended and name not in allocatable


def _sum(parts: Iterable[Amounts]) -> Amounts:
    total: Amounts = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total.get(name, 0) + amount
    return total


def _failed_rules(pod: KubeletPod, node: Node, others: Sequence[KubeletPod]) -> Iterator[Refusal]:
    if not matches_node(pod.spec, node):
        yield NODE_AFFINITY
    if pod.spec.node_name and pod.spec.node_name != node.metadata.name:
        yield NODE_NAME
    if _has_port_conflict(pod, others):
        yield NODE_PORTS
    if not pod.is_static and any(
        taint.effect == "NoExecute"
        and not any(tolerates(toleration, taint) for toleration in pod.spec.tolerations)
        for taint in node.spec.taints
    ):
        yield TAINT_TOLERATION


Port = tuple[str, str, int]


def _host_ports(pod: KubeletPod) -> Iterator[Port]:
    sidecars = [container for container in pod.spec.init_containers if container.is_sidecar]
    for container in (*sidecars, *pod.spec.containers):
        for port in container.ports:
            if port.host_port > 0:
                yield port.host_ip or ANY_ADDRESS, port.protocol or "TCP", port.host_port


def _has_port_conflict(pod: KubeletPod, others: Sequence[KubeletPod]) -> bool:
    wanted = set(_host_ports(pod))
    if not wanted:
        return False
    taken = {port for other in others for port in _host_ports(other)}
    return any(_clash(left, right) for left in wanted for right in taken)


def _clash(left: Port, right: Port) -> bool:
    """Return whether two ports are the same; any address clashes with all."""
    return left[1:] == right[1:] and (left[0] == right[0] or ANY_ADDRESS in (left[0], right[0]))
