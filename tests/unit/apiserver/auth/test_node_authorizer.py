"""What a node may do: its own objects, and what the pods bound to it refer to."""

import asyncio

import msgspec
import pytest

from kubeberth.apiserver.auth.authn import AUTHENTICATED, NODES, User
from kubeberth.apiserver.auth.node_authorizer import NodeAuthorizer
from kubeberth.apiserver.auth.node_graph import NodeGraph
from kubeberth.apiserver.route import parse_request
from kubeberth.apiserver.storage.memory import MemoryStore

N1 = User("system:node:n1", frozenset((NODES, AUTHENTICATED)))
N2 = User("system:node:n2", frozenset((NODES, AUTHENTICATED)))
CORE, IN_A = "/api/v1", "/api/v1/namespaces/a"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
CSI_NODES = "/apis/storage.k8s.io/v1/csinodes"
SLICES = "/apis/resource.k8s.io/v1/resourceslices"
ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
UNRELATED = "no relationship found between node 'n1' and this object"


def put(store, key, document):
    """Write an object, or None: delete it."""
    entry = store.get(key)
    if document is None:
        asyncio.run(store.delete(key, entry.revision))
        return
    value = msgspec.json.encode(document)
    if entry is None:
        asyncio.run(store.create(key, value))
    else:
        asyncio.run(store.update(key, value, entry.revision))


def pod(name, node="n1", *, status=None, annotations=None, **spec):
    return {
        "metadata": {"name": name, "namespace": "a", "annotations": annotations or {}},
        "spec": {"nodeName": node, **spec} if node else spec,
        "status": status or {},
    }


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def decide(store):
    authorizer = NodeAuthorizer(NodeGraph(store))

    def decide(method, path, user=N1):
        path, _, query = path.partition("?")
        return authorizer.decide(user, parse_request(method, path, query))

    return decide


@pytest.fixture
def may(decide):
    return lambda method, path, user=N1: decide(method, path, user).is_allowed


EVERY_REFERENCE = {
    "serviceAccountName": "robot",
    "imagePullSecrets": [{"name": "pull"}],
    "initContainers": [{"name": "i", "env": [{"valueFrom": {"secretKeyRef": {"name": "init"}}}]}],
    "ephemeralContainers": [{"name": "e", "envFrom": [{"secretRef": {"name": "debug"}}]}],
    "containers": [
        {
            "name": "c",
            "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "key"}}}],
            "envFrom": [{"configMapRef": {"name": "whole"}}, {"secretRef": {"name": "from"}}],
        }
    ],
    "resourceClaims": [{"name": "gpu", "resourceClaimName": "own"}, {"name": "made"}],
    "volumes": [
        {"name": "secret", "secret": {"secretName": "mounted"}},
        {"name": "map", "configMap": {"name": "mounted"}},
        {
            "name": "both",
            "projected": {
                "sources": [{"secret": {"name": "part"}}, {"configMap": {"name": "part"}}]
            },
        },
        {"name": "claim", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}},
        {"name": "csi", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "csi"}}},
        {"name": "azure", "azureFile": {"secretName": "azure"}},
        *(
            {"name": kind, kind: {"secretRef": {"name": kind.lower()}}}
            for kind in ("cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos")
        ),
    ],
}
SECRETS = (
    *("pull", "init", "debug", "from", "mounted", "part", "csi", "azure"),
    *("cephfs", "cinder", "flexvolume", "iscsi", "rbd", "scaleio", "storageos"),
)


def test_a_node_reads_all_that_its_pods_refer_to_and_no_other_node_does(store, may):
    made = {"resourceClaimStatuses": [{"name": "made", "resourceClaimName": "p-made-x1"}]}
    put(store, "pods/a/p", pod("p", status=made, **EVERY_REFERENCE))
    readable = [
        f"{IN_A}/pods/p",
        f"{IN_A}/serviceaccounts/robot",
        *(f"{IN_A}/secrets/{name}" for name in SECRETS),
        *(f"{IN_A}/configmaps/{name}" for name in ("key", "whole", "mounted", "part")),
        *(f"{IN_A}/persistentvolumeclaims/{name}" for name in ("data", "p-scratch")),
        *(
            f"/apis/resource.k8s.io/v1/namespaces/a/resourceclaims/{name}"
            for name in ("own", "p-made-x1")
        ),
    ]
    assert [path for path in readable if not may("GET", path)] == []
    assert [path for path in readable if may("GET", path, N2)] == []


