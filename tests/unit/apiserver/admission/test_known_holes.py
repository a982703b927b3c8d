"""Holes that were found in Kubernetes, each by its name: they stay closed here.

https://kubernetes.io/docs/reference/issues-security/official-cve-feed/
"""

import asyncio

import pytest
from tests.unit.apiserver.captured_node import (
    BINDINGS,
    GROUP,
    N1,
    NODES,
    PODS,
    ROLES,
    mirror,
    nodes,
    refused,
)
from tests.webhook_server import server, webhook

from kubeberth.api.scheme import RESOURCES
from kubeberth.apiserver.admission_selection import AdmissionSettings
from kubeberth.apiserver.auth.authn import AUTHENTICATED, User

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
HOOKS = "/apis/admissionregistration.k8s.io/v1"
JANE = User("jane", frozenset((AUTHENTICATED,)))

# --- what kinds somebody may reach


async def define(api, plural, scope="Namespaced"):
    """Define a kind, and wait until it is served."""
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object"}},
    }
    spec = {
        "group": "example.com",
        "names": {"plural": plural, "kind": plural.capitalize()},
        "scope": scope,
        "versions": [version],
    }
    body = {"metadata": {"name": f"{plural}.example.com"}, "spec": spec}
    assert (await api.post(DEFINITIONS, body)).code == 201
    async with asyncio.timeout(10):
        while api.app.definitions.catalogue.find("example.com", "v1", plural) is None:
            await asyncio.sleep(0.001)


async def let_jane(api, verbs, plural, namespace=""):
    """Allow Jane something of a kind of example.com, everywhere or in a namespace."""
    rule = {"verbs": verbs, "apiGroups": ["example.com"], "resources": [plural]}
    assert (await api.post(ROLES, {"metadata": {"name": "jane"}, "rules": [rule]})).code == 201
    binding = {
        "metadata": {"name": "jane"},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "jane"},
        "subjects": [{"kind": "User", "apiGroup": GROUP, "name": "jane"}],
    }
    inside = f"/apis/{GROUP}/v1/namespaces/{namespace}/rolebindings"
    assert (await api.post(inside if namespace else BINDINGS, binding)).code == 201


def test_cve_2019_11247_who_may_reach_a_namespace_reaches_nothing_of_the_cluster(run):
    """Custom objects without a namespace were served as if they were in each of them."""

    async def scenario(api):
        await define(api, "planets", "Cluster")
        kind = "/apis/example.com/v1/planets"
        assert (await api.post(kind, planet("earth"))).code == 201
        await let_jane(api, ["*"], "planets", "default")
        within = "/apis/example.com/v1/namespaces/default/planets"
        for method, path in (("GET", within), ("GET", f"{within}/earth")):
            assert (await api.ask(method, path, user=JANE)).code == 404
        assert (await api.delete(f"{within}/earth", user=JANE)).code == 404
        assert (await api.post(within, planet("mars"), user=JANE)).code == 404
        assert (await api.get(f"{kind}/earth", user=JANE)).code == 403
        assert (await api.get(f"{kind}/earth")).code == 200

    run(scenario)


@pytest.mark.parametrize(
    "resource", [r for r in RESOURCES if not r.namespaced], ids=lambda r: r.group_resource
)
def test_cve_2019_11247_nor_of_what_is_built_in(run, resource):
    """Somebody is administrator of a namespace: that must not make him one of the cluster."""

    async def scenario(api):
        binding = {
            "metadata": {"name": "jane"},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "User", "apiGroup": GROUP, "name": "jane"}],
        }
        path = f"/apis/{GROUP}/v1/namespaces/default/rolebindings"
        assert (await api.post(path, binding)).code == 201
        group, _, plural = resource.path().rpartition("/")
        within = f"{group}/namespaces/default/{plural}"
        for method, rest in (
            ("GET", ""),
            ("GET", "?watch=1"),
            ("GET", "/x"),
            ("POST", ""),
            ("PUT", "/x"),
            ("PATCH", "/x"),
            ("DELETE", "/x"),
            ("DELETE", ""),
            *(("PUT", f"/x/{part.name}") for part in resource.subresources),
        ):
            answer = await api.ask(method, within + rest, {}, user=JANE)
            assert answer.code == 404, f"{method} {within}{rest}"

    run(scenario)


def planet(name):
    return {"apiVersion": "example.com/v1", "kind": "Planets", "metadata": {"name": name}}


