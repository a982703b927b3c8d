"""Whether a job has come to its end, and why.

Matches Kubernetes 1.36 (`pkg/controller/job/job_controller.go`). An end is written down in two
steps: FailureTarget or SuccessCriteriaMet at once, Failed or Complete when no pod is left.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kubeberth.api.batch import Job
from kubeberth.api.core import Pod
from kubeberth.api.workloads import seconds_of
from kubeberth.controllers.batch.job_pods import is_failed
from kubeberth.controllers.batch.job_policy import matched_rule, met_criteria
from kubeberth.controllers.batch.job_score import Score

FAILURE_TARGET = "FailureTarget"
SUCCESS_CRITERIA_MET = "SuccessCriteriaMet"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The interim condition of an end."""

    type: str
    reason: str
    message: str

    @property
    def is_success(self) -> bool:
        """Whether the job ends well."""
        return self.type == SUCCESS_CRITERIA_MET

    @property
    def final_type(self) -> str:
        """The condition that follows."""
        return "Complete" if self.is_success else "Failed"


REACHED = Verdict(
    SUCCESS_CRITERIA_MET, "CompletionsReached", "Reached expected number of succeeded pods"
)


def verdict_of(job: Job, score: Score, pods: Iterable[Pod], now: float) -> Verdict | None:
    """Return why the job must not go on, or None.

    That all its completions are there is not seen here: pods may have to go first (`REACHED`).
    """
    for type_ in (SUCCESS_CRITERIA_MET, FAILURE_TARGET):
        if (condition := job.condition(type_)) is not None:
            return Verdict(type_, condition.reason, condition.message)
    everyone = list(pods)
    return (
        _by_failure_policy(job, everyone)
        or _by_limits(job, score, everyone, now)
        or _by_indexes(job, score)
    )


def _failure(reason: str, message: str) -> Verdict:
    return Verdict(FAILURE_TARGET, reason, message)


def _by_failure_policy(job: Job, pods: Iterable[Pod]) -> Verdict | None:
    if job.spec.pod_failure_policy is None:
        return None
    rules = (matched_rule(job.spec.pod_failure_policy, p) for p in pods if is_failed(p, job))
    fatal = (rule for rule in rules if rule is not None and rule.action == "FailJob")
    rule = next(fatal, None)
    return None if rule is None else _failure("PodFailurePolicy", rule.message)


def _by_limits(job: Job, score: Score, pods: Iterable[Pod], now: float) -> Verdict | None:
    if score.failed > job.spec.backoff_limit or _restarts_too_often(job, pods):
        return _failure("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    left = deadline_in_s(job, now)
    if left is not None and left <= 0:
        return _failure("DeadlineExceeded", "Job was active longer than specified deadline")
    return None


def _restarts_too_often(job: Job, pods: Iterable[Pod]) -> bool:
    """Return whether containers that are restarted in place have been so too often."""
    if (job.spec.template.get("spec") or {}).get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(
        status.restart_count
        for pod in pods
        if pod.status.phase in ("Running", "Pending")
        for status in (*pod.status.init_container_statuses, *pod.status.container_statuses)
    )
    return restarts >= max(job.spec.backoff_limit, 1)


def deadline_in_s(job: Job, now: float) -> float | None:
    """Return how long the job may still be active; None when nothing limits it."""
    limit, start = job.spec.active_deadline_seconds, job.status.start_time
    if limit is None or start is None or job.spec.suspend:
        return None
    return seconds_of(start) + limit - now


def _by_indexes(job: Job, score: Score) -> Verdict | None:
    succeeded, failed = score.succeeded_indexes, score.failed_indexes
    if succeeded is None:
        return None
    completions = job.spec.completions or 0
    if failed is not None:
        most = job.spec.max_failed_indexes
        if most is not None and len(failed) > most:
            message = "Job has exceeded the specified maximal number of failed indexes"
            return _failure("MaxFailedIndexesExceeded", message)
        if failed and len(failed) + len(succeeded) >= completions:
            return _failure("FailedIndexes", "Job has failed indexes")
    message = met_criteria(job.spec.success_policy, completions, succeeded)
    return Verdict(SUCCESS_CRITERIA_MET, "SuccessPolicy", message) if message else None
