"""What a kubelet checks before it runs a pod that was assigned to it.

    pressure -> sysctls -> resource managers -> general predicates, preemption -> declared features

The first refusal counts. Matches kubelet 1.36 (`pkg/kubelet/kubelet.go`, the order of the admission
handlers). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import msgspec

from kubeberth.api.core import Node
from kubeberth.api.declared_features import required_features
from kubeberth.api.requests import to_amounts
from kubeberth.kubelet.pod import KubeletPod
from kubeberth.kubelet.predicates import (
    NO_FEATURES,
    NO_NODE,
    Features,
    Shortfall,
    failures,
    unfit_for_system,
)
from kubeberth.kubelet.preemption import NoRoom, victims
from kubeberth.kubelet.pressure import pressed_out
from kubeberth.kubelet.sysctls import forbidden
from kubeberth.topology.managers import Allocations, Managers, Merge
from kubeberth.topology.refusal import Refusal
from kubeberth.topology.requests import pod_request


class Handler(Enum):
    """Who refused a pod."""

    EVICTION = "eviction"
    SYSCTL = "sysctl"
    RESOURCES = "resources"
    PREDICATES = "predicates"
    DECLARED_FEATURES = "declaredFeatures"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a kubelet knows when a pod arrives.

    Parameters
    ----------
    node
        The Node from the kubelet's cache, `with_own_os`, or as the API has it now.
    others
        Every other pod on the node that has not ended.
    pressure
        The node's pressure conditions that are on.
    """

    node: Node | None
    others: Sequence[KubeletPod]
    features: Features = NO_FEATURES
    pressure: tuple[str, ...] = ()
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    declared_features: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Holdings:
    """A node's CPUs, memory and devices, who gives them out, and who has them.

    Parameters
    ----------
    pools
        Whether PodLevelResourceManagers is on.
    """

    managers: Managers
    allocations: Allocations
    pools: bool = False

    def without(self, uid: str) -> Holdings:
        """Return the holdings once a pod is gone."""
        return replace(self, allocations=self.allocations.without(uid))

    def once_started(self, pod: KubeletPod, container: str) -> Holdings:
        """Return the holdings once a container of a pod has started."""
        request = pod_request(pod, pools=self.pools)
        allocations = self.managers.started(self.allocations, request, container)
        return replace(self, allocations=allocations)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a pod.

    Parameters
    ----------
    holdings
        Afterwards; a refused pod has nothing.
    refusal, handler
        None when it is admitted.
    failures
        Every general predicate that did not hold.
    victims
        The pods that have to end for it.
    merges
        What the topology policy was asked.
    """

    holdings: Holdings
    refusal: Refusal | None = None
    handler: Handler | None = None
    failures: tuple[Refusal, ...] = ()
    victims: tuple[KubeletPod, ...] = ()
    merges: tuple[Merge, ...] = field(default=())


def admit(pod: KubeletPod, situation: Situation, holdings: Holdings) -> Verdict:
    """Return whether a pod may run, and what it then has."""
    if refusal := pressed_out(pod, situation.pressure):
        return Verdict(holdings, refusal, Handler.EVICTION)
    if refusal := forbidden(pod, situation.allowed_unsafe_sysctls):
        return Verdict(holdings, refusal, Handler.SYSCTL)
    verdict = by_managers(pod, holdings)
    if verdict.refusal is not None:
        return verdict
    return replace(judge(pod, situation, verdict.holdings), merges=verdict.merges)


def by_managers(pod: KubeletPod, holdings: Holdings) -> Verdict:
    """Return what the resource managers say to a pod."""
    if holdings.managers.is_idle and not holdings.allocations.devices.held:
        return Verdict(holdings)
    request = pod_request(pod, pools=holdings.pools)
    admission = holdings.managers.admit(holdings.allocations, request)
    holdings = replace(holdings, allocations=admission.allocations)
    if admission.refusal is None:
        return Verdict(holdings, merges=admission.merges)
    left = holdings.without(request.uid)
    return Verdict(left, admission.refusal, Handler.RESOURCES, merges=admission.merges)


def judge(pod: KubeletPod, situation: Situation, holdings: Holdings) -> Verdict:
    """Return whether a pod that has what it asked for may run: the checks after the managers."""
    uid = pod.metadata.uid
    if situation.node is None:
        return Verdict(holdings.without(uid), NO_NODE, Handler.PREDICATES)
    if unfit := unfit_for_system(pod, situation.features):
        return Verdict(holdings.without(uid), unfit, Handler.PREDICATES)
    node = _with_devices(situation.node, uid, holdings)
    failed = failures(pod, node, situation.others)
    found = _recovered(pod, situation.others, failed) if failed else ()
    if isinstance(found, Refusal):
        return Verdict(holdings.without(uid), found, Handler.PREDICATES, failed)
    for victim in found:
        holdings = holdings.without(victim.metadata.uid)
    missing = sorted(required_features(pod.spec) - situation.declared_features)
    if missing:
        why = f"Pod requires node features that are not available: {', '.join(missing)}"
        refusal = Refusal("PodFeatureUnsupported", why)
        return Verdict(holdings.without(uid), refusal, Handler.DECLARED_FEATURES, failed, found)
    return Verdict(holdings, failures=failed, victims=found)


def _recovered(
    pod: KubeletPod, others: Sequence[KubeletPod], failed: Sequence[Refusal]
) -> tuple[KubeletPod, ...] | Refusal:
    """Return the pods that end so that a critical pod has room, or why it cannot run even so."""
    if not pod.is_critical:
        return failed[0]
    for refusal in failed:
        if not isinstance(refusal, Shortfall):
            return refusal
    need = {one.resource: one.missing for one in failed if isinstance(one, Shortfall)}
    found = victims(pod, others, need)
    if isinstance(found, NoRoom):
        return Refusal(
            "UnexpectedAdmissionError",
            "Unexpected error while attempting to recover from admission failure: "
            f"preemption: error finding a set of pods to preempt: {found}",
        )
    return tuple(found)


def _with_devices(node: Node, uid: str, holdings: Holdings) -> Node:
    """Return the node with at least as many devices as are given away, for a pod that has some."""
    devices = holdings.allocations.devices
    if uid not in devices.held:
        return node
    taken = holdings.managers.devices.extra_allocatable(devices)
    allocatable = {**node.status.allocatable, **_missing(node.status.allocatable, taken)}
    status = msgspec.structs.replace(node.status, allocatable=allocatable)
    return msgspec.structs.replace(node, status=status)


def _missing(allocatable: Mapping[str, str], taken: Mapping[str, int]) -> dict[str, str]:
    amounts = to_amounts(dict(allocatable))
    return {name: str(n) for name, n in taken.items() if n > amounts.get(name, 0)}