@pytest.mark.parametrize("phase", ["Running", "Succeeded"])
def test_what_a_pod_refers_to_is_readable_until_the_pod_is_gone(store, may, phase):
    secret = f"{IN_A}/secrets/s"
    refers = {"imagePullSecrets": [{"name": "s"}]}
    put(store, "pods/a/p", pod("p", node="", **refers))
    assert not may("GET", secret)
    put(store, "pods/a/p", pod("p", **refers))
    assert may("GET", secret)
    put(store, "pods/a/p", pod("p", status={"phase": phase}, **refers))
    assert may("GET", secret)
    put(store, "pods/a/p", None)
    assert not may("GET", secret)


def test_two_pods_that_refer_to_a_secret_keep_it_readable_until_both_are_gone(store, may):
    for name in ("p", "q"):
        put(store, f"pods/a/{name}", pod(name, imagePullSecrets=[{"name": "s"}]))
    put(store, "pods/a/p", None)
    assert may("GET", f"{IN_A}/secrets/s")
    put(store, "pods/a/q", None)
    assert not may("GET", f"{IN_A}/secrets/s")


def test_a_mirror_pod_opens_nothing_but_itself(store, may):
    mirror = {"kubernetes.io/config.mirror": "x"}
    put(store, "pods/a/p", pod("p", annotations=mirror, **EVERY_REFERENCE))
    assert may("GET", f"{IN_A}/pods/p")
    assert not any(may("GET", f"{IN_A}/secrets/{name}") for name in SECRETS)
    assert not may("GET", f"{IN_A}/serviceaccounts/robot")


def test_a_volume_and_what_mounts_it_are_readable_through_its_claim(store, may):
    csi = {
        "driver": "d",
        "nodeStageSecretRef": {"name": "stage", "namespace": "vault"},
        "nodeExpandSecretRef": {"name": "expand", "namespace": "vault"},
        "controllerPublishSecretRef": {"name": "controller", "namespace": "vault"},
    }
    volume = {"claimRef": {"namespace": "a", "name": "data"}, "csi": csi}
    put(store, "persistentvolumes/v", {"metadata": {"name": "v"}, "spec": volume})
    secrets = f"{CORE}/namespaces/vault/secrets"
    assert not may("GET", f"{CORE}/persistentvolumes/v")
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    put(store, "pods/a/p", pod("p", volumes=[claim]))
    assert may("GET", f"{CORE}/persistentvolumes/v")
    assert may("GET", f"{secrets}/stage")
    assert may("GET", f"{secrets}/expand")
    assert not may("GET", f"{secrets}/controller")
    assert not may("GET", f"{secrets}/stage", N2)
    put(store, "persistentvolumes/v", None)
    assert not may("GET", f"{secrets}/stage")


def test_a_share_of_azure_is_mounted_with_a_secret_of_the_claims_namespace(store, may):
    volume = {"claimRef": {"namespace": "a", "name": "data"}, "azureFile": {"secretName": "s"}}
    put(store, "persistentvolumes/v", {"metadata": {"name": "v"}, "spec": volume})
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    put(store, "pods/a/p", pod("p", volumes=[claim]))
    assert may("GET", f"{IN_A}/secrets/s")


@pytest.mark.parametrize(
    ("bucket", "path"),
    [
        pytest.param("volumeattachments.storage.k8s.io", ATTACHMENTS, id="volume attachment"),
        pytest.param("resourceslices.resource.k8s.io", SLICES, id="resource slice"),
    ],
)
def test_what_names_a_node_is_read_by_that_node(store, may, bucket, path):
    put(store, f"{bucket}/x", {"metadata": {"name": "x"}, "spec": {"nodeName": "n1"}})
    assert may("GET", f"{path}/x")
    assert not may("GET", f"{path}/x", N2)


