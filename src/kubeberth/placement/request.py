"""PodRequest: all that placing reads of a pod, compiled once per template.

Pods that differ in nothing a rule looks at share one request: the replicas of a Deployment are one
template. `template_key` is what must be equal; `compile_request` does the work on first sight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from kubeberth.api.core import (
    NodeAffinity,
    NodeSelectorTerm,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodSpec,
    Toleration,
)
from kubeberth.api.declared_features import required_features
from kubeberth.api.meta import ObjectMeta
from kubeberth.api.requests import (
    Amounts,
    effective_request,
    is_counted,
    occupied,
    scoring_occupied,
    scoring_request,
)
from kubeberth.api.selectors import Requirement
from kubeberth.placement.default_selectors import ControllerRef, controller_ref
from kubeberth.placement.images import needed_images
from kubeberth.placement.loads import pack
from kubeberth.placement.nodeterm import (
    NodeTerm,
    NodeTermError,
    compile_term,
    names_worth_a_look,
)
from kubeberth.placement.pod_volumes import NO_VOLUMES, ClaimUse, PodVolumes
from kubeberth.placement.podterm import PodTerm, to_pod_set, to_pod_term
from kubeberth.placement.spread import SpreadConstraint, to_spread_constraints
from kubeberth.placement.vocabulary import PODS, SCORED_CPU, SCORED_MEMORY, Interner

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


NO_POD_RULES = PodRules()


@dataclass(frozen=True, slots=True, eq=False)
class PodRequest:
    """A template: what its pods ask for, and what they take once placed.

    Knows nothing of any cluster but the numbers of its resources; see `links.py` for the rest.

    Parameters
    ----------
    meta, spec
        Those of one of its pods.
    images
        Names with tags, each as often as it is needed.
    features
        Features that a node must declare.
    amounts
        Resource ids and amounts asked for, zeros left out; in the order in which they are checked.
    scoring_amounts
        What NodeResourcesFit scores the pod with, by resource id, zeros left out.
    load
        What one pod adds to its node; see `loads.py`.
    spread
        Its own topology spread constraints.
    controller
        What manages its pods, as far as default constraints are concerned.
    """

    key: bytes
    namespace: str
    meta: ObjectMeta
    spec: PodSpec
    node_name: str
    priority: int
    preemption_policy: str
    tolerations: tuple[Toleration, ...]
    node_rules: NodeRules
    pod_rules: PodRules
    volumes: PodVolumes
    host_ports: frozenset[HostPort]
    images: tuple[str, ...]
    features: frozenset[str]
    amounts: tuple[tuple[int, int], ...]
    scoring_amounts: Mapping[int, int]
    load: int
    spread: tuple[SpreadConstraint, ...]
    controller: ControllerRef | None
    is_terminating: bool

    def claim_key(self, use: ClaimUse) -> str:
        """Return `namespace/name` of a claim that the pod uses."""
        return f"{self.namespace}/{use.name}"


def template_key(
    meta: ObjectMeta,
    labels: Mapping[str, str],
    spec: PodSpec,
    volumes: PodVolumes,
    node_name: str,
) -> bytes:
    """Return what two pods of one template have in common, and no other pair has.

    Parameters
    ----------
    labels
        Those that pods are told apart by.
    node_name
        The node that the pod itself names; empty once it is placed.
    """
    return _encode(
        (
            meta.namespace,
            labels,
            meta.deletion_timestamp is not None,
            controller_ref(meta) if meta.owner_references else None,
            node_name,
            spec.containers,
            spec.init_containers,
            spec.overhead,
            spec.resources,
            spec.node_selector,
            spec.affinity,
            spec.tolerations,
            spec.priority,
            spec.preemption_policy,
            spec.topology_spread_constraints,
            spec.host_users is False and spec.host_network,
            None if volumes is NO_VOLUMES else volumes,
        )
    )


def compile_request(
    key: bytes,
    meta: ObjectMeta,
    spec: PodSpec,
    volumes: PodVolumes,
    node_name: str,
    rules: PodRules,
    resources: Interner[str],
) -> PodRequest:
    """Return the request of pods like that, its resources numbered by `resources`."""
    pod = Pod(metadata=meta, spec=spec)
    return PodRequest(
        key=key,
        namespace=meta.namespace,
        meta=meta,
        spec=spec,
        node_name=node_name,
        priority=pod.priority,
        preemption_policy=spec.preemption_policy,
        tolerations=spec.tolerations,
        node_rules=to_node_rules(spec),
        pod_rules=rules,
        host_ports=to_host_ports(spec),
        volumes=volumes,
        images=needed_images(spec, volumes.images),
        features=required_features(spec),
        amounts=_numbered(effective_request(pod), resources),
        scoring_amounts=dict(_numbered(scoring_request(pod), resources)),
        load=to_load(pod, resources),
        spread=to_spread_constraints(spec.topology_spread_constraints, meta.labels),
        controller=controller_ref(meta),
        is_terminating=meta.deletion_timestamp is not None,
    )


def to_load(pod: Pod, resources: Interner[str]) -> int:
    """Return what a placed pod adds to its node's load."""
    scored = scoring_occupied(pod)
    return pack(
        (
            *_numbered(occupied(pod), resources),
            (PODS, 1),
            (SCORED_CPU, scored.get("cpu", 0)),
            (SCORED_MEMORY, scored.get("memory", 0)),
        )
    )


