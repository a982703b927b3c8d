"""Obstacles: what keeps a pod off a node, in terms that somebody can act upon.

The engine says which rule refused a node, and with which code. This says what stands behind the
code: the label that is missing or differs, the taint, the pods in the way, the resource that is
short and by how much. Only what somebody asks about is looked at, so nodes are looked at one by
one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.core import Node
from kubeberth.api.near import near_miss
from kubeberth.api.requests import shown_amount
from kubeberth.api.selectors import Requirement, Selector
from kubeberth.api.taints import shown_taint, tolerates
from kubeberth.api.well_known import meant_label
from kubeberth.placement.nodeterm import NodeTerm
from kubeberth.placement.placed import PlacedPod
from kubeberth.placement.podterm import PodTerm
from kubeberth.placement.request import HostPort, PodRequest
from kubeberth.placement.state import ClusterState
from kubeberth.placement.vocabulary import ABSENT, PODS

# More would not be read.
_MAX_PODS = 3
_ANY_ADDRESS = "0.0.0.0"
_HARD = ("NoSchedule", "NoExecute")

Facts = Iterator[str]


def facts(state: ClusterState, request: PodRequest, plugin: str, slot: int) -> tuple[str, ...]:
    """Return what lies behind the refusal of a node by a rule; empty when there is no more to say.

    The same facts about several nodes are the same texts.
    """
    teller = _TELLERS.get(plugin)
    return () if teller is None else tuple(dict.fromkeys(teller(state, request, slot)))


def shortages(
    state: ClusterState, request: PodRequest, slot: int
) -> Iterator[tuple[str, int, int, int]]:
    """Yield for each resource that is short on a node: its name, what is asked, free, and there."""
    capacity, used = state.allocatable, state.requested
    for resource, asked in ((PODS, 1), *request.amounts):
        there = int(capacity[resource, slot])
        free = there - int(used[resource, slot])
        if asked > free:
            yield state.resources.values[resource], asked, free, there


def shortfall(
    state: ClusterState, request: PodRequest, slots: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return how much is missing on nodes, in parts of what is asked for: shape (n_slots,)."""
    total = np.zeros(len(slots))
    for resource, asked in ((PODS, 1), *request.amounts):
        free = state.allocatable[resource, slots] - state.requested[resource, slots]
        total += np.maximum(asked - free, 0) / asked
    return total


def _fit(state: ClusterState, request: PodRequest, slot: int) -> Facts:
    for resource, asked, free, there in shortages(state, request, slot):
        if resource == "pods":
            yield f"holds {there} pods, as many as it may"
            continue
        short = shown_amount(resource, asked - max(free, 0))
        asks = f"asks for {shown_amount(resource, asked)} {resource}"
        if asked > there:
            yield f"{asks}, the node has {shown_amount(resource, there)} in all"
        else:
            left, in_all = shown_amount(resource, max(free, 0)), shown_amount(resource, there)
            yield f"{asks}, {left} of {in_all} is free: {short} short"


def _node_affinity(state: ClusterState, request: PodRequest, slot: int) -> Facts:
    node, rules = state.node(slot), request.node_rules
    for requirement in rules.selector:
        if not requirement.matches(node.metadata.labels):
            yield f"nodeSelector {_differs(requirement, node)}"
    terms = rules.required
    if terms is None or any(term.matches(node.name, node.metadata.labels) for term in terms):
        return
    if not terms:
        yield "nodeAffinity has no term that can match"
    for number, term in enumerate(terms):
        where = "nodeAffinity" if len(terms) == 1 else f"nodeAffinity term {number + 1}"
        yield f"{where} " + " and ".join(_misses(term, node))


def _misses(term: NodeTerm, node: Node) -> Facts:
    for requirement in term.labels:
        if not requirement.matches(node.metadata.labels):
            yield _differs(requirement, node)
    for name in term.names:
        if not name.matches(node.name):
            yield f"wants {'any node but' if name.negated else 'node'} {name.name}"


