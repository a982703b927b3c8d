import msgspec
import pytest
from tests.objects import NOW, deployment, owner_reference, pod, replica_set, template

from kubeberth.api.workloads import Deployment, ReplicaSet
from kubeberth.clock import rfc3339
from kubeberth.controllers.action import (
    CreateObject,
    DeleteObject,
    Failure,
    PatchObject,
    RecordEvent,
)
from kubeberth.controllers.workloads.deployment import View, reconcile
from kubeberth.controllers.workloads.revisions import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    REVISION,
    REVISION_HISTORY,
)
from kubeberth.controllers.workloads.template_hash import SAFE_ALPHABET, template_hash


def decide(d, *sets, now=NOW, **view):
    return reconcile(View(d, sets, **view), now)


def of_type(outcome, kind):
    return [action for action in outcome.actions if isinstance(action, kind)]


def status_of(outcome):
    patches = [patch.patch for patch in of_type(outcome, PatchObject) if patch.sub == "status"]
    return patches[-1]["status"] if patches else None


def conditions_of(outcome):
    return {entry["type"]: entry for entry in status_of(outcome)["conditions"]}


def sizes_of(outcome):
    """Return the new sizes of ReplicaSets by name."""
    return {
        patch.target.name: patch.patch["spec"]["replicas"]
        for patch in of_type(outcome, PatchObject)
        if "replicas" in patch.patch.get("spec", {})
    }


def messages(outcome):
    return [event.message for event in of_type(outcome, RecordEvent)]


def scaled_for(replicas, surge, revision="1"):
    return {
        DESIRED_REPLICAS: str(replicas),
        MAX_REPLICAS: str(replicas + surge),
        REVISION: revision,
    }


def owned(d, name, replicas, **fields):
    """Return a set that the deployment's controller has made."""
    fields.setdefault("annotations", scaled_for(d.spec.replicas, 1))
    return replica_set(name, replicas, owner=d, **fields)


def rolled_out(d, **fields):
    return owned(d, "web-1", d.spec.replicas, available=d.spec.replicas, **fields)


def unseen(item):
    """Return a set that has not yet seen how it was resized last."""
    newer = msgspec.structs.replace(item.metadata, generation=item.metadata.generation + 1)
    return msgspec.structs.replace(item, metadata=newer)


