import msgspec
import pytest
from tests.objects import NOW, owner_reference, pod, stateful_set

from kubeberth.api.scheme import (
    CONTROLLER_REVISIONS,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    STATEFUL_SETS,
)
from kubeberth.api.storage import PersistentVolumeClaim
from kubeberth.api.workloads import ControllerRevision
from kubeberth.controllers.action import (
    ConfirmAlive,
    CreateObject,
    DeleteObject,
    InBatches,
    PatchObject,
    Stop,
    Told,
)
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.workloads.stateful_set import StatefulSetReconciler, View, reconcile

SET = stateful_set()


def decide(*pods, of=SET, revisions=None, claims=(), now=NOW):
    """Reconcile a set whose history is up to date, unless told otherwise."""
    known = [revision_of(of)] if revisions is None else revisions
    view = View(
        of,
        tuple(pods),
        tuple(known),
        {f"default/{r.metadata.name}": r for r in known},
        {f"default/{c.metadata.name}": c for c in claims},
    )
    return reconcile(view, now)


def flat(actions):
    """Yield all actions, also those in groups."""
    for action in actions:
        yield action
        if isinstance(action, Told):
            yield from flat(action.actions)
        elif isinstance(action, InBatches):
            yield from (inner for group in action.groups for inner in flat(group))


def created(outcome, resource=PODS):
    bodies = (a.body for a in flat(outcome.actions) if isinstance(a, CreateObject))
    return [body for body in bodies if body["kind"] == resource.kind]


def names(bodies):
    return [body["metadata"]["name"] for body in bodies]


def deleted(outcome, resource=PODS):
    found = (a.target for a in flat(outcome.actions) if isinstance(a, DeleteObject))
    return [target.name for target in found if target.resource == resource]


def patches(outcome, resource):
    found = (a for a in flat(outcome.actions) if isinstance(a, PatchObject) and not a.sub)
    return {a.target.name: a.patch for a in found if a.target.resource == resource}


def status_of(outcome):
    found = [a for a in outcome.actions if isinstance(a, PatchObject) and a.sub == "status"]
    return found[0].patch["status"] if found else None


def revision_of(of, number=1):
    """Return the revision that a set's template gets."""
    [body] = created(reconcile(View(of), NOW), CONTROLLER_REVISIONS)
    body["metadata"]["uid"] = f"uid-{body['metadata']['name']}"
    return msgspec.convert({**body, "revision": number}, ControllerRevision)


def name_of(of):
    return revision_of(of).metadata.name


def member(ordinal, of=SET, *, revision=None, **fields):
    name = f"{of.metadata.name}-{ordinal}"
    labels = {
        "app": "web",
        "statefulset.kubernetes.io/pod-name": name,
        "apps.kubernetes.io/pod-index": str(ordinal),
        "controller-revision-hash": revision or name_of(of),
    }
    spec = {
        "volumes": [
            {"name": v, "persistentVolumeClaim": {"claimName": f"{v}-{name}"}}
            for v in (c["metadata"]["name"] for c in of.spec.volume_claim_templates)
        ]
    }
    return pod(name, owner=of, **{"labels": labels, "spec": spec, **fields})


def members(*ordinals, of=SET, **fields):
    return [member(ordinal, of, **fields) for ordinal in ordinals]


def claim(name, *owners, deleting=False):
    meta = {"name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": "8"}
    if owners:
        meta["ownerReferences"] = list(owners)
    if deleting:
        meta["deletionTimestamp"] = "2027-01-15T08:00:00Z"
    return msgspec.convert({"metadata": meta}, PersistentVolumeClaim)


# Making pods.


def test_the_first_pod_comes_alone():
    assert names(created(decide())) == ["web-0"]


