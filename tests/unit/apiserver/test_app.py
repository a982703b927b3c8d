"""The order of things around the verbs: who asks, may they, is there such a path."""

import json
from uuid import UUID

from tests.unit.apiserver.conftest import ADMIN

from kubeberth.apiserver.auth.authn import AUTHENTICATED, User

PODS = "/api/v1/namespaces/default/pods"
ALICE = User("alice", frozenset(("dev", AUTHENTICATED)))
SCHEDULER = User("system:kube-scheduler", frozenset((AUTHENTICATED,)))
KUBELET = User("system:node:n1", frozenset(("system:nodes", AUTHENTICATED)))


def test_who_shows_nothing_is_refused_but_for_health_and_version(run):
    async def scenario(api):
        for path in ("/healthz", "/livez", "/readyz", "/version", "/version/"):
            assert (await api.get(path, user=None)).code == 200
        for path in ("/api", "/apis/apps/v1", PODS, "/openapi/v3", "/nowhere"):
            answer = await api.get(path, user=None)
            assert (answer.code, answer.message) == (401, "Unauthorized")
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = await api.ask(method, "/healthz", user=None)
            assert (answer.code, answer.message) == (401, "Unauthorized")

    run(scenario)


def test_every_answer_has_an_id_by_which_it_is_told_of(run):
    async def scenario(api):
        found = []
        for _ in range(2):
            for user, method, path in (
                (None, "GET", "/healthz"),
                (None, "GET", PODS),
                (ALICE, "GET", PODS),
                *((ADMIN, "GET", path) for path in (PODS, "/apis", "/openapi/v3", "/nowhere")),
                (ADMIN, "GET", f"{PODS}?watch=1&timeoutSeconds=1"),
                (ADMIN, "PUT", PODS),
                (ADMIN, "POST", PODS),
            ):
                answer = await api.open(method, path, user=user)
                [audit_id] = [v for name, v in answer.headers if name == "Audit-Id"]
                assert UUID(audit_id).version == 4
                found.append(audit_id)
        assert len(set(found)) == len(found)
        assert (await api.get(PODS, audit_id="mine")).headers["audit-id"] == "mine"

    run(scenario)


def test_a_bad_token_is_refused_even_where_nothing_is_needed(run):
    async def scenario(api):
        for path in ("/healthz", PODS):
            answer = await api.get(path, user=None, authorization="Bearer nobody")
            assert answer.code == 401

    run(scenario, allow_anonymous=True)


def test_a_known_token_is_its_user(run):
    async def scenario(api):
        answer = await api.get(PODS, user=None, authorization="Bearer t")
        assert answer.message.startswith('pods is forbidden: User "alice" cannot list')

    run(scenario, tokens={"t": ALICE})


def test_what_no_rule_allows_is_forbidden_in_the_known_words(run):
    async def scenario(api):
        answer = await api.get(f"{PODS}/p", user=ALICE)
        assert (answer.code, answer.json["reason"]) == (403, "Forbidden")
        assert answer.message == (
            'pods "p" is forbidden: User "alice" cannot get resource "pods" in API group "" '
            'in the namespace "default"'
        )
        answer = await api.get("/nowhere", user=ALICE)
        assert answer.message == 'forbidden: User "alice" cannot get path "/nowhere"'

    run(scenario)


def test_the_scheduler_binds_pods_but_changes_no_nodes(run):
    async def scenario(api):
        await api.pod("p")
        binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
        assert (await api.post(f"{PODS}/p/binding", binding, user=SCHEDULER)).code == 201
        change = {"spec": {"unschedulable": True}}
        assert (await api.patch("/api/v1/nodes/n", change, user=SCHEDULER)).code == 403
        assert (await api.get("/api/v1/secrets", user=SCHEDULER)).code == 403

    run(scenario)


def test_a_kubelet_reports_its_node_but_creates_no_deployments(run):
    async def scenario(api):
        node = {"metadata": {"name": "n1"}}
        assert (await api.post("/api/v1/nodes", node, user=KUBELET)).code == 201
        status = {"status": {"capacity": {"cpu": "4"}}}
        answer = await api.patch("/api/v1/nodes/n1/status", status, user=KUBELET)
        assert answer.json["status"]["capacity"] == {"cpu": "4"}
        path = "/apis/apps/v1/namespaces/default/deployments"
        assert (await api.post(path, {}, user=KUBELET)).code == 403

    run(scenario)


