"""Whether a pod may be evicted: what its disruption budget says; pure.

    Rule 1  A pod that does not run yet, or no longer, may always go.
    Rule 2  Of two budgets for one pod none can be kept: that is an error.
    Rule 3  A pod that is not ready may go if its budget is met without it, or does not mind.
    Rule 4  Any other pod takes one of the disruptions that the budget allows.

Matches `pkg/registry/core/pod/storage/eviction.go` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubeberth.api.scheme import POD_DISRUPTION_BUDGETS
from kubeberth.api.selectors import from_label_selector
from kubeberth.apiserver import refusals
from kubeberth.apiserver.objects import Document
from kubeberth.errors import ApiError, TooManyRequestsError

# Pods that a budget remembers as evicted before the disruption controller has seen it.
MAX_DISRUPTED_PODS = 2000
# How long to wait for the disruption controller to see a new budget.
RETRY_AFTER_S = 10
_ENDED = ("Succeeded", "Failed", "Pending")
_ALWAYS_ALLOW = "AlwaysAllow"
_DISRUPTION_ALLOWED = "DisruptionAllowed"


def needs_no_budget(pod: Document) -> bool:
    """Return whether a pod may go whatever its budgets say."""
    is_deleted = "deletionTimestamp" in pod["metadata"]
    return is_deleted or (pod.get("status") or {}).get("phase") in _ENDED


def budget_of(pod: Document, budgets: Iterable[Document]) -> Document | None:
    """Return the budget that a pod falls under.

    Raises
    ------
    ApiError
        There are several.
    """
    labels = pod["metadata"].get("labels") or {}
    found = [
        budget
        for budget in budgets
        if from_label_selector((budget.get("spec") or {}).get("selector")).matches(labels)
    ]
    if len(found) > 1:
        raise ApiError(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does "
            "not support.",
            code=500,
            reason="",
        )
    return found[0] if found else None


def goes_unready(pod: Document, budget: Document) -> bool:
    """Return whether a pod may go because it is not ready and the budget allows that."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    if any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions):
        return False
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == _ALWAYS_ALLOW:
        return True
    status = budget.get("status") or {}
    desired: int = status.get("desiredHealthy", 0)
    current: int = status.get("currentHealthy", 0)
    return current >= desired > 0


def disrupted(budget: Document, pod_name: str, now: str) -> Document:
    """Return a budget with one disruption less to give.

    Raises
    ------
    ApiError
        It has none to give, or nobody has counted yet.
    """
    status = budget.setdefault("status", {})
    name, allowed = budget["metadata"]["name"], status.get("disruptionsAllowed", 0)
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        text = f"The disruption budget {name} is still being processed by the server."
        raise refused(text, retry_after_s=RETRY_AFTER_S)
    if allowed < 0:
        raise refusals.forbidden(
            POD_DISRUPTION_BUDGETS, name, "pdb disruptions allowed is negative"
        )
    if len(status.get("disruptedPods") or ()) > MAX_DISRUPTED_PODS:
        raise refusals.forbidden(
            POD_DISRUPTION_BUDGETS,
            name,
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        )
    if allowed == 0:
        raise refused(_why_none(name, status))
    status["disruptionsAllowed"] = allowed - 1
    status["disruptedPods"] = {**(status.get("disruptedPods") or {}), pod_name: now}
    _tell_condition(status, now)
    return budget


def refused(why: str, *, retry_after_s: int = 0) -> TooManyRequestsError:
    """Return the refusal that `kubectl drain` waits upon and tries again."""
    details: dict[str, Any] = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    if retry_after_s:
        details["retryAfterSeconds"] = retry_after_s
    return TooManyRequestsError(
        "Cannot evict pod as it would violate the pod's disruption budget.", details=details
    )


def _why_none(name: str, status: Document) -> str:
    for condition in status.get("conditions") or ():
        is_it = condition.get("type") == _DISRUPTION_ALLOWED
        if is_it and condition.get("reason") == "SyncFailed":
            return (
                f"The disruption budget {name} does not allow evicting pods currently because it "
                f"failed sync: {condition.get('message', '')}"
            )
    desired, current = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    if current <= desired:
        return (
            f"The disruption budget {name} needs {desired} healthy pods and has {current} currently"
        )
    return f"The disruption budget {name} does not allow evicting pods currently"


def _tell_condition(status: Document, now: str) -> None:
    """Say in a condition whether there are disruptions left."""
    is_allowed = status["disruptionsAllowed"] > 0
    condition = {
        "type": _DISRUPTION_ALLOWED,
        "status": "True" if is_allowed else "False",
        "observedGeneration": status.get("observedGeneration", 0),
        "lastTransitionTime": now,
        "reason": "SufficientPods" if is_allowed else "InsufficientPods",
        "message": "",
    }
    before = status.get("conditions") or []
    for old in before:
        if old.get("type") == _DISRUPTION_ALLOWED and old.get("status") == condition["status"]:
            condition["lastTransitionTime"] = old.get("lastTransitionTime", now)
    others = [old for old in before if old.get("type") != _DISRUPTION_ALLOWED]
    status["conditions"] = [*others, condition]
