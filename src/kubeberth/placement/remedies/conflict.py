"""Conflict: the rules of a pod that no node meets together, and no fewer of them.

Found by leaving out: all rules are kept at first; one after the other is dropped for good if the
pod still fits nowhere without it. What is left is minimal: without any one of the rest some node
fits. Each step is a question to the engine's own filters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from kubeberth.api.core import Container, Pod, ResourceRequirements, Toleration
from kubeberth.api.machines import UNSCHEDULABLE_TAINT
from kubeberth.api.requests import effective_request, shown_amount
from kubeberth.api.taints import shown_taint
from kubeberth.placement.obstacles import requirement_text
from kubeberth.placement.profile import Profile
from kubeberth.placement.remedies.edit import with_spec
from kubeberth.placement.remedies.node_edits import untolerated
from kubeberth.placement.remedies.pod_term_edits import (
    AFFINITY,
    ANTI_AFFINITY,
    required_terms,
    shown_term,
)
from kubeberth.placement.remedies.remedy import Conflict, ConflictingRule
from kubeberth.placement.remedies.spread_edits import without_constraint
from kubeberth.placement.request import to_node_rules
from kubeberth.placement.state import ClusterState
from kubeberth.placement.verdicts import judge

_MAX_TAINTS = 3


@dataclass(frozen=True, slots=True)
class PodRule:
    """A rule of a pod, and the pod without it."""

    text: str
    dropped: Callable[[Pod], Pod]


def find_conflict(state: ClusterState, pod: Pod, profile: Profile) -> Conflict | None:
    """Return a smallest set of rules that keep a pod off every node.

    None when the pod fits, or when it would fit nowhere even without any rule of its own.
    """
    trial = state.fork()

    def fits(dropped: Iterable[PodRule]) -> int:
        """Return on how many nodes the pod fits without some of its rules."""
        asked = pod
        for rule in dropped:
            asked = rule.dropped(asked)
        verdicts = judge(trial, trial.request(asked), profile, pod.metadata.key)
        return 0 if verdicts.refused is not None else len(verdicts.feasible)

    rules = list(rules_of(trial, pod))
    if fits(()) or not fits(rules):
        return None
    dropped: list[PodRule] = []
    for rule in rules:
        if not fits((*dropped, rule)):
            dropped.append(rule)
    kept = [rule for rule in rules if rule not in dropped]
    return Conflict(
        tuple(
            ConflictingRule(rule.text, fits([other for other in rules if other is not rule]))
            for rule in kept
        )
    )


def rules_of(state: ClusterState, pod: Pod) -> Iterator[PodRule]:
    """Yield the rules of a pod; the first ones are left out first.

    What is most likely to be a mistake comes last: labels, which somebody has typed.
    """
    yield from _closed_nodes(state, pod)
    for name, amount in effective_request(pod).items():
        if amount:
            text = f"requests of {shown_amount(name, amount)} {name}"
            yield PodRule(text, partial(_without_request, name))
    yield from _host_ports(pod)
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim is not None or volume.ephemeral is not None:
            yield PodRule(f"volume {volume.name}", partial(_without_volume, volume.name))
    yield from _pod_terms(pod)
    for constraint in pod.spec.topology_spread_constraints:
        if constraint.when_unsatisfiable == "DoNotSchedule":
            text = f"spread over {constraint.topology_key} (maxSkew {constraint.max_skew})"
            yield PodRule(text, partial(_without_constraint, constraint))
    if to_node_rules(pod.spec).required is not None:
        yield PodRule(_affinity_text(pod), _without_node_affinity)
    for requirement in to_node_rules(pod.spec).selector:
        text = f"nodeSelector {requirement_text(requirement)}"
        yield PodRule(text, partial(_without_entry, requirement.key))


def _host_ports(pod: Pod) -> Iterator[PodRule]:
    containers = (*pod.spec.containers, *pod.spec.init_containers)
    ports = sorted({port.host_port for c in containers for port in c.ports} - {0})
    if ports:
        shown = ", ".join(map(str, ports))
        yield PodRule(f"host port{'s' if len(ports) > 1 else ''} {shown}", _without_host_ports)


def _pod_terms(pod: Pod) -> Iterator[PodRule]:
    namespace = pod.metadata.namespace
    for field in (ANTI_AFFINITY, AFFINITY):
        # What is said twice is one rule.
        for text in dict.fromkeys(
            shown_term(t, field, namespace) for t in required_terms(pod, field)
        ):
            yield PodRule(text, partial(_without_terms, field, text))


def _without_terms(field: str, text: str, pod: Pod) -> Pod:
    affinity = pod.spec.affinity
    rules = getattr(affinity, field) if affinity is not None else None
    if affinity is None or rules is None:
        return pod
    left = tuple(
        term
        for term in required_terms(pod, field)
        if shown_term(term, field, pod.metadata.namespace) != text
    )
    rules = replace(rules, required_during_scheduling_ignored_during_execution=left)
    return with_spec(pod, affinity=replace(affinity, **{field: rules}))


def _closed_nodes(state: ClusterState, pod: Pod) -> Iterator[PodRule]:
    """Yield that a pod does not tolerate what keeps nodes closed."""
    nodes = [state.node(slot) for slot in state.slots[state.exists].tolist()]
    taints = {
        shown_taint(taint): taint.key
        for node in nodes
        for taint in untolerated(node, pod)
        if taint.key != UNSCHEDULABLE_TAINT
    }
    if taints:
        shown = ", ".join([*taints][:_MAX_TAINTS])
        more = f" and {len(taints) - _MAX_TAINTS} more" if len(taints) > _MAX_TAINTS else ""
        keys = tuple(dict.fromkeys(taints.values()))
        yield PodRule(f"no toleration of {shown}{more}", partial(_tolerating, keys))
    cordoned = [node.name for node in nodes if node.spec.unschedulable]
    if cordoned:
        keys = (UNSCHEDULABLE_TAINT,)
        yield PodRule("no toleration of cordoned nodes", partial(_tolerating, keys))


def _affinity_text(pod: Pod) -> str:
    terms = [
        " and ".join(
            [requirement_text(entry) for entry in term.labels]
            + [f"{'not ' if name.negated else ''}node {name.name}" for name in term.names]
        )
        for term in to_node_rules(pod.spec).required or ()
    ]
    return f"nodeAffinity {' or '.join(terms) or 'without a term that can match'}"


def _without_constraint(constraint: object, pod: Pod) -> Pod:
    kept = [c for c in pod.spec.topology_spread_constraints if c == constraint]
    return without_constraint(pod, kept[0]) if kept else pod


def _without_entry(key: str, pod: Pod) -> Pod:
    left = {k: v for k, v in pod.spec.node_selector.items() if k != key}
    return with_spec(pod, node_selector=left)


def _without_node_affinity(pod: Pod) -> Pod:
    affinity = pod.spec.affinity
    return (
        pod if affinity is None else with_spec(pod, affinity=replace(affinity, node_affinity=None))
    )


def _without_host_ports(pod: Pod) -> Pod:
    return _with_containers(pod, lambda c: replace(c, ports=()))


def _without_volume(name: str, pod: Pod) -> Pod:
    return with_spec(pod, volumes=tuple(v for v in pod.spec.volumes if v.name != name))


def _tolerating(keys: tuple[str, ...], pod: Pod) -> Pod:
    more = tuple(Toleration(key=key, operator="Exists") for key in keys)
    return with_spec(pod, tolerations=(*pod.spec.tolerations, *more))


def _without_request(resource: str, pod: Pod) -> Pod:
    def asking_less(container: Container) -> Container:
        return replace(container, resources=_without(container.resources, resource))

    spec = pod.spec
    pod = with_spec(
        pod,
        overhead={k: v for k, v in spec.overhead.items() if k != resource},
        resources=None if spec.resources is None else _without(spec.resources, resource),
    )
    return _with_containers(pod, asking_less)


def _without(resources: ResourceRequirements, name: str) -> ResourceRequirements:
    return ResourceRequirements(
        requests={k: v for k, v in resources.requests.items() if k != name},
        limits={k: v for k, v in resources.limits.items() if k != name},
    )


def _with_containers(pod: Pod, change: Callable[[Container], Container]) -> Pod:
    return with_spec(
        pod,
        containers=tuple(map(change, pod.spec.containers)),
        init_containers=tuple(map(change, pod.spec.init_containers)),
    )