def test_a_pod_has_its_name_number_host_name_and_revision():
    [body] = created(decide())
    assert body["metadata"]["labels"] == {
        "app": "web",
        "statefulset.kubernetes.io/pod-name": "web-0",
        "apps.kubernetes.io/pod-index": "0",
        "controller-revision-hash": name_of(SET),
    }
    assert body["metadata"]["generateName"] == "web-"
    assert (body["spec"]["hostname"], body["spec"]["subdomain"]) == ("web-0", "web-hs")
    assert body["metadata"]["ownerReferences"][0]["controller"] is True


def test_n133_the_next_pod_waits_until_the_one_before_is_ready():
    assert names(created(decide(member(0), member(1, ready=False)))) == []
    assert names(created(decide(member(0), member(1)))) == ["web-2"]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"phase": "Pending", "ready": False}, id="pending"),
        pytest.param({"ready": False}, id="not ready"),
        pytest.param({"deleting": True}, id="terminating"),
    ],
)
def test_a_pod_that_is_not_well_holds_up_those_behind_it(fields):
    assert created(decide(member(0, **fields))) == []


def test_a_pod_that_has_not_been_ready_for_long_enough_holds_up_the_next():
    of = stateful_set(minReadySeconds=60)
    outcome = decide(member(0, of, ready_since=NOW - 20), of=of)
    assert created(outcome) == []
    assert outcome.requeue_after_s == pytest.approx(40, abs=0.1)
    assert names(created(decide(member(0, of, ready_since=NOW - 61), of=of))) == ["web-1"]


def test_parallel_pods_come_all_at_once_in_slow_start_batches():
    outcome = decide(of=stateful_set(policy="Parallel"))
    [batches] = [a for a in outcome.actions if isinstance(a, InBatches)]
    assert len(batches.groups) == 3
    assert names(created(outcome)) == ["web-0", "web-1", "web-2"]


def test_ordinals_may_start_anywhere():
    of = stateful_set(2, ordinals={"start": 5})
    assert names(created(decide(of=of))) == ["web-5"]
    assert names(created(decide(member(5, of), of=of))) == ["web-6"]


def test_moving_the_start_makes_new_pods_before_old_ones_go():
    of = stateful_set(2, ordinals={"start": 1})
    assert names(created(decide(*members(0, 1, of=of), of=of))) == ["web-2"]
    assert deleted(decide(*members(0, 1, 2, of=of), of=of)) == ["web-0"]


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_a_pod_that_has_ended_is_deleted_so_that_its_name_is_free(phase, policy):
    of = stateful_set(policy=policy)
    outcome = decide(member(0, of, phase=phase), *members(1, 2, of=of), of=of)
    assert deleted(outcome) == ["web-0"]
    assert created(outcome) == []


def test_n135_a_pod_on_a_lost_node_is_not_made_again_while_it_is_there():
    outcome = decide(member(0, deleting=True, ready=False), *members(1, 2))
    assert created(outcome) == []
    assert deleted(outcome) == []


def test_everything_that_is_done_to_a_pod_is_told():
    [told] = [a for a in decide().actions if isinstance(a, Told)]
    assert told.about.name == "web"
    assert told.success == ("SuccessfulCreate", "create Pod web-0 in StatefulSet web successful")
    assert told.failure == ("FailedCreate", "create Pod web-0 in StatefulSet web failed error: ")


# Giving pods up.


def test_surplus_pods_go_one_by_one_from_the_highest():
    of = stateful_set(1)
    assert deleted(decide(*members(0, 1, 2, of=of), of=of)) == ["web-2"]
    going = [*members(0, 1, of=of), member(2, of, deleting=True)]
    assert deleted(decide(*going, of=of)) == []


def test_surplus_parallel_pods_go_all_at_once():
    of = stateful_set(1, policy="Parallel")
    assert deleted(decide(*members(0, 1, 2, of=of), of=of)) == ["web-2", "web-1"]


def test_an_unhealthy_surplus_pod_goes_only_when_no_other_is_in_a_worse_place():
    of = stateful_set(1)
    sick = [member(0, of), member(1, of), member(2, of, ready=False)]
    assert deleted(decide(*sick, of=of)) == ["web-2"]
    both = [member(0, of), member(1, of, ready=False), member(2, of, ready=False)]
    assert deleted(decide(*both, of=of)) == []


