"""Job: run pods until enough of them have succeeded, and count each of them exactly once.

Matches Kubernetes 1.36 (`pkg/controller/job`). Every pod is held by a finalizer until it is
counted. How that is done makes it safe to stop at any point:

Rule 1: the UID of an ended pod is written into `status.uncountedTerminatedPods` first.
Rule 2: then the pod's finalizer is removed.
Rule 3: a UID there whose pod has no finalizer any more becomes a number, in one write.

Each write of the status holds only for the version of the job that it was worked out from. Indexed
jobs need no UIDs for what has succeeded: the index in `completedIndexes` says it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from kubeberth.api.batch import (
    JOB_CONTROLLER,
    JOB_TRACKING,
    Job,
    UncountedTerminatedPods,
)
from kubeberth.api.core import Pod
from kubeberth.api.job_indexes import Indexes, format_indexes, parse_indexes
from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import JOBS, PODS, Resource
from kubeberth.api.selectors import from_label_selector
from kubeberth.api.workloads import is_active, is_ready
from kubeberth.clock import rfc3339
from kubeberth.controllers.action import (
    Action,
    CreatePods,
    DeletePods,
    Failure,
    Outcome,
    PatchObject,
    RecordEvent,
    Together,
)
from kubeberth.controllers.batch.job_backoff import Ending, Endings, recall, remaining_s, wait_s
from kubeberth.controllers.batch.job_pods import (
    failures_of_index,
    finished_at,
    is_failed,
    is_tracked,
    new_indexed_pod,
    new_pod,
    removal_order,
    replaces_only_failed,
    tracked,
    untracked,
    valid_index,
    valid_indexes,
)
from kubeberth.controllers.batch.job_policy import is_counted
from kubeberth.controllers.batch.job_score import counted, held_by_index, may_count, score_of
from kubeberth.controllers.batch.job_verdict import REACHED, Verdict, deadline_in_s, verdict_of
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.conditions import Conditions
from kubeberth.controllers.ownership import claim, keys_of_controller
from kubeberth.controllers.reconciler import Reconciler

# As upstream: no sync makes or removes more pods than this, or names more of them in the status.
BURST = 500
MAX_UNCOUNTED = 500


def reconcile(job: Job, candidates: Iterable[Pod], endings: Endings, now: float) -> Outcome:
    """Return what brings a job nearer to its end, and its status up to date.

    Parameters
    ----------
    candidates
        Pods that the job controls, and pods of its namespace that nobody controls. Those that have
        ended and are counted do not matter any more.
    endings
        What is remembered of the job's pods that have ended, see `job_backoff`.
    """
    if job.spec.managed_by not in (None, JOB_CONTROLLER):
        return Outcome()
    everyone = list(candidates)
    if job.finish is not None:
        mine = (pod for pod in everyone if pod.metadata.controller is not None)
        return Outcome(_let_go(pod for pod in mine if is_tracked(pod)))
    me, selector = ref_of(JOBS, job), from_label_selector(job.spec.selector)
    claimed = claim(me, job.metadata, everyone, PODS, selector, finalizer=JOB_TRACKING)
    sync = _Sync(job, claimed.members, endings, now)
    sync.run()
    return Outcome((*claimed.actions, *sync.actions()), sync.wait_s())


def _let_go(pods: Iterable[Pod]) -> tuple[Action, ...]:
    patches = tuple(untracked(pod) for pod in pods)
    return (Together(patches),) if patches else ()


@dataclass(slots=True)
class _Plan:
    """What is to be done about the pods."""

    counted: list[Pod] = field(default_factory=list)
    doomed: list[Pod] = field(default_factory=list)
    created: list[dict[str, object]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    events: list[RecordEvent] = field(default_factory=list)
    # Whether the doomed are let go uncounted: nobody needs them, but they have not failed.
    is_uncounted: bool = False


class _Sync:
    """One look at a job and its pods."""

    def __init__(self, job: Job, pods: tuple[Pod, ...], endings: Endings, now: float) -> None:
        self._job, self._pods, self._endings, self._now = job, pods, endings, now
        self._me = ref_of(JOBS, job)
        self._plan = _Plan()
        self._conditions = Conditions(job.status.conditions, now, stamp="last_probe_time")
        self._active = [pod for pod in pods if is_active(pod)]
        self._n_terminating = sum(pod.is_terminating and not pod.is_terminal for pod in pods)
        self._status = counted(job, pods)
        self._completed = parse_indexes(job.status.completed_indexes, self._completions)
        self._score = score_of(job, self._status, pods)
        self._held = held_by_index(job, self._score, pods)
        self._verdict: Verdict | None = None

    @property
    def _completions(self) -> int:
        return self._job.spec.completions or 0

    @property
    def _is_going(self) -> bool:
        return self._job.metadata.deletion_timestamp is not None

    def run(self) -> None:
        """Decide, in the order in which one thing depends on the other."""
        job = self._job
        if job.status.start_time is None and not job.spec.suspend:
            self._status = msgspec.structs.replace(self._status, start_time=rfc3339(self._now))
        self._verdict = verdict_of(job, self._score, self._pods, self._now)
        if self._verdict is not None:
            self._plan.doomed = self._active
            self._plan.is_uncounted = self._verdict.is_success
        else:
            self._await_deadline()
            if not self._is_going:
                self._manage()
            if self._is_complete():
                self._verdict = REACHED
            elif not self._is_going:
                self._note_suspension()
        self._count()
        self._report()

    def _await_deadline(self) -> None:
        left = deadline_in_s(msgspec.structs.replace(self._job, status=self._status), self._now)
        if left is not None:
            self._plan.waits.append(left)

    # How many pods there shall be.

    def _manage(self) -> None:
        wanted = self._n_wanted()
        surplus = self._surplus(max(0, len(self._active) - wanted))[:BURST]
        if surplus:
            # Either this or new pods, never both: the next look goes on from there.
            self._plan.doomed, self._plan.is_uncounted = surplus, True
            return
        n_awaited = self._n_terminating if replaces_only_failed(self._job) else 0
        missing = min(wanted - len(self._active) - n_awaited, BURST)
        if missing > 0:
            self._create(missing)

    def _n_wanted(self) -> int:
        spec = self._job.spec
        if spec.suspend:
            return 0
        if spec.completions is None:
            # A work queue: once a worker has found it empty, no more are needed.
            return len(self._active) if self._score.succeeded else spec.parallelism
        return max(0, min(spec.parallelism, spec.completions - self._score.succeeded))

    def _surplus(self, at_least: int) -> list[Pod]:
        """Return active pods that must go: doubles, those of no index, and so many others."""
        n_indexes = len(valid_indexes(self._active, self._job))
        if not at_least and (not self._job.is_indexed or n_indexes == len(self._active)):
            return []
        ranked = sorted(self._active, key=removal_order)
        if not self._job.is_indexed:
            return ranked[:at_least]
        kept: dict[int, Pod] = {}
        for pod in ranked:
            if (index := valid_index(pod, self._job)) is not None:
                kept[index] = pod  # the last of the same index has come furthest
        stay = [pod for pod in ranked if kept.get(_index(pod, self._job)) is pod]
        gone = [pod for pod in ranked if kept.get(_index(pod, self._job)) is not pod]
        return gone + stay[: max(0, at_least - len(gone))]

    def _create(self, missing: int) -> None:
        job = self._job
        if job.spec.backoff_limit_per_index is None:
            left = remaining_s(self._endings, self._now)
            if left > 0:
                self._plan.waits.append(left)
                return
        if not job.is_indexed:
            self._plan.created = [new_pod(self._me, job)] * missing
            return
        for index in self._pending_indexes(missing):
            replaced = self._held.get(index)
            left = 0.0
            if replaced is not None:
                n_failures = sum(failures_of_index(replaced)) + 1
                left = wait_s(n_failures, finished_at(replaced), self._now)
            if left > 0:
                self._plan.waits.append(left)
            else:
                self._plan.created.append(new_indexed_pod(self._me, job, index, replaced))

    def _pending_indexes(self, n_at_most: int) -> list[int]:
        """Return the lowest indexes that nothing has been done about yet."""
        busy = self._active
        if replaces_only_failed(self._job):
            busy = [pod for pod in self._pods if not pod.is_terminal]
        taken = self._score.settled | valid_indexes(busy, self._job)
        pending = (index for index in range(self._completions) if index not in taken)
        return [index for index, _ in zip(pending, range(n_at_most), strict=False)]

    def _is_complete(self) -> bool:
        if len(self._active) > 0 or self._plan.created:
            return False
        completions = self._job.spec.completions
        if completions is None:
            return self._score.succeeded > 0
        return self._score.succeeded >= completions

    def _note_suspension(self) -> None:
        if self._job.spec.suspend:
            self._conditions.set("Suspended", "True", "JobSuspended", "Job suspended")
            if self._conditions.changed:
                self._tell("Normal", "Suspended", "Job suspended")
            self._status = msgspec.structs.replace(self._status, start_time=None)
        elif self._job.condition("Suspended") is not None:
            self._conditions.set("Suspended", "False", "JobResumed", "Job resumed")
            self._tell("Normal", "Resumed", "Job resumed")
            self._status = msgspec.structs.replace(self._status, start_time=rfc3339(self._now))

    # Who is counted, and let go.

    def _count(self) -> None:
        """Name the pods that are over in the status, and plan to let go of them."""
        uncounted = self._status.uncounted
        succeeded, failed = list(uncounted.succeeded), list(uncounted.failed)
        completed = set(self._completed)
        for pod in self._pods:
            n_new = len(succeeded) + len(failed) + len(completed) - len(self._completed)
            if n_new >= MAX_UNCOUNTED:
                break  # writing the status brings the job back for the others
            if not is_tracked(pod) or not self._can_let_go(pod):
                continue
            self._plan.counted.append(pod)
            uid, index = pod.metadata.uid, valid_index(pod, self._job)
            if pod.status.phase == "Succeeded" and uid not in failed:
                if self._job.is_indexed:
                    completed |= {index} if index is not None else set()
                elif uid not in succeeded:
                    succeeded.append(uid)
            elif uid not in failed and may_count(pod, self._job) and self._counts_as_failed(pod):
                failed.append(uid)
        self._status = msgspec.structs.replace(
            self._status,
            uncounted_terminated_pods=UncountedTerminatedPods(
                succeeded=tuple(succeeded), failed=tuple(failed)
            ),
        )
        if self._job.is_indexed:
            self._show_indexes(frozenset(completed))

    def _can_let_go(self, pod: Pod) -> bool:
        if self._is_going or pod.status.phase == "Succeeded":
            return True
        if self._verdict is not None and not is_active(pod):
            return True
        if not is_failed(pod, self._job):
            return False
        index = valid_index(pod, self._job)
        return index is None or self._held.get(index) is not pod

    def _counts_as_failed(self, pod: Pod) -> bool:
        """Return whether a pod counts that has not succeeded; in a failed job all of them do."""
        is_lost = self._verdict is not None and not self._verdict.is_success
        if not is_failed(pod, self._job) and not (is_lost and not is_active(pod)):
            return False
        return is_counted(self._job.spec.pod_failure_policy, pod)

    def _show_indexes(self, completed: Indexes) -> None:
        failed = self._score.failed_indexes
        self._status = msgspec.structs.replace(
            self._status,
            succeeded=len(completed),
            completed_indexes=format_indexes(completed),
            failed_indexes=None if failed is None else format_indexes(failed),
        )

    # What is written down.

    def _report(self) -> None:
        verdict = self._verdict
        if verdict is not None:
            self._conditions.set(verdict.type, "True", verdict.reason, verdict.message)
            if self._is_over(verdict):
                self._finish(verdict)
        self._status = msgspec.structs.replace(
            self._status,
            conditions=self._conditions.current,
            active=len(self._active),
            ready=sum(map(is_ready, self._active)),
            terminating=self._n_terminating,
        )

    def _is_over(self, verdict: Verdict) -> bool:
        """Return whether nothing is left to wait for; the verdict must have been written before."""
        uncounted = self._status.uncounted
        return (
            self._job.condition(verdict.type) is not None
            and not self._active
            and not self._n_terminating
            and not self._plan.counted
            and not uncounted.succeeded
            and not uncounted.failed
        )

    def _finish(self, verdict: Verdict) -> None:
        self._conditions.set(verdict.final_type, "True", verdict.reason, verdict.message)
        if not verdict.is_success:
            self._tell("Warning", verdict.reason, verdict.message)
            return
        self._status = msgspec.structs.replace(self._status, completion_time=rfc3339(self._now))
        completions = self._job.spec.completions
        if completions is not None and self._status.succeeded > completions:
            message = "Too many succeeded pods running after completion count reached"
            self._tell("Warning", "TooManySucceededPods", message)
        self._tell("Normal", "Completed", "Job completed")

    def _tell(self, type_: str, reason: str, message: str) -> None:
        self._plan.events.append(RecordEvent(self._me, reason, message, type_))

    def actions(self) -> list[Action]:
        """Return everything in the order in which it is to be done."""
        plan, actions = self._plan, list[Action]()
        if self._status != self._job.status:
            version = {"resourceVersion": self._job.metadata.resource_version}
            patch = {"metadata": version, "status": self._status.to_document()}
            actions.append(PatchObject(self._me, patch, sub="status"))
        actions += plan.events
        actions += [tracked(pod) for pod in self._lost()]
        released = [*plan.counted, *(plan.doomed if plan.is_uncounted else ())]
        actions += _let_go(pod for pod in released if is_tracked(pod))
        if plan.doomed:
            doomed = tuple(ref_of(PODS, pod) for pod in plan.doomed)
            actions.append(DeletePods(self._me, doomed))
        if plan.created:
            actions.append(CreatePods(self._me, tuple(plan.created)))
        return actions

    def _lost(self) -> list[Pod]:
        """Return pods that would end uncounted: we stopped between letting go and deleting."""
        doomed = {pod.metadata.uid for pod in self._plan.doomed}
        mine = (pod for pod in self._active if pod.metadata.controller is not None)
        if self._is_going:
            return []
        return [pod for pod in mine if not is_tracked(pod) and pod.metadata.uid not in doomed]

    def wait_s(self) -> float | None:
        """Return when to look again although nothing changes."""
        # A little later, so that it is not a moment too early.
        return min(self._plan.waits) + 0.01 if self._plan.waits else None


def _index(pod: Pod, job: Job) -> int:
    index = valid_index(pod, job)
    return -1 if index is None else index


class JobReconciler(Reconciler):
    """Feeds `reconcile` from the cache, and remembers how the pods of each job have ended."""

    name = "job-controller"
    account = "job-controller"
    resource = JOBS
    follows = (PODS,)

    def __init__(self) -> None:
        self._endings: dict[str, dict[str, Ending]] = {}

    def keys(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the keys to look at, and forget a job that is gone."""
        if resource == JOBS and new is None and old is not None:
            self._endings.pop(old.metadata.uid, None)
        return super().keys(cache, resource, old, new)

    def keys_behind(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the jobs that a change of a pod concerns."""
        return keys_of_controller(cache, JOBS, old, new)

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what the job needs."""
        job: Job | None = cache.get(JOBS, key)
        if job is None:
            return Outcome()
        uid = job.metadata.uid
        mine = tuple(cache.controlled(PODS, uid))
        if job.finish is not None:
            self._endings.pop(uid, None)
            return reconcile(job, mine, {}, now)
        # Most pods of a large job are over; each is looked at until it is counted.
        open_ = tuple(pod for pod in mine if is_tracked(pod) or not pod.is_terminal)
        known = self._endings.get(uid)
        endings = recall({}, mine, job) if known is None else recall(known, open_, job)
        self._endings[uid] = endings
        orphans = tuple(cache.orphans(PODS, job.metadata.namespace).values())
        return reconcile(job, open_ + orphans, endings, now)
