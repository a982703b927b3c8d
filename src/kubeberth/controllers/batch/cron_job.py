"""CronJob: make a job whenever it is time, and throw away old ones.

Matches Kubernetes 1.36 (`pkg/controller/cronjob`). A job is named after its time, so that none is
made twice: not after a crash between the job and the status that tells of it, either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from kubeberth.api.batch import CRON_JOB_SCHEDULED, ActiveJob, CronJob, Job
from kubeberth.api.cron import ScheduleError, parse_schedule
from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import CRON_JOBS, JOBS, Resource
from kubeberth.api.workloads import seconds_of
from kubeberth.clock import rfc3339
from kubeberth.controllers.action import (
    Action,
    ConfirmAbsent,
    CreateObject,
    DeleteObject,
    Failure,
    ObjectRef,
    Outcome,
    PatchObject,
    RecordEvent,
    Told,
)
from kubeberth.controllers.batch.cron_times import (
    MANY,
    NeverDueError,
    Timetable,
    missed,
    moment,
    next_in_s,
)
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.ownership import controllers_of
from kubeberth.controllers.reconciler import Reconciler


def reconcile(cron_job: CronJob, jobs: Sequence[Job], now: float) -> Outcome:
    """Return the job that is due, if one is, and what is to be told and thrown away.

    Parameters
    ----------
    jobs
        Those that the cron job controls.
    """
    sync = _Sync(cron_job, jobs, moment(now))
    sync.follow_jobs()
    wait_s = None
    if cron_job.metadata.deletion_timestamp is None:
        wait_s = sync.start_due()
    sync.report()
    sync.throw_away()
    return Outcome(tuple(sync.actions), wait_s)


def job_name(cron_job: CronJob, at: datetime) -> str:
    """Return the name of the job of some time: its last part is that time in minutes."""
    return f"{cron_job.metadata.name}-{int(at.timestamp()) // 60}"


class _Sync:
    """One look at a cron job and its jobs.

    Attributes
    ----------
    actions
        What is to be done, in order.
    """

    def __init__(self, cron_job: CronJob, jobs: Sequence[Job], now: datetime) -> None:
        self._cron_job, self._jobs, self._now = cron_job, jobs, now
        self._me = ref_of(CRON_JOBS, cron_job)
        self._status = cron_job.status
        self._active = list(cron_job.status.active)
        self.actions: list[Action] = []
        # Told when what they tell of is written down.
        self._told: list[Action] = []

    def follow_jobs(self) -> None:
        """Note which jobs run, have ended or are missed."""
        by_uid = {job.metadata.uid: job for job in self._jobs}
        for entry in self._status.active:
            job = by_uid.get(entry.uid)
            if job is None:
                self.actions.append(ConfirmAbsent(_ref(entry)))
                self._tell("Normal", "MissingJob", f"Active job went missing: {entry.name}")
                self._active.remove(entry)
            elif (finish := job.finish) is not None:
                message = f"Saw completed job: {entry.name}, condition: {finish.type}"
                self._tell("Normal", "SawCompletedJob", message)
                self._active.remove(entry)
        known = {entry.uid for entry in self._status.active}
        for job in self._jobs:
            if job.finish is None and job.metadata.uid not in known:
                self._meet(job)
        ends = [job.status.completion_time for job in self._jobs if job.status.completion_time]
        last = max([*ends, self._status.last_successful_time or ""])
        self._status = msgspec.structs.replace(self._status, last_successful_time=last or None)

    def _meet(self, job: Job) -> None:
        """Take note of a job that runs and is not in the status."""
        if CRON_JOB_SCHEDULED in job.metadata.annotations:
            self._active.append(_entry(job))
            return
        name = job.metadata.name
        message = f"Saw a job that the controller did not create or forgot: {name}"
        self._tell("Warning", "UnexpectedJob", message)

    def start_due(self) -> float | None:
        """Make the job that is due; return when to look again, or None when it will never be."""
        spec = self._cron_job.spec
        table = self._timetable()
        if table is None or spec.suspend:
            return None
        try:
            due = self._due(table)
            if due is not None and self._is_wanted(due):
                self._start(due, table.zone)
            return next_in_s(table, self._since(), self._now)
        except NeverDueError as error:
            self._tell("Warning", "InvalidSchedule", f"invalid schedule: {spec.schedule} : {error}")
            return None

    def _timetable(self) -> Timetable | None:
        spec = self._cron_job.spec
        zone: tzinfo = UTC
        if spec.time_zone is not None:
            try:
                zone = ZoneInfo(spec.time_zone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                why = f"unknown time zone {spec.time_zone}"
                message = f'invalid timeZone: "{spec.time_zone}": {why}'
                self._tell("Warning", "UnknownTimeZone", message)
                return None
        try:
            return Timetable(parse_schedule(spec.schedule), zone)
        except ScheduleError as error:
            message = f'unparseable schedule: "{spec.schedule}" : {error}'
            self._tell("Warning", "UnparseableSchedule", message)
            return None

    def _since(self) -> datetime:
        """Return the moment after which nothing has been done."""
        last = self._status.last_schedule_time or self._cron_job.metadata.creation_timestamp
        return moment(seconds_of(last))

    def _due(self, table: Timetable) -> datetime | None:
        """Return the time whose job has not been made yet."""
        since, deadline = self._since(), self._cron_job.spec.starting_deadline_seconds
        if deadline is not None:
            since = max(since, moment(self._now.timestamp() - deadline))
        found = missed(table, since, self._now)
        if found.latest is not None and found.n_missed > MANY:
            message = (
                "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or "
                "check clock skew"
            )
            self._tell("Warning", "TooManyMissedTimes", message)
        return found.latest

    def _is_wanted(self, due: datetime) -> bool:
        spec = self._cron_job.spec
        deadline = spec.starting_deadline_seconds
        if deadline is not None and due.timestamp() + deadline < self._now.timestamp():
            at = format_datetime(due)
            self._tell("Warning", "MissSchedule", f"Missed scheduled time to start a job: {at}")
            return False
        if job_name(self._cron_job, due) in {entry.name for entry in self._active}:
            # Made before, and then we stopped.
            self._note_scheduled(due)
            return False
        if spec.concurrency_policy == "Forbid" and self._active:
            message = (
                "Not starting job because prior execution is running and concurrency policy is "
                "Forbid"
            )
            self._tell("Normal", "JobAlreadyActive", message)
            return False
        return True

    def _start(self, due: datetime, zone: tzinfo) -> None:
        if self._cron_job.spec.concurrency_policy == "Replace":
            for entry in self._active:
                self._delete(_ref(entry))
            self._active = []
        name = job_name(self._cron_job, due)
        if name not in {job.metadata.name for job in self._jobs}:
            body = new_job(self._cron_job, self._me, name, due.astimezone(zone))
            create = CreateObject(JOBS, body, self._me.namespace, if_absent=True)
            success = ("SuccessfulCreate", f"Created job {name}")
            failure = ("FailedCreate", "Error creating job: ")
            self.actions.append(Told(self._me, (create,), success, failure))
        self._note_scheduled(due)

    def _note_scheduled(self, due: datetime) -> None:
        at = rfc3339(due.timestamp())
        self._status = msgspec.structs.replace(self._status, last_schedule_time=at)

    def report(self) -> None:
        """Write down what has changed."""
        status = msgspec.structs.replace(self._status, active=tuple(self._active))
        if status != self._cron_job.status:
            version = {"resourceVersion": self._cron_job.metadata.resource_version}
            patch = {"metadata": version, "status": status.to_document()}
            self.actions.append(PatchObject(self._me, patch, sub="status"))
        self.actions += self._told

    def throw_away(self) -> None:
        """Delete the oldest of the finished jobs that are too many."""
        spec = self._cron_job.spec
        for type_, limit in (
            ("Complete", spec.successful_jobs_history_limit),
            ("Failed", spec.failed_jobs_history_limit),
        ):
            ended = [job for job in self._jobs if _ended(job) == type_]
            if limit is None or len(ended) <= limit:
                continue
            for job in sorted(ended, key=_age)[: len(ended) - limit]:
                self._delete(ref_of(JOBS, job))

    def _delete(self, job: ObjectRef) -> None:
        self.actions += [
            DeleteObject(job, propagation="Background"),
            self._event("Normal", "SuccessfulDelete", f"Deleted job {job.name}"),
        ]

    def _tell(self, type_: str, reason: str, message: str) -> None:
        self._told.append(self._event(type_, reason, message))

    def _event(self, type_: str, reason: str, message: str) -> RecordEvent:
        return RecordEvent(self._me, reason, message, type_)


def _ended(job: Job) -> str:
    finish = job.finish
    is_going = job.metadata.deletion_timestamp is not None
    return "" if finish is None or is_going else finish.type


def _age(job: Job) -> tuple[bool, float, str]:
    start = job.status.start_time
    return start is None, seconds_of(start), job.metadata.name


def _ref(entry: ActiveJob) -> ObjectRef:
    return ObjectRef(JOBS, entry.name, entry.namespace, entry.uid)


def _entry(job: Job) -> ActiveJob:
    meta = job.metadata
    return ActiveJob(
        name=meta.name,
        namespace=meta.namespace,
        uid=meta.uid,
        resource_version=meta.resource_version,
    )


def new_job(cron_job: CronJob, me: ObjectRef, name: str, at: datetime) -> dict[str, Any]:
    """Return the job of some time, as the cron job's template has it."""
    template = cron_job.spec.job_template
    given = template.get("metadata") or {}
    stamp = at.isoformat().replace("+00:00", "Z")
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "metadata": {
            "name": name,
            "namespace": me.namespace,
            "labels": dict(given.get("labels") or {}),
            "annotations": {**(given.get("annotations") or {}), CRON_JOB_SCHEDULED: stamp},
            "ownerReferences": [me.owner_reference()],
        },
        "spec": template.get("spec") or {},
    }


class CronJobReconciler(Reconciler):
    """Feeds `reconcile` from the cache; keys are cron jobs."""

    name = "cronjob-controller"
    account = "cronjob-controller"
    resource = CRON_JOBS
    follows = (JOBS,)

    def keys_behind(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the cron jobs that a change of a job concerns."""
        return controllers_of(CRON_JOBS, old, new)

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what the cron job needs."""
        cron_job: CronJob | None = cache.get(CRON_JOBS, key)
        if cron_job is None:
            return Outcome()
        return reconcile(cron_job, tuple(cache.controlled(JOBS, cron_job.metadata.uid)), now)
