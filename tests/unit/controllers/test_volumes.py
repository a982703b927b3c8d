"""Volumes and claims: phases, bindings, and what may go."""

import msgspec

from kubeberth.api.storage import PersistentVolume, PersistentVolumeClaim
from kubeberth.controllers.volumes import (
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
    outcome = reconcile_claim(claim(), None, free, waits=False, is_used=False)
    assert [action.target.name for action in outcome.actions] == ["right", "data"]
    assert outcome.actions[1].patch["spec"] == {"volumeName": "right"}


def test_a_claim_whose_class_waits_is_left_to_the_scheduler():
    outcome = reconcile_claim(claim(), None, [volume()], waits=True, is_used=False)
    assert outcome.actions == ()


def test_a_bound_claim_tells_what_it_got():
    found = reconcile_claim(claim("disk"), volume(claim_uid="u"), [], waits=False, is_used=False)
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
    lost = reconcile_claim(claim("disk", "Bound"), None, [], waits=False, is_used=False)
    assert patches(lost) == [{"status": {"phase": "Lost"}}]


def test_a_deleted_claim_stays_while_a_pod_has_it():
    going = claim(deletionTimestamp="2026-01-01T00:00:00Z", finalizers=[CLAIM_FINALIZER, "x/y"])
    kept = reconcile_claim(going, None, [volume()], waits=False, is_used=True)
    assert kept.actions == ()
    gone = reconcile_claim(going, None, [volume()], waits=False, is_used=False)
    assert patches(gone) == [{"metadata": {"uid": "u", "finalizers": ["x/y"]}}]