@pytest.mark.parametrize(
    "path",
    [
        "boats/../boatyards",
        "boats/..%2Fboatyards",
        "boats%2F..%2Fboatyards",
        "namespaces/../boatyards",
        "namespaces/..%2Fdefault/boats",
        "namespaces/default%2F..%2F..%2Fboatyards/boats",
        "namespaces/default/boats%2F..%2Fboatyards/secret",
        "boats?fieldSelector=metadata.name=../boatyards/default/secret",
        "namespaces/default/boats/..%2F..%2Fboatyards%2Fdefault%2Fsecret",
        "./boatyards",
        "/boatyards",
        "boatyards/",
        "boat",
    ],
)
def test_cve_2022_3162_who_may_read_a_kind_reads_no_other_of_its_group(run, path):
    async def scenario(api):
        await define(api, "boats")
        await define(api, "boatyards")
        secret = {**planet("secret"), "kind": "Boatyards"}
        made = await api.post("/apis/example.com/v1/namespaces/default/boatyards", secret)
        assert made.code == 201
        await let_jane(api, ["get", "list", "watch"], "boats")
        answer = await api.get(f"/apis/example.com/v1/{path}", user=JANE)
        assert made.json["metadata"]["uid"].encode() not in answer.body

    run(scenario)


# --- where requests are passed on to


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("127.0.0.1", id="the server itself"),
        pytest.param("127.8.8.8", id="the server itself by another address"),
        pytest.param("::1", id="the server itself over IPv6"),
        pytest.param("::ffff:127.0.0.1", id="the server itself, IPv4 written as IPv6"),
        pytest.param("169.254.169.254", id="the metadata of a cloud"),
        pytest.param("fe80::1", id="a neighbour"),
        pytest.param("224.0.0.1", id="everybody"),
        pytest.param("0.0.0.0", id="no address"),
    ],
)
def test_cve_2022_3294_nothing_is_passed_on_to_the_network_of_the_server(run, address):
    """Whoever writes the status of a node would have the server ask what it alone reaches."""

    async def scenario(api):
        await nodes(api)
        addresses = {"status": {"addresses": [{"type": "InternalIP", "address": address}]}}
        assert (await api.patch(f"{NODES}/n1/status", addresses, user=N1)).code == 200
        await api.pod("p", nodeName="n1")
        told = {"status": {"podIP": address, "podIPs": [{"ip": address}]}}
        assert (await api.patch(f"{PODS}/p/status", told)).code in (200, 422)
        for path in (f"{NODES}/n1/proxy/", f"{NODES}/https:n1:6443/proxy/api", f"{PODS}/p/proxy/"):
            answer = await api.get(path)
            assert (answer.code, answer.message) == (400, "address not allowed"), path

    run(scenario)


def test_cve_2020_8554_nobody_draws_traffic_to_himself_by_an_external_address(run):
    async def scenario(api):
        spec = {"ports": [{"port": 443}], "externalIPs": ["192.0.2.1"]}
        service = {"metadata": {"name": "s"}, "spec": spec}
        answer = await api.post("/api/v1/namespaces/default/services", service)
        assert (answer.code, answer.message) == (
            403,
            'services "s" is forbidden: Use of external IPs is denied by admission control',
        )

    run(scenario, admission=AdmissionSettings(enable=("DenyServiceExternalIPs",)))


# --- what nodes write of themselves


@pytest.mark.parametrize("part", ["", "/status"])
def test_cve_2021_25735_a_webhook_sees_a_changed_node_as_it_was(run, part):
    """Whoever decides by old against new gets the stored object as the old one."""

    async def scenario(api):
        async with server() as hooks:
            await nodes(api, metadata={"labels": {"a": "old"}})
            rule = {"resources": ["nodes", "nodes/status"], "operations": ["UPDATE"]}
            hook = webhook(client=hooks.client(), rule=rule)
            configuration = {"metadata": {"name": "hooks"}, "webhooks": [hook]}
            for kind in ("mutating", "validating"):
                path = f"{HOOKS}/{kind}webhookconfigurations"
                assert (await api.post(path, configuration)).code == 201
            change = {"metadata": {"labels": {"a": "new"}}}
            assert (await api.patch(f"{NODES}/n1{part}", change, user=N1)).code == 200
            seen = [
                (review["oldObject"]["metadata"]["labels"], review["object"]["metadata"]["labels"])
                for review in hooks.requests()
            ]
            assert seen == [({"a": "old"}, {"a": "new"})] * 2

    run(scenario)


