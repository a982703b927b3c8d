"""What a node, or a pod, is kept from by admission."""

import pytest
from tests.certificate_requests import encoded_request
from tests.unit.apiserver.captured_node import (
    MIRROR,
    N1,
    NODE_GROUPS,
    NODES,
    PODS,
    allow_nodes,
    mirror,
    nodes,
    refused,
)

from kubeberth.apiserver.admission_selection import AdmissionSettings
from kubeberth.apiserver.auth.authn import AUTHENTICATED, User

LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
CLOSED = [
    "node-restriction.kubernetes.io/x",
    "example.com.node-restriction.kubernetes.io/fips",
    "xnode-restriction.kubernetes.io/a",
    "node-role.kubernetes.io/control-plane",
    "kubernetes.io/role",
    "topology.kubernetes.io/rack",
    "mynode.kubernetes.io/a",
    "k8s.io/a",
    "foo.k8s.io/bar",
]
OPEN = [
    "disktype",
    "example.com/x",
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
    "node.kubernetes.io/exclude-disruption",
    "feature.node.kubernetes.io/y",
    "kubelet.kubernetes.io/z",
    "a.kubelet.kubernetes.io/z",
]


@pytest.mark.parametrize("key", CLOSED)
def test_a_node_cannot_register_with_a_label_that_others_go_by(run, key):
    async def scenario(api):
        node = {"metadata": {"name": "n1", "labels": {key: "v"}}}
        answer = await api.post(NODES, node, user=N1)
        refused(answer, f'node "n1" is not allowed to set the following labels: {key}')

    run(scenario)


@pytest.mark.parametrize("key", CLOSED)
@pytest.mark.parametrize("part", ["", "/status"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({}, "v", id="add"),
        pytest.param({"v": "w"}, "v", id="change"),
        pytest.param({"v": "w"}, None, id="remove"),
    ],
)
def test_a_node_cannot_touch_a_label_that_others_go_by(run, key, part, before, after):
    async def scenario(api):
        await nodes(api, metadata={"labels": {key: "w"} if before else {}})
        change = {"metadata": {"labels": {key: after}}}
        answer = await api.patch(f"{NODES}/n1{part}", change, user=N1)
        refused(answer, f"is not allowed to modify labels: {key}")

    run(scenario)


@pytest.mark.parametrize("key", OPEN)
def test_a_node_labels_itself_with_everything_else(run, key):
    async def scenario(api):
        node = {"metadata": {"name": "n1", "labels": {key: "v"}}}
        assert (await api.post(NODES, node, user=N1)).code == 201
        for value in ("w", None):
            change = {"metadata": {"labels": {key: value}}}
            assert (await api.patch(f"{NODES}/n1", change, user=N1)).code == 200

    run(scenario)


def test_all_refused_labels_are_named_in_order(run):
    async def scenario(api):
        node = {"metadata": {"name": "n1", "labels": {"kubernetes.io/b": "", "k8s.io/a": ""}}}
        answer = await api.post(NODES, node, user=N1)
        refused(
            answer,
            'node "n1" is not allowed to set the following labels: k8s.io/a, kubernetes.io/b',
        )

    run(scenario)


def test_a_node_cannot_write_another_node(run):
    async def scenario(api):
        await nodes(api)
        why = 'node "n1" is not allowed to modify node "n2"'
        change = {"metadata": {"annotations": {"a": "b"}}}
        refused(await api.patch(f"{NODES}/n2", change, user=N1), why)
        refused(await api.patch(f"{NODES}/n2/status", {"status": {}}, user=N1), why)
        applied = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n3"}}
        answer = await api.patch(
            f"{NODES}/n3?fieldManager=m", applied, kind="apply-patch+yaml", user=N1
        )
        refused(answer, 'node "n1" is not allowed to modify node "n3"')

    run(scenario)


def test_a_node_that_may_delete_nodes_deletes_itself_alone(run):
    async def scenario(api):
        await nodes(api)
        await allow_nodes(api, ["delete"], "nodes")
        why = 'node "n1" is not allowed to modify node "n2"'
        refused(await api.delete(f"{NODES}/n2", user=N1), why)
        assert (await api.delete(f"{NODES}/n1", user=N1)).code == 200

    run(scenario)


def test_a_node_cannot_delete_itself_by_its_own_rights(run):
    async def scenario(api):
        await nodes(api)
        answer = await api.delete(f"{NODES}/n1", user=N1)
        assert 'cannot delete resource "nodes"' in answer.message

    run(scenario)


