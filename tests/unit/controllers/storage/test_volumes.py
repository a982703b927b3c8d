"""Volumes and claims: phases, bindings, and what may go."""

import msgspec
import pytest

from kubeberth.api.storage import PersistentVolume, PersistentVolumeClaim, StorageClass
from kubeberth.controllers.storage.volumes import (
    CLAIM_FINALIZER,
    VOLUME_FINALIZER,
    reconcile_claim,
    reconcile_volume,
)


def volume(name="disk", size="1Gi", phase="Available", claim_uid="", **metadata):
    spec = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "local",
    }
    if claim_uid:
        spec["claimRef"] = {"namespace": "n", "name": "data", "uid": claim_uid}
    document = {
        "metadata": {"name": name, "uid": f"uid-{name}", **metadata},
        "spec": spec,
        "status": {"phase": phase},
    }
    return msgspec.convert(document, PersistentVolume)


def claim(volume_name="", phase="Pending", size="1Gi", **metadata):
    document = {
        "metadata": {"name": "data", "namespace": "n", "uid": "u", **metadata},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "local",
            "resources": {"requests": {"storage": size}},
            "volumeName": volume_name,
        },
        "status": {"phase": phase},
    }
    return msgspec.convert(document, PersistentVolumeClaim)


def storage_class(provisioner="kubernetes.io/no-provisioner", mode="Immediate"):
    document = {"metadata": {"name": "local"}, "provisioner": provisioner}
    return msgspec.convert({**document, "volumeBindingMode": mode}, StorageClass)


WAITING = storage_class(mode="WaitForFirstConsumer")


def events(outcome):
    return [(event.type, event.reason, event.message) for event in outcome.actions]


def patches(outcome):
    return [action.patch for action in outcome.actions]


def test_a_new_volume_is_available():
    found = patches(reconcile_volume(volume(phase="Pending"), None))
    assert found == [{"status": {"phase": "Available"}}]


def test_a_volume_is_bound_while_its_claim_names_it_and_released_afterwards():
    taken = volume(claim_uid="u")
    assert patches(reconcile_volume(taken, claim("disk"))) == [{"status": {"phase": "Bound"}}]
    assert patches(reconcile_volume(taken, None)) == [{"status": {"phase": "Released"}}]
    other = claim("disk", uid="v")
    assert patches(reconcile_volume(taken, other)) == [{"status": {"phase": "Released"}}]


def test_a_deleted_volume_goes_unless_it_is_bound():
    marks = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [VOLUME_FINALIZER]}
    assert patches(reconcile_volume(volume(**marks), None)) == [
        {"metadata": {"uid": "uid-disk", "finalizers": None}}
    ]
    bound = volume(phase="Bound", claim_uid="u", **marks)
    assert reconcile_volume(bound, claim("disk")).actions == ()


def test_a_claim_gets_the_smallest_volume_that_is_large_enough():
    free = [volume("large", "4Gi"), volume("small", "512Mi"), volume("right", "2Gi")]
    outcome = reconcile_claim(claim(), None, free, storage_class=storage_class(), is_used=False)
    assert [action.target.name for action in outcome.actions] == ["right", "data"]
    assert outcome.actions[1].patch["spec"] == {"volumeName": "right"}


def test_a_claim_whose_class_waits_is_left_to_the_scheduler():
    outcome = reconcile_claim(claim(), None, [volume()], storage_class=WAITING, is_used=False)
    message = "waiting for first consumer to be created before binding"
    assert events(outcome) == [("Normal", "WaitForFirstConsumer", message)]


@pytest.mark.parametrize("uid", ["", "u"])
def test_a_volume_that_is_set_aside_is_bound_whatever_else_there_is(uid):
    reference = {"namespace": "n", "name": "data", "uid": uid}
    document = msgspec.to_builtins(volume("mine", "4Gi", phase="Pending"))
    document["spec"]["claimRef"] = reference
    mine = msgspec.convert(document, PersistentVolume)
    for kind in (storage_class(), WAITING):
        outcome = reconcile_claim(
            claim(), None, [volume(), mine], storage_class=kind, is_used=False
        )
        assert [action.target.name for action in outcome.actions] == ["mine", "data"]


def test_a_volume_of_an_earlier_claim_of_that_name_is_not_bound():
    old = volume(claim_uid="before")
    outcome = reconcile_claim(claim(), None, [old], storage_class=WAITING, is_used=False)
    assert [event.reason for event in outcome.actions] == ["WaitForFirstConsumer"]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (None, 'ProvisioningFailed: storageclass.storage.k8s.io "local" not found'),
        (
            storage_class(),
            "ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner",
        ),
        (
            storage_class("ebs.csi.aws.com"),
            "ExternalProvisioning: Waiting for a volume to be created either by the external "
            "provisioner 'ebs.csi.aws.com' or manually by the system administrator. If volume "
            "creation is delayed, please verify that the provisioner is running and correctly "
            "registered.",
        ),
    ],
)
def test_a_claim_without_a_volume_is_told_why(kind, told):
    outcome = reconcile_claim(claim(), None, [], storage_class=kind, is_used=False)
    [(_, reason, message)] = events(outcome)
    assert f"{reason}: {message}" == told


def test_a_claim_without_a_class_is_told_so():
    classless = msgspec.structs.replace(
        claim(), spec=msgspec.structs.replace(claim().spec, storage_class_name="")
    )
    outcome = reconcile_claim(classless, None, [], storage_class=None, is_used=False)
    message = "no persistent volumes available for this claim and no storage class is set"
    assert events(outcome) == [("Normal", "FailedBinding", message)]


def test_a_bound_claim_tells_what_it_got():
    found = reconcile_claim(
        claim("disk"), volume(claim_uid="u"), [], storage_class=None, is_used=False
    )
    assert patches(found) == [
        {
            "status": {
                "phase": "Bound",
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "1Gi"},
            }
        }
    ]


def test_a_claim_whose_volume_is_gone_is_lost():
    lost = reconcile_claim(claim("disk", "Bound"), None, [], storage_class=None, is_used=False)
    assert patches(lost) == [{"status": {"phase": "Lost"}}]


def test_a_deleted_claim_stays_while_a_pod_has_it():
    going = claim(deletionTimestamp="2026-01-01T00:00:00Z", finalizers=[CLAIM_FINALIZER, "x/y"])
    kept = reconcile_claim(going, None, [volume()], storage_class=None, is_used=True)
    assert kept.actions == ()
    gone = reconcile_claim(going, None, [volume()], storage_class=None, is_used=False)
    assert patches(gone) == [{"metadata": {"uid": "u", "finalizers": ["x/y"]}}]