def test_masters_may_act_as_somebody_else_and_others_may_not(run):
    async def scenario(api):
        answer = await api.get(PODS, impersonate_user="alice")
        assert answer.message.startswith('pods is forbidden: User "alice" cannot list')
        headers = {"impersonate_user": "dave", "impersonate_group": "system:masters"}
        assert (await api.get(PODS, **headers)).code == 200
        answer = await api.get(PODS, user=ALICE, **headers)
        assert (answer.code, "cannot impersonate" in answer.message) == (403, True)
        assert (await api.get(PODS, impersonate_group="dev")).code == 400

    run(scenario)


def test_what_is_not_served_is_404_and_what_is_not_allowed_405(run):
    async def scenario(api):
        assert (await api.get("/apis/nope/v1/things")).body == b"404 page not found\n"
        answer = await api.get("/api/v1/podz")
        assert answer.message == "the server could not find the requested resource"
        assert answer.json["details"] == {}
        assert (await api.get(f"{PODS}/p/nope")).code == 404
        assert (await api.put(PODS, {})).code == 405
        assert (await api.post("/api/v1/pods", {})).code == 405
        assert (await api.delete("/api/v1/namespaces")).code == 405

    run(scenario)


def test_health_is_spelled_out_if_asked_for(run):
    async def scenario(api):
        assert (await api.get("/readyz")).body == b"ok"
        lines = (await api.get("/readyz?verbose")).body.decode().splitlines()
        assert lines[0] == "[+]ping ok"
        assert lines[-1] == "readyz check passed"

    run(scenario)


def test_discovery_comes_in_the_form_that_each_kubectl_asks_for(run):
    async def scenario(api):
        plain = (await api.get("/api/")).json
        assert plain["kind"] == "APIVersions"
        for version in ("v2", "v2beta1"):
            accept = (
                f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList,"
                "application/json"
            )
            answer = await api.get("/apis", accept=accept)
            assert f"v={version}" in answer.headers["content-type"]
            assert answer.json["apiVersion"] == f"apidiscovery.k8s.io/{version}"
            assert answer.json["items"][0]["metadata"]["name"] == "apps"
        again = await api.get("/apis", accept=accept, if_none_match=answer.headers["etag"])
        assert (again.code, again.body) == (304, b"")
        assert "content-type" not in again.headers

    run(scenario)


def test_openapi_lets_kubectl_leave_validation_to_the_server(run):
    async def scenario(api):
        index = (await api.get("/openapi/v3")).json["paths"]
        url = index["apis/apps/v1"]["serverRelativeURL"]
        answer = await api.get(url)
        assert "immutable" in answer.headers["cache-control"]
        path = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        patch = answer.json["paths"][path]["patch"]
        assert patch["x-kubernetes-group-version-kind"]["kind"] == "Deployment"
        assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]
        schemas = answer.json["components"]["schemas"]
        containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
        assert containers["x-kubernetes-patch-merge-key"] == "name"
        gvk = {"group": "apps", "version": "v1", "kind": "Deployment"}
        assert schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"] == [gvk]
        for reference in _references(schemas):
            assert reference.removeprefix("#/components/schemas/") in schemas
        stale = await api.get("/openapi/v3/apis/apps/v1?hash=OLD")
        assert (stale.code, stale.headers["location"]) == (301, url)

    run(scenario)


def _references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from _references(item)


def test_old_kubectl_reads_openapi_2_as_protobuf(run):
    async def scenario(api):
        accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
        answer = await api.get("/openapi/v2", accept=accept)
        assert answer.headers["content-type"] == (
            "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
        )
        assert answer.body.startswith(b"\x0a\x032.0")
        gvk = json.dumps({"group": "", "version": "v1", "kind": "Pod"}, separators=(",", ":"))
        assert gvk.encode() in answer.body
        assert (await api.get("/openapi/v2", accept="text/html")).code == 406

    run(scenario)


def test_a_fault_of_ours_is_one_answer_and_not_the_end(run, monkeypatch):
    async def scenario(api):
        def broken(key):
            raise RuntimeError("out of luck")

        with monkeypatch.context() as patch:
            patch.setattr(api.store, "get", broken)
            answer = await api.get(f"{PODS}/p")
        assert (answer.code, answer.json["reason"]) == (500, "InternalError")
        assert (await api.get(f"{PODS}/p")).code == 404

    run(scenario)
