import itertools

import msgspec
import pytest
from tests.objects import NOW, pod, replica_set, template
from tests.world import World

from kubeberth.api.scheme import PODS, REPLICATION_CONTROLLERS
from kubeberth.controllers.action import (
    ConfirmAlive,
    CreatePods,
    DeletePods,
    Failure,
    PatchObject,
)
from kubeberth.controllers.workloads.replica_set import (
    BURST,
    ReplicationControllerReconciler,
    View,
    rank_victims,
    reconcile,
)

RS = replica_set()
COST = "controller.kubernetes.io/pod-deletion-cost"


def decide(*pods, rs=RS, related=None, failure=None):
    return reconcile(View(rs, pods, lambda: related or {}, failure), NOW)


def of_type(outcome, kind):
    return [action for action in outcome.actions if isinstance(action, kind)]


def n_created(outcome):
    return sum(len(creation.bodies) for creation in of_type(outcome, CreatePods))


def status_of(outcome):
    patches = [patch for patch in of_type(outcome, PatchObject) if patch.sub == "status"]
    return patches[0].patch["status"] if patches else None


def settled(replicas=3, ready=3):
    """Return a set whose status already says what is the case."""
    counts = {"fullyLabeledReplicas": replicas, "readyReplicas": ready, "availableReplicas": ready}
    return replica_set(replicas=replicas, status=counts)


