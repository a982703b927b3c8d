"""Jobs: pods that run to their end, each counted once."""

import random
from collections import Counter

import pytest
from tests.objects import template
from tests.world import World, flat

from kubeberth.api.batch import JOB_TRACKING
from kubeberth.api.scheme import JOBS, PODS
from kubeberth.clock import rfc3339
from kubeberth.controllers.batch.job import JobReconciler
from kubeberth.errors import ForbiddenError

KEY = "default/pi"
UID = "batch.kubernetes.io/controller-uid"


def world_with(*, restart="Never", **spec):
    """Return a world with a job as the API server stores it."""
    world = World(JobReconciler())
    pods = template(labels={UID: "uid-pi", "batch.kubernetes.io/job-name": "pi"})
    pods["spec"]["restartPolicy"] = restart
    whole = {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "TerminatingOrFailed",
        "selector": {"matchLabels": {UID: "uid-pi"}},
        "template": pods,
        **spec,
    }
    body = {"metadata": {"name": "pi", "uid": "uid-pi"}, "spec": drop_none(whole)}
    world.api.put(JOBS, body)
    return world


def drop_none(fields):
    return {key: value for key, value in fields.items() if value is not None}


def status(world):
    return world.status(JOBS, "pi")


def conditions(world):
    return {
        entry["type"]: entry["reason"]
        for entry in status(world).get("conditions", [])
        if entry["status"] == "True"
    }


def counts(world):
    fields = ("active", "succeeded", "failed", "terminating")
    return tuple(status(world).get(field, 0) for field in fields)


def indexes(world):
    annotation = "batch.kubernetes.io/job-completion-index"
    return [int(pod["metadata"]["annotations"][annotation]) for pod in world.alive()]


def held(world):
    return [pod for pod in world.pods() if JOB_TRACKING in pod["metadata"].get("finalizers", [])]


# A job from its beginning to its end.


def test_a_job_makes_a_pod_that_it_holds_until_it_is_counted():
    world = world_with()
    world.settle(KEY)
    [pod] = world.pods()
    assert pod["metadata"]["finalizers"] == [JOB_TRACKING]
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "Job"
    assert pod["metadata"]["name"].startswith("pi-")
    assert status(world) == {
        "startTime": rfc3339(world.clock.now()),
        "active": 1,
        "ready": 0,
        "terminating": 0,
        "uncountedTerminatedPods": {},
    }
    assert world.events == [
        ("Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")
    ]


def test_a_job_whose_pod_succeeds_is_complete():
    world = world_with()
    world.settle(KEY)
    world.run()
    world.settle(KEY)
    assert status(world)["ready"] == 1
    world.clock.time += 5
    world.end(*world.alive())
    world.settle(KEY)
    now = rfc3339(world.clock.now())
    assert status(world) == {
        "startTime": rfc3339(world.clock.now() - 5),
        "completionTime": now,
        "ready": 0,
        "terminating": 0,
        "succeeded": 1,
        "uncountedTerminatedPods": {},
        "conditions": [
            {
                "type": type_,
                "status": "True",
                "reason": "CompletionsReached",
                "message": "Reached expected number of succeeded pods",
                "lastProbeTime": now,
                "lastTransitionTime": now,
            }
            for type_ in ("SuccessCriteriaMet", "Complete")
        ],
    }
    assert held(world) == []
    assert world.events[-1] == ("Normal", "Completed", "Job completed")


def test_so_many_pods_run_at_a_time_that_the_completions_are_reached_and_not_passed():
    world = world_with(parallelism=3, completions=5)
    seen = []
    while "Complete" not in conditions(world):
        world.settle(KEY)
        seen.append(len(world.alive()))
        world.end(*world.alive())
    assert seen == [3, 2, 0]
    assert counts(world) == (0, 5, 0, 0)


