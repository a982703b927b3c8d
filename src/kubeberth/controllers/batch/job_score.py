"""What the pods of a job have achieved: counts and indexes, told and new.

Matches Kubernetes 1.36 (`pkg/controller/job`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from kubeberth.api.batch import Job, JobStatus, UncountedTerminatedPods
from kubeberth.api.core import Pod
from kubeberth.api.job_indexes import Indexes, parse_indexes
from kubeberth.api.workloads import is_active
from kubeberth.controllers.batch.job_pods import (
    failures_of_index,
    finished_at,
    is_failed,
    is_tracked,
    valid_index,
    valid_indexes,
)
from kubeberth.controllers.batch.job_policy import is_counted, matched_rule


@dataclass(frozen=True, slots=True)
class Score:
    """How the pods of a job have done so far.

    Parameters
    ----------
    failed
        How many failures count.
    succeeded_indexes, failed_indexes
        None where there is no such thing.
    """

    succeeded: int
    failed: int
    succeeded_indexes: Indexes | None = None
    failed_indexes: Indexes | None = None

    @property
    def settled(self) -> Indexes:
        """The indexes about which nothing more is to be done."""
        return (self.succeeded_indexes or frozenset()) | (self.failed_indexes or frozenset())


def counted(job: Job, pods: Iterable[Pod]) -> JobStatus:
    """Return the status in which pods that were let go are numbers."""
    status, held = job.status, {pod.metadata.uid for pod in pods if is_tracked(pod)}
    uncounted = status.uncounted
    succeeded = tuple(uid for uid in uncounted.succeeded if uid in held)
    failed = tuple(uid for uid in uncounted.failed if uid in held)
    return msgspec.structs.replace(
        status,
        succeeded=status.succeeded + len(uncounted.succeeded) - len(succeeded),
        failed=status.failed + len(uncounted.failed) - len(failed),
        uncounted_terminated_pods=UncountedTerminatedPods(succeeded=succeeded, failed=failed),
    )


def may_count(pod: Pod, job: Job) -> bool:
    """Return whether the end of a pod means anything for its job."""
    return not job.is_indexed or valid_index(pod, job) is not None


def score_of(job: Job, status: JobStatus, pods: Iterable[Pod]) -> Score:
    """Return the counts of a status, with what has ended since."""
    uncounted = status.uncounted
    fresh = [pod for pod in pods if is_tracked(pod) and may_count(pod, job)]
    failed = [
        pod
        for pod in fresh
        if is_failed(pod, job)
        and pod.metadata.uid not in uncounted.failed
        and is_counted(job.spec.pod_failure_policy, pod)
    ]
    n_failed = status.failed + len(uncounted.failed) + len(failed)
    succeeded = [pod for pod in fresh if pod.status.phase == "Succeeded"]
    if job.is_indexed:
        told = parse_indexes(status.completed_indexes, job.spec.completions or 0)
        indexes = told | valid_indexes(succeeded, job)
        return Score(len(indexes), n_failed, indexes, _failed_indexes(job, status, fresh))
    new = [pod for pod in succeeded if pod.metadata.uid not in uncounted.succeeded]
    n_succeeded = status.succeeded + len(uncounted.succeeded) + len(new)
    return Score(n_succeeded, n_failed)


def _failed_indexes(job: Job, status: JobStatus, fresh: Iterable[Pod]) -> Indexes | None:
    """Return the indexes that have failed too often, where each has a limit of its own."""
    limit = job.spec.backoff_limit_per_index
    if limit is None:
        return None
    told = parse_indexes(status.failed_indexes or "", job.spec.completions or 0)
    return told | valid_indexes((pod for pod in fresh if _fails_index(pod, job, limit)), job)


def _fails_index(pod: Pod, job: Job, limit: int) -> bool:
    if not is_failed(pod, job):
        return False
    rule = matched_rule(job.spec.pod_failure_policy, pod)
    if rule is not None and rule.action == "FailIndex":
        return True
    is_ignored = rule is not None and rule.action == "Ignore"
    return not is_ignored and failures_of_index(pod)[0] >= limit


def held_by_index(job: Job, score: Score, pods: Sequence[Pod]) -> dict[int, Pod]:
    """Return the failed pods that are kept until there is one in their place.

    The new pod takes over how often its index has failed, which is told nowhere else.
    """
    if job.spec.backoff_limit_per_index is None:
        return {}
    over = score.settled | valid_indexes(filter(is_active, pods), job)
    held: dict[int, Pod] = {}
    for pod in pods:
        index = valid_index(pod, job)
        if index is None or index in over or not is_tracked(pod) or not is_failed(pod, job):
            continue
        if index not in held or _is_later(pod, held[index]):
            held[index] = pod
    return held


def _is_later(pod: Pod, other: Pod) -> bool:
    """Return whether a pod of the same index came after another one."""
    before = sum(failures_of_index(other)) <= sum(failures_of_index(pod))
    return before and finished_at(pod) >= finished_at(other)