def _numbered(amounts: Amounts, resources: Interner[str]) -> tuple[tuple[int, int], ...]:
    return tuple(
        sorted(
            (resources.intern(name), amount)
            for name, amount in amounts.items()
            if amount > 0 and name != "pods" and is_counted(name)
        )
    )


def to_host_ports(spec: PodSpec) -> frozenset[HostPort]:
    """Return the host ports that a pod occupies; ordinary init containers occupy none."""
    containers = (*spec.containers, *(c for c in spec.init_containers if c.is_sidecar))
    return frozenset(
        (port.host_ip or _ANY_ADDRESS, port.protocol or "TCP", port.host_port)
        for container in containers
        for port in container.ports
        if port.host_port > 0
    )


def to_node_rules(spec: PodSpec) -> NodeRules:
    """Compile nodeSelector and node affinity of a pod."""
    affinity = spec.affinity.node_affinity if spec.affinity else None
    return compile_node_rules(affinity, spec.node_selector)


def compile_node_rules(
    affinity: NodeAffinity | None, node_selector: Mapping[str, str]
) -> NodeRules:
    """Compile node affinity and nodeSelector."""
    selector = tuple(
        Requirement(key, "In", frozenset((value,))) for key, value in node_selector.items()
    )
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


def to_pod_rules(namespace: str, spec: PodSpec) -> PodRules:
    """Compile inter-pod affinity, from both points of view."""
    affinity = spec.affinity
    if affinity is None or (affinity.pod_affinity is None and affinity.pod_anti_affinity is None):
        return NO_POD_RULES
    like = affinity.pod_affinity or _NO_POD_AFFINITY
    unlike = affinity.pod_anti_affinity or _NO_POD_AFFINITY
    weighted = [
        (sign * entry.weight, entry.pod_affinity_term)
        for sign, rules in ((1, like), (-1, unlike))
        for entry in rules.preferred_during_scheduling_ignored_during_execution
        if entry.weight
    ]
    like_terms = like.required_during_scheduling_ignored_during_execution
    unlike_terms = unlike.required_during_scheduling_ignored_during_execution

    def compiled(terms: tuple[PodAffinityTerm, ...], *, is_own: bool) -> tuple[PodTerm, ...]:
        return tuple(to_pod_term(term, namespace, is_own=is_own) for term in terms)

    def shunned(*, is_own: bool) -> tuple[PodTerm, ...]:
        # What is said twice forbids no more than once, and a pod that goes takes all of it along.
        return tuple(dict.fromkeys(compiled(unlike_terms, is_own=is_own)))

    together = tuple(to_pod_set(term, namespace, is_own=True) for term in like_terms)
    return PodRules(
        required=tuple(PodTerm(together, term.topology_key) for term in like_terms),
        anti=shunned(is_own=True),
        preferred=tuple((w, to_pod_term(t, namespace, is_own=True)) for w, t in weighted),
        held_anti=shunned(is_own=False),
        held_affinity=compiled(like_terms, is_own=False),
        held_preferred=tuple((w, to_pod_term(t, namespace, is_own=False)) for w, t in weighted),
    )
