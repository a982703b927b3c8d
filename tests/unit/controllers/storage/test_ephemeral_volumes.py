"""Generic ephemeral volumes: each has a claim of its own, made for its pod."""

from typing import Any

from tests.world import World

from kubeberth.api.scheme import PERSISTENT_VOLUME_CLAIMS, PODS
from kubeberth.controllers.storage.ephemeral_volumes import EphemeralVolumeReconciler

Document = dict[str, Any]

KEY = "default/web"
CLAIM = "web-data"
SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
META = {"labels": {"tier": "fast"}, "annotations": {"example.com/note": "x"}}
OWNER = {
    "apiVersion": "v1",
    "kind": "Pod",
    "name": "web",
    "uid": "u",
    "controller": True,
    "blockOwnerDeletion": True,
}


def cluster(**meta: Any) -> World:
    world = World(EphemeralVolumeReconciler())
    source = {"volumeClaimTemplate": {"metadata": META, "spec": SPEC}}
    volumes = [{"name": "data", "ephemeral": source}, {"name": "scratch", "emptyDir": {}}]
    spec = {"containers": [{"name": "c"}], "volumes": volumes}
    world.api.put(PODS, {"metadata": {"name": "web", "uid": "u", **meta}, "spec": spec})
    return world


def claims(world: World) -> dict[str, Document]:
    found = world.api.objects.get(PERSISTENT_VOLUME_CLAIMS, {})
    return {body["metadata"]["name"]: body for body in found.values()}


def test_a_claim_is_made_of_the_template_and_belongs_to_the_pod():
    world = cluster()
    world.settle(KEY)
    assert [*claims(world)] == [CLAIM]
    claim = claims(world)[CLAIM]
    assert claim["spec"] == SPEC
    assert {field: claim["metadata"][field] for field in META} == META
    assert claim["metadata"]["ownerReferences"] == [OWNER]
    assert world.events == []


def test_a_pod_that_goes_gets_no_claim():
    world = cluster(deletionTimestamp="2026-01-01T00:00:00Z")
    world.settle(KEY)
    assert claims(world) == {}


def test_a_claim_of_somebody_else_is_not_taken():
    world = cluster()
    world.api.put(PERSISTENT_VOLUME_CLAIMS, {"metadata": {"name": CLAIM, "uid": "other"}})
    world.sync(KEY)
    why = "PVC default/web-data was not created for pod default/web (pod is not owner)"
    assert world.events == [("Warning", "FailedBinding", f"ephemeral volume data: {why}")]
    assert world.failure is not None


def test_pods_are_looked_at_when_they_come_and_when_their_claims_go():
    world = cluster()
    world.settle(KEY)
    cache, reconciler = world.cache, world.reconciler
    pod, claim = cache.get(PODS, KEY), cache.get(PERSISTENT_VOLUME_CLAIMS, f"default/{CLAIM}")
    assert [*reconciler.keys(cache, PODS, None, pod)] == [KEY]
    assert [*reconciler.keys(cache, PODS, pod, pod)] == []
    assert [*reconciler.keys(cache, PODS, pod, None)] == []
    assert [*reconciler.keys(cache, PERSISTENT_VOLUME_CLAIMS, claim, None)] == [KEY]
    assert [*reconciler.keys(cache, PERSISTENT_VOLUME_CLAIMS, None, claim)] == []