def complete_status(replicas=3, reason="NewReplicaSetAvailable"):
    return {
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
        "terminatingReplicas": 0,
        "observedGeneration": 1,
        "conditions": [
            {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
            {
                "type": "Progressing",
                "status": "True",
                "reason": reason,
                "lastUpdateTime": rfc3339(NOW - 100),
            },
        ],
    }


def test_a_new_deployment_gets_a_replica_set_of_its_template():
    d = deployment(
        3, annotations={"team": "a", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    )
    outcome = decide(d)
    [creation] = of_type(outcome, CreateObject)
    hash_ = template_hash(d.spec.template, None)
    body = creation.body
    assert body["metadata"]["name"] == f"web-{hash_}"
    assert body["metadata"]["labels"] == {"app": "web", "pod-template-hash": hash_}
    assert body["metadata"]["annotations"] == {"team": "a", **scaled_for(3, 1)}
    assert body["metadata"]["ownerReferences"] == [
        owner_reference("apps/v1", "Deployment", d.metadata)
    ]
    assert body["spec"]["replicas"] == 3
    assert body["spec"]["selector"] == {"matchLabels": {"app": "web", "pod-template-hash": hash_}}
    assert body["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] == hash_
    assert messages(outcome) == [f"Scaled up replica set web-{hash_} from 0 to 3"]
    progressing = conditions_of(outcome)["Progressing"]
    assert progressing["reason"] == "NewReplicaSetCreated"
    assert progressing["message"] == f'Created new replica set "web-{hash_}"'
    [shown] = of_type(outcome, PatchObject)
    assert shown.patch["metadata"] == {"annotations": {REVISION: "1"}}, "with the status, at once"


def test_a_finished_rollout_is_left_alone():
    d = deployment(3, status=complete_status(), annotations={REVISION: "1"})
    outcome = decide(d, rolled_out(d))
    assert outcome.actions == ()
    assert outcome.requeue_after_s is None


def test_the_hash_is_stable_short_and_differs_by_template_and_collision():
    hashes = {
        template_hash(template("a"), None),
        template_hash(template("b"), None),
        template_hash(template("a"), 1),
        template_hash(template("a"), 2),
    }
    assert len(hashes) == 4
    assert template_hash(template("a"), None) == template_hash(template("a"), None)
    assert all(len(hash_) <= 10 and set(hash_) <= set(SAFE_ALPHABET) for hash_ in hashes)


def test_a_name_that_is_taken_by_another_template_raises_the_collision_count():
    d = deployment(3)
    taken = f"web-{template_hash(d.spec.template, None)}"
    outcome = decide(d, taken_sets={f"default/{taken}": replica_set(taken)})
    assert of_type(outcome, CreateObject) == []
    assert status_of(outcome)["collisionCount"] == 1


def test_a_rollout_first_creates_within_the_surge():
    d = deployment(10, image="nginx:2", status=complete_status(10))
    old = owned(d, "old", 10, available=10, annotations=scaled_for(10, 3))
    [creation] = of_type(decide(d, old), CreateObject)
    assert creation.body["spec"]["replicas"] == 3
    assert creation.body["metadata"]["annotations"][REVISION] == "2"


def test_the_step_that_creates_the_new_set_may_already_shrink_the_old_one():
    d = deployment(10, image="nginx:2", status=complete_status(10))
    old = owned(d, "old", 10, available=10, annotations=scaled_for(10, 3))
    outcome = decide(d, old)
    assert sizes_of(outcome) == {"old": 8}
    assert messages(outcome)[1] == "Scaled down replica set old from 10 to 8"


def test_a_step_either_grows_or_shrinks():
    d = deployment(10, image="nginx:2", status=complete_status(10))
    old = owned(d, "old", 8, available=8, annotations=scaled_for(10, 3))
    new = owned(d, "new", 3, image="nginx:2", annotations=scaled_for(10, 3, "2"))
    assert sizes_of(decide(d, old, new)) == {"new": 5}


def test_old_sets_shrink_as_new_pods_become_available():
    d = deployment(10, image="nginx:2", status=complete_status(10))
    old = owned(d, "old", 8, available=8, annotations=scaled_for(10, 3))
    new = owned(d, "new", 5, available=5, image="nginx:2", annotations=scaled_for(10, 3, "2"))
    assert sizes_of(decide(d, old, new)) == {"old": 3}


def test_pods_that_a_set_is_about_to_lose_do_not_count_as_available():
    d = deployment(10, image="nginx:2", status=complete_status(10))
    old = owned(d, "old", 8, available=10, annotations=scaled_for(10, 3))
    new = owned(d, "new", 5, available=1, image="nginx:2", annotations=scaled_for(10, 3, "2"))
    assert sizes_of(decide(d, old, new)) == {"old": 7}


def test_pods_that_a_set_is_about_to_lose_still_take_their_room():
    d = deployment(10, image="nginx:2", status=complete_status(10))
    new = owned(d, "new", 3, image="nginx:2", annotations=scaled_for(10, 3, "2"))
    gone = owned(d, "old", 8, available=8, annotations=scaled_for(10, 3), created=NOW - 999)
    going = msgspec.structs.replace(gone, status=msgspec.structs.replace(gone.status, replicas=10))
    assert sizes_of(decide(d, new, going)) == {}
    assert sizes_of(decide(d, new, gone)) == {"new": 5}


def test_there_is_no_room_before_every_set_has_seen_its_last_size():
    d = deployment(5, image="nginx:3", surge=1, unavailable=0, status=complete_status(5))
    old = owned(d, "old", 5, available=5, annotations=scaled_for(5, 1), created=NOW - 999)
    cut = owned(d, "cut", 0, image="nginx:2", annotations=scaled_for(5, 1, "2"))
    new = owned(d, "new", 0, image="nginx:3", annotations=scaled_for(5, 1, "3"), created=NOW)
    assert sizes_of(decide(d, new, old, unseen(cut))) == {}
    assert sizes_of(decide(d, new, old, cut)) == {"new": 1}


def test_pods_that_a_set_lost_before_it_grew_again_do_not_count_as_available():
    # It had ten, was cut to five, and has five more to make: it still tells of the ten.
    d = deployment(10, image="nginx:1", status=complete_status(10))
    back = owned(d, "back", 10, available=10, annotations=scaled_for(10, 3, "3"))
    other = owned(d, "other", 3, available=3, image="nginx:2", annotations=scaled_for(10, 3, "2"))
    assert sizes_of(decide(d, back, other)) == {"other": 0}
    assert sizes_of(decide(d, unseen(back), other)) == {}


def test_patches_of_sets_fail_when_somebody_else_wrote_first():
    d = deployment(2, image="nginx:2", unavailable=1)
    outcome = decide(d, owned(d, "old", 2, available=2, annotations=scaled_for(2, 1)))
    [patch] = [p for p in of_type(outcome, PatchObject) if p.target.name == "old"]
    assert patch.patch["metadata"]["resourceVersion"] == "5"


def test_rolling_back_takes_the_old_set_again_and_gives_it_the_next_revision():
    d = deployment(3, image="nginx:1", status=complete_status(), annotations={REVISION: "2"})
    first = owned(d, "first", 0, image="nginx:1", annotations=scaled_for(3, 1, "1"))
    second = owned(
        d, "second", 3, image="nginx:2", available=3, annotations=scaled_for(3, 1, "2"), created=NOW
    )
    outcome = decide(d, first, second)
    assert of_type(outcome, CreateObject) == []
    assert sizes_of(outcome) == {"first": 1}
    [patch] = [p for p in of_type(outcome, PatchObject) if p.target.name == "first"]
    assert patch.patch["metadata"]["annotations"] == {REVISION: "3", REVISION_HISTORY: "1"}
    shown = next(p for p in of_type(outcome, PatchObject) if "metadata" in p.patch and p.sub)
    assert shown.patch["metadata"]["annotations"][REVISION] == "3"


def test_recreate_waits_until_the_last_old_pod_has_ended():
    d = deployment(2, image="nginx:2", strategy="Recreate")
    running = owned(d, "old", 2, available=2, annotations=scaled_for(2, 0))
    assert sizes_of(decide(d, running)) == {"old": 0}
    emptied = owned(d, "old", 0, annotations=scaled_for(2, 0))
    leaving = {"uid-old": [pod("p", owner=emptied, deleting=True)]}
    assert of_type(decide(d, emptied, pods_of=leaving), CreateObject) == []
    ended = {"uid-old": [pod("p", owner=emptied, phase="Succeeded")]}
    [creation] = of_type(decide(d, emptied, pods_of=ended), CreateObject)
    assert creation.body["spec"]["replicas"] == 2


def test_a_paused_deployment_is_scaled_but_not_rolled():
    d = deployment(5, image="nginx:2", paused=True, status=complete_status())
    old = owned(d, "old", 3, available=3, annotations=scaled_for(3, 1))
    outcome = decide(d, old)
    assert of_type(outcome, CreateObject) == []
    assert sizes_of(outcome) == {"old": 5}
    assert conditions_of(outcome)["Progressing"]["reason"] == "DeploymentPaused"
    assert conditions_of(outcome)["Progressing"]["status"] == "Unknown"


def test_resuming_shows_in_the_condition():
    d = deployment(3, status=complete_status(reason="DeploymentPaused"))
    old = owned(d, "old", 3, image="nginx:0", annotations=scaled_for(3, 1))
    d = msgspec.structs.replace(d, spec=msgspec.structs.replace(d.spec, replicas=4))
    outcome = decide(d, old)
    assert conditions_of(outcome)["Progressing"]["reason"] == "DeploymentResumed"


def test_scaling_amid_a_rollout_is_proportional():
    d = deployment(20, image="nginx:2", surge=3, unavailable=2)
    old = owned(d, "old", 8, available=8, annotations=scaled_for(10, 3))
    new = owned(d, "new", 5, image="nginx:2", annotations=scaled_for(10, 3, "2"))
    outcome = decide(d, old, new)
    assert sizes_of(outcome) == {"old": 14, "new": 9}
    [patch] = [p for p in of_type(outcome, PatchObject) if p.target.name == "old"]
    assert patch.patch["metadata"]["annotations"] == {DESIRED_REPLICAS: "20", MAX_REPLICAS: "23"}


def test_old_sets_beyond_the_history_limit_go_lowest_revision_first():
    d = deployment(3, revisionHistoryLimit=1, status=complete_status(), annotations={REVISION: "9"})
    sets = [
        owned(d, f"old-{n}", 0, image=f"nginx:old-{n}", annotations=scaled_for(3, 1, str(n)))
        for n in (2, 1, 3)
    ]
    current = rolled_out(d, annotations=scaled_for(3, 1, "9"))
    outcome = decide(d, *sets, current)
    assert [a.target.name for a in of_type(outcome, DeleteObject)] == ["old-1", "old-2"]


def test_status_adds_up_what_the_sets_report():
    d = deployment(3, image="nginx:2")
    old = owned(d, "old", 2, available=2)
    new = owned(d, "new", 2, available=1, image="nginx:2", annotations=scaled_for(3, 1, "2"))
    status = status_of(decide(d, old, new))
    assert status["replicas"] == 4
    assert status["updatedReplicas"] == 2
    assert status["availableReplicas"] == 3
    assert status["unavailableReplicas"] == 1
    assert status["terminatingReplicas"] == 0
    assert status["observedGeneration"] == 1


@pytest.mark.parametrize(
    ("available", "status", "reason", "message"),
    [
        (3, "True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        (
            2,
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        ),
    ],
)
def test_available_says_whether_enough_pods_are(available, status, reason, message):
    d = deployment(3)
    condition = conditions_of(decide(d, owned(d, "web-1", 3, available=available)))["Available"]
    assert (condition["status"], condition["reason"], condition["message"]) == (
        status,
        reason,
        message,
    )


def progressing(updated_at, **counts):
    status = {**complete_status(reason="ReplicaSetUpdated"), "availableReplicas": 0, **counts}
    status["conditions"][1]["lastUpdateTime"] = rfc3339(updated_at)
    status["readyReplicas"] = 0
    return status


def test_progress_shows_and_keeps_the_time_since_when_it_goes_on():
    d = deployment(3, status=progressing(NOW - 50))
    outcome = decide(d, owned(d, "web-1", 3, available=2))
    condition = conditions_of(outcome)["Progressing"]
    assert condition["reason"] == "ReplicaSetUpdated"
    assert condition["message"] == 'ReplicaSet "web-1" is progressing.'
    assert condition["lastUpdateTime"] == rfc3339(NOW)


def test_a_rollout_that_stands_still_is_looked_at_when_its_deadline_is_over():
    d = deployment(3, status=progressing(NOW - 50))
    outcome = decide(d, owned(d, "web-1", 3))
    assert outcome.requeue_after_s == pytest.approx(551)


def test_a_rollout_that_stood_still_too_long_has_timed_out():
    d = deployment(3, status=progressing(NOW - 601))
    condition = conditions_of(decide(d, owned(d, "web-1", 3)))["Progressing"]
    assert condition["status"] == "False"
    assert condition["reason"] == "ProgressDeadlineExceeded"
    assert condition["message"] == 'ReplicaSet "web-1" has timed out progressing.'


def test_a_rollout_that_gets_there_has_successfully_progressed():
    d = deployment(3, status=progressing(NOW - 50))
    condition = conditions_of(decide(d, rolled_out(d)))["Progressing"]
    assert condition["reason"] == "NewReplicaSetAvailable"
    assert condition["message"] == 'ReplicaSet "web-1" has successfully progressed.'


def test_without_a_deadline_there_is_no_progressing_condition():
    d = deployment(3, progressDeadlineSeconds=None, status=complete_status())
    assert "Progressing" not in conditions_of(decide(d, rolled_out(d)))


def test_a_failure_of_a_set_is_shown_by_its_deployment():
    d = deployment(3)
    failed = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "no"}
    outcome = decide(d, owned(d, "web-1", 3, status={"conditions": [failed]}))
    assert conditions_of(outcome)["ReplicaFailure"]["message"] == "no"


def test_a_set_that_cannot_be_created_shows_as_condition():
    failure = Failure("ForbiddenError", "exceeded quota")
    outcome = decide(deployment(3), failure=failure)
    first = outcome.actions[0].patch["status"]["conditions"][0]
    assert first["reason"] == "ReplicaSetCreateError"
    assert first["message"].endswith(": exceeded quota")


def test_a_deployment_that_is_being_deleted_only_reports():
    d = msgspec.to_builtins(deployment(3))
    d["metadata"]["deletionTimestamp"] = rfc3339(NOW)
    outcome = decide(msgspec.convert(d, Deployment))
    assert {type(action) for action in outcome.actions} == {PatchObject}


def test_selecting_everything_is_refused():
    outcome = decide(deployment(3, selector={}))
    assert of_type(outcome, CreateObject) == []
    assert of_type(outcome, RecordEvent)[0].reason == "SelectingAll"


def test_a_set_that_nobody_owns_and_that_matches_is_adopted():
    d = deployment(3)
    stray: ReplicaSet = replica_set("web-1", 3)
    outcome = decide(d, stray)
    first = of_type(outcome, PatchObject)[0]
    assert first.target.name == "web-1"
    assert first.patch["metadata"]["ownerReferences"][0]["uid"] == "uid-deployment"
    assert of_type(outcome, CreateObject) == []