@pytest.mark.parametrize(
    "taints",
    [
        pytest.param(None, id="all away"),
        pytest.param([{"key": "a", "effect": "NoSchedule"}], id="one away"),
        pytest.param(
            [{"key": "b", "effect": "NoSchedule"}, {"key": "a", "effect": "NoSchedule"}],
            id="another order",
        ),
    ],
)
def test_a_node_cannot_change_its_taints(run, taints):
    async def scenario(api):
        keys = ({"key": "a", "effect": "NoSchedule"}, {"key": "b", "effect": "NoSchedule"})
        await nodes(api)
        await api.patch(f"{NODES}/n1", {"spec": {"taints": list(keys)}})
        answer = await api.patch(f"{NODES}/n1", {"spec": {"taints": taints}}, user=N1)
        refused(answer, 'node "n1" is not allowed to modify taints')

    run(scenario)


def test_a_node_registers_with_taints_and_cordons_itself(run):
    async def scenario(api):
        taints = [{"key": "a", "effect": "NoSchedule"}]
        node = {"metadata": {"name": "n1"}, "spec": {"taints": taints}}
        assert (await api.post(NODES, node, user=N1)).code == 201
        change = {"spec": {"unschedulable": True}}
        assert (await api.patch(f"{NODES}/n1", change, user=N1)).code == 200

    run(scenario)


@pytest.mark.parametrize("operation", ["create", "update"])
def test_a_node_cannot_say_where_its_configuration_comes_from(run, operation):
    source = {"configMap": {"namespace": "a", "name": "b", "kubeletConfigKey": "k"}}

    async def scenario(api):
        if operation == "create":
            node = {"metadata": {"name": "n1"}, "spec": {"configSource": source}}
            answer = await api.post(NODES, node, user=N1)
            why = "is not allowed to create pods with a non-nil configSource"
        else:
            await nodes(api)
            answer = await api.patch(f"{NODES}/n1", {"spec": {"configSource": source}}, user=N1)
            why = "is not allowed to update configSource to a new non-nil configSource"
        refused(answer, f'node "n1" {why}')

    run(scenario)


def test_who_is_in_the_group_without_a_name_writes_nothing(run):
    async def scenario(api):
        nobody = User("system:node:", NODE_GROUPS)
        await allow_nodes(api, ["create"], "configmaps")
        body = {"metadata": {"name": "m"}}
        answer = await api.post("/api/v1/namespaces/default/configmaps", body, user=nobody)
        refused(answer, 'could not determine node from user "system:node:"')

    run(scenario)


def test_a_node_by_name_alone_is_no_node(run):
    async def scenario(api):
        await nodes(api)
        alike = User("system:node:n1", frozenset((AUTHENTICATED,)))
        answer = await api.patch(f"{NODES}/n1", {"metadata": {"labels": {"a": "b"}}}, user=alike)
        assert answer.message.endswith('in API group "" at the cluster scope')

    run(scenario)


def test_a_node_with_nodes_restricted_off_labels_itself(run):
    async def scenario(api):
        await nodes(api)
        change = {"metadata": {"labels": {"node-restriction.kubernetes.io/x": "v"}}}
        assert (await api.patch(f"{NODES}/n1", change, user=N1)).code == 200
        verbose = await api.get("/readyz?verbose")
        assert b"WARNING: NodeRestriction is off: every node may label itself" in verbose.body

    run(scenario, admission=AdmissionSettings(disable=("NodeRestriction",)))


# --- pods


