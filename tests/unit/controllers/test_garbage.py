import pytest
from tests.objects import NOW

from kubeberth.api.meta import ObjectMeta, OwnerReference
from kubeberth.api.scheme import DEPLOYMENTS, NODES, PODS, REPLICA_SETS
from kubeberth.api.workloads import Object
from kubeberth.clock import rfc3339
from kubeberth.controllers.action import ConfirmAbsent, DeleteObject, ObjectRef, PatchObject
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.garbage import (
    FOREGROUND,
    ORPHAN,
    GarbageReconciler,
    Owner,
    Standing,
    View,
    reconcile,
)

POD = ObjectRef(PODS, "p", "default", "uid-p")
SET = ObjectRef(REPLICA_SETS, "web", "default", "uid-web")


def meta(name="p", *owners, deleting=False, finalizers=()):
    return ObjectMeta(
        name=name,
        namespace="default",
        uid=f"uid-{name}",
        resource_version="4",
        owner_references=owners,
        finalizers=finalizers,
        deletion_timestamp=rfc3339(NOW) if deleting else None,
    )


def reference(uid="uid-web", *, block=True, name="web"):
    return OwnerReference(
        api_version="apps/v1", kind="ReplicaSet", name=name, uid=uid, block_owner_deletion=block
    )


def owner(present=True, *, uid="uid-web", waiting=False, served=True):
    found = meta("web", deleting=waiting, finalizers=(FOREGROUND,) if waiting else ())
    return Owner(reference(uid), SET if served else None, found if present else None)


@pytest.mark.parametrize(
    ("case", "standing"),
    [
        pytest.param(owner(), Standing.SOLID, id="exists"),
        pytest.param(owner(present=False), Standing.DANGLING, id="missing"),
        pytest.param(owner(uid="other"), Standing.DANGLING, id="another of the same name"),
        pytest.param(owner(waiting=True), Standing.WAITING, id="waits for its dependents"),
        pytest.param(owner(present=False, served=False), Standing.SOLID, id="a kind not served"),
    ],
)
def test_an_owner_reference_is_solid_dangling_or_waiting(case, standing):
    assert case.standing is standing


def test_an_object_without_owners_stays():
    assert reconcile(View(POD, meta())).actions == ()


def test_an_object_stays_while_an_owner_is_there():
    assert reconcile(View(POD, meta(), (owner(),))).actions == ()


def test_an_object_whose_only_owner_is_gone_goes_after_asking_the_api():
    confirmation, deletion = reconcile(View(POD, meta(), (owner(present=False),))).actions
    assert isinstance(confirmation, ConfirmAbsent)
    assert confirmation.target.uid == "uid-web"
    assert deletion == DeleteObject(POD, propagation="Background")


def test_with_one_owner_left_only_the_others_are_struck_out():
    gone = Owner(reference("uid-gone", name="gone"), SET, None)
    view = View(POD, meta("p", reference(), reference("uid-gone", name="gone")), (owner(), gone))
    _, patch = reconcile(view).actions
    kept = patch.patch["metadata"]["ownerReferences"]
    assert [entry["uid"] for entry in kept] == ["uid-web"]
    assert patch.patch["metadata"]["resourceVersion"] == "4"


def test_dependents_of_an_owner_in_foreground_deletion_go():
    [deletion] = reconcile(View(POD, meta(), (owner(waiting=True),))).actions
    assert deletion == DeleteObject(POD, propagation="Background")


def test_a_dependent_that_has_dependents_itself_goes_in_the_foreground_too():
    top = Owner(
        OwnerReference(api_version="apps/v1", kind="Deployment", name="d", uid="uid-d"),
        ObjectRef(DEPLOYMENTS, "d", "default", "uid-d"),
        meta("d", deleting=True, finalizers=(FOREGROUND,)),
    )
    view = View(SET, meta("web"), (top,), ((POD, meta("p", reference())),))
    [deletion] = reconcile(view).actions
    assert deletion == DeleteObject(SET, propagation="Foreground")


def test_foreground_deletion_waits_for_blocking_dependents():
    going = meta("web", deleting=True, finalizers=(FOREGROUND, "other"))
    blocked = View(SET, going, (), ((POD, meta("p", reference())),))
    assert reconcile(blocked).actions == ()
    free = View(SET, going, (), ((POD, meta("p", reference(block=False))),))
    [patch] = reconcile(free).actions
    assert patch.patch["metadata"]["finalizers"] == ["other"]


def test_orphaning_frees_the_dependents_and_then_lets_the_owner_go():
    going = meta("web", deleting=True, finalizers=(ORPHAN,))
    first, second = reconcile(View(SET, going, (), ((POD, meta("p", reference())),))).actions
    assert isinstance(first, PatchObject)
    assert first.target == POD
    assert first.patch["metadata"]["ownerReferences"] is None
    assert second.target == SET
    assert second.patch["metadata"]["finalizers"] is None


def test_an_object_that_is_already_going_is_not_deleted_again():
    view = View(POD, meta(deleting=True), (owner(present=False),))
    assert reconcile(view).actions == ()


def test_an_owner_in_a_namespace_is_out_of_reach_of_an_object_outside_of_them():
    """N142."""
    cache, reconciler = Cache(), GarbageReconciler()
    outside = ObjectMeta(name="n", uid="uid-n", owner_references=(reference(),))
    cache.apply(NODES, None, Object(metadata=outside))
    (event,) = reconciler.reconcile(cache, "nodes/n", NOW, None).actions
    told = (event.target.name, event.reason, event.type)
    assert told == ("n", "OwnerRefInvalidNamespace", "Warning")
    assert event.message == (
        "ownerRef [apps/v1/ReplicaSet, namespace: , name: web, uid: uid-web] "
        'does not exist in namespace ""'
    )


def test_an_owner_of_another_namespace_is_none():
    cache, reconciler = Cache(), GarbageReconciler()
    elsewhere = ObjectMeta(name="web", namespace="other", uid="uid-web")
    cache.apply(REPLICA_SETS, None, Object(metadata=elsewhere))
    cache.apply(PODS, None, Object(metadata=meta("p", reference())))
    confirmation, deletion = reconciler.reconcile(cache, "pods/default/p", NOW, None).actions
    assert confirmation == ConfirmAbsent(SET)
    assert deletion == DeleteObject(POD, propagation="Background")