@pytest.mark.parametrize("part", ["", "/status"])
def test_cve_2021_25735_a_policy_sees_a_changed_node_as_it_was(run, part):
    path = f"{HOOKS}/validatingadmissionpolicies"

    async def scenario(api):
        await nodes(api, metadata={"labels": {"a": "old"}})
        rule = {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "resources": ["nodes", "nodes/status"],
            "operations": ["UPDATE"],
        }
        keep = {"expression": "object.metadata.labels.a == oldObject.metadata.labels.a"}
        policy = {"matchConstraints": {"resourceRules": [rule]}, "validations": [keep]}
        answer = await api.post(path, {"metadata": {"name": "keep"}, "spec": policy})
        assert answer.code == 201, answer.body
        bound = {"policyName": "keep", "validationActions": ["Deny"]}
        answer = await api.post(f"{path[:-3]}ybindings", {"metadata": {"name": "k"}, "spec": bound})
        assert answer.code == 201, answer.body
        change = {"metadata": {"labels": {"a": "new"}}}
        assert (await api.patch(f"{NODES}/n1{part}", change, user=N1)).code == 422
        document = (await api.get(f"{NODES}/n1")).json
        document["metadata"]["labels"] = {"a": "put"}
        assert (await api.put(f"{NODES}/n1{part}", document, user=N1)).code == 422
        document["metadata"]["labels"] = {"a": "old", "b": "new"}
        assert (await api.put(f"{NODES}/n1{part}", document, user=N1)).code == 200

    run(scenario)


@pytest.mark.parametrize("part", ["", "/status"])
@pytest.mark.parametrize("role", ["control-plane", "worker"])
def test_cve_2023_5408_a_node_gives_itself_no_role(run, role, part):
    key = f"node-role.kubernetes.io/{role}"

    async def scenario(api):
        await nodes(api)
        add = {"metadata": {"labels": {key: ""}}}
        refused(
            await api.patch(f"{NODES}/n1{part}", add, user=N1),
            f"is not allowed to modify labels: {key}",
        )
        assert (await api.patch(f"{NODES}/n1", add)).code == 200
        for value in ("other", None):
            change = {"metadata": {"labels": {key: value}}}
            refused(
                await api.patch(f"{NODES}/n1{part}", change, user=N1),
                f"is not allowed to modify labels: {key}",
            )

    run(scenario)


def test_cve_2025_4563_a_mirror_pod_cannot_claim_devices(run):
    async def scenario(api):
        uid = await nodes(api)
        claims = [{"name": "gpu", "resourceClaimName": "c"}]
        answer = await api.post(PODS, mirror(uid, resourceClaims=claims), user=N1)
        refused(answer, 'node "n1" can not create pods that reference resourceclaims')
        await api.pod("p", nodeName="n1")
        status = {"status": {"resourceClaimStatuses": [{"name": "x"}]}}
        answer = await api.patch(f"{PODS}/p/status", status, user=N1)
        refused(answer, 'node "n1" cannot update resource claim statues')

    run(scenario)


@pytest.mark.parametrize("part", ["", "/status"])
def test_cve_2025_5187_a_node_cannot_have_itself_collected_by_an_owner(run, part):
    async def scenario(api):
        await nodes(api)
        owner = {"apiVersion": "v1", "kind": "Namespace", "name": "gone", "uid": "4"}
        change = {"metadata": {"ownerReferences": [owner]}}
        answer = await api.patch(f"{NODES}/n1{part}", change, user=N1)
        refused(answer, 'node "n1" is not allowed to modify ownerReferences')
        assert (await api.patch(f"{NODES}/n1", change)).code == 200
        answer = await api.patch(
            f"{NODES}/n1{part}", {"metadata": {"ownerReferences": []}}, user=N1
        )
        refused(answer, 'node "n1" is not allowed to modify ownerReferences')
        unchanged = (await api.get(f"{NODES}/n1")).json
        assert (await api.put(f"{NODES}/n1{part}", unchanged, user=N1)).code == 200

    run(scenario)


# --- what pods use of others


TAIL = "is not allowed because service account careful does not reference that secret"
ENV = {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}
ENV_FROM = {"envFrom": [{"secretRef": {"name": "s"}}]}