def test_a_node_makes_mirror_pods_of_its_own_alone(run):
    async def scenario(api):
        uid = await nodes(api)
        assert (await api.post(PODS, mirror(uid), user=N1)).code == 201
        plain = {"metadata": {"name": "p"}, "spec": mirror(uid)["spec"]}
        refused(
            await api.post(PODS, plain, user=N1),
            'pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create '
            "mirror pods",
        )

    run(scenario)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"node": "n2"}, 'node "n1" can only create pods with spec.nodeName set to itself'),
        (
            {"owner": {"kind": "Pod"}},
            'node "n1" can only create pods with an owner reference set to itself',
        ),
        (
            {"owner": {"name": "n2"}},
            'node "n1" can only create pods with an owner reference set to itself',
        ),
        (
            {"owner": {"controller": False}},
            'node "n1" can only create pods with a controller owner reference set to itself',
        ),
        (
            {"owner": {"blockOwnerDeletion": True}},
            'node "n1" must not set blockOwnerDeletion on an owner reference',
        ),
        ({"owner": {"uid": "old"}}, "node n1 UID mismatch: expected old got {uid}"),
        (
            {"volumes": [{"name": "v", "configMap": {"name": "m"}}]},
            'node "n1" can not create pods that reference configmaps',
        ),
        (
            {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]},
            'node "n1" can not create pods that reference persistentvolumeclaims',
        ),
        (
            {"volumes": [{"name": "v", "csi": {"driver": "d"}}]},
            'node "n1" can not create pods that reference csidrivers (via CSI volumes)',
        ),
        (
            {"volumes": [{"name": "v", "glusterfs": {"endpoints": "e", "path": "p"}}]},
            'node "n1" can not create pods that reference endpoints (via glusterFS volumes)',
        ),
    ],
)
def test_a_mirror_pod_is_refused(run, change, why):
    async def scenario(api):
        uid = await nodes(api)
        answer = await api.post(PODS, mirror(uid, **change), user=N1)
        refused(answer, why.format(uid=uid))

    run(scenario)


def test_a_mirror_pod_has_one_owner(run):
    async def scenario(api):
        uid = await nodes(api)
        only = 'node "n1" can only create pods with'
        pod = mirror(uid)
        other = {"apiVersion": "v1", "kind": "Node", "name": "n2", "uid": "x"}
        pod["metadata"]["ownerReferences"].append(other)
        answer = await api.post(PODS, pod, user=N1)
        refused(answer, f"{only} a single owner reference set to itself")
        pod["metadata"]["ownerReferences"] = []
        answer = await api.post(PODS, pod, user=N1)
        refused(answer, f"{only} an owner reference set to itself")

    run(scenario)


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ({"serviceAccountName": "default"}, "reference service accounts"),
        ({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "reference secrets"),
        ({"imagePullSecrets": [{"name": "s"}]}, "reference secrets"),
        (
            {
                "volumes": [
                    {
                        "name": "v",
                        "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]},
                    }
                ]
            },
            "use ServiceAccountToken volume projections",
        ),
    ],
)
def test_nobody_makes_a_mirror_pod_that_needs_a_secret(run, spec, what):
    async def scenario(api):
        uid = await nodes(api)
        for pod in (mirror(uid, **spec), mirror(uid, node="n2", **spec)):
            refused(await api.post(PODS, pod), f"a mirror pod may not {what}")

    run(scenario)


def test_without_that_rule_nodes_are_still_refused(run):
    async def scenario(api):
        uid = await nodes(api)
        for spec, what in (
            ({"serviceAccountName": "default"}, "serviceaccounts"),
            ({"imagePullSecrets": [{"name": "s"}]}, "secrets"),
        ):
            answer = await api.post(PODS, mirror(uid, **spec), user=N1)
            refused(answer, f'node "n1" can not create pods that reference {what}')

    run(scenario, admission=AdmissionSettings(disable=("ServiceAccount",)))


def test_a_pod_does_not_become_a_mirror_later(run):
    async def scenario(api):
        await nodes(api)
        await api.pod("p", nodeName="n1")
        change = {"metadata": {"annotations": MIRROR}}
        for path, user in ((f"{PODS}/p", None), (f"{PODS}/p/status", N1)):
            options = {"user": user} if user else {}
            answer = await api.patch(path, change, **options)
            assert answer.code == 422
            assert answer.message.endswith("Forbidden: may not add mirror pod annotation")

    run(scenario)


def test_a_node_deletes_and_evicts_its_own_pods_alone(run):
    async def scenario(api):
        await nodes(api)
        for name, node in (("own", "n1"), ("theirs", "n2"), ("nowhere", "")):
            await api.pod(name, nodeName=node)
        for name in ("theirs", "nowhere"):
            answer = await api.delete(f"{PODS}/{name}", user=N1)
            only = "pods with spec.nodeName set to itself"
            refused(answer, f'node "n1" can only delete {only}')
            body = {"metadata": {"name": name}}
            answer = await api.post(f"{PODS}/{name}/eviction", body, user=N1)
            refused(answer, f"node n1 can only evict {only}")
        answer = await api.post(f"{PODS}/none/eviction", {"metadata": {"name": "none"}}, user=N1)
        assert (answer.code, answer.message) == (404, 'pod "none" not found')
        body = {"metadata": {"name": "own"}}
        assert (await api.post(f"{PODS}/own/eviction", body, user=N1)).code == 201

    run(scenario)