def test_a_work_queue_is_done_when_one_worker_found_it_empty_and_the_others_have_ended():
    world = world_with(parallelism=3, completions=None)
    world.settle(KEY)
    first, *others = world.alive()
    world.end(first)
    world.settle(KEY)
    assert len(world.alive()) == 2, "no new worker comes"
    assert conditions(world) == {}
    world.end(*others)
    world.settle(KEY)
    assert counts(world) == (0, 3, 0, 0)
    assert "Complete" in conditions(world)


def test_no_more_than_500_pods_are_made_at_a_time():
    world = world_with(parallelism=600, completions=600)
    world.sync(KEY)
    assert len(world.pods()) == 500


def test_a_smaller_parallelism_takes_pods_away_without_counting_them_as_failed():
    world = world_with(parallelism=3, completions=3)
    world.settle(KEY)
    running, *_ = world.alive()
    world.run(running)
    world.change(JOBS, "pi", parallelism=1)
    world.settle(KEY)
    assert [pod["metadata"]["name"] for pod in world.alive()] == [running["metadata"]["name"]]
    assert counts(world) == (1, 0, 0, 0)


def test_pods_that_may_not_be_created_do_not_count_as_active():
    world = world_with()
    world.api.refusals["create", PODS] = ForbiddenError('pods "pi-" is forbidden: exceeded quota')
    world.sync(KEY)
    assert status(world)["startTime"]
    assert counts(world) == (0, 0, 0, 0)
    message = 'Error creating: pods "pi-" is forbidden: exceeded quota'
    assert world.events == [("Warning", "FailedCreate", message)]


def test_jobs_of_other_controllers_are_left_alone():
    world = world_with(managedBy="acme.io/queue")
    assert world.settle(KEY).actions == ()
    assert world.pods() == []


def test_a_pod_with_the_right_labels_is_adopted_and_held():
    world = world_with()
    world.api.put(PODS, {"metadata": {"name": "lost", "labels": {UID: "uid-pi"}}, **BARE})
    world.settle(KEY)
    [pod] = world.pods()
    assert pod["metadata"]["ownerReferences"][0]["uid"] == "uid-pi"
    assert pod["metadata"]["finalizers"] == [JOB_TRACKING]


def test_a_pod_whose_labels_no_longer_match_is_released_and_let_go():
    world = world_with()
    world.settle(KEY)
    [pod] = world.pods()
    world.api.change(
        PODS, f"default/{pod['metadata']['name']}", {"metadata": {"labels": {UID: "x"}}}
    )
    world.settle(KEY)
    old, new = world.pods()
    assert not old["metadata"].get("ownerReferences")
    assert not old["metadata"].get("finalizers")
    assert new["metadata"]["ownerReferences"]


BARE = {"spec": {"containers": [{"name": "c", "image": "nginx"}]}}


# Failures and back-off.


def fail(world, code=1, n=None):
    world.end(*world.alive()[:n], code=code)
    world.settle(KEY)


def test_n138_a_failing_job_makes_three_pods_10_and_20_seconds_apart_and_fails():
    world = world_with(backoffLimit=2)
    waits = []
    for _ in range(2):
        world.settle(KEY)
        world.run()
        world.end(*world.alive(), code=1)
        outcome = world.settle(KEY)
        assert world.alive() == []
        waits.append(round(outcome.requeue_after_s))
        world.clock.time += outcome.requeue_after_s
    world.settle(KEY)
    fail(world)
    assert waits == [10, 20]
    assert len(world.pods()) == 3
    assert counts(world) == (0, 0, 3, 0)
    assert conditions(world) == dict.fromkeys(("FailureTarget", "Failed"), "BackoffLimitExceeded")
    assert "completionTime" not in status(world)
    message = "Job has reached the specified backoff limit"
    assert world.events[-1] == ("Warning", "BackoffLimitExceeded", message)


def test_a_success_ends_the_back_off():
    world = world_with(parallelism=2, completions=4)
    world.settle(KEY)
    one, other = world.alive()
    world.end(one, code=1)
    world.clock.time += 1
    world.end(other)
    world.settle(KEY)
    assert len(world.alive()) == 2