async def careful_account(api):
    account = {
        "metadata": {
            "name": "careful",
            "annotations": {"kubernetes.io/enforce-mountable-secrets": "true"},
        },
        "secrets": [{"name": "own"}],
        "imagePullSecrets": [{"name": "registry"}],
        "automountServiceAccountToken": False,
    }
    assert (await api.post(ACCOUNTS, account)).code == 201


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        pytest.param(
            {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
            f'volume with secret.secretName="s" {TAIL}',
            id="volume",
        ),
        pytest.param(
            {"initContainers": [{"name": "i", "image": "i", **ENV}]},
            f'init container i with envVar A referencing secret.secretName="s" {TAIL}',
            id="variable of an init container",
        ),
        pytest.param(
            {"containers": [{"name": "c", "image": "i", **ENV}]},
            f'container c with envVar A referencing secret.secretName="s" {TAIL}',
            id="variable",
        ),
        pytest.param(
            {"containers": [{"name": "c", "image": "i", **ENV_FROM}]},
            f'container c with envFrom referencing secret.secretName="s" {TAIL}',
            id="all variables",
        ),
        pytest.param(
            {"initContainers": [{"name": "i", "image": "i", **ENV_FROM}]},
            f'init container i with envFrom referencing secret.secretName="s" {TAIL}',
            id="all variables of an init container",
        ),
        pytest.param(
            {"imagePullSecrets": [{"name": "s"}]},
            'imagePullSecrets[0].name="s" is not allowed because service account careful does not '
            "reference that imagePullSecret",
            id="registry",
        ),
    ],
)
def test_cve_2024_3177_a_pod_uses_the_secrets_of_an_account_that_says_which(run, spec, why):
    async def scenario(api):
        await careful_account(api)
        refused(await api.pod("p", serviceAccountName="careful", **spec), why)

    run(scenario)


@pytest.mark.parametrize(
    ("source", "what"), [(ENV, "envVar A referencing"), (ENV_FROM, "envFrom referencing")]
)
def test_cve_2023_2728_an_ephemeral_container_uses_those_secrets_alone(run, source, what):
    async def scenario(api):
        await careful_account(api)
        await api.pod("p", serviceAccountName="careful", nodeName="n1")
        debug = {"name": "d", "image": "i", "terminationMessagePolicy": "File", **source}
        change = {"spec": {"ephemeralContainers": [debug]}}
        answer = await api.patch(
            f"{PODS}/p/ephemeralcontainers", change, kind="strategic-merge-patch+json"
        )
        refused(answer, f'ephemeral container d with {what} secret.secretName="s" {TAIL}')

    run(scenario)


def test_cve_2023_2727_rules_about_images_see_ephemeral_containers(run):
    """ImagePolicyWebhook, where that was found, is not served: rules about images are policies."""

    async def scenario(api):
        rule = {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "resources": ["pods", "pods/ephemeralcontainers"],
            "operations": ["CREATE", "UPDATE"],
        }
        ours = (
            "object.spec.?ephemeralContainers.orValue([])"
            ".all(c, c.image.startsWith('registry.example.com/'))"
        )
        spec = {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": ours}],
        }
        path = f"{HOOKS}/validatingadmissionpolicies"
        assert (await api.post(path, {"metadata": {"name": "ours"}, "spec": spec})).code == 201
        bound = {"policyName": "ours", "validationActions": ["Deny"]}
        path = f"{HOOKS}/validatingadmissionpolicybindings"
        assert (await api.post(path, {"metadata": {"name": "ours"}, "spec": bound})).code == 201
        await api.pod("p", nodeName="n1")
        refused_one = await debug(api, "docker.io/evil")
        assert refused_one.code == 422
        assert "ValidatingAdmissionPolicy 'ours'" in refused_one.message
        allowed = await debug(api, "registry.example.com/good")
        assert allowed.code == 200
        [container] = allowed.json["spec"]["ephemeralContainers"]
        assert container["imagePullPolicy"] == "Always"

    run(scenario, admission=AdmissionSettings(enable=("AlwaysPullImages",)))


async def debug(api, image):
    """Add an ephemeral container to the pod p."""
    container = {
        "name": "d",
        "image": image,
        "imagePullPolicy": "Never",
        "terminationMessagePolicy": "File",
    }
    change = {"spec": {"ephemeralContainers": [container]}}
    path = f"{PODS}/p/ephemeralcontainers"
    return await api.patch(path, change, kind="strategic-merge-patch+json")
