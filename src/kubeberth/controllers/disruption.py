"""Disruption budgets: how many of their pods may go at the moment.

Matches Kubernetes 1.36 (`pkg/controller/disruption`): what evictions ask is worked out here, from
the pods there are and the replicas that their controllers want.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubeberth.api.core import Pod
from kubeberth.api.meta import HasMetadata
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
from kubeberth.api.workloads import is_ready, seconds_of
from kubeberth.clock import rfc3339
from kubeberth.controllers.action import Failure, Outcome, PatchObject, RecordEvent
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.reconciler import Reconciler

# How long an evicted pod may take to be marked as going, before it counts again.
DELETION_TIMEOUT_S = 120.0
_ALLOWED = "DisruptionAllowed"
_SCALED = (DEPLOYMENTS, REPLICA_SETS, REPLICATION_CONTROLLERS, STATEFUL_SETS)


def reconcile(
    budget: PodDisruptionBudget, pods: Iterable[Pod], scales: Mapping[str, int], now: float
) -> Outcome:
    """Return what a budget's status lacks.

    Parameters
    ----------
    pods
        Those that the budget is for.
    scales
        How many pods the controllers of these pods want, by their UIDs.
    """
    found = list(pods)
    gone = _disrupted(budget, found, now)
    staying = [p for p in found if not p.is_terminating and p.metadata.name not in gone]
    healthy = sum(map(is_ready, staying))
    expected, desired = _wanted(budget, len(found), sum(scales.values()))
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
    me = ref_of(POD_DISRUPTION_BUDGETS, budget)
    told = () if found else (RecordEvent(me, "NoPods", "No matching pods found"),)
    if _is_told(budget, status):
        return Outcome(told, wait_s)
    # Those that are disrupted no more are taken out by name: a merge keeps what it does not name.
    if gone or budget.status.disrupted_pods:
        status["disruptedPods"] = dict.fromkeys(budget.status.disrupted_pods) | gone
    version = {"resourceVersion": budget.metadata.resource_version}
    patch = {"metadata": version, "status": status}
    return Outcome((*told, PatchObject(me, patch, "status")), wait_s)


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
    since = rfc3339(now)
    for condition in budget.status.conditions:
        if condition.type == _ALLOWED and condition.status == status:
            since = condition.last_transition_time or since
    return {
        "type": _ALLOWED,
        "status": status,
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
        "lastTransitionTime": since,
        "observedGeneration": budget.metadata.generation,
    }


def _is_told(budget: PodDisruptionBudget, status: Mapping[str, Any]) -> bool:
    told = budget.status
    return (
        told.observed_generation == status["observedGeneration"]
        and told.disruptions_allowed == status["disruptionsAllowed"]
        and told.current_healthy == status["currentHealthy"]
        and told.desired_healthy == status["desiredHealthy"]
        and told.expected_pods == status["expectedPods"]
        and told.disrupted_pods == (status["disruptedPods"] or {})
        and any(condition.type == _ALLOWED for condition in told.conditions)
    )


class DisruptionReconciler(Reconciler):
    """Feeds `reconcile` from the cache; keys are budgets."""

    # Under this name its events are known, as upstream's are.
    name = "controllermanager"
    account = "disruption-controller"
    resource = POD_DISRUPTION_BUDGETS
    follows = (*_SCALED, PODS)

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
        scales = dict(filter(None, (_scale_of(cache, pod) for pod in pods)))
        return reconcile(budget, pods, scales, now)


def _scale_of(cache: Cache, item: HasMetadata) -> tuple[str, int] | None:
    """Return the UID of what makes a pod, and how many it shall make; None for a lone pod."""
    reference = item.metadata.controller
    if reference is None:
        return None
    owner = cache.owner(item.metadata.namespace, reference)
    if owner is None or owner.metadata.uid != reference.uid:
        return None
    above = _scale_of(cache, owner)
    replicas = getattr(getattr(owner, "spec", None), "replicas", None)
    return above or (None if replicas is None else (owner.metadata.uid, replicas))
