"""The batch group's kinds, `batch/v1`, as the controllers read them.

Pod and job templates stay raw documents: a controller hands them on whole, whatever is in them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kubeberth.api.core import find_condition
from kubeberth.api.meta import ApiStruct, Condition, LabelSelector, ObjectMeta, to_documents

JOB_TRACKING = "batch.kubernetes.io/job-tracking"
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
INDEX_FAILURE_COUNT = "batch.kubernetes.io/job-index-failure-count"
INDEX_IGNORED_FAILURE_COUNT = "batch.kubernetes.io/job-index-ignored-failure-count"
CRON_JOB_SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
JOB_CONTROLLER = "kubernetes.io/job-controller"


class OnExitCodes(ApiStruct, frozen=True):
    """Exit codes of one container, or of any."""

    container_name: str | None = None
    operator: str = "In"
    values: tuple[int, ...] = ()


class OnPodCondition(ApiStruct, frozen=True):
    """A condition that a pod has."""

    type: str
    status: str = "True"


class PodFailurePolicyRule(ApiStruct, frozen=True):
    """What the failure of a pod means that ended in a certain way."""

    action: str
    on_exit_codes: OnExitCodes | None = None
    on_pod_conditions: tuple[OnPodCondition, ...] = ()


class PodFailurePolicy(ApiStruct, frozen=True):
    """Rules of which the first that fits decides."""

    rules: tuple[PodFailurePolicyRule, ...] = ()


class SuccessPolicyRule(ApiStruct, frozen=True):
    """Which indexes, and how many of them, are enough."""

    succeeded_indexes: str | None = None
    succeeded_count: int | None = None


class SuccessPolicy(ApiStruct, frozen=True):
    """Rules of which one must hold."""

    rules: tuple[SuccessPolicyRule, ...] = ()


class JobSpec(ApiStruct, frozen=True):
    """Pods that are to run to their end."""

    parallelism: int = 1
    completions: int | None = None
    active_deadline_seconds: int | None = None
    pod_failure_policy: PodFailurePolicy | None = None
    success_policy: SuccessPolicy | None = None
    backoff_limit: int = 6
    backoff_limit_per_index: int | None = None
    max_failed_indexes: int | None = None
    selector: LabelSelector | None = None
    template: dict[str, Any] = {}
    ttl_seconds_after_finished: int | None = None
    completion_mode: str = "NonIndexed"
    suspend: bool = False
    pod_replacement_policy: str = "TerminatingOrFailed"
    managed_by: str | None = None


class UncountedTerminatedPods(ApiStruct, frozen=True):
    """UIDs of ended pods that still have their finalizer, or had it a moment ago."""

    succeeded: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class JobStatus(ApiStruct, frozen=True):
    """How far a job is."""

    conditions: tuple[Condition, ...] = ()
    start_time: str | None = None
    completion_time: str | None = None
    active: int = 0
    ready: int | None = None
    terminating: int | None = None
    succeeded: int = 0
    failed: int = 0
    completed_indexes: str = ""
    failed_indexes: str | None = None
    uncounted_terminated_pods: UncountedTerminatedPods | None = None

    @property
    def uncounted(self) -> UncountedTerminatedPods:
        """The ended pods that are no numbers yet."""
        return self.uncounted_terminated_pods or UncountedTerminatedPods()

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON to merge: a null takes a zero out, as Go leaves it out."""
        uncounted = self.uncounted
        return {
            "conditions": to_documents(self.conditions) or None,
            "startTime": self.start_time,
            "completionTime": self.completion_time,
            "active": self.active or None,
            "ready": self.ready,
            "terminating": self.terminating,
            "succeeded": self.succeeded or None,
            "failed": self.failed or None,
            "completedIndexes": self.completed_indexes or None,
            "failedIndexes": self.failed_indexes,
            "uncountedTerminatedPods": {
                "succeeded": list(uncounted.succeeded) or None,
                "failed": list(uncounted.failed) or None,
            },
        }


class Job(ApiStruct, frozen=True):
    """A job."""

    metadata: ObjectMeta = ObjectMeta()
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()

    @property
    def is_indexed(self) -> bool:
        """Whether each of its pods has a number, and each number must succeed."""
        return self.spec.completion_mode == "Indexed"

    @property
    def finish(self) -> Condition | None:
        """The condition that says how it ended: Complete or Failed; None while it goes on."""
        return self.condition("Complete") or self.condition("Failed")

    def condition(self, type_: str) -> Condition | None:
        """Return the condition of that type if it holds."""
        found = find_condition(self.status.conditions, type_)
        return found if found is not None and found.status == "True" else None


decode_job = msgspec.json.Decoder(Job).decode


class ActiveJob(ApiStruct, frozen=True):
    """A job that runs for a cron job."""

    api_version: str = "batch/v1"
    kind: str = "Job"
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class CronJobSpec(ApiStruct, frozen=True):
    """When a job is made, and which."""

    schedule: str = ""
    time_zone: str | None = None
    starting_deadline_seconds: int | None = None
    concurrency_policy: str = "Allow"
    suspend: bool = False
    job_template: dict[str, Any] = {}
    successful_jobs_history_limit: int | None = None
    failed_jobs_history_limit: int | None = None


class CronJobStatus(ApiStruct, frozen=True):
    """Which jobs run, and when the last one was due and did succeed."""

    active: tuple[ActiveJob, ...] = ()
    last_schedule_time: str | None = None
    last_successful_time: str | None = None

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON to merge: a null takes out what is not there any more."""
        active = [
            {"apiVersion": job.api_version, "kind": job.kind, **msgspec.to_builtins(job)}
            for job in self.active
        ]
        return {
            "active": active or None,
            "lastScheduleTime": self.last_schedule_time,
            "lastSuccessfulTime": self.last_successful_time,
        }


class CronJob(ApiStruct, frozen=True):
    """A cron job."""

    metadata: ObjectMeta = ObjectMeta()
    spec: CronJobSpec = CronJobSpec()
    status: CronJobStatus = CronJobStatus()


decode_cron_job = msgspec.json.Decoder(CronJob).decode
