"""PodRequest: all that placing reads of a pod, compiled once per template.

Pods that differ in nothing a rule looks at share one request: the replicas of a Deployment are one
template. `template_key` is what must be equal; `compile_request` does the work on first sight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from kubeberth.api.core import (
    NodeSelectorTerm,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodStatus,
    Toleration,
)
from kubeberth.api.requests import (
    Amounts,
    effective_request,
    is_counted,
    occupied,
    scoring_occupied,
    scoring_request,
)
from kubeberth.api.selectors import Requirement
from kubeberth.placement.counters import DomainCounter, LabelClass
from kubeberth.placement.nodeterm import (
    NodeTerm,
    NodeTermError,
    compile_term,
    names_worth_a_look,
)
from kubeberth.placement.podterm import PodTerm, to_pod_set, to_pod_term
from kubeberth.placement.vocabulary import PODS, Interner

_NO_POD_AFFINITY = PodAffinity()
_ANY_ADDRESS = "0.0.0.0"

HostPort = tuple[str, str, int]
"""Address, protocol and number."""

_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class NodeRules:
    """nodeSelector and node affinity of a pod.

    Parameters
    ----------
    required
        Terms of which one must hold; None when there is no such rule at all, empty when it exists
        but nothing can meet it.
    only_names
        The only nodes worth a look; None for all of them.
    has_preferred
        Whether preferred terms were given at all, be they all empty.
    error
        Why a preferred term does not parse; the attempt then fails when it comes to scoring.
    """

    selector: tuple[Requirement, ...] = ()
    required: tuple[NodeTerm, ...] | None = None
    only_names: frozenset[str] | None = None
    preferred: tuple[tuple[int, NodeTerm], ...] = ()
    has_preferred: bool = False
    error: str = ""

    def allow(self, name: str, labels: Mapping[str, str]) -> bool:
        """Return whether a node of that name, with these labels, meets what is required."""
        if not all(entry.matches(labels) for entry in self.selector):
            return False
        return self.required is None or any(t.matches(name, labels) for t in self.required)


@dataclass(frozen=True, slots=True)
class PodRules:
    """Inter-pod affinity of a pod, as own terms and as terms that it holds once placed.

    Parameters
    ----------
    required, anti, preferred
        Own terms. Each of `required` demands pods that meet *all* the pod's required terms.
    held_anti, held_affinity, held_preferred
        The same terms as they look to pods that come later.
    """

    required: tuple[PodTerm, ...] = ()
    anti: tuple[PodTerm, ...] = ()
    preferred: tuple[tuple[int, PodTerm], ...] = ()
    held_anti: tuple[PodTerm, ...] = ()
    held_affinity: tuple[PodTerm, ...] = ()
    held_preferred: tuple[tuple[int, PodTerm], ...] = ()

    @property
    def own_terms(self) -> tuple[PodTerm, ...]:
        """Every own term, whatever it is for."""
        return (*self.required, *self.anti, *(term for _, term in self.preferred))

    @property
    def label_keys(self) -> set[str]:
        """Pod labels that any of the terms looks at."""
        terms = (*self.own_terms, *self.held_anti, *self.held_affinity)
        terms += tuple(term for _, term in self.held_preferred)
        return set().union(*(term.label_keys for term in terms))


@dataclass(slots=True, eq=False)
class PodRequest:
    """A template: what its pods ask for, and what they take once placed.

    Parameters
    ----------
    amounts
        Resource ids and amounts asked for, zeros left out; in the order in which they are checked.
    scoring_cpu_memory
        Milli-CPU and bytes that NodeResourcesFit scores the pod with.
    taken, scoring_taken
        What one pod adds to its node: ndarray of int64, shape (n_resources,) and (2,).
    own_counters
        Counter of each own term; filled when a pod of the template is first to be placed.
    held
        Counters that a placed pod adds to, with the amount.
    """

    key: bytes
    namespace: str
    label_class: LabelClass
    node_name: str
    priority: int
    preemption_policy: str
    tolerations: tuple[Toleration, ...]
    node_rules: NodeRules
    pod_rules: PodRules
    host_ports: frozenset[HostPort]
    amounts: tuple[tuple[int, int], ...]
    scoring_cpu_memory: tuple[int, int]
    taken: NDArray[np.int64]
    scoring_taken: NDArray[np.int64]
    own_counters: dict[PodTerm, DomainCounter] = field(default_factory=dict)
    held: tuple[tuple[DomainCounter, int], ...] = ()
    n_placed: int = 0


def template_key(pod: Pod, label_class_key: object, *, is_placed: bool) -> bytes:
    """Return what two pods of one template have in common, and no other pair has."""
    spec = pod.spec
    containers = [(c.resources, c.ports, c.image) for c in spec.containers]
    init = [(c.resources, c.ports, c.image, c.restart_policy) for c in spec.init_containers]
    return _encode(
        (
            label_class_key,
            "" if is_placed else spec.node_name,
            containers,
            init,
            spec.overhead,
            spec.resources,
            spec.node_selector,
            spec.affinity,
            spec.tolerations,
            spec.priority,
            spec.preemption_policy,
        )
    )


def compile_request(
    pod: Pod,
    key: bytes,
    label_class: LabelClass,
    rules: PodRules,
    resources: Interner[str],
    *,
    is_placed: bool,
) -> PodRequest:
    """Return the request of a pod, its resources numbered by `resources`."""
    # What the kubelet reports of one pod says nothing about the next one of the template.
    pod = msgspec.structs.replace(pod, status=PodStatus())
    scoring = scoring_request(pod)
    return PodRequest(
        key=key,
        namespace=pod.metadata.namespace,
        label_class=label_class,
        node_name="" if is_placed else pod.spec.node_name,
        priority=pod.priority,
        preemption_policy=pod.spec.preemption_policy,
        tolerations=pod.spec.tolerations,
        node_rules=to_node_rules(pod),
        pod_rules=rules,
        host_ports=to_host_ports(pod),
        amounts=_numbered(effective_request(pod), resources),
        scoring_cpu_memory=(scoring.get("cpu", 0), scoring.get("memory", 0)),
        taken=to_vector(occupied(pod), resources),
        scoring_taken=to_scoring_vector(pod),
    )


def _numbered(amounts: Amounts, resources: Interner[str]) -> tuple[tuple[int, int], ...]:
    return tuple(
        sorted(
            (resources.intern(name), amount)
            for name, amount in amounts.items()
            if amount > 0 and name != "pods" and is_counted(name)
        )
    )


def to_vector(amounts: Amounts, resources: Interner[str]) -> NDArray[np.int64]:
    """Return what a pod takes: ndarray of int64, shape (n_resources,); one of `pods`."""
    numbered = _numbered(amounts, resources)
    vector = np.zeros(len(resources), dtype=np.int64)
    for resource, amount in numbered:
        vector[resource] = amount
    vector[PODS] = 1
    return vector


def to_scoring_vector(pod: Pod) -> NDArray[np.int64]:
    """Return what a placed pod counts for in scores: ndarray of int64, (milli-CPU, bytes)."""
    amounts = scoring_occupied(pod)
    return np.array([amounts.get("cpu", 0), amounts.get("memory", 0)], dtype=np.int64)


def to_host_ports(pod: Pod) -> frozenset[HostPort]:
    """Return the host ports that a pod occupies; ordinary init containers occupy none."""
    spec = pod.spec
    containers = (*spec.containers, *(c for c in spec.init_containers if c.is_sidecar))
    return frozenset(
        (port.host_ip or _ANY_ADDRESS, port.protocol or "TCP", port.host_port)
        for container in containers
        for port in container.ports
        if port.host_port > 0
    )


def to_node_rules(pod: Pod) -> NodeRules:
    """Compile nodeSelector and node affinity."""
    selector = tuple(
        Requirement(key, "In", frozenset((value,))) for key, value in pod.spec.node_selector.items()
    )
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity else None
    if affinity is None:
        return NodeRules(selector)
    required = affinity.required_during_scheduling_ignored_during_execution
    terms = None if required is None else required.node_selector_terms
    preferred = []
    error = ""
    given = affinity.preferred_during_scheduling_ignored_during_execution
    for entry in given:
        try:
            term = compile_term(entry.preference)
        except NodeTermError as fault:
            error = error or str(fault)
            continue
        if term is not None and entry.weight:
            preferred.append((entry.weight, term))
    return NodeRules(
        selector,
        None if terms is None else _parsable(terms),
        names_worth_a_look(terms) if terms else None,
        tuple(preferred),
        bool(given),
        error,
    )


def _parsable(terms: tuple[NodeSelectorTerm, ...]) -> tuple[NodeTerm, ...]:
    compiled = []
    for entry in terms:
        try:
            term = compile_term(entry)
        except NodeTermError:
            continue  # such a term matches nothing; the others still can
        if term is not None:
            compiled.append(term)
    return tuple(compiled)


def to_pod_rules(pod: Pod) -> PodRules:
    """Compile inter-pod affinity, from both points of view."""
    affinity = pod.spec.affinity
    if affinity is None or (affinity.pod_affinity is None and affinity.pod_anti_affinity is None):
        return PodRules()
    like = affinity.pod_affinity or _NO_POD_AFFINITY
    unlike = affinity.pod_anti_affinity or _NO_POD_AFFINITY
    weighted = [
        (sign * entry.weight, entry.pod_affinity_term)
        for sign, rules in ((1, like), (-1, unlike))
        for entry in rules.preferred_during_scheduling_ignored_during_execution
        if entry.weight
    ]
    namespace = pod.metadata.namespace
    like_terms = like.required_during_scheduling_ignored_during_execution
    unlike_terms = unlike.required_during_scheduling_ignored_during_execution

    def compiled(terms: tuple[PodAffinityTerm, ...], *, is_own: bool) -> tuple[PodTerm, ...]:
        return tuple(to_pod_term(term, namespace, is_own=is_own) for term in terms)

    together = tuple(to_pod_set(term, namespace, is_own=True) for term in like_terms)
    return PodRules(
        required=tuple(PodTerm(together, term.topology_key) for term in like_terms),
        anti=compiled(unlike_terms, is_own=True),
        preferred=tuple((w, to_pod_term(t, namespace, is_own=True)) for w, t in weighted),
        held_anti=compiled(unlike_terms, is_own=False),
        held_affinity=compiled(like_terms, is_own=False),
        held_preferred=tuple((w, to_pod_term(t, namespace, is_own=False)) for w, t in weighted),
    )
