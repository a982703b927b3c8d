"""The quality of service of a pod.

Rule: https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
Matches `pkg/apis/core/v1/helper/qos` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from kubeberth.api.core import Pod
from kubeberth.api.quantity import parse_quantity


def quality_of(pod: Pod) -> str:
    """Return what a pod's status says of it, else what follows from its spec."""
    return pod.status.qos_class or qos_class(msgspec.to_builtins(pod.spec))


def qos_class(spec: Mapping[str, Any]) -> str:
    """Return the quality of service of a pod, by cpu and memory of all its containers."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    if "resources" in spec and any(spec["resources"].get(k) for k in ("requests", "limits")):
        containers = [spec]
    is_guaranteed, is_best_effort = True, True
    for container in containers:
        resources = container.get("resources", {})
        requests = _compute(resources.get("requests", {}))
        limits = _compute(resources.get("limits", {}))
        is_best_effort &= not requests and not limits
        is_guaranteed &= len(limits) == 2 and requests == limits
    if is_best_effort:
        return "BestEffort"
    return "Guaranteed" if is_guaranteed else "Burstable"


def _compute(amounts: Mapping[str, str]) -> dict[str, Any]:
    """Return cpu and memory, as far as they are more than nothing."""
    values = {k: _nanos(v) for k, v in amounts.items() if k in ("cpu", "memory")}
    return {name: value for name, value in values.items() if value}


@lru_cache(maxsize=4096)
def _nanos(amount: str) -> int:
    return parse_quantity(amount).nanos