def test_a_restarted_controller_goes_on_waiting():
    world = world_with()
    world.settle(KEY)
    fail(world)
    world.clock.time += 4
    world.reconciler = JobReconciler()
    assert world.settle(KEY).requeue_after_s == pytest.approx(6, abs=0.1)


def test_the_back_off_remembers_pods_that_are_gone():
    world = world_with()
    world.settle(KEY)
    world.run()
    [pod] = world.pods()
    world.api.change(PODS, f"default/{pod['metadata']['name']}", going(world))
    world.settle(KEY)
    world.reap()
    outcome = world.settle(KEY)
    assert world.pods() == []
    assert outcome.requeue_after_s == pytest.approx(10, abs=0.1)


def going(world, grace_s=30):
    at = rfc3339(world.clock.now() + grace_s)
    return {"metadata": {"deletionTimestamp": at, "deletionGracePeriodSeconds": grace_s}}


def test_waits_grow_to_ten_minutes():
    world = world_with(backoffLimit=20)
    for _ in range(8):
        world.settle(KEY)
        fail(world)
        outcome = world.settle(KEY)
        world.clock.time += outcome.requeue_after_s
    assert outcome.requeue_after_s == pytest.approx(600, abs=0.1)


@pytest.mark.parametrize(
    ("limit", "restarts", "fails"), [(0, 0, 0), (0, 1, 1), (2, 1, 0), (2, 2, 1)]
)
def test_containers_that_are_restarted_in_place_count_too(limit, restarts, fails):
    world = world_with(restart="OnFailure", backoffLimit=limit)
    world.settle(KEY)
    world.run()
    [pod] = world.pods()
    patch = {"status": {"containerStatuses": [{"name": "c", "restartCount": restarts}]}}
    world.api.change(PODS, f"default/{pod['metadata']['name']}", patch)
    world.settle(KEY)
    assert ("FailureTarget" in conditions(world)) is bool(fails)


def test_a_job_fails_at_its_deadline_and_waits_for_its_pods_to_go():
    world = world_with(parallelism=2, completions=2, activeDeadlineSeconds=30)
    assert world.settle(KEY).requeue_after_s == pytest.approx(30, abs=0.1)
    world.run()
    world.clock.time += 30
    world.settle(KEY)
    assert conditions(world) == {"FailureTarget": "DeadlineExceeded"}
    assert counts(world) == (0, 0, 2, 2)
    world.reap()
    world.settle(KEY)
    assert world.pods() == []
    assert counts(world) == (0, 0, 2, 0)
    assert conditions(world)["Failed"] == "DeadlineExceeded"
    message = "Job was active longer than specified deadline"
    assert world.events[-1] == ("Warning", "DeadlineExceeded", message)


def test_a_deleted_pod_is_replaced_at_once_or_when_it_has_ended():
    for policy, n_failed in (("TerminatingOrFailed", 1), ("Failed", 0)):
        world = world_with(podReplacementPolicy=policy)
        world.settle(KEY)
        world.run()
        [pod] = world.pods()
        world.api.change(PODS, f"default/{pod['metadata']['name']}", going(world))
        world.settle(KEY)
        world.clock.time += 11
        world.settle(KEY)
        assert (len(world.alive()), status(world).get("failed", 0)) == (n_failed, n_failed)
        world.end(pod, code=143)
        world.settle(KEY)
        world.clock.time += 11
        world.settle(KEY)
        assert (len(world.alive()), status(world)["failed"]) == (1, 1)


# Indexes.