def test_a_node_reports_its_own_pods_alone_and_not_their_labels(run):
    async def scenario(api):
        await nodes(api)
        await api.pod("own", nodeName="n1")
        await api.pod("theirs", nodeName="n2")
        status = {"status": {"phase": "Running"}}
        refused(
            await api.patch(f"{PODS}/theirs/status", status, user=N1),
            'node "n1" can only update pod status for pods with spec.nodeName set to itself',
        )
        labels = {"metadata": {"labels": {"app": "other"}}}
        refused(
            await api.patch(f"{PODS}/own/status", labels, user=N1),
            'node "n1" cannot update labels through pod status',
        )
        extended = {
            "status": {
                "extendedResourceClaimStatus": {"resourceClaimName": "c", "requestMappings": []}
            }
        }
        refused(
            await api.patch(f"{PODS}/own/status", extended, user=N1),
            'node "n1" cannot update extended resource claim status',
        )
        assert (await api.patch(f"{PODS}/own/status", status, user=N1)).code == 200

    run(scenario)


def test_even_a_node_that_rbac_lets_do_so_neither_binds_nor_changes_pods(run):
    async def scenario(api):
        await nodes(api)
        await allow_nodes(api, ["create", "patch", "update"], "pods", "pods/binding", "pods/resize")
        await api.pod("p")
        only = "only 'status' and 'eviction' are allowed"
        binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
        refused(
            await api.post(f"{PODS}/p/binding", binding, user=N1),
            f'unexpected pod subresource "binding", {only}',
        )
        refused(
            await api.patch(f"{PODS}/p/resize", {"spec": {}}, user=N1),
            f'unexpected pod subresource "resize", {only}',
        )
        refused(
            await api.patch(f"{PODS}/p", {"metadata": {"labels": {"a": "b"}}}, user=N1),
            'unexpected operation "UPDATE", node "n1" can only create and delete mirror pods',
        )

    run(scenario)


# --- everything else


def test_a_node_keeps_its_own_lease_and_csi_node(run):
    async def scenario(api):
        await nodes(api)
        answer = await api.post(
            LEASES.format("kube-node-lease"), {"metadata": {"name": "n2"}}, user=N1
        )
        refused(answer, "can only access node lease with the same name as the requesting node")
        await allow_nodes(api, ["create"], "leases", groups=("coordination.k8s.io",))
        answer = await api.post(LEASES.format("default"), {"metadata": {"name": "n1"}}, user=N1)
        refused(answer, 'can only access leases in the "kube-node-lease" system namespace')
        body = {"metadata": {"name": "n2"}, "spec": {"drivers": []}}
        answer = await api.post("/apis/storage.k8s.io/v1/csinodes", body, user=N1)
        refused(answer, "can only access CSINode with the same name as the requesting node")

    run(scenario)


CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"


def test_a_node_tells_of_a_claim_only_how_large_it_is(run):
    async def scenario(api):
        await nodes(api)
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        assert (await api.post(CLAIMS, {"metadata": {"name": "c"}, "spec": spec})).code == 201
        volume = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
        await api.pod("p", nodeName="n1", volumes=[volume])
        larger = {"status": {"capacity": {"storage": "2Gi"}}}
        assert (await api.patch(f"{CLAIMS}/c/status", larger, user=N1)).code == 200
        answer = await api.patch(f"{CLAIMS}/c/status", {"status": {"phase": "Lost"}}, user=N1)
        refused(
            answer,
            'node "n1" is not allowed to update fields other than status.quantity and '
            "status.conditions: status.phase",
        )
        await allow_nodes(api, ["patch"], "persistentvolumeclaims")
        answer = await api.patch(f"{CLAIMS}/c", {"metadata": {"labels": {"a": "b"}}}, user=N1)
        refused(answer, "may only update PVC status")

    run(scenario)


@pytest.mark.parametrize(
    ("signer", "name", "why"),
    [
        ("kubelet-serving", "system:node:n2", "can only create a node CSR with CN=system:node:n1"),
        (
            "kube-apiserver-client-kubelet",
            "system:node:n2",
            "can only create a node CSR with CN=system:node:n1",
        ),
        ("kube-apiserver-client-kubelet", "system:node:n1", ""),
        ("kube-apiserver-client", "jane", ""),
    ],
)
def test_a_node_asks_for_certificates_in_its_own_name(run, signer, name, why):
    async def scenario(api):
        await nodes(api)
        spec = {
            "signerName": f"kubernetes.io/{signer}",
            "request": encoded_request(name, ("system:nodes",)),
            "usages": ["digital signature", "client auth"],
        }
        path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
        answer = await api.post(path, {"metadata": {"name": "r"}, "spec": spec}, user=N1)
        if why:
            refused(answer, why)
        else:
            assert answer.code == 201, answer.body

    run(scenario)


ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


