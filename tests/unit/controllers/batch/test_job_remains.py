"""What is left of jobs: finished ones that go in time, and pods of those that are gone."""

import msgspec
import pytest
from tests.objects import NOW, pod

from kubeberth.api.batch import JOB_TRACKING, Job
from kubeberth.api.scheme import JOBS, PODS
from kubeberth.clock import rfc3339
from kubeberth.controllers.action import ConfirmAbsent, DeleteObject, PatchObject
from kubeberth.controllers.batch.orphaned_job_pods import OrphanedJobPodReconciler
from kubeberth.controllers.batch.ttl_after_finished import TTLAfterFinishedReconciler, reconcile
from kubeberth.controllers.cache import Cache


def job(finish=None, **spec):
    at = rfc3339(NOW - 20)
    conditions = [{"type": finish, "status": "True", "lastTransitionTime": at}] if finish else []
    metadata = {"name": "pi", "namespace": "default", "uid": "uid-pi"}
    document = {"metadata": metadata, "spec": spec, "status": {"conditions": conditions}}
    return msgspec.convert(document, Job)


@pytest.mark.parametrize("finish", ["Complete", "Failed"])
def test_a_finished_job_goes_when_its_time_is_up(finish):
    waiting = reconcile(job(finish, ttlSecondsAfterFinished=60), NOW)
    assert (waiting.actions, waiting.requeue_after_s) == ((), 40)
    [deletion] = reconcile(job(finish, ttlSecondsAfterFinished=20), NOW).actions
    assert isinstance(deletion, DeleteObject)
    assert (deletion.target.uid, deletion.propagation) == ("uid-pi", "Foreground")


def test_a_job_without_time_to_live_or_end_stays():
    for staying in (job("Complete"), job(ttlSecondsAfterFinished=0)):
        assert reconcile(staying, NOW).actions == ()


def test_a_job_is_looked_at_when_it_changes():
    assert list(TTLAfterFinishedReconciler().keys(Cache(), JOBS, None, job())) == ["default/pi"]


def owned(**metadata):
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "pi", "uid": "uid-pi"}
    references = [{**owner, "controller": True}]
    return pod("pi-1", finalizers=[JOB_TRACKING], **{"ownerReferences": references, **metadata})


def looked_at(found, *jobs):
    cache, reconciler = Cache(), OrphanedJobPodReconciler()
    for each in jobs:
        cache.apply(JOBS, None, each)
    cache.apply(PODS, None, found)
    keys = reconciler.keys(cache, PODS, None, found)
    return [
        action for key in keys for action in reconciler.reconcile(cache, key, NOW, None).actions
    ]


def test_a_pod_of_a_job_that_is_gone_is_let_go_once_that_is_certain():
    question, patch = looked_at(owned())
    assert isinstance(question, ConfirmAbsent)
    assert (question.target.resource, question.target.uid) == (JOBS, "uid-pi")
    assert isinstance(patch, PatchObject)
    assert patch.patch["metadata"] == {
        "uid": "uid-pi-1",
        "$deleteFromPrimitiveList/finalizers": [JOB_TRACKING],
    }


def test_a_pod_that_was_orphaned_is_let_go():
    assert len(looked_at(owned(ownerReferences=[]))) == 1


def test_a_pod_of_a_job_is_left_to_the_job():
    assert looked_at(owned(), job()) == []


def test_what_a_job_leaves_behind_is_looked_at():
    cache = Cache()
    cache.apply(PODS, None, owned())
    keys = OrphanedJobPodReconciler().keys(cache, JOBS, job(), None)
    assert list(keys) == ["default/pi-1"]
