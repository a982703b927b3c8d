"""What a job's policies make of its pods: which failures count, and when enough has succeeded.

Matches Kubernetes 1.36 (`pkg/controller/job/{pod_failure_policy,success_policy}.go`).
"""

from __future__ import annotations

from dataclasses import dataclass

from kubeberth.api.batch import (
    OnExitCodes,
    PodFailurePolicy,
    PodFailurePolicyRule,
    SuccessPolicy,
    SuccessPolicyRule,
)
from kubeberth.api.core import ContainerStatus, Pod
from kubeberth.api.job_indexes import Indexes, parse_indexes


@dataclass(frozen=True, slots=True)
class MatchedRule:
    """The rule that decides about a failed pod, and why it does."""

    action: str
    message: str


def matched_rule(policy: PodFailurePolicy | None, pod: Pod) -> MatchedRule | None:
    """Return the first rule that fits a failed pod, or None."""
    for index, rule in enumerate(policy.rules if policy is not None else ()):
        if why := _why(rule, pod):
            return MatchedRule(rule.action, f"{why} matching {rule.action} rule at index {index}")
    return None


def is_counted(policy: PodFailurePolicy | None, pod: Pod) -> bool:
    """Return whether the failure of a pod counts against its job."""
    rule = matched_rule(policy, pod)
    return rule is None or rule.action != "Ignore"


def _why(rule: PodFailurePolicyRule, pod: Pod) -> str:
    """Return what of a pod fits a rule; empty when nothing does."""
    meta = pod.metadata
    if rule.on_exit_codes is not None:
        statuses = (*pod.status.container_statuses, *pod.status.init_container_statuses)
        for status in statuses:
            if _ended_so(status, rule.on_exit_codes):
                ended = status.state.terminated
                code = ended.exit_code if ended is not None else 0
                where = f"Container {status.name} for pod {meta.namespace}/{meta.name}"
                return f"{where} failed with exit code {code}"
        return ""
    for pattern in rule.on_pod_conditions:
        condition = pod.condition(pattern.type)
        if condition is not None and condition.status == pattern.status:
            return f"Pod {meta.namespace}/{meta.name} has condition {pattern.type}"
    return ""


def _ended_so(status: ContainerStatus, wanted: OnExitCodes) -> bool:
    ended = status.state.terminated
    if ended is None or ended.exit_code == 0:
        return False
    if wanted.container_name is not None and wanted.container_name != status.name:
        return False
    return (ended.exit_code in wanted.values) is (wanted.operator == "In")


def met_criteria(policy: SuccessPolicy | None, completions: int, succeeded: Indexes) -> str:
    """Return which rule of a success policy holds, as a message; empty when none does."""
    for index, rule in enumerate(policy.rules if policy is not None else ()):
        if _is_met(rule, completions, succeeded):
            return f"Matched rules at index {index}"
    return ""


def _is_met(rule: SuccessPolicyRule, completions: int, succeeded: Indexes) -> bool:
    if rule.succeeded_indexes is None:
        return rule.succeeded_count is not None and len(succeeded) >= rule.succeeded_count
    wanted = parse_indexes(rule.succeeded_indexes, completions)
    needed = len(wanted) if rule.succeeded_count is None else rule.succeeded_count
    return len(wanted & succeeded) >= needed