async def token_for(api, pod, *, audiences=(), **bound):
    reference = {"kind": "Pod", "apiVersion": "v1", "name": pod.get("name", ""), **bound}
    if "uid" not in bound and "uid" in pod:
        reference["uid"] = pod["uid"]
    body = {"spec": {"audiences": list(audiences), "boundObjectRef": reference}}
    return await api.post(f"{ACCOUNTS}/default/token", body, user=N1)


async def pod_with_token(api, name, node, *audiences):
    sources = [{"serviceAccountToken": {"path": "t", "audience": a}} for a in audiences]
    volumes = [{"name": "t", "projected": {"sources": sources}}] if sources else []
    return (await api.pod(name, nodeName=node, volumes=volumes)).json["metadata"]


def test_a_node_gets_tokens_of_its_pods_alone(run):
    async def scenario(api):
        await nodes(api)
        own = await pod_with_token(api, "own", "n1", "vault", "")
        theirs = await pod_with_token(api, "theirs", "n2", "vault")
        assert (await token_for(api, own, audiences=["vault"])).code == 201
        assert (await token_for(api, own)).code == 201
        refused(
            await token_for(api, theirs, audiences=["vault"]),
            "node requested token bound to a pod scheduled on a different node",
        )
        refused(await token_for(api, own, kind="Secret"), "node requested token not bound to a pod")
        refused(
            await token_for(api, own, uid=""),
            "node requested token with a pod binding without a uid",
        )
        refused(
            await token_for(api, own, uid="old"),
            "the UID in the bound object reference (old) does not match the UID in record. The "
            "object might have been deleted and then recreated",
        )
        answer = await token_for(api, {"name": "none", "uid": "x"})
        assert (answer.code, answer.message) == (404, 'pod "none" not found')

    run(scenario)


def test_a_token_is_for_whom_the_pod_shows_it_unless_rbac_says_otherwise(run):
    async def scenario(api):
        await nodes(api)
        own = await pod_with_token(api, "own", "n1", "vault")
        for audience in ("other", ""):
            asked = [audience] if audience else []
            refused(
                await token_for(api, own, audiences=asked),
                f'audience "{audience}" not found in pod spec volume, system:node:n1 is not '
                "authorized to request tokens for this audience",
            )
        refused(
            await token_for(api, own, audiences=["vault", "other"]),
            "node may only request 0 or 1 audiences",
        )
        await allow_nodes(api, ["request-serviceaccounts-token-audience"], "other")
        assert (await token_for(api, own, audiences=["other"])).code == 201

    run(scenario)


def test_a_token_may_be_for_whom_the_driver_of_a_volume_shows_it(run):
    async def scenario(api):
        await nodes(api)
        driver = {"metadata": {"name": "d.io"}, "spec": {"tokenRequests": [{"audience": "kms"}]}}
        await api.post("/apis/storage.k8s.io/v1/csidrivers", driver)
        inline = await api.pod(
            "p", nodeName="n1", volumes=[{"name": "v", "csi": {"driver": "d.io"}}]
        )
        answer = await token_for(api, inline.json["metadata"], audiences=["kms"])
        assert answer.code == 201, answer.body
        volume = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "csi": {"driver": "d.io", "volumeHandle": "h"},
        }
        answer = await api.post(
            "/api/v1/persistentvolumes", {"metadata": {"name": "pv"}, "spec": volume}
        )
        assert answer.code == 201, answer.body
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "volumeName": "pv",
        }
        claimed = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
        pod = await api.pod("q", nodeName="n1", volumes=[claimed])
        answer = await token_for(api, pod.json["metadata"], audiences=["kms"])
        refused(answer, 'error validating audience "kms": persistentvolumeclaims "c" not found')
        assert (await api.post(CLAIMS, {"metadata": {"name": "c"}, "spec": spec})).code == 201
        answer = await token_for(api, pod.json["metadata"], audiences=["kms"])
        assert answer.code == 201, answer.body

    run(scenario)