def _differs(requirement: Requirement, node: Node) -> str:
    has = node.metadata.labels.get(requirement.key)
    wants = f"wants {requirement_text(requirement)}"
    if has is None:
        meant = meant_label(requirement.key, node.metadata.labels)
        hint = f"; did you mean {meant}?" if meant else ""
        return f"{wants}, the node has no label {requirement.key}{hint}"
    is_choice = requirement.operator == "In"
    near = (value for value in requirement.values if is_choice and near_miss(value, (has,)))
    hint = f"; did you mean {has}?" if any(near) else ""
    return f"{wants}, the node has {requirement.key}={has}{hint}"


def requirement_text(requirement: Requirement) -> str:
    """Return a requirement as `kubectl get -l` takes it."""
    key, values = requirement.key, sorted(requirement.values)
    match requirement.operator:
        case "In" if len(values) == 1:
            return f"{key}={values[0]}"
        case "NotIn" if len(values) == 1:
            return f"{key}!={values[0]}"
        case "In":
            return f"{key} in ({', '.join(values)})"
        case "NotIn":
            return f"{key} notin ({', '.join(values)})"
        case "Exists":
            return key
        case "DoesNotExist":
            return f"!{key}"
        case "Gt":
            return f"{key}>{values[0]}"
        case _:
            return f"{key}<{values[0]}"


def _selector_text(selector: Selector) -> str:
    return ",".join(map(requirement_text, selector.requirements)) or "any pod"


def _taints(state: ClusterState, request: PodRequest, slot: int) -> Facts:
    for taint in state.node(slot).spec.taints:
        if taint.effect in _HARD and not any(tolerates(t, taint) for t in request.tolerations):
            yield f"does not tolerate {shown_taint(taint)}"


def _cordoned(state: ClusterState, request: PodRequest, slot: int) -> Facts:
    yield "the node is cordoned"


def _node_name(state: ClusterState, request: PodRequest, slot: int) -> Facts:
    yield f"wants node {request.node_name}"


def _ports(state: ClusterState, request: PodRequest, slot: int) -> Facts:
    for (_, protocol, port), pods in port_holders(state, request, slot).items():
        for pod in pods:
            yield f"host port {port}/{protocol} is taken by {pod.key}"


def port_holders(
    state: ClusterState, request: PodRequest, slot: int
) -> dict[HostPort, list[PlacedPod]]:
    """Return by host port that a pod wants which pods of a node have it."""
    holders: dict[HostPort, list[PlacedPod]] = {}
    for pod in state.pods_on(state.node(slot).name):
        for address, protocol, port in sorted(pod.request.host_ports):
            for wanted in request.host_ports:
                same_address = address == wanted[0] or _ANY_ADDRESS in (address, wanted[0])
                if wanted[1:] == (protocol, port) and same_address:
                    holders.setdefault(wanted, []).append(pod)
    return holders


def _pod_affinity(state: ClusterState, request: PodRequest, slot: int) -> Facts:
    held = _held(state, request, slot)
    for term in request.pod_rules.anti:
        found = pods_meant(state, term, slot)
        if not found:
            continue
        fact = f"{_names(found)} in {_domain(state, term, slot)} {term_text(term)}"
        # Replicas that shun each other are told of once.
        mutual = (term.topology_key, term_text(term))
        if held.get(mutual) == found:
            del held[mutual]
            fact += ", and the other way round"
        yield f"podAntiAffinity: {fact}"
    for (key, of), pods in held.items():
        where = f"{key}={_value(state, key, slot)}"
        yield f"podAntiAffinity of {_names(pods)} in {where} keeps out what {of}"
    for term in request.pod_rules.required:
        if _value(state, term.topology_key, slot) is None:
            yield f"podAffinity: the node has no label {term.topology_key}"
        elif not pods_meant(state, term, slot):
            yield f"podAffinity: no pod in {_domain(state, term, slot)} {term_text(term)}"