def test_indexed_pods_know_their_number():
    world = world_with(completionMode="Indexed", parallelism=2, completions=3)
    world.settle(KEY)
    assert indexes(world) == [0, 1]
    pod = world.pods()[1]
    meta = pod["metadata"]
    assert meta["name"].startswith("pi-1-")
    assert meta["labels"]["batch.kubernetes.io/job-completion-index"] == "1"
    assert pod["spec"]["hostname"] == "pi-1"
    path = "metadata.labels['batch.kubernetes.io/job-completion-index']"
    variable = {"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"fieldPath": path}}}
    assert pod["spec"]["containers"][0]["env"] == [variable]


def test_a_long_name_keeps_room_for_the_index():
    world = World(JobReconciler())
    name = "p" * 63
    spec = {
        "completions": 12,
        "parallelism": 12,
        "completionMode": "Indexed",
        "selector": {"matchLabels": {UID: "u"}},
        "template": template(labels={UID: "u"}),
    }
    world.api.put(JOBS, {"metadata": {"name": name, "uid": "u"}, "spec": spec})
    world.settle(f"default/{name}")
    assert world.pods()[11]["metadata"]["name"][:-5] == "p" * 54 + "-11-"


def test_n139_the_next_index_is_the_lowest_that_is_missing():
    world = world_with(completionMode="Indexed", parallelism=4, completions=5)
    world.settle(KEY)
    zero, one, two, three = world.alive()
    world.end(one, code=1)
    world.end(zero, two, three)
    world.settle(KEY)
    # Three or more in a row are written as a range; two are not.
    assert status(world)["completedIndexes"] == "0,2,3"
    world.clock.time += 11
    world.settle(KEY)
    assert indexes(world) == [1, 4]
    world.end(*world.alive())
    world.settle(KEY)
    assert status(world)["completedIndexes"] == "0-4"
    assert counts(world) == (0, 5, 1, 0)


def test_of_two_pods_of_an_index_the_one_that_has_come_further_stays():
    world = world_with(completionMode="Indexed", parallelism=2, completions=2)
    world.settle(KEY)
    first = world.pods()[0]
    double = {**first, "metadata": {**first["metadata"], "name": "pi-0-again", "uid": "u2"}}
    world.api.put(PODS, double)
    world.run(double)
    world.settle(KEY)
    assert {pod["metadata"]["name"] for pod in world.alive()} == {
        "pi-0-again",
        world.pods()[-2]["metadata"]["name"],
    }
    assert sorted(indexes(world)) == [0, 1]


def test_an_elastic_job_gives_up_the_indexes_that_it_no_longer_has():
    world = world_with(completionMode="Indexed", parallelism=3, completions=3)
    world.settle(KEY)
    world.change(JOBS, "pi", parallelism=2, completions=2)
    world.settle(KEY)
    assert indexes(world) == [0, 1]
    world.end(*world.alive())
    world.settle(KEY)
    assert (status(world)["completedIndexes"], status(world)["succeeded"]) == ("0,1", 2)
    assert "Complete" in conditions(world)


def per_index(**spec):
    return world_with(
        completionMode="Indexed",
        parallelism=3,
        completions=3,
        backoffLimit=2**31 - 1,
        backoffLimitPerIndex=1,
        **spec,
    )


def test_each_index_may_fail_so_often_and_the_others_go_on():
    world = per_index()
    world.settle(KEY)
    zero, one, two = world.alive()
    world.end(one, code=1)
    outcome = world.settle(KEY)
    assert held(world) == [zero, world.pods()[1], two], "it is kept until there is another one"
    assert outcome.requeue_after_s == pytest.approx(10, abs=0.1)
    world.clock.time += outcome.requeue_after_s
    world.settle(KEY)
    again = world.pods()[3]
    assert again["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"] == "1"
    assert status(world)["failed"] == 1
    assert status(world)["failedIndexes"] == ""
    world.end(again, code=1)
    world.settle(KEY)
    assert status(world)["failedIndexes"] == "1"
    assert len(world.alive()) == 2
    world.end(zero, two)
    world.settle(KEY)
    assert status(world)["completedIndexes"] == "0,2"
    assert conditions(world) == dict.fromkeys(("FailureTarget", "Failed"), "FailedIndexes")
    assert world.events[-1] == ("Warning", "FailedIndexes", "Job has failed indexes")
    assert held(world) == []


def test_too_many_failed_indexes_end_the_job():
    world = per_index(maxFailedIndexes=0)
    for _ in range(2):
        world.settle(KEY)
        one = next(pod for pod in world.alive() if indexes_of(pod) == 1)
        world.end(one, code=1)
        world.clock.time += 11
    world.settle(KEY)
    world.reap()
    world.settle(KEY)
    assert conditions(world)["Failed"] == "MaxFailedIndexesExceeded"
    assert counts(world) == (0, 0, 4, 0)


def indexes_of(pod):
    return int(pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"])


# Policies.


def exit_codes(action, *values, operator="In", **more):
    codes = {"operator": operator, "values": list(values), **more}
    return {"action": action, "onExitCodes": codes}


def with_policy(*rules, **spec):
    policy = {"rules": list(rules)}
    return world_with(podFailurePolicy=policy, podReplacementPolicy="Failed", **spec)


def test_a_fatal_exit_code_fails_the_job_at_once():
    world = with_policy(
        exit_codes("Count", 1), exit_codes("FailJob", 42), completions=2, parallelism=2
    )
    world.settle(KEY)
    one, other = world.alive()
    world.run(one, other)
    world.end(one, code=42)
    world.settle(KEY)
    name = one["metadata"]["name"]
    message = (
        f"Container c for pod default/{name} failed with exit code 42 "
        "matching FailJob rule at index 1"
    )
    [target] = status(world)["conditions"]
    assert (target["type"], target["reason"]) == ("FailureTarget", "PodFailurePolicy")
    assert target["message"] == message
    world.reap()
    world.settle(KEY)
    assert conditions(world)["Failed"] == "PodFailurePolicy"
    assert world.events[-1] == ("Warning", "PodFailurePolicy", message)
    assert counts(world) == (0, 0, 2, 0)


def test_a_fatal_condition_fails_the_job():
    pattern = {"type": "DisruptionTarget", "status": "True"}
    world = with_policy(exit_codes("Count", 1), {"action": "FailJob", "onPodConditions": [pattern]})
    world.settle(KEY)
    [pod] = world.alive()
    world.end(pod, code=137, conditions=[pattern])
    world.settle(KEY)
    assert status(world)["conditions"][0]["message"] == (
        f"Pod default/{pod['metadata']['name']} has condition DisruptionTarget "
        "matching FailJob rule at index 1"
    )


def test_ignored_failures_do_not_count_but_are_replaced_after_the_back_off():
    world = with_policy(exit_codes("Ignore", 7, operator="In"), backoffLimit=0)
    world.settle(KEY)
    fail(world, code=7)
    assert counts(world) == (0, 0, 0, 0)
    assert held(world) == []
    world.clock.time += 11
    world.settle(KEY)
    assert len(world.alive()) == 1


def test_failing_an_index_leaves_no_more_attempts_to_it():
    policy = {"rules": [exit_codes("FailIndex", 3)]}
    world = per_index(podFailurePolicy=policy, podReplacementPolicy="Failed")
    world.settle(KEY)
    world.end(world.alive()[1], code=3)
    world.settle(KEY)
    assert status(world)["failedIndexes"] == "1"


def test_a_success_policy_ends_the_job_when_its_rule_holds():
    rules = [{"succeededIndexes": "0-1", "succeededCount": 2}, {"succeededIndexes": "2"}]
    world = world_with(
        completionMode="Indexed", parallelism=4, completions=4, successPolicy={"rules": rules}
    )
    world.settle(KEY)
    world.run()
    world.end(world.alive()[2])
    world.settle(KEY)
    assert conditions(world) == {"SuccessCriteriaMet": "SuccessPolicy"}
    assert status(world)["conditions"][0]["message"] == "Matched rules at index 1"
    world.reap()
    world.settle(KEY)
    assert conditions(world)["Complete"] == "SuccessPolicy"
    assert counts(world) == (0, 1, 0, 0), "the others were not needed, but have not failed"


# Suspension.


def test_a_suspended_job_starts_when_it_is_resumed():
    world = world_with(suspend=True)
    world.settle(KEY)
    assert world.pods() == []
    assert conditions(world) == {"Suspended": "JobSuspended"}
    assert "startTime" not in status(world)
    world.clock.time += 60
    world.change(JOBS, "pi", suspend=False)
    world.settle(KEY)
    assert len(world.alive()) == 1
    assert status(world)["startTime"] == rfc3339(world.clock.now())
    assert [(c["status"], c["reason"]) for c in status(world)["conditions"]] == [
        ("False", "JobResumed")
    ]
    assert world.reasons() == ["Suspended", "Resumed", "SuccessfulCreate"]


def test_suspending_a_job_takes_its_pods_away_and_stops_its_clock():
    world = world_with(parallelism=2, completions=2, activeDeadlineSeconds=30)
    world.settle(KEY)
    world.run()
    world.change(JOBS, "pi", suspend=True)
    world.settle(KEY)
    assert counts(world) == (0, 0, 0, 2)
    assert "startTime" not in status(world)
    world.reap()
    world.clock.time += 60
    world.settle(KEY)
    assert (world.pods(), counts(world)) == ([], (0, 0, 0, 0))
    assert conditions(world) == {"Suspended": "JobSuspended"}
    world.change(JOBS, "pi", suspend=False)
    world.settle(KEY)
    assert len(world.alive()) == 2


# Dying at any point.

SHAPES = [
    pytest.param({}, id="plain"),
    pytest.param({"completionMode": "Indexed"}, id="indexed"),
    pytest.param({"completionMode": "Indexed", "backoffLimitPerIndex": 9}, id="per index"),
    pytest.param({"podReplacementPolicy": "Failed"}, id="replacing only failed pods"),
]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("shape", SHAPES)
def test_controllers_that_are_killed_between_any_two_writes_count_every_pod_once(shape, seed):
    chance = random.Random(seed)
    world = world_with(parallelism=3, completions=6, backoffLimit=1000, **shape)
    ended = Counter()
    for _ in range(400):
        actions = flat(world.look(KEY).actions)
        if chance.random() < 0.4:
            actions = actions[: chance.randrange(len(actions) + 1)]
            world.reconciler = JobReconciler()
        world.carry_out(actions)
        alive = world.alive()
        if alive and chance.random() < 0.5:
            pod = chance.choice(alive)
            world.run(pod)
            code = int(chance.random() < 0.3)
            world.end(pod, code=code)
            ended["Failed" if code else "Succeeded"] += 1
        world.clock.time += chance.choice((0, 1, 30, 700))
        if "Complete" in conditions(world):
            break
    world.settle(KEY)
    assert "Complete" in conditions(world)
    assert ended["Succeeded"] == 6
    assert counts(world) == (0, 6, ended["Failed"], 0)
    assert held(world) == []
    assert len(world.pods()) == 6 + ended["Failed"], "no pod too many was made"


@pytest.mark.parametrize("seed", range(8))
def test_a_job_that_is_stopped_and_resumed_amid_kills_loses_no_success(seed):
    chance = random.Random(seed)
    world = world_with(parallelism=3, completions=5, backoffLimit=0)
    n_succeeded = 0
    for step in range(400):
        if step < 100 and chance.random() < 0.1:
            world.change(JOBS, "pi", suspend=chance.random() < 0.5)
        elif step == 100:
            world.change(JOBS, "pi", suspend=False)
        actions = flat(world.look(KEY).actions)
        if chance.random() < 0.4:
            actions = actions[: chance.randrange(len(actions) + 1)]
            world.reconciler = JobReconciler()
        world.carry_out(actions)
        tracked = [pod for pod in world.alive() if pod in held(world)]
        if tracked and chance.random() < 0.3:
            world.end(chance.choice(tracked))
            n_succeeded += 1
        if chance.random() < 0.3:
            world.reap()
        if world.of(JOBS, "pi")["status"].get("completionTime"):
            break
    world.settle(KEY)
    assert counts(world) == (0, n_succeeded, 0, 0)
    assert n_succeeded == 5
    assert held(world) == []
