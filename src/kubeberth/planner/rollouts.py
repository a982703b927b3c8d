"""Rollouts: how many pods a workload is to have, and why its rollout does not end."""

from __future__ import annotations

from typing import Any

from kubeberth.api.batch import Job
from kubeberth.api.workloads import DaemonSet, Deployment, StatefulSet


def n_wanted(item: Any, n_pods: int) -> int:
    """Return how many pods something is to have; as many as it has if it is not here to ask."""
    match item:
        case DaemonSet():
            return item.status.desired_number_scheduled
        case Job():
            spec = item.spec
            most = spec.parallelism
            return most if spec.completions is None else min(most, spec.completions)
        case _:
            replicas = getattr(getattr(item, "spec", None), "replicas", None)
            return n_pods if replicas is None else int(replicas)


def rollout_trouble(item: Any) -> str:
    """Return why a rollout does not end; empty when it has ended, or there is none."""
    match item:
        case Deployment():
            return _of_deployment(item)
        case StatefulSet():
            return _of_stateful_set(item)
        case DaemonSet():
            return _of_daemon_set(item)
        case _:
            return ""


def _of_deployment(deployment: Deployment) -> str:
    status, wanted = deployment.status, deployment.spec.replicas
    n_new = status.updated_replicas
    n_old = status.replicas - n_new
    if not n_old:
        return ""
    return f"{n_new} of {wanted} pods are of the new version, {n_old} of an old one remain"


def _of_stateful_set(stateful_set: StatefulSet) -> str:
    spec, status = stateful_set.spec, stateful_set.status
    is_rolling = spec.update_strategy.type == "RollingUpdate"
    if not is_rolling or status.current_revision == status.update_revision:
        return ""
    rolling = spec.update_strategy.rolling_update
    wanted = max(0, spec.replicas - (rolling.partition if rolling is not None else 0))
    return _of_new_version(status.updated_replicas, wanted)


def _of_daemon_set(daemon_set: DaemonSet) -> str:
    status = daemon_set.status
    if daemon_set.spec.update_strategy.type != "RollingUpdate":
        return ""
    return _of_new_version(status.updated_number_scheduled, status.current_number_scheduled)


def _of_new_version(n_new: int, wanted: int) -> str:
    return f"{n_new} of {wanted} pods are of the new version" if n_new < wanted else ""