def test_nobody_goes_while_a_wanted_pod_is_unhealthy():
    of = stateful_set(2)
    assert deleted(decide(member(0, of), member(1, of, ready=False), member(2, of), of=of)) == []


def test_a_set_that_is_being_deleted_only_counts():
    outcome = decide(member(0), of=stateful_set(deleting=True), revisions=[revision_of(SET)])
    assert created(outcome) == []
    assert status_of(outcome)["replicas"] == 1


# Ownership.


def test_an_orphan_with_the_right_name_is_adopted():
    outcome = decide(pod("web-0", labels={"app": "web"}))
    confirmation, adoption, *_ = outcome.actions
    assert isinstance(confirmation, ConfirmAlive)
    assert adoption.target.name == "web-0"
    assert adoption.patch["metadata"]["ownerReferences"][0]["uid"] == "uid-set"
    assert names(created(outcome)) == ["web-1"], "it has its place"


@pytest.mark.parametrize("name", ["other-0", "web-a", "web-00", "web-", "web-1-x"])
def test_an_orphan_of_another_name_is_left_alone(name):
    assert patches(decide(pod(name, labels={"app": "web"})), PODS) == {}


def test_a_pod_whose_labels_no_longer_match_is_released_but_keeps_its_name():
    stray = member(0, labels={"app": "debug"})
    outcome = decide(stray, *members(1, 2))
    assert patches(outcome, PODS)["web-0"]["metadata"]["ownerReferences"] is None


def test_an_adopted_pod_gets_the_labels_of_its_identity():
    adopted = member(0, labels={"app": "web", "controller-revision-hash": name_of(SET)})
    outcome = decide(adopted, *members(1, 2))
    labels = {
        "statefulset.kubernetes.io/pod-name": "web-0",
        "apps.kubernetes.io/pod-index": "0",
    }
    assert patches(outcome, PODS) == {"web-0": {"metadata": {"labels": labels}}}


# Updates.

NEW = stateful_set(image="nginx:2", status={"currentRevision": name_of(SET)})


def history(*sets):
    return [revision_of(of, number) for number, of in enumerate(sets, 1)]


def rolled(of=NEW, **at):
    """Return three pods, those named in `at` of the new revision."""
    return [
        member(o, of, revision=name_of(NEW) if f"p{o}" in at else name_of(SET)) for o in range(3)
    ]


def test_a_new_template_gets_a_revision_of_its_own():
    outcome = decide(*members(0, 1, 2), of=NEW, revisions=history(SET))
    [body] = created(outcome, CONTROLLER_REVISIONS)
    assert body["revision"] == 2
    assert body["data"]["spec"]["template"]["$patch"] == "replace"
    assert body["metadata"]["name"] == name_of(NEW)
    assert status_of(outcome)["updateRevision"] == name_of(NEW)
    assert status_of(outcome)["currentRevision"] == name_of(SET)


