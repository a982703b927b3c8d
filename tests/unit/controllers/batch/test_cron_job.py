"""Cron jobs, on a clock that goes on when it is told to."""

from datetime import datetime

import pytest
from tests.world import World, flat

from kubeberth.api.scheme import CRON_JOBS, JOBS
from kubeberth.clock import rfc3339
from kubeberth.controllers.batch.cron_job import CronJobReconciler
from kubeberth.errors import ForbiddenError

KEY = "default/tick"
START = datetime.fromisoformat("2027-01-15T08:00:00Z").timestamp()
MINUTE = 60


def world_with(*, after_s=0.0, **spec):
    """Return a world with a cron job of every minute, made at 08:00:00."""
    world = World(CronJobReconciler())
    world.clock.time = START
    job = {"metadata": {"labels": {"app": "tick"}}, "spec": {"template": {"spec": {}}}}
    whole = {
        "schedule": "* * * * *",
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
        "jobTemplate": job,
        **spec,
    }
    world.api.put(CRON_JOBS, {"metadata": {"name": "tick", "uid": "uid-tick"}, "spec": whole})
    world.clock.time += after_s
    return world


def go_on(world, seconds=MINUTE):
    world.clock.time += seconds
    return world.settle(KEY)


def status(world):
    return world.status(CRON_JOBS, "tick")


def jobs(world):
    return [body["metadata"]["name"] for body in world.api.objects[JOBS].values()]


def active(world):
    return [entry["name"] for entry in status(world).get("active", [])]


def finish(world, name, type_="Complete"):
    now = rfc3339(world.clock.now())
    conditions = [{"type": type_, "status": "True", "lastTransitionTime": now}]
    told = {"conditions": conditions, "startTime": now}
    if type_ == "Complete":
        told["completionTime"] = now
    world.api.change(JOBS, f"default/{name}", {"status": told})


def name_of(minutes):
    return f"tick-{int(START) // 60 + minutes}"


def test_a_job_is_made_when_it_is_time_and_named_after_it():
    world = world_with()
    assert world.settle(KEY).requeue_after_s == pytest.approx(60.1)
    assert jobs(world) == []
    outcome = go_on(world)
    assert jobs(world) == active(world) == [name_of(1)]
    body = world.of(JOBS, name_of(1))
    assert body["metadata"]["labels"] == {"app": "tick"}
    assert body["metadata"]["annotations"] == {
        "batch.kubernetes.io/cronjob-scheduled-timestamp": "2027-01-15T08:01:00Z"
    }
    assert body["metadata"]["ownerReferences"][0]["uid"] == "uid-tick"
    assert body["spec"] == {"template": {"spec": {}}}
    assert status(world)["lastScheduleTime"] == "2027-01-15T08:01:00Z"
    assert status(world)["active"] == [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": name_of(1),
            "namespace": "default",
            "uid": body["metadata"]["uid"],
            "resourceVersion": body["metadata"]["resourceVersion"],
        }
    ]
    assert world.events == [("Normal", "SuccessfulCreate", f"Created job {name_of(1)}")]
    assert outcome.requeue_after_s == pytest.approx(60.1)


def test_jobs_that_have_ended_are_active_no_more():
    world = world_with()
    go_on(world)
    go_on(world, 20)
    finish(world, name_of(1))
    go_on(world, 0)
    assert active(world) == []
    assert status(world)["lastSuccessfulTime"] == "2027-01-15T08:01:20Z"
    message = f"Saw completed job: {name_of(1)}, condition: Complete"
    assert world.events[-1] == ("Normal", "SawCompletedJob", message)


def test_a_job_that_somebody_deleted_is_missed():
    world = world_with()
    go_on(world)
    world.api.remove(JOBS, f"default/{name_of(1)}")
    go_on(world, 1)
    assert "active" not in status(world)
    assert world.events[-1] == ("Normal", "MissingJob", f"Active job went missing: {name_of(1)}")


def test_a_job_made_by_hand_from_a_cron_job_is_none_of_its_own():
    world = world_with()
    reference = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "tick", "uid": "uid-tick"}
    references = [{**reference, "controller": True}]
    world.api.put(JOBS, {"metadata": {"name": "manual", "ownerReferences": references}, "spec": {}})
    world.sync(KEY)
    assert active(world) == []
    message = "Saw a job that the controller did not create or forgot: manual"
    assert world.events == [("Warning", "UnexpectedJob", message)]


@pytest.mark.parametrize(
    ("policy", "names", "reason"),
    [
        ("Allow", [1, 2], "SuccessfulCreate"),
        ("Forbid", [1], "JobAlreadyActive"),
        ("Replace", [2], "SuccessfulCreate"),
    ],
)
def test_what_happens_while_a_job_still_runs_is_the_policy_s_decision(policy, names, reason):
    world = world_with(concurrencyPolicy=policy)
    go_on(world)
    world.clock.time += MINUTE
    world.sync(KEY)
    world.sync(KEY)
    assert jobs(world) == active(world) == [name_of(number) for number in names]
    assert world.events[-1][1] == reason
    assert ("SuccessfulDelete" in world.reasons()) is (policy == "Replace")


def test_a_forbidden_run_starts_when_the_one_before_has_ended():
    world = world_with(concurrencyPolicy="Forbid")
    go_on(world)
    world.clock.time += MINUTE + 10
    finish(world, name_of(1))
    world.settle(KEY)
    assert active(world) == [name_of(2)]