def test_what_cannot_be_read_opens_nothing_and_stops_nobody(store, may, caplog):
    put(store, "pods/a/p", pod("p", imagePullSecrets=[{"name": "s"}]))
    put(store, "pods/a/p", pod("p", imagePullSecrets=[{"name": ["s"]}]))
    put(store, "persistentvolumes/v", {"metadata": {"name": 5}})
    assert store.get("pods/a/p").revision == 2
    assert not may("GET", f"{IN_A}/secrets/s")
    assert [record.key for record in caplog.records] == ["pods/a/p", "persistentvolumes/v"]


def test_a_graph_knows_what_was_there_before_it(store):
    put(store, "pods/a/p", pod("p", imagePullSecrets=[{"name": "s"}]))
    authorizer = NodeAuthorizer(NodeGraph(store))
    assert authorizer.decide(N1, parse_request("GET", f"{IN_A}/secrets/s", "")).is_allowed


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("POST", f"{CORE}/nodes", id="register"),
        pytest.param("GET", f"{CORE}/nodes/n1", id="read its node"),
        pytest.param("GET", f"{CORE}/nodes?fieldSelector=metadata.name%3Dn1", id="list its node"),
        pytest.param(
            "GET", f"{CORE}/nodes?watch=1&fieldSelector=metadata.name%3Dn1", id="watch its node"
        ),
        pytest.param("PATCH", f"{CORE}/nodes/n1/status", id="report its status"),
        pytest.param("GET", f"{CORE}/pods?fieldSelector=spec.nodeName%3Dn1", id="list its pods"),
        pytest.param(
            "GET",
            f"{CORE}/pods?watch=1&fieldSelector=status.phase!%3DFailed,spec.nodeName%3Dn1",
            id="watch some of its pods",
        ),
        pytest.param("DELETE", f"{IN_A}/pods/p", id="delete a pod"),
        pytest.param("PATCH", f"{IN_A}/pods/p/status", id="report a pod's status"),
        pytest.param("POST", f"{IN_A}/pods/p/eviction", id="evict a pod"),
        pytest.param("POST", LEASES.format("kube-node-lease"), id="make a lease"),
        pytest.param("PUT", LEASES.format("kube-node-lease") + "/n1", id="renew its lease"),
        pytest.param("POST", CSI_NODES, id="make a CSINode"),
        pytest.param("PATCH", f"{CSI_NODES}/n1", id="change its CSINode"),
        pytest.param("POST", SLICES, id="make a slice"),
        pytest.param("GET", f"{SLICES}?fieldSelector=spec.nodeName%3Dn1", id="list its slices"),
        pytest.param("GET", f"{CORE}/services", id="read services"),
        pytest.param("POST", f"{IN_A}/events", id="record events"),
        pytest.param("GET", "/apis/node.k8s.io/v1/runtimeclasses", id="read runtime classes"),
        pytest.param("GET", "/apis/storage.k8s.io/v1/csidrivers/d", id="read CSI drivers"),
        pytest.param("POST", "/apis/authentication.k8s.io/v1/tokenreviews", id="review tokens"),
    ],
)
def test_a_node_may(may, method, path):
    assert may(method, path)
    assert not may(method, path, User("system:node:n1", frozenset((AUTHENTICATED,))))