def test_missing_pods_are_created_from_the_template():
    outcome = decide(pod("web-1", owner=RS))
    [creation] = of_type(outcome, CreatePods)
    assert len(creation.bodies) == 2
    assert creation.bodies[0]["metadata"]["generateName"] == "web-"
    assert creation.bodies[0]["metadata"]["labels"] == {"app": "web"}
    assert creation.bodies[0]["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "web",
            "uid": "uid-web",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert creation.bodies[0]["spec"] == {"containers": [{"name": "c", "image": "nginx:1"}]}


def test_no_more_than_500_pods_are_made_at_a_time():
    [creation] = of_type(decide(rs=replica_set(replicas=5000)), CreatePods)
    assert len(creation.bodies) == BURST


def test_nothing_is_done_when_all_is_as_it_should_be():
    rs = settled()
    outcome = decide(*(pod(f"web-{i}", owner=rs) for i in range(3)), rs=rs)
    assert outcome.actions == ()
    assert outcome.requeue_after_s is None


def test_ended_and_leaving_pods_do_not_count():
    outcome = decide(
        pod("web-1", owner=RS, phase="Failed"),
        pod("web-2", owner=RS, phase="Succeeded"),
        pod("web-3", owner=RS, deleting=True),
    )
    assert n_created(outcome) == 3
    assert status_of(outcome)["terminatingReplicas"] == 1


def test_a_set_that_is_being_deleted_makes_no_pods():
    assert of_type(decide(rs=replica_set(deleting=True)), CreatePods) == []


def test_an_orphan_that_matches_is_adopted_after_asking_whether_the_set_still_is():
    outcome = decide(pod("lost"))
    assert of_type(outcome, ConfirmAlive)[0].target.uid == "uid-web"
    [patch] = [patch for patch in of_type(outcome, PatchObject) if not patch.sub]
    assert patch.target.name == "lost"
    assert patch.patch["metadata"]["ownerReferences"][0]["uid"] == "uid-web"
    assert patch.patch["metadata"]["resourceVersion"] == "7"
    assert n_created(outcome) == 2, "it counts as a replica at once"


@pytest.mark.parametrize(
    "stranger",
    [
        pytest.param(pod("x", labels={"app": "db"}), id="other labels"),
        pytest.param(pod("x", owner=replica_set("other")), id="somebody else's"),
        pytest.param(pod("x", phase="Failed"), id="ended"),
        pytest.param(pod("x", deleting=True), id="leaving"),
    ],
)
def test_other_pods_are_left_alone(stranger):
    outcome = decide(stranger)
    assert [patch for patch in of_type(outcome, PatchObject) if not patch.sub] == []
    assert n_created(outcome) == 3


def test_a_pod_whose_labels_no_longer_match_is_released_and_replaced():
    outcome = decide(pod("web-1", owner=RS, labels={"app": "debug"}))
    [patch] = [patch for patch in of_type(outcome, PatchObject) if not patch.sub]
    assert patch.patch["metadata"]["ownerReferences"] is None
    assert n_created(outcome) == 3


def test_surplus_pods_are_deleted_by_rank():
    rs = replica_set(replicas=1)
    outcome = decide(
        pod("old", owner=rs), pod("pending", owner=rs, phase="Pending", ready=False), rs=rs
    )
    [deletion] = of_type(outcome, DeletePods)
    assert [victim.name for victim in deletion.pods] == ["pending"]
    assert deletion.pods[0].uid == "uid-pending"


VICTIM_FIRST = [
    pytest.param(
        pod("v", node="", phase="Pending", ready=False),
        pod("k", phase="Pending", ready=False),
        id="without a node before with one",
    ),
    pytest.param(
        pod("v", phase="Pending", ready=False), pod("k", phase="Unknown"), id="pending first"
    ),
    pytest.param(pod("v", phase="Unknown"), pod("k", phase="Running"), id="unknown before running"),
    pytest.param(pod("v", ready=False), pod("k"), id="not ready before ready"),
    pytest.param(pod("v", annotations={COST: "-5"}), pod("k"), id="lower deletion cost"),
    pytest.param(
        pod("v", annotations={COST: "x"}), pod("k", annotations={COST: "1"}), id="bad cost is 0"
    ),
    pytest.param(pod("v", node="busy"), pod("k", node="quiet"), id="more related pods on the node"),
    pytest.param(
        pod("v", ready_since=NOW - 10), pod("k", ready_since=NOW - 1000), id="ready for less long"
    ),
    pytest.param(pod("v", restarts=3), pod("k", restarts=1), id="more restarts"),
    pytest.param(pod("v", created=NOW - 150), pod("k", created=NOW - 9999), id="younger"),
    pytest.param(
        pod("a", ready_since=NOW - 101),
        pod("b", ready_since=NOW - 100),
        id="of the same order of magnitude the smaller UID",
    ),
]


@pytest.mark.parametrize(("victim", "kept"), VICTIM_FIRST)
def test_victims_go_in_the_documented_order(victim, kept):
    related = {"busy": 3, "quiet": 1}
    for order in itertools.permutations((victim, kept)):
        assert rank_victims(order, related, NOW)[0].metadata.name == victim.metadata.name


def test_sidecar_restarts_count_after_those_of_containers():
    spec = {"initContainers": [{"name": "s", "restartPolicy": "Always"}]}
    status = {"initContainerStatuses": [{"name": "s", "restartCount": 4}]}
    shaky = pod("v", spec=spec, status=status)
    assert rank_victims([pod("k"), shaky], {}, NOW)[0] is shaky


def test_status_counts_replicas_and_leaves_zeros_out():
    outcome = decide(pod("web-1", owner=RS), pod("web-2", owner=RS, ready=False))
    assert status_of(outcome) == {
        "replicas": 2,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 1,
        "availableReplicas": 1,
        "terminatingReplicas": 0,
        "observedGeneration": 1,
        "conditions": None,
    }
    assert status_of(decide())["readyReplicas"] is None


def test_that_a_new_spec_was_seen_is_told_with_the_pods_that_are_made_for_it():
    young = replica_set(replicas=2, status={"replicas": 0, "observedGeneration": 0})
    outcome = decide(rs=young)
    assert [type(action) for action in outcome.actions] == [CreatePods]
    pods = [pod(f"web-{i}", owner=young) for i in range(2)]
    told = status_of(decide(*pods, rs=young))
    assert (told["replicas"], told["observedGeneration"]) == (2, 1)
    nobody = replica_set(replicas=0, status={"replicas": 0, "observedGeneration": 0})
    assert status_of(decide(rs=nobody))["observedGeneration"] == 1


def test_a_ready_pod_is_available_after_min_ready_seconds_and_looked_at_again_then():
    rs = replica_set(min_ready_seconds=30)
    pods = [pod(f"web-{i}", owner=rs, ready_since=NOW - 10 * i) for i in range(1, 4)]
    outcome = decide(*pods, rs=rs)
    assert status_of(outcome)["availableReplicas"] == 1
    assert outcome.requeue_after_s == pytest.approx(10, abs=0.1)


def test_a_failed_creation_shows_as_condition_and_goes_when_all_is_well():
    failure = Failure("FailedCreate", 'pods "web-" is forbidden: exceeded quota')
    outcome = decide(failure=failure)
    [condition] = status_of(outcome)["conditions"]
    assert condition["type"] == "ReplicaFailure"
    assert condition["status"] == "True"
    assert condition["reason"] == "FailedCreate"
    assert condition["message"] == failure.message
    failing = msgspec.convert(
        {**msgspec.to_builtins(settled()), "status": {"conditions": [condition]}}, type(RS)
    )
    assert status_of(decide(rs=failing))["conditions"] is None


def test_that_a_new_spec_was_seen_is_told_at_once_where_pods_are_refused():
    failure = Failure("FailedCreate", 'pods "web-" is forbidden: exceeded quota')
    condition = status_of(decide(failure=failure))["conditions"][0]
    counts = {"replicas": 0, "observedGeneration": 0, "conditions": [condition]}
    smaller = replica_set(replicas=2, status=counts)
    assert status_of(decide(rs=smaller, failure=failure))["observedGeneration"] == 1


# Replication controllers.


def world_with_controller(replicas=2):
    world = World(ReplicationControllerReconciler())
    spec = {"replicas": replicas, "selector": {"app": "web"}, "template": template()}
    world.api.put(REPLICATION_CONTROLLERS, {"metadata": {"name": "web", "uid": "u"}, "spec": spec})
    return world


def test_a_replication_controller_keeps_its_pods():
    world = world_with_controller()
    world.settle("default/web")
    world.run()
    world.settle("default/web")
    assert len(world.alive()) == 2
    [owner] = world.pods()[0]["metadata"]["ownerReferences"]
    assert (owner["apiVersion"], owner["kind"]) == ("v1", "ReplicationController")
    assert world.status(REPLICATION_CONTROLLERS, "web") == {
        "replicas": 2,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "observedGeneration": 1,
    }
    assert set(world.reasons()) == {"SuccessfulCreate"}
    world.change(REPLICATION_CONTROLLERS, "web", replicas=0)
    world.settle("default/web")
    assert world.alive() == []


def test_n132_a_pod_of_a_replication_controller_with_other_labels_is_released_and_replaced():
    world = world_with_controller(1)
    world.settle("default/web")
    [pod] = world.pods()
    key = f"default/{pod['metadata']['name']}"
    world.api.change(PODS, key, {"metadata": {"labels": {"app": "debug"}}})
    world.settle("default/web")
    old, new = world.pods()
    assert not old["metadata"].get("ownerReferences")
    assert new["metadata"]["labels"] == {"app": "web"}


def test_a_change_of_a_pod_concerns_the_replication_controller_that_selects_it():
    world = world_with_controller()
    [key] = ReplicationControllerReconciler().keys(world.cache, PODS, None, pod("web-1"))
    assert key == "default/web"