def test_of_several_missed_times_only_the_last_one_is_made_up_for():
    world = world_with(after_s=10 * MINUTE + 30)
    world.settle(KEY)
    assert jobs(world) == [name_of(10)]
    assert world.reasons() == ["SuccessfulCreate"]


def test_more_than_a_hundred_missed_times_are_complained_of():
    world = world_with(after_s=101 * MINUTE)
    world.settle(KEY)
    message = (
        "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock "
        "skew"
    )
    assert ("Warning", "TooManyMissedTimes", message) in world.events
    assert jobs(world) == [name_of(101)]
    few = world_with(after_s=100 * MINUTE)
    few.settle(KEY)
    assert few.reasons() == ["SuccessfulCreate"]


def test_a_deadline_limits_how_far_back_is_looked():
    world = world_with(schedule="0 * * * *", startingDeadlineSeconds=200, after_s=3600 + 201)
    world.settle(KEY)
    assert jobs(world) == []
    world = world_with(schedule="0 * * * *", startingDeadlineSeconds=200, after_s=3600 + 199)
    world.settle(KEY)
    assert jobs(world) == [name_of(60)]


def test_a_suspended_cron_job_makes_nothing_and_makes_up_for_one_run():
    world = world_with(suspend=True)
    assert go_on(world, 5 * MINUTE).requeue_after_s is None
    assert jobs(world) == []
    world.change(CRON_JOBS, "tick", suspend=False)
    world.settle(KEY)
    assert jobs(world) == [name_of(5)]


def test_only_so_many_finished_jobs_are_kept():
    world = world_with(successfulJobsHistoryLimit=2, failedJobsHistoryLimit=1)
    for number in range(1, 7):
        go_on(world)
        world.clock.time += 1
        finish(world, name_of(number), "Failed" if number % 2 else "Complete")
        world.settle(KEY)
        world.clock.time -= 1
    assert jobs(world) == [name_of(number) for number in (4, 5, 6)]
    assert ("Normal", "SuccessfulDelete", f"Deleted job {name_of(1)}") in world.events


def test_the_time_is_that_of_the_time_zone():
    world = world_with(schedule="30 9 * * *", timeZone="Europe/Berlin")
    assert world.settle(KEY).requeue_after_s == pytest.approx(30 * MINUTE + 0.1)
    go_on(world, 30 * MINUTE)
    annotations = world.of(JOBS, name_of(30))["metadata"]["annotations"]
    assert list(annotations.values()) == ["2027-01-15T09:30:00+01:00"]


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        (
            {"schedule": "0 0 31 2 *"},
            "InvalidSchedule",
            "invalid schedule: 0 0 31 2 * : time difference between two schedules is less than 1 "
            "second",
        ),
        (
            {"schedule": "soon"},
            "UnparseableSchedule",
            'unparseable schedule: "soon" : expected exactly 5 fields, found 1: [soon]',
        ),
        (
            {"timeZone": "Moon/Base"},
            "UnknownTimeZone",
            'invalid timeZone: "Moon/Base": unknown time zone Moon/Base',
        ),
    ],
)
def test_what_is_no_schedule_is_told(spec, reason, message):
    world = world_with(**spec)
    outcome = world.sync(KEY)
    assert world.events == [("Warning", reason, message)]
    assert outcome.requeue_after_s is None


def test_why_a_job_could_not_be_made_is_told_and_it_is_made_later():
    world = world_with(after_s=MINUTE)
    world.api.refusals["create", JOBS] = ForbiddenError("exceeded quota: small")
    world.sync(KEY)
    message = "Error creating job: exceeded quota: small"
    assert world.events == [("Warning", "FailedCreate", message)]
    assert "lastScheduleTime" not in status(world)
    world.api.refusals.clear()
    world.settle(KEY)
    assert jobs(world) == active(world) == [name_of(1)]


@pytest.mark.parametrize("policy", ["Allow", "Forbid", "Replace"])
def test_a_controller_that_is_killed_at_any_point_makes_each_job_once(policy):
    world = world_with(after_s=MINUTE, concurrencyPolicy=policy)
    actions = flat(world.look(KEY).actions)
    for n_done in range(len(actions) + 1):
        again = world_with(after_s=MINUTE, concurrencyPolicy=policy)
        again.carry_out(flat(again.look(KEY).actions)[:n_done])
        again.reconciler = CronJobReconciler()
        again.settle(KEY)
        assert jobs(again) == active(again) == [name_of(1)]
        assert status(again)["lastScheduleTime"] == "2027-01-15T08:01:00Z"


def test_a_change_of_a_job_brings_its_cron_job_back():
    world = world_with(after_s=MINUTE)
    world.settle(KEY)
    [job] = world.cache.all(JOBS).values()
    assert CronJobReconciler().keys(world.cache, JOBS, None, job) == {KEY}


def test_a_cron_job_that_is_being_deleted_makes_nothing():
    world = world_with(after_s=MINUTE)
    meta = {"deletionTimestamp": rfc3339(START), "finalizers": ["foregroundDeletion"]}
    world.api.change(CRON_JOBS, KEY, {"metadata": meta})
    assert world.settle(KEY).requeue_after_s is None
    assert jobs(world) == []