def test_revisions_are_named_as_upstream_names_them():
    # As kube-controller-manager 1.34 named the revision of this template.
    spec = {
        "containers": [
            {
                "image": "test",
                "imagePullPolicy": "Always",
                "name": "test",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }
    metadata = {"labels": {"app": "foo"}, "annotations": {"test": "value"}}
    selector = {"matchLabels": {"app": "foo"}}
    of = stateful_set(template={"metadata": metadata, "spec": spec}, selector=selector)
    assert name_of(of) == "web-776999688b"


def test_old_pods_are_replaced_from_the_highest_ordinal_down_one_by_one():
    revisions = history(SET, NEW)
    assert deleted(decide(*rolled(), of=NEW, revisions=revisions)) == ["web-2"]
    assert deleted(decide(*rolled(p2=True), of=NEW, revisions=revisions)) == ["web-1"]
    assert deleted(decide(*rolled(p2=1, p1=1, p0=1), of=NEW, revisions=revisions)) == []


def test_an_update_waits_for_the_pod_it_replaced_last():
    pods = [*rolled()[:2], member(2, NEW, ready=False)]
    assert deleted(decide(*pods, of=NEW, revisions=history(SET, NEW))) == []


def test_the_pod_that_is_missing_amid_an_update_is_made_new():
    [body] = created(decide(*rolled()[:2], of=NEW, revisions=history(SET, NEW)))
    assert body["spec"]["containers"][0]["image"] == "nginx:2"


def test_a_broken_pod_holds_up_an_update_that_would_mend_it():
    pods = [*rolled()[:2], member(2, NEW, revision=name_of(SET), ready=False)]
    assert deleted(decide(*pods, of=NEW, revisions=history(SET, NEW))) == []


def test_a_parallel_pod_that_failed_amid_an_update_is_deleted_once():
    of = stateful_set(image="nginx:2", policy="Parallel", status={"currentRevision": name_of(SET)})
    pods = [*rolled()[:2], member(2, NEW, revision=name_of(SET), phase="Failed")]
    assert deleted(decide(*pods, of=of, revisions=history(SET, NEW))) == ["web-2"]


def partitioned(partition, policy="OrderedReady", **fields):
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": partition, **fields}}
    status = {"currentRevision": name_of(SET)}
    return stateful_set(image="nginx:2", policy=policy, strategy=strategy, status=status)


def test_n134_a_partition_keeps_the_pods_below_it_as_they_are():
    of = partitioned(2)
    assert deleted(decide(*rolled(), of=of, revisions=history(SET, NEW))) == ["web-2"]
    assert deleted(decide(*rolled(p2=True), of=of, revisions=history(SET, NEW))) == []


def test_a_pod_below_the_partition_is_made_again_as_it_was():
    pods = rolled(p2=True)[1:]
    [body] = created(decide(*pods, of=partitioned(2), revisions=history(SET, NEW)))
    assert body["metadata"]["labels"]["controller-revision-hash"] == name_of(SET)
    assert body["spec"]["containers"][0]["image"] == "nginx:1"


@pytest.mark.parametrize(
    ("most", "expected"),
    [(2, ["web-2", "web-1"]), ("70%", ["web-2", "web-1"]), ("10%", ["web-2"]), (9, None)],
)
def test_max_unavailable_lets_several_be_replaced_at_once(most, expected):
    outcome = decide(*rolled(), of=partitioned(0, maxUnavailable=most), revisions=history(SET, NEW))
    assert deleted(outcome) == (expected or ["web-2", "web-1", "web-0"])


def test_what_is_unavailable_already_counts_against_max_unavailable():
    of = partitioned(0, "Parallel", maxUnavailable=2)
    pods = [*rolled()[:2], member(2, NEW, ready=False)]
    assert deleted(decide(*pods, of=of, revisions=history(SET, NEW))) == ["web-1"]


def test_on_delete_leaves_old_pods_to_the_user():
    of = stateful_set(image="nginx:2", strategy={"type": "OnDelete"})
    assert deleted(decide(*rolled(), of=of, revisions=history(SET, NEW))) == []
    [body] = created(decide(*rolled()[:2], of=of, revisions=history(SET, NEW)))
    assert body["spec"]["containers"][0]["image"] == "nginx:2"


def test_without_a_partition_pods_that_are_not_updated_yet_are_made_again_as_they_were():
    of = stateful_set(
        image="nginx:2",
        strategy={"type": "RollingUpdate"},
        status={"currentRevision": name_of(SET), "currentReplicas": 2},
    )
    [body] = created(decide(*rolled(p2=True)[1:], of=of, revisions=history(SET, NEW)))
    assert body["spec"]["containers"][0]["image"] == "nginx:1"


def test_going_back_gives_the_old_revision_the_next_number():
    outcome = decide(*rolled(p0=1, p1=1, p2=1), revisions=history(SET, NEW))
    assert created(outcome, CONTROLLER_REVISIONS) == []
    assert patches(outcome, CONTROLLER_REVISIONS) == {name_of(SET): {"revision": 3}}
    assert deleted(outcome) == ["web-2"]


def test_a_name_that_another_template_has_taken_is_counted_and_avoided():
    usurper = msgspec.structs.replace(revision_of(NEW), metadata=revision_of(SET).metadata)
    outcome = decide(revisions=[usurper])
    [body] = created(outcome, CONTROLLER_REVISIONS)
    assert body["metadata"]["name"] != name_of(SET)
    assert status_of(outcome)["collisionCount"] == 1


def test_revisions_beyond_the_limit_go_oldest_first_but_not_those_in_use():
    sets = [stateful_set(image=f"nginx:{n}", revisionHistoryLimit=1) for n in range(5)]
    of = sets[4]
    pods = [member(0, of, revision=name_of(sets[1])), *members(1, 2, of=of)]
    outcome = decide(*pods, of=of, revisions=history(*sets))
    assert deleted(outcome, CONTROLLER_REVISIONS) == [name_of(sets[0]), name_of(sets[2])]


# Status.


def test_the_status_counts_pods_by_state_and_revision():
    pods = [
        member(0, NEW, revision=name_of(SET)),
        member(1, NEW, revision=name_of(SET), ready=False),
        member(2, NEW, deleting=True),
    ]
    assert status_of(decide(*pods, of=NEW, revisions=history(SET, NEW))) == {
        "observedGeneration": 1,
        "replicas": 3,
        "readyReplicas": 2,
        "currentReplicas": 2,
        "updatedReplicas": None,
        "currentRevision": name_of(SET),
        "updateRevision": name_of(NEW),
        "collisionCount": 0,
        "availableReplicas": 2,
    }


def test_an_update_is_complete_when_all_pods_are_new_and_ready():
    done = rolled(p0=1, p1=1, p2=1)
    status = status_of(decide(*done, of=NEW, revisions=history(SET, NEW)))
    assert status["currentRevision"] == status["updateRevision"] == name_of(NEW)
    assert status["currentReplicas"] == status["updatedReplicas"] == 3


def test_nothing_is_done_when_all_is_as_it_should_be():
    counts = dict.fromkeys(
        ("replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas"), 3
    )
    name = name_of(SET)
    revisions = {"currentRevision": name, "updateRevision": name}
    status = {**counts, **revisions, "observedGeneration": 1, "collisionCount": 0}
    outcome = decide(*members(0, 1, 2), of=stateful_set(status=status))
    assert outcome.actions == ()


# Claims.


def claiming(deleted="Retain", scaled="Retain", replicas=3, **spec):
    policy = {"whenDeleted": deleted, "whenScaled": scaled}
    return stateful_set(
        replicas, claims=("data",), persistentVolumeClaimRetentionPolicy=policy, **spec
    )


def test_claims_are_made_before_their_pod_and_told_of():
    of = claiming()
    outcome = decide(of=of)
    [body] = created(outcome, PERSISTENT_VOLUME_CLAIMS)
    assert body["metadata"]["name"] == "data-web-0"
    assert body["metadata"]["labels"] == {"app": "web"}
    assert "ownerReferences" not in body["metadata"]
    [told] = [a for a in outcome.actions if isinstance(a, Told)]
    inner = told.actions[0]
    assert inner.success[1] == "create Claim data-web-0 Pod web-0 in StatefulSet web success"
    assert isinstance(told.actions[-1], CreateObject)
    [body] = created(outcome)
    assert body["spec"]["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-web-0"}}
    ]