@pytest.mark.parametrize(
    ("method", "path", "why"),
    [
        ("GET", f"{CORE}/nodes", "node 'n1' cannot read all nodes, only its own Node object"),
        ("GET", f"{CORE}/nodes/n2", "node 'n1' cannot read 'n2', only its own Node object"),
        ("DELETE", f"{CORE}/nodes/n1", ""),
        ("GET", f"{CORE}/nodes/n1/status", ""),
        ("GET", f"{CORE}/nodes/n1/proxy", ""),
        ("DELETE", f"{CORE}/nodes/n1/status", ""),
        ("GET", f"{IN_A}/secrets", "No Object name found"),
        ("GET", f"{CORE}/secrets", "can only read namespaced object of this type"),
        ("GET", f"{IN_A}/secrets/s/x", "cannot read subresource"),
        ("PUT", f"{IN_A}/configmaps/m", "can only read resources of this type"),
        ("GET", f"{IN_A}/secrets/s", UNRELATED),
        ("GET", f"{IN_A}/secrets?fieldSelector=metadata.name%3Ds", UNRELATED),
        (
            "GET",
            f"{CORE}/persistentvolumes",
            "can only get individual resources of this type",
        ),
        ("GET", f"{IN_A}/persistentvolumeclaims/c/x", "cannot get subresource"),
        ("PATCH", f"{IN_A}/persistentvolumeclaims/c/status", UNRELATED),
        ("GET", f"{IN_A}/persistentvolumeclaims/c/status", "can only get/update/patch this type"),
        ("GET", f"{IN_A}/pods/p", UNRELATED),
        (
            "GET",
            f"{CORE}/pods",
            "can only list/watch pods with spec.nodeName field selector",
        ),
        (
            "GET",
            f"{CORE}/pods?fieldSelector=spec.nodeName!%3Dn1",
            "can only list/watch pods with spec.nodeName field selector",
        ),
        (
            "GET",
            f"{CORE}/pods?fieldSelector=%3D%3D%3D",
            "can only list/watch pods with spec.nodeName field selector",
        ),
        ("GET", f"{IN_A}/pods?fieldSelector=metadata.name%3Dp", UNRELATED),
        ("PATCH", f"{IN_A}/pods/p", ""),
        ("DELETE", f"{IN_A}/pods", ""),
        ("POST", f"{IN_A}/pods/p/binding", ""),
        ("GET", f"{IN_A}/pods/p/log", ""),
        (
            "POST",
            f"{IN_A}/serviceaccounts",
            "can only create tokens for individual service accounts",
        ),
        (
            "POST",
            f"{IN_A}/serviceaccounts/s/other",
            "can only create token subresource of serviceaccount",
        ),
        ("POST", f"{IN_A}/serviceaccounts/s/token", UNRELATED),
        (
            "GET",
            LEASES.format("kube-node-lease"),
            "can only get, create, update, patch, or delete a node lease",
        ),
        (
            "POST",
            LEASES.format("kube-system"),
            'can only access leases in the "kube-node-lease" system namespace',
        ),
        (
            "PUT",
            LEASES.format("kube-node-lease") + "/n2",
            "can only access node lease with the same name as the requesting node",
        ),
        ("GET", CSI_NODES, "can only get, create, update, patch, or delete a CSINode"),
        ("GET", f"{CSI_NODES}/n1/x", "cannot authorize CSINode subresources"),
        (
            "GET",
            f"{CSI_NODES}/n2",
            "can only access CSINode with the same name as the requesting node",
        ),
        (
            "DELETE",
            SLICES,
            "can only list/watch/deletecollection resourceslices with nodeName field selector",
        ),
        ("GET", f"{SLICES}/x", UNRELATED),
        ("GET", f"{SLICES}/x/y", "cannot authorize ResourceSlice subresources"),
        (
            "OPTIONS",
            SLICES,
            "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, "
            "update, patch, delete, deletecollection",
        ),
        ("GET", "/apis/apps/v1/deployments", ""),
        ("GET", "/metrics", ""),
        ("OPTIONS", f"{CORE}/nodes", ""),
    ],
)
def test_a_node_may_not(decide, method, path, why):
    decision = decide(method, path)
    assert (decision.is_allowed, decision.reason) == (False, why)


def test_a_node_without_a_name_may_nothing(decide):
    nameless = User("system:node:", frozenset((NODES,)))
    decision = decide("GET", f"{CORE}/services", nameless)
    assert not decision.is_allowed
    assert decision.reason == 'unknown node for user "system:node:"'