def _held(
    state: ClusterState, request: PodRequest, slot: int
) -> dict[tuple[str, str], list[PlacedPod]]:
    """Return whose anti-affinity means the pod, by topology key and by what it says."""
    labels = state.links(request).label_class.labels
    found: dict[tuple[str, str], list[PlacedPod]] = {}
    for name in state.node_names:
        for pod in state.pods_on(name):
            for term in pod.request.pod_rules.held_anti:
                value = _value(state, term.topology_key, slot)
                if value is None or value != _value(state, term.topology_key, pod.slot):
                    continue
                if term.includes(request.namespace, labels, state.namespaces):
                    found.setdefault((term.topology_key, term_text(term)), []).append(pod)
    return found


def keepers(state: ClusterState, request: PodRequest, slot: int) -> list[PlacedPod]:
    """Return the pods whose anti-affinity keeps a pod off a node."""
    held = _held(state, request, slot).values()
    return list({pod.key: pod for pods in held for pod in pods}.values())


def term_text(term: PodTerm) -> str:
    """Return which pods a term means, as `matches app=web`."""
    return "matches " + " and ".join(_selector_text(pods.selector) for pods in term.pods)


def pods_meant(state: ClusterState, term: PodTerm, slot: int) -> list[PlacedPod]:
    """Return the pods that a term means in a node's domain; none where its key is missing."""

    def is_meant(pod: PlacedPod) -> bool:
        return term.includes(pod.request.namespace, pod.labels, state.namespaces)

    return _in_domain(state, term.topology_key, slot, is_meant)


def _value(state: ClusterState, key: str, slot: int) -> str | None:
    """Return the value of a topology key on a node; None when there is none."""
    return state.node(slot).metadata.labels.get(key) if slot >= 0 else None


def _domain(state: ClusterState, term: PodTerm, slot: int) -> str:
    return f"{term.topology_key}={_value(state, term.topology_key, slot)}"


def _in_domain(
    state: ClusterState, key: str, slot: int, is_meant: Callable[[PlacedPod], bool]
) -> list[PlacedPod]:
    """Return the pods that are meant on all nodes that share a node's value of a topology key."""
    ids = state.label_column(key).ids
    if ids[slot] == ABSENT:
        return []
    same = np.flatnonzero((ids == ids[slot]) & state.exists).tolist()
    return [p for s in same for p in state.pods_on(state.nodes.name_of[s]) if is_meant(p)]


def _spread(state: ClusterState, request: PodRequest, slot: int) -> Facts:
    for constraint in request.spread:
        if not constraint.is_hard:
            continue
        key = constraint.topology_key
        value = _value(state, key, slot)
        if value is None:
            yield f"the node has no label {key}"
            continue
        selector = constraint.selector

        def is_meant(pod: PlacedPod, selector: Selector = selector) -> bool:
            return pod.request.namespace == request.namespace and selector.matches(pod.labels)

        here = len(_in_domain(state, key, slot, is_meant))
        yield (
            f"{key}={value} has {here} of the pods that match {_selector_text(selector)}; one more "
            f"is over maxSkew {constraint.max_skew}"
        )


def _names(pods: Iterable[PlacedPod]) -> str:
    keys = sorted({pod.key for pod in pods})
    more = len(keys) - _MAX_PODS
    return ", ".join(keys[:_MAX_PODS]) + (f" and {more} more" if more > 0 else "")


_TELLERS: dict[str, Callable[[ClusterState, PodRequest, int], Facts]] = {
    "NodeResourcesFit": _fit,
    "NodeAffinity": _node_affinity,
    "TaintToleration": _taints,
    "NodeUnschedulable": _cordoned,
    "NodeName": _node_name,
    "NodePorts": _ports,
    "InterPodAffinity": _pod_affinity,
    "PodTopologySpread": _spread,
}
