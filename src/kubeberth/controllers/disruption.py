"""Disruption budgets: how many of their pods may go at the moment.

Matches Kubernetes 1.36 (`pkg/controller/disruption`): what evictions ask is worked out here, from
the pods there are and the replicas that their controllers want.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeberth.api.core import Pod
from kubeberth.api.meta import HasMetadata, OwnerReference
from kubeberth.api.policy import PodDisruptionBudget
from kubeberth.api.scheme import (
    DEPLOYMENTS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
    Resource,
)
from kubeberth.api.selectors import from_label_selector
from kubeberth.api.workloads import is_active, is_ready, seconds_of
from kubeberth.clock import rfc3339
from kubeberth.controllers.action import (
    Action,
    Failure,
    ObjectRef,
    Outcome,
    PatchObject,
    RecordEvent,
)
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.reconciler import Reconciler

# How long an evicted pod may take to be marked as going, before it counts again.
DELETION_TIMEOUT_S = 120.0
_ALLOWED, _FAILED = "DisruptionAllowed", "SyncFailed"
_SCALED = (DEPLOYMENTS, REPLICA_SETS, REPLICATION_CONTROLLERS, STATEFUL_SETS)


@dataclass(frozen=True, slots=True)
class Scales:
    """How many pods are wanted by those who make the pods of a budget.

    Parameters
    ----------
    wanted
        By the UIDs of controllers.
    fault
        Why it is not known of all; empty when it is. Pods that nobody controls do not count.
    """

    wanted: Mapping[str, int] = field(default_factory=dict)
    fault: str = ""


def reconcile(
    budget: PodDisruptionBudget, pods: Iterable[Pod], scales: Scales, now: float
) -> Outcome:
    """Return what a budget's status lacks.

    Parameters
    ----------
    pods
        Those that the budget is for.
    """
    found = list(pods)
    me = ref_of(POD_DISRUPTION_BUDGETS, budget)
    told = () if found else (RecordEvent(me, "NoPods", "No matching pods found"),)
    if scales.fault and not isinstance(budget.spec.min_available, int):
        return Outcome((*told, *_fail_safe(budget, me, scales.fault, now)))
    gone = _disrupted(budget, found, now)
    staying = [p for p in found if not p.is_terminating and p.metadata.name not in gone]
    healthy = sum(map(is_ready, staying))
    expected, desired = _wanted(budget, len(found), sum(scales.wanted.values()))
    allowed = max(0, healthy - desired) if expected > 0 else 0
    status: dict[str, Any] = {
        "observedGeneration": budget.metadata.generation,
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "disruptedPods": gone or None,
        "conditions": [_condition(budget, allowed, now)],
    }
    wait_s = min((_left_s(at, now) for at in gone.values()), default=None)
    if _is_told(budget, status):
        return Outcome(told, wait_s)
    # Those that are disrupted no more are taken out by name: a merge keeps what it does not name.
    if gone or budget.status.disrupted_pods:
        status["disruptedPods"] = dict.fromkeys(budget.status.disrupted_pods) | gone
    return Outcome((*told, _status(me, budget, status)), wait_s)


def _fail_safe(
    budget: PodDisruptionBudget, me: ObjectRef, fault: str, now: float
) -> tuple[Action, ...]:
    """Let no pod go as long as nobody knows how many there are to be; the counts stay as told."""
    message = f"Failed to calculate the number of expected pods: {fault}"
    event = RecordEvent(me, "CalculateExpectedPodCountFailed", message, "Warning")
    failed = {
        "type": _ALLOWED,
        "status": "False",
        "reason": _FAILED,
        "message": fault,
        "lastTransitionTime": _since(budget, "False", now),
        "observedGeneration": budget.status.observed_generation,
    }
    if not budget.status.disruptions_allowed and _is_said(budget, failed):
        return (event,)
    status = {"disruptionsAllowed": 0, "conditions": [failed]}
    return (event, _status(me, budget, status))


def _status(me: ObjectRef, budget: PodDisruptionBudget, status: dict[str, Any]) -> PatchObject:
    version = {"resourceVersion": budget.metadata.resource_version}
    return PatchObject(me, {"metadata": version, "status": status}, "status")


def _disrupted(budget: PodDisruptionBudget, pods: list[Pod], now: float) -> dict[str, str]:
    """Return the pods whose eviction has been granted and not been seen yet, and since when."""
    staying = {pod.metadata.name for pod in pods if not pod.is_terminating}
    return {
        name: at
        for name, at in budget.status.disrupted_pods.items()
        if name in staying and _left_s(at, now) > 0
    }


def _left_s(at: str, now: float) -> float:
    return seconds_of(at) + DELETION_TIMEOUT_S - now


def _wanted(budget: PodDisruptionBudget, n_pods: int, scale: int) -> tuple[int, int]:
    """Return how many pods there should be, and how many of them must be healthy."""
    least, most = budget.spec.min_available, budget.spec.max_unavailable
    if most is not None:
        return scale, max(0, scale - _share(most, scale))
    if isinstance(least, str):
        return scale, _share(least, scale)
    return n_pods, least or 0


def _share(value: int | str, total: int) -> int:
    """Return a number, or so many percent of a total, rounded up."""
    if isinstance(value, int):
        return value
    return -(-int(value.removesuffix("%")) * total // 100)


def _condition(budget: PodDisruptionBudget, allowed: int, now: float) -> dict[str, Any]:
    status = "True" if allowed else "False"
    return {
        "type": _ALLOWED,
        "status": status,
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
        "lastTransitionTime": _since(budget, status, now),
        "observedGeneration": budget.metadata.generation,
    }


def _since(budget: PodDisruptionBudget, status: str, now: float) -> str:
    """Return since when the condition has been what it is now."""
    for condition in budget.status.conditions:
        if condition.type == _ALLOWED and condition.status == status:
            return condition.last_transition_time or rfc3339(now)
    return rfc3339(now)


def _is_told(budget: PodDisruptionBudget, status: Mapping[str, Any]) -> bool:
    told = budget.status
    return (
        told.observed_generation == status["observedGeneration"]
        and told.disruptions_allowed == status["disruptionsAllowed"]
        and told.current_healthy == status["currentHealthy"]
        and told.desired_healthy == status["desiredHealthy"]
        and told.expected_pods == status["expectedPods"]
        and told.disrupted_pods == (status["disruptedPods"] or {})
        and _is_said(budget, status["conditions"][0])
    )


def _is_said(budget: PodDisruptionBudget, condition: Mapping[str, Any]) -> bool:
    return any(
        (said.type, said.status, said.reason, said.message)
        == (_ALLOWED, condition["status"], condition["reason"], condition["message"])
        for said in budget.status.conditions
    )


class DisruptionReconciler(Reconciler):
    """Feeds `reconcile` from the cache; keys are budgets.

    Parameters
    ----------
    stands_in
        Whether controllers that are not here are taken to want as many pods as they have.
    """

    # Under this name its events are known, as upstream's are.
    name = "controllermanager"
    account = "disruption-controller"
    resource = POD_DISRUPTION_BUDGETS
    follows = (*_SCALED, PODS)

    def __init__(self, *, stands_in: bool = False) -> None:
        self._stands_in = stands_in

    def keys_behind(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the budgets of a namespace whose pods or scales changed."""
        latest = new if new is not None else old
        if latest is None:
            return []
        budgets = cache.in_namespace(POD_DISRUPTION_BUDGETS, latest.metadata.namespace)
        if resource in _SCALED:
            return list(budgets)
        labels = [pod.metadata.labels for pod in (old, new) if pod is not None]
        return [
            key
            for key, budget in budgets.items()
            if any(from_label_selector(budget.spec.selector).matches(each) for each in labels)
        ]

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what the budget's status lacks."""
        budget = cache.get(POD_DISRUPTION_BUDGETS, key)
        if budget is None or budget.metadata.deletion_timestamp is not None:
            return Outcome()
        selector = from_label_selector(budget.spec.selector)
        pods = [
            pod
            for pod in cache.in_namespace(PODS, budget.metadata.namespace).values()
            if selector.matches(pod.metadata.labels)
        ]
        return reconcile(budget, pods, self._scales(cache, pods), now)

    def _scales(self, cache: Cache, pods: Iterable[Pod]) -> Scales:
        wanted: dict[str, int] = {}
        for pod in pods:
            reference = pod.metadata.controller
            if reference is None:
                continue
            owner = _scaled(cache, pod.metadata.namespace, reference)
            if owner is not None:
                wanted[owner.metadata.uid] = owner.spec.replicas
            elif self._stands_in and not _is_unscaled(cache, reference):
                those = cache.controlled(PODS, reference.uid)
                wanted[reference.uid] = sum(map(is_active, those))
            else:
                return Scales(fault=_fault(cache, pod, reference))
        return Scales(wanted)


def _scaled(cache: Cache, namespace: str, reference: OwnerReference) -> Any | None:
    """Return the object whose size says how many pods there are to be of a kind; None for none."""
    resource = cache.kinds.of(reference.api_version, reference.kind)
    owner = cache.owner(namespace, reference) if resource in _SCALED else None
    if owner is None or owner.metadata.uid != reference.uid:
        return None
    above = owner.metadata.controller
    if resource is REPLICA_SETS and above is not None and above.kind == DEPLOYMENTS.kind:
        return _scaled(cache, namespace, above) or owner
    return owner


def _is_unscaled(cache: Cache, reference: OwnerReference) -> bool:
    """Return whether a controller is of a kind that has no size."""
    resource = cache.kinds.of(reference.api_version, reference.kind)
    return resource is not None and resource.custom is None and resource not in _SCALED


def _fault(cache: Cache, pod: Pod, reference: OwnerReference) -> str:
    resource = cache.kinds.of(reference.api_version, reference.kind)
    if resource is not None and _is_unscaled(cache, reference):
        return f"{resource.group_resource} does not implement the scale subresource"
    return f'found no controllers for pod "{pod.metadata.name}"'
