"""Volumes that are made for claims: when, where, and when they go again."""

import msgspec
import pytest
from tests.objects import node

from kubeberth.api.node_labels import ZONE
from kubeberth.api.scheme import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES
from kubeberth.api.storage import PersistentVolume, PersistentVolumeClaim, StorageClass
from kubeberth.controllers.action import DeleteObject
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.storage.volume_provisioning import (
    PROVISIONER,
    DefaultClassReconciler,
    ProvisioningReconciler,
    default_class,
    reconcile_claim,
    reconcile_volume,
)

NODES = {
    name: node(name, labels={ZONE: zone, "kubernetes.io/hostname": name})
    for name, zone in {"n1": "a", "n2": "b", "n3": "c"}.items()
}


def claim(name="data", *, selected="", **metadata):
    annotations = {"volume.kubernetes.io/selected-node": selected} if selected else {}
    document = {
        "metadata": {
            "name": name,
            "namespace": "n",
            "uid": f"uid-{name}",
            "annotations": annotations,
            **metadata,
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "standard",
            "resources": {"requests": {"storage": "8Gi"}},
        },
    }
    return msgspec.convert(document, PersistentVolumeClaim)


def class_(**fields):
    return msgspec.convert({**default_class("standard"), **fields}, StorageClass)


def made(outcome):
    _, told = outcome.actions
    [creation] = told.actions
    return creation.body


def place(volume):
    [term] = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    [requirement] = term["matchExpressions"]
    return requirement["key"], requirement["values"]


def test_a_claim_that_waits_gets_its_volume_where_the_scheduler_has_put_its_pod():
    assert reconcile_claim(claim(), class_(), NODES).actions == ()
    outcome = reconcile_claim(claim(selected="n2"), class_(), NODES)
    begun, told = outcome.actions
    assert (begun.reason, told.success[0]) == ("Provisioning", "ProvisioningSucceeded")
    volume = made(outcome)
    assert volume["metadata"]["name"] == "pvc-uid-data"
    assert volume["spec"]["capacity"] == {"storage": "8Gi"}
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
    assert volume["spec"]["claimRef"]["uid"] == "uid-data"
    assert place(volume) == (ZONE, ["b"])


def test_a_class_says_in_which_label_nodes_agree_that_reach_a_volume():
    local = class_(parameters={"topologyKey": "kubernetes.io/hostname"})
    volume = made(reconcile_claim(claim(selected="n2"), local, NODES))
    assert place(volume) == ("kubernetes.io/hostname", ["n2"])


def test_a_volume_is_reached_from_everywhere_when_nodes_have_no_such_label():
    bare = {"n2": node("n2", labels={})}
    volume = made(reconcile_claim(claim(selected="n2"), class_(), bare))
    assert "nodeAffinity" not in volume["spec"]


def test_a_claim_whose_node_is_gone_is_given_back_to_the_scheduler():
    [patch] = reconcile_claim(claim(selected="gone"), class_(), NODES).actions
    assert patch.patch == {
        "metadata": {"annotations": {"volume.kubernetes.io/selected-node": None}}
    }


def test_claims_that_wait_for_no_pod_are_spread_over_the_zones():
    kind = class_(volumeBindingMode="Immediate")
    zones = {
        place(made(reconcile_claim(claim(f"data-web-{n}"), kind, NODES)))[1][0] for n in range(20)
    }
    assert zones == {"a", "b", "c"}


def test_claims_that_wait_for_no_pod_stay_where_their_class_allows_them():
    expression = {"key": ZONE, "values": ["c", "elsewhere"]}
    terms = [{"matchLabelExpressions": [expression]}]
    kind = class_(volumeBindingMode="Immediate", allowedTopologies=terms)
    for n in range(5):
        assert place(made(reconcile_claim(claim(f"d{n}"), kind, NODES))) == (ZONE, ["c"])


def test_a_claim_on_its_way_out_gets_no_volume():
    going = claim(selected="n1", deletionTimestamp="2026-01-01T00:00:00Z")
    assert reconcile_claim(going, class_(), NODES).actions == ()


def volume(policy="Delete", phase="Released", by=PROVISIONER, **metadata):
    document = {
        "metadata": {
            "name": "v",
            "uid": "u",
            "annotations": {"pv.kubernetes.io/provisioned-by": by},
            **metadata,
        },
        "spec": {"persistentVolumeReclaimPolicy": policy},
        "status": {"phase": phase},
    }
    return msgspec.convert(document, PersistentVolume)


def test_a_released_volume_goes():
    [deletion] = reconcile_volume(volume()).actions
    assert isinstance(deletion, DeleteObject)
    assert (deletion.target.name, deletion.target.uid) == ("v", "u")


@pytest.mark.parametrize(
    "kept",
    [
        volume("Retain"),
        volume(phase="Bound"),
        volume(by="ebs.csi.aws.com"),
        volume(deletionTimestamp="2026-01-01T00:00:00Z"),
    ],
)
def test_a_volume_stays_that_is_kept_or_used_or_made_by_others(kept):
    assert reconcile_volume(kept).actions == ()


def test_only_claims_of_a_simulated_class_get_volumes_and_only_once():
    cache = Cache()
    cache.apply(PERSISTENT_VOLUME_CLAIMS, None, claim(selected="n1"))
    look = ProvisioningReconciler().reconcile
    assert look(cache, "n/data", 0, None).actions == ()
    theirs = class_(provisioner="ebs.csi.aws.com")
    cache.apply(STORAGE_CLASSES, None, theirs)
    assert look(cache, "n/data", 0, None).actions == ()
    cache.apply(STORAGE_CLASSES, theirs, class_())
    assert look(cache, "n/data", 0, None).actions != ()
    cache.apply(PERSISTENT_VOLUMES, None, volume(name="pvc-uid-data"))
    assert look(cache, "n/data", 0, None).actions == ()


def test_a_default_class_is_made_where_there_is_none():
    cache, reconciler = Cache(), DefaultClassReconciler("standard")
    assert reconciler.seeds == ("standard",)
    [creation] = reconciler.reconcile(cache, "standard", 0, None).actions
    assert creation.body == default_class("standard")
    cache.apply(STORAGE_CLASSES, None, class_())
    assert reconciler.reconcile(cache, "standard", 0, None).actions == ()