def test_a_claim_that_is_there_already_is_used_again():
    outcome = decide(of=claiming(), claims=[claim("data-web-0")])
    assert created(outcome, PERSISTENT_VOLUME_CLAIMS) == []
    assert names(created(outcome)) == ["web-0"]


def test_a_claim_on_its_way_out_keeps_its_pod_from_being_made():
    outcome = decide(of=claiming(), claims=[claim("data-web-0", deleting=True)])
    [stop] = [a for a in flat(outcome.actions) if isinstance(a, Stop)]
    assert stop.message == "pvc data-web-0 is being deleted"


def test_a_pending_pod_gets_a_claim_that_was_taken_from_it():
    of = claiming()
    outcome = decide(member(0, of, phase="Pending", ready=False), of=of)
    assert names(created(outcome, PERSISTENT_VOLUME_CLAIMS)) == ["data-web-0"]


BY_SET = owner_reference("apps/v1", "StatefulSet", SET.metadata)
BY_POD = owner_reference("v1", "Pod", pod("web-1").metadata)


@pytest.mark.parametrize(
    ("deleted_", "scaled", "replicas", "owners", "expected"),
    [
        pytest.param("Retain", "Retain", 2, [BY_SET], None, id="kept from now on"),
        pytest.param("Delete", "Retain", 2, [], [BY_SET], id="goes with the set"),
        pytest.param("Delete", "Retain", 1, [], [BY_SET], id="with the set, also of a surplus pod"),
        pytest.param("Retain", "Delete", 1, [], [BY_POD], id="goes with the surplus pod"),
        pytest.param("Retain", "Delete", 2, [BY_POD], None, id="no longer surplus"),
        pytest.param("Delete", "Delete", 1, [BY_SET], [BY_POD], id="from set to pod"),
        pytest.param("Delete", "Delete", 2, [BY_POD], [BY_SET], id="from pod to set"),
    ],
)
def test_claims_are_owned_by_whom_they_shall_go_with(deleted_, scaled, replicas, owners, expected):
    of = claiming(deleted_, scaled, replicas)
    right = [BY_SET] if deleted_ == "Delete" else []
    claims = [claim("data-web-0", *right), claim("data-web-1", *owners)]
    outcome = decide(*members(0, 1, of=of), of=of, claims=claims)
    [(name, patch)] = patches(outcome, PERSISTENT_VOLUME_CLAIMS).items()
    assert name == "data-web-1"
    assert patch["metadata"]["ownerReferences"] == expected


