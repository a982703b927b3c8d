"""Finished jobs go when their time is up.

Matches Kubernetes 1.36 (`pkg/controller/ttlafterfinished`).
"""

from __future__ import annotations

from kubeberth.api.batch import Job
from kubeberth.api.scheme import JOBS
from kubeberth.api.workloads import seconds_of
from kubeberth.controllers.action import DeleteObject, Failure, Outcome
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.reconciler import Reconciler


def reconcile(job: Job, now: float) -> Outcome:
    """Return the deletion of a job that is over for long enough, its pods first."""
    ttl_s, finish = job.spec.ttl_seconds_after_finished, job.finish
    if ttl_s is None or finish is None or job.metadata.deletion_timestamp is not None:
        return Outcome()
    left_s = seconds_of(finish.last_transition_time) + ttl_s - now
    if left_s > 0:
        return Outcome((), left_s)
    return Outcome((DeleteObject(ref_of(JOBS, job), propagation="Foreground"),))


class TTLAfterFinishedReconciler(Reconciler):
    """Feeds `reconcile` from the cache; keys are jobs."""

    name = "ttl-after-finished-controller"
    account = "ttl-after-finished-controller"
    resource = JOBS

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return whether the job must go."""
        job: Job | None = cache.get(JOBS, key)
        return Outcome() if job is None else reconcile(job, now)
