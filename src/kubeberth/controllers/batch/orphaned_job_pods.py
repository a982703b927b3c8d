"""Pods of jobs that are gone: nobody will count them, so nothing may hold them.

Matches Kubernetes 1.36 (`syncOrphanPod` in `pkg/controller/job`).
"""

from __future__ import annotations

from collections.abc import Iterable

from kubeberth.api.core import Pod
from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import JOBS, PODS, Resource
from kubeberth.controllers.action import ConfirmAbsent, Failure, ObjectRef, Outcome
from kubeberth.controllers.batch.job_pods import is_tracked, untracked
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.reconciler import Reconciler


def reconcile(pod: Pod, job_exists: bool) -> Outcome:
    """Return what lets go of a pod without a job.

    Parameters
    ----------
    job_exists
        Whether the job that controls the pod is there.
    """
    if job_exists or not is_tracked(pod):
        return Outcome()
    controller = pod.metadata.controller
    if controller is None:
        return Outcome((untracked(pod),))
    job = ObjectRef(JOBS, controller.name, pod.metadata.namespace, controller.uid)
    return Outcome((ConfirmAbsent(job), untracked(pod)))


class OrphanedJobPodReconciler(Reconciler):
    """Feeds `reconcile` from the cache; keys are pods."""

    # As upstream: a part of the job controller.
    name = "job-controller"
    account = "job-controller"
    resource = PODS
    follows = (JOBS,)

    def keys(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return a pod that is held, or those that a job leaves behind."""
        if resource == PODS and isinstance(new, Pod) and is_tracked(new):
            return [] if _has_job(cache, new) else [new.metadata.key]
        if resource == JOBS and new is None and old is not None:
            return [pod.metadata.key for pod in cache.controlled(PODS, old.metadata.uid)]
        return []

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what lets go of the pod."""
        pod: Pod | None = cache.get(PODS, key)
        return Outcome() if pod is None else reconcile(pod, _has_job(cache, pod))


def _has_job(cache: Cache, pod: Pod) -> bool:
    controller = pod.metadata.controller
    owner = cache.owner(pod.metadata.namespace, controller) if controller is not None else None
    return owner is not None and controller is not None and owner.metadata.uid == controller.uid