@pytest.mark.parametrize(
    "owner",
    [
        pytest.param({**BY_POD, "uid": "uid-of-before"}, id="a former pod"),
        pytest.param({**BY_SET, "uid": "uid-of-before"}, id="a former set"),
        pytest.param({**BY_SET, "kind": "Database", "uid": "u"}, id="another controller"),
    ],
)
def test_claims_of_others_are_left_alone(owner):
    of = claiming("Delete", "Delete", 2)
    claims = [claim("data-web-0", BY_SET), claim("data-web-1", owner)]
    outcome = decide(*members(0, 1, of=of), of=of, claims=claims)
    assert patches(outcome, PERSISTENT_VOLUME_CLAIMS) == {}


def test_a_pod_is_not_made_while_its_claim_is_about_to_go_with_a_former_one():
    of = claiming("Retain", "Delete")
    former = {**owner_reference("v1", "Pod", pod("web-0").metadata), "uid": "uid-of-before"}
    assert created(decide(of=of, claims=[claim("data-web-0", former)])) == []


def test_new_claims_go_with_the_set_from_the_start():
    [body] = created(decide(of=claiming("Delete")), PERSISTENT_VOLUME_CLAIMS)
    assert body["metadata"]["ownerReferences"] == [BY_SET]


def test_a_claim_template_without_a_name_stops_nobody():
    nameless = {"spec": {"accessModes": ["ReadWriteOnce"]}}
    cache = Cache()
    cache.apply(STATEFUL_SETS, None, stateful_set(1, volumeClaimTemplates=[nameless]))
    claim = msgspec.convert(
        {"metadata": {"name": "c", "namespace": "default"}}, PersistentVolumeClaim
    )
    keys = StatefulSetReconciler().keys(cache, PERSISTENT_VOLUME_CLAIMS, None, claim)
    assert list(keys) == []
    assert StatefulSetReconciler().reconcile(cache, "default/web", NOW, None).actions
