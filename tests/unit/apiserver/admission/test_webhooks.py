"""Admission webhooks, called over HTTPS by an API server in this process."""

import asyncio

import pytest
from tests.unit.apiserver.conftest import Api
from tests.webhook_server import (
    Authority,
    WebhookServer,
    allowed,
    configuration,
    denied,
    patching,
    plain,
    server,
    webhook,
)

GROUP = "/apis/admissionregistration.k8s.io/v1"
MUTATING = f"{GROUP}/mutatingwebhookconfigurations"
VALIDATING = f"{GROUP}/validatingwebhookconfigurations"
MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def run():
    """Run a scenario, a coroutine function that gets a started `Api` and a webhook server."""

    def run(scenario, made=None):
        async def main():
            async with made or server() as hooks:
                return await scenario(await Api().start(), hooks)

        return asyncio.run(main())

    return run


async def register(api, path, *webhooks, name="hooks"):
    answer = await api.post(path, configuration(name, *webhooks))
    assert answer.code == 201, answer.message


def label(name, value="yes"):
    return {"op": "add", "path": "/metadata/labels", "value": {name: value}}


# What a webhook is asked, and what its answer does.


def test_a_validating_webhook_is_asked_about_a_new_object_and_may_let_it_pass(run):
    async def scenario(api, hooks):
        await register(api, VALIDATING, webhook(client=hooks.client("/check")))
        path = f"{MAPS}?fieldManager=me&fieldValidation=Strict"
        answer = await api.post(path, {"metadata": {"name": "a"}, "data": {"k": "v"}})
        assert answer.code == 201
        [review] = [review for where, review in hooks.reviews if where == "/check"]
        assert (review["kind"], review["apiVersion"]) == ("AdmissionReview", "admission.k8s.io/v1")
        request = review["request"]
        assert request["kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
        assert request["resource"] == {"group": "", "version": "v1", "resource": "configmaps"}
        assert request["requestKind"] == request["kind"]
        assert request["requestResource"] == request["resource"]
        assert "subResource" not in request
        assert (request["name"], request["namespace"]) == ("a", "default")
        assert request["operation"] == "CREATE"
        assert request["userInfo"] == {
            "username": "admin",
            "groups": ["system:authenticated", "system:masters"],
        }
        assert request["object"]["data"] == {"k": "v"}
        assert request["object"]["metadata"]["uid"]
        assert request["oldObject"] is None
        assert request["dryRun"] is False
        assert request["options"] == {
            "kind": "CreateOptions",
            "apiVersion": "meta.k8s.io/v1",
            "fieldManager": "me",
            "fieldValidation": "Strict",
        }
        assert hooks.queries == ["timeout=10s"]
        assert hooks.headers[0]["User-Agent"] == "kube-apiserver-admission"

    run(scenario)


def test_an_update_is_shown_with_the_object_as_it_was(run):
    async def scenario(api, hooks):
        await api.config_map("a", k="before")
        await register(api, VALIDATING, webhook(client=hooks.client()))
        await register(api, MUTATING, webhook(client=hooks.client()), name="mutating")
        await api.patch(f"{MAPS}/a", {"data": {"k": "after"}})
        for request in hooks.requests():
            assert request["operation"] == "UPDATE"
            assert request["object"]["data"] == {"k": "after"}
            assert request["oldObject"]["data"] == {"k": "before"}
            assert request["options"]["kind"] == "PatchOptions"
        assert len(hooks.requests()) == 2

    run(scenario)


def test_a_delete_is_asked_about_once_for_each_object(run):
    async def scenario(api, hooks):
        for name in "abc":
            await api.config_map(name)
        await register(api, VALIDATING, webhook(client=hooks.client()))
        await api.delete(f"{MAPS}/a")
        await api.delete(MAPS)
        asked = [(r["operation"], r["oldObject"]["metadata"]["name"]) for r in hooks.requests()]
        assert asked == [("DELETE", "a"), ("DELETE", "b"), ("DELETE", "c")]
        assert all(request["object"] is None for request in hooks.requests())
        assert hooks.requests()[0]["options"]["kind"] == "DeleteOptions"

    run(scenario)


def test_a_denial_reads_as_upstream(run):
    async def scenario(api, hooks):
        hooks.answers["/"] = denied(message="not today", code=403, reason="Forbidden")
        await register(api, VALIDATING, webhook(client=hooks.client()))
        answer = await api.config_map("a")
        assert answer.code == 403
        assert answer.json == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": 'admission webhook "hook.example.com" denied the request: not today',
            "reason": "Forbidden",
            "code": 403,
        }

    run(scenario)


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        pytest.param({}, 400, "denied the request without explanation", id="nothing said"),
        pytest.param({"reason": "Why"}, 400, "denied the request: Why", id="a reason alone"),
        pytest.param({"code": 200, "message": "m"}, 400, "denied the request: m", id="good code"),
        pytest.param({"code": 418, "message": "m"}, 418, "denied the request: m", id="own code"),
    ],
)
def test_a_denial_says_what_the_webhook_says(run, status, code, text):
    async def scenario(api, hooks):
        hooks.answers["/"] = denied(**status)
        await register(api, VALIDATING, webhook(client=hooks.client()))
        answer = await api.config_map("a")
        assert (answer.code, answer.message) == (
            code,
            f'admission webhook "hook.example.com" {text}',
        )
        assert (await api.get(f"{MAPS}/a")).code == 404

    run(scenario)


def test_warnings_of_webhooks_reach_the_client_also_with_a_denial(run):
    async def scenario(api, hooks):
        hooks.answers["/"] = allowed(warnings=["mind the gap"])
        await register(api, VALIDATING, webhook(client=hooks.client()))
        answer = await api.config_map("a")
        assert answer.headers["warning"] == '299 - "mind the gap"'

        def refuse(review):
            answer = denied(message="no")(review)
            answer["response"]["warnings"] = ["told you"]
            return answer

        hooks.answers["/"] = refuse
        answer = await api.delete(f"{MAPS}/a")
        assert answer.code == 400
        assert answer.headers["warning"] == '299 - "told you"'

    run(scenario)


def test_long_warnings_are_cut(run):
    async def scenario(api, hooks):
        hooks.answers["/"] = allowed(warnings=["a" * 300, "b" * 4000])
        await register(api, VALIDATING, webhook(client=hooks.client()))
        answer = await api.open("POST", MAPS, {"metadata": {"name": "a"}})
        texts = [value for name, value in answer.headers if name == "Warning"]
        assert texts == [f'299 - "{"a" * 256}"', f'299 - "{"b" * 256}"']

    run(scenario)


def test_reviews_of_v1beta1_go_without_their_uid(run):
    async def scenario(api, hooks):
        def answer(review):
            assert review["apiVersion"] == "admission.k8s.io/v1beta1"
            return {"response": {"allowed": False, "status": {"message": "old"}}}

        hooks.answers["/"] = answer
        hook = webhook(client=hooks.client(), admissionReviewVersions=["v9", "v1beta1", "v1"])
        await register(api, VALIDATING, hook)
        assert (await api.config_map("a")).message.endswith("denied the request: old")

    run(scenario)


# Changing objects.


def test_a_mutating_webhook_changes_what_is_stored_and_answered(run):
    async def scenario(api, hooks):
        hooks.answers["/"] = patching(label("team", "blue"))
        await register(api, MUTATING, webhook(client=hooks.client()))
        answer = await api.config_map("a", k="v")
        assert answer.code == 201
        assert answer.json["metadata"]["labels"] == {"team": "blue"}
        assert (await api.get(f"{MAPS}/a")).json["metadata"]["labels"] == {"team": "blue"}
        request = hooks.requests()[0]
        assert "uid" not in request["object"]["metadata"]

    run(scenario)


def test_what_a_webhook_adds_gets_defaults_and_is_validated(run):
    async def scenario(api, hooks):
        side = {"name": "side", "image": "busybox"}
        hooks.answers["/"] = patching({"op": "add", "path": "/spec/containers/-", "value": side})
        hook = webhook(client=hooks.client(), rule={"resources": ["pods"]})
        await register(api, MUTATING, hook)
        pod = (await api.pod("a")).json
        assert [c["name"] for c in pod["spec"]["containers"]] == ["c", "side"]
        assert pod["spec"]["containers"][1]["imagePullPolicy"] == "Always"

        wrong = {"op": "replace", "path": "/spec/containers/0/name", "value": "Not A Name"}
        hooks.answers["/"] = patching(wrong)
        answer = await api.pod("b")
        assert answer.code == 422
        assert "spec.containers[0].name: Invalid value" in answer.message

    run(scenario)


def test_unknown_fields_that_a_webhook_adds_are_dropped(run):
    async def scenario(api, hooks):
        hooks.answers["/"] = patching({"op": "add", "path": "/nonsense", "value": 1})
        await register(api, MUTATING, webhook(client=hooks.client()))
        answer = await api.config_map("a")
        assert answer.code == 201
        assert "nonsense" not in answer.json

    run(scenario)


def test_webhooks_change_one_after_another_in_order_of_their_names(run):
    async def scenario(api, hooks):
        def append(letter):
            def answer(review):
                text = (review["request"]["object"].get("data") or {}).get("order", "")
                value = {"order": text + letter}
                return patching({"op": "add", "path": "/data", "value": value})(review)

            return answer

        for letter in "abc":
            hooks.answers[f"/{letter}"] = append(letter)
        await register(api, MUTATING, webhook("c.example.com", hooks.client("/c")), name="z")
        first = [webhook(f"{x}.example.com", hooks.client(f"/{x}")) for x in "ba"]
        await register(api, MUTATING, *first, name="y")
        assert (await api.config_map("m")).json["data"] == {"order": "bac"}

    run(scenario)


def test_who_wants_to_is_asked_again_when_others_have_changed_the_object(run):
    async def scenario(api, hooks):
        hooks.answers["/late"] = patching(label("late"))
        eager = webhook("eager.example.com", hooks.client("/eager"), reinvocationPolicy="IfNeeded")
        once = webhook("once.example.com", hooks.client("/once"))
        late = webhook("late.example.com", hooks.client("/late"), reinvocationPolicy="IfNeeded")
        await register(api, MUTATING, eager, once, late)
        await api.config_map("a")
        paths = [path for path, _ in hooks.reviews]
        assert paths == ["/eager", "/once", "/late", "/eager"]
        assert "labels" not in hooks.requests("/eager")[0]["object"]["metadata"]
        assert hooks.requests("/eager")[1]["object"]["metadata"]["labels"] == {"late": "yes"}

    run(scenario)


def test_nobody_is_asked_again_when_nothing_has_changed(run):
    async def scenario(api, hooks):
        same = {"op": "replace", "path": "/metadata/name", "value": "a"}
        hooks.answers["/"] = patching(same)
        hook = webhook(client=hooks.client(), reinvocationPolicy="IfNeeded")
        await register(api, MUTATING, hook)
        await api.config_map("a")
        assert len(hooks.reviews) == 1

    run(scenario)


def test_the_servers_own_plugins_look_again_at_what_a_webhook_has_changed(run):
    async def scenario(api, hooks):
        value = {"op": "add", "path": "/spec/priorityClassName", "value": "no-such-class"}
        hooks.answers["/"] = patching(value)
        hook = webhook(
            client=hooks.client(), rule={"resources": ["pods"], "operations": ["CREATE"]}
        )
        await register(api, MUTATING, hook)
        answer = await api.pod("a")
        assert answer.code == 403
        assert "no PriorityClass with name no-such-class was found" in answer.message

    run(scenario)


def test_the_owners_of_fields_are_not_for_a_webhook_to_change(run):
    async def scenario(api, hooks):
        hooks.answers["/"] = patching({"op": "remove", "path": "/metadata/managedFields"})
        await register(api, MUTATING, webhook(client=hooks.client()))
        body = {"metadata": {"name": "a"}, "data": {"k": "v"}}
        answer = await api.post(f"{MAPS}?fieldManager=me", body)
        assert answer.code == 201
        assert [e["manager"] for e in answer.json["metadata"]["managedFields"]] == ["me"]

    run(scenario)


def test_a_webhook_cannot_change_what_is_deleted(run):
    async def scenario(api, hooks):
        await api.config_map("a")
        hooks.answers["/"] = patching(label("x"))
        await register(api, MUTATING, webhook(client=hooks.client()))
        answer = await api.delete(f"{MAPS}/a")
        assert answer.code == 500
        assert answer.message == (
            'Internal error occurred: admission webhook "hook.example.com" attempted to modify the '
            "object, which is not supported for this operation"
        )

    run(scenario)


# Which writes.


@pytest.mark.parametrize(
    ("rule", "is_called"),
    [
        pytest.param({"operations": ["CREATE"]}, True, id="the operation"),
        pytest.param({"operations": ["DELETE"]}, False, id="another operation"),
        pytest.param({"apiGroups": ["*"]}, True, id="all groups"),
        pytest.param({"apiGroups": ["apps"]}, False, id="another group"),
        pytest.param({"apiVersions": ["*"]}, True, id="all versions"),
        pytest.param({"apiVersions": ["v2"]}, False, id="another version"),
        pytest.param({"resources": ["*"]}, True, id="all resources"),
        pytest.param({"resources": ["*/*"]}, True, id="all resources and their parts"),
        pytest.param({"resources": ["configmaps/*"]}, True, id="all parts of the resource"),
        pytest.param({"resources": ["configmaps/status"]}, False, id="another part"),
        pytest.param({"resources": ["*/status"]}, False, id="a part of all"),
        pytest.param({"scope": "Namespaced"}, True, id="in namespaces"),
        pytest.param({"scope": "Cluster"}, False, id="outside of namespaces"),
    ],
)
def test_rules_say_which_writes_a_webhook_is_asked_about(run, rule, is_called):
    async def scenario(api, hooks):
        await register(api, VALIDATING, webhook(client=hooks.client(), rule=rule))
        await api.config_map("a")
        assert bool(hooks.reviews) is is_called

    run(scenario)


def test_a_namespace_is_outside_of_namespaces_and_selected_by_its_own_labels(run):
    async def scenario(api, hooks):
        rule = {"resources": ["namespaces"], "scope": "Cluster"}
        selector = {"matchLabels": {"watched": "yes"}}
        hook = webhook(client=hooks.client(), rule=rule, namespaceSelector=selector)
        await register(api, VALIDATING, hook)
        labels = {"watched": "yes"}
        await api.post("/api/v1/namespaces", {"metadata": {"name": "one", "labels": labels}})
        await api.post("/api/v1/namespaces", {"metadata": {"name": "two"}})
        [request] = hooks.requests()
        assert (request["name"], request["namespace"]) == ("one", "one")

    run(scenario)


def test_selectors_look_at_the_labels_of_namespace_and_object(run):
    async def scenario(api, hooks):
        await api.post(
            "/api/v1/namespaces", {"metadata": {"name": "red", "labels": {"colour": "red"}}}
        )
        hook = webhook(
            client=hooks.client(),
            namespaceSelector={"matchLabels": {"colour": "red"}},
            objectSelector={"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]},
        )
        await register(api, VALIDATING, hook)
        for namespace in ("default", "red"):
            for name, labels in (("plain", {}), ("skipped", {"skip": ""})):
                path = f"/api/v1/namespaces/{namespace}/configmaps"
                await api.post(path, {"metadata": {"name": name, "labels": labels}})
        [request] = hooks.requests()
        assert (request["namespace"], request["name"]) == ("red", "plain")

    run(scenario)


def test_an_object_that_loses_its_label_is_still_selected(run):
    async def scenario(api, hooks):
        await api.post(MAPS, {"metadata": {"name": "a", "labels": {"guard": "yes"}}})
        selector = {"matchLabels": {"guard": "yes"}}
        hook = webhook(client=hooks.client(), objectSelector=selector)
        await register(api, VALIDATING, hook)
        await api.patch(f"{MAPS}/a", {"metadata": {"labels": None}})
        assert len(hooks.reviews) == 1

    run(scenario)


def test_conditions_in_cel_narrow_it_down(run):
    async def scenario(api, hooks):
        conditions = [
            {"name": "not-nodes", "expression": '!("system:nodes" in request.userInfo.groups)'},
            {"name": "has-data", "expression": "has(object.data) && object.data.size() > 1"},
            {
                "name": "may",
                "expression": 'authorizer.group("").resource("pods").namespace("x").check("get")'
                ".allowed()",
            },
        ]
        hook = webhook(client=hooks.client(), matchConditions=conditions)
        await register(api, VALIDATING, hook)
        await api.config_map("a")
        await api.config_map("b", one="1", two="2")
        assert [request["name"] for request in hooks.requests()] == ["b"]

    run(scenario)


def test_a_condition_without_a_value_fails_the_write_or_skips_the_webhook(run):
    async def scenario(api, hooks):
        wrong = {"name": "wrong", "expression": "object.data.missing == '1'"}
        no = {"name": "no", "expression": "object.metadata.name != 'c'"}
        hook = webhook(client=hooks.client(), matchConditions=[wrong, no])
        await register(api, VALIDATING, hook)
        answer = await api.config_map("a")
        assert answer.code == 403
        assert answer.message == (
            "configmaps \"a\" is forbidden: expression 'object.data.missing == '1'' resulted in "
            "error: no such key: data"
        )
        assert (await api.config_map("c")).code == 201  # another condition is false
        path = f"{VALIDATING}/hooks"
        change = [{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]
        await api.patch(path, change, kind="json-patch+json")
        assert (await api.config_map("a")).code == 201
        assert hooks.reviews == []

    run(scenario)


def test_another_version_of_a_resource_is_shown_in_the_version_that_the_webhook_knows(run):
    async def scenario(api, hooks):
        rule = {
            "apiGroups": ["autoscaling"],
            "apiVersions": ["v1"],
            "resources": ["horizontalpodautoscalers"],
        }
        equivalent = webhook("some.example.com", hooks.client("/some"), rule=rule)
        exact = webhook("exact.example.com", hooks.client("/exact"), rule=rule, matchPolicy="Exact")
        await register(api, VALIDATING, equivalent, exact)
        body = {
            "metadata": {"name": "a"},
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
                "maxReplicas": 3,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "Utilization", "averageUtilization": 50},
                        },
                    }
                ],
            },
        }
        path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
        assert (await api.post(path, body)).code == 201
        [request] = hooks.requests("/some")
        assert request["kind"]["version"] == request["resource"]["version"] == "v1"
        assert request["requestKind"]["version"] == request["requestResource"]["version"] == "v2"
        assert request["object"]["apiVersion"] == "autoscaling/v1"
        assert request["object"]["spec"]["targetCPUUtilizationPercentage"] == 50
        assert hooks.requests("/exact") == []

    run(scenario)


def test_parts_of_objects_are_asked_about_when_a_rule_names_them(run):
    async def scenario(api, hooks):
        rule = {"apiGroups": ["", "apps"], "resources": ["pods/status", "deployments/scale"]}
        await register(api, VALIDATING, webhook(client=hooks.client(), rule=rule))
        await api.pod("a")
        path = "/api/v1/namespaces/default/pods/a/status"
        await api.patch(path, {"status": {"message": "hello"}})
        [request] = hooks.requests()
        assert (request["subResource"], request["requestSubResource"]) == ("status", "status")
        assert request["object"]["status"]["message"] == "hello"

        template = {
            "metadata": {"labels": {"app": "d"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        }
        deployment = {
            "metadata": {"name": "d"},
            "spec": {"selector": {"matchLabels": {"app": "d"}}, "template": template},
        }
        path = "/apis/apps/v1/namespaces/default/deployments"
        await api.post(path, deployment)
        await api.patch(f"{path}/d/scale", {"spec": {"replicas": 4}})
        request = hooks.requests()[1]
        assert request["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        assert request["resource"]["resource"] == "deployments"
        assert request["object"]["spec"] == {"replicas": 4}
        assert request["oldObject"]["spec"] == {"replicas": 1}

    run(scenario)


def test_a_webhook_may_change_a_scale(run):
    async def scenario(api, hooks):
        controller = {
            "metadata": {"name": "rc"},
            "spec": {
                "selector": {"app": "x"},
                "template": {
                    "metadata": {"labels": {"app": "x"}},
                    "spec": {"containers": [{"name": "c", "image": "i"}]},
                },
            },
        }
        path = "/api/v1/namespaces/default/replicationcontrollers"
        await api.post(path, controller)
        hooks.answers["/"] = patching({"op": "replace", "path": "/spec/replicas", "value": 2})
        rule = {"resources": ["replicationcontrollers/scale"]}
        await register(api, MUTATING, webhook(client=hooks.client(), rule=rule))
        await api.patch(f"{path}/rc/scale", {"spec": {"replicas": 50}})
        assert (await api.get(f"{path}/rc")).json["spec"]["replicas"] == 2

    run(scenario)


def test_bindings_and_evictions_are_asked_about_as_what_was_posted(run):
    async def scenario(api, hooks):
        await api.pod("a")
        rule = {"resources": ["*/*"], "operations": ["CREATE", "UPDATE", "DELETE"]}
        await register(api, VALIDATING, webhook(client=hooks.client(), rule=rule))
        pod = "/api/v1/namespaces/default/pods/a"
        target = {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n"}}
        assert (await api.post(f"{pod}/binding", target)).code == 201
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}
        assert (await api.post(f"{pod}/eviction", eviction)).code == 201
        asked = [(r["operation"], r["subResource"], r["object"]["kind"]) for r in hooks.requests()]
        assert asked == [("CREATE", "binding", "Binding"), ("CREATE", "eviction", "Eviction")]

    run(scenario)


def test_connections_to_pods_can_be_refused(run):
    async def scenario(api, hooks):
        await api.pod("a", nodeName="n")
        hooks.answers["/"] = denied(message="nobody enters", code=403, reason="Forbidden")
        rule = {"resources": ["pods/exec"], "operations": ["CONNECT"]}
        await register(api, VALIDATING, webhook(client=hooks.client(), rule=rule))
        path = "/api/v1/namespaces/default/pods/a/exec?command=sh&command=-c&stdin=true"
        answer = await api.post(path, b"")
        assert answer.code == 403
        assert answer.message.endswith("denied the request: nobody enters")
        [request] = hooks.requests()
        assert (request["operation"], request["subResource"]) == ("CONNECT", "exec")
        assert request["kind"]["kind"] == "PodExecOptions"
        assert request["object"] == {
            "kind": "PodExecOptions",
            "apiVersion": "v1",
            "stdin": True,
            "command": ["sh", "-c"],
        }
        assert request["oldObject"] is None

    run(scenario)


def test_requests_for_tokens_are_asked_about_and_may_be_changed(run):
    async def scenario(api, hooks):
        change = {"op": "replace", "path": "/spec/expirationSeconds", "value": 1200}
        hooks.answers["/"] = patching(change)
        rule = {"resources": ["serviceaccounts/token"], "operations": ["CREATE"]}
        await register(api, MUTATING, webhook(client=hooks.client(), rule=rule))
        path = "/api/v1/namespaces/default/serviceaccounts/default/token"
        answer = await api.post(path, {"spec": {"audiences": ["x"], "expirationSeconds": 7200}})
        assert answer.code == 201, answer.message
        assert answer.json["spec"]["expirationSeconds"] == 1200
        [request] = hooks.requests()
        assert request["object"]["kind"] == "TokenRequest"
        assert (request["name"], request["subResource"]) == ("default", "token")

    run(scenario)


def test_webhook_configurations_are_never_shown_to_webhooks(run):
    async def scenario(api, hooks):
        rule = {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
        hooks.answers["/"] = denied(message="nothing may change")
        await register(api, VALIDATING, webhook(client=hooks.client(), rule=rule))
        assert (await api.config_map("a")).code == 400
        assert (await api.delete(f"{VALIDATING}/hooks")).code == 200
        assert (await api.config_map("a")).code == 201

    run(scenario)


# Trials.


def test_a_trial_is_told_to_webhooks_without_side_effects_and_refused_for_others(run):
    async def scenario(api, hooks):
        await register(api, VALIDATING, webhook(client=hooks.client(), sideEffects="NoneOnDryRun"))
        path = f"{MAPS}?dryRun=All"
        assert (await api.post(path, {"metadata": {"name": "a"}})).code == 201
        [request] = hooks.requests()
        assert request["dryRun"] is True
        assert request["options"]["dryRun"] == ["All"]

        # Stored before side effects had to be told.
        from kubeberth.api.scheme import VALIDATING_WEBHOOK_CONFIGURATIONS as KIND
        from kubeberth.apiserver.objects import key_of, pack

        old = (await api.get(f"{VALIDATING}/hooks")).json
        old["webhooks"][0]["sideEffects"] = "Unknown"
        entry = api.store.get(key_of(KIND, "", "hooks"))
        await api.store.update(entry.key, pack(KIND, old), entry.revision)
        answer = await api.post(path, {"metadata": {"name": "a"}})
        assert (answer.code, answer.json["reason"]) == (400, "BadRequest")
        assert answer.message == ('admission webhook "hook.example.com" does not support dry run')

    run(scenario)


# When something is wrong with the webhook.

FAILED = 'Internal error occurred: failed calling webhook "hook.example.com": '


async def refusal(api, hooks, kind=VALIDATING, **changes):
    """Return how the creation of an object is refused that a webhook has to look at."""
    await register(api, kind, webhook(client=changes.pop("client", hooks.client()), **changes))
    answer = await api.config_map("a")
    assert answer.code == 500
    assert answer.json["reason"] == "InternalError"
    assert answer.json["details"]["causes"] == [
        {"message": answer.message.removeprefix("Internal error occurred: ")}
    ]
    assert answer.message.startswith(FAILED)
    # Others are not affected.
    assert (await api.pod("other")).code == 201
    return answer.message.removeprefix(FAILED)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        pytest.param(
            plain(500, "boom"),
            'failed to call webhook: an error on the server ("boom") has prevented the request '
            "from succeeding",
            id="500",
        ),
        pytest.param(
            plain(404),
            "failed to call webhook: the server could not find the requested resource",
            id="404",
        ),
        pytest.param(
            plain(503),
            "failed to call webhook: the server is currently unable to handle the request",
            id="503",
        ),
        pytest.param(
            plain(302, Location="https://127.0.0.1:1/"),
            "failed to call webhook: the server responded with the status code 302 but did not "
            "return more information",
            id="redirect",
        ),
        pytest.param(
            plain(200, "garbage"),
            "failed to call webhook: couldn't get version/kind; json parse error: invalid "
            "character 'g' looking for beginning of value",
            id="no JSON",
        ),
        pytest.param(
            plain(200, "[]"),
            "failed to call webhook: couldn't get version/kind; json parse error: json: cannot "
            "unmarshal array into Go value of type struct { APIVersion string "
            '"json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }',
            id="no object",
        ),
        pytest.param(
            plain(200, "{}"),
            "received invalid webhook response: webhook response was absent",
            id="no response",
        ),
        pytest.param(
            allowed(patch="W10=", patchType="JSONPatch"),
            "received invalid webhook response: validating webhook may not return response.patch",
            id="a patch for nothing",
        ),
        pytest.param(
            allowed(allowed="yes"),
            "received invalid webhook response: json: cannot unmarshal string into Go struct field "
            "AdmissionReview.response.allowed of type bool",
            id="wrong type",
        ),
    ],
)
def test_an_answer_that_is_none_fails_the_write_and_names_the_webhook(run, answer, text):
    async def scenario(api, hooks):
        hooks.answers["/"] = answer
        assert await refusal(api, hooks) == text

    run(scenario)


def test_an_answer_to_another_question_fails_the_write(run):
    async def scenario(api, hooks):
        hooks.answers["/"] = allowed(uid="another")
        uid_wanted = await refusal(api, hooks)
        uid = hooks.requests()[0]["uid"]
        assert uid_wanted == (
            f'received invalid webhook response: expected response.uid="{uid}", got "another"'
        )

    run(scenario)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        pytest.param(
            allowed(patch="W10="),
            "received invalid webhook response: webhook returned response.patch but not "
            "response.patchType",
            id="no type",
        ),
        pytest.param(
            allowed(patch="e30=", patchType="JSONPatch"),
            "received undecodable patch in webhook response: json: cannot unmarshal object into "
            "Go value of type jsonpatch.Patch",
            id="no list",
        ),
        pytest.param(
            allowed(patch="W3sib3AiOiJhZGQifV0=", patchType="Merge"),
            'unsupported patch type "Merge"',
            id="another kind of patch",
        ),
        pytest.param(
            allowed(patch="***", patchType="JSONPatch"),
            "received invalid webhook response: illegal base64 data at input byte 0",
            id="no base64",
        ),
    ],
)
def test_a_patch_that_is_none_fails_the_write(run, answer, text):
    async def scenario(api, hooks):
        hooks.answers["/"] = answer
        assert await refusal(api, hooks, MUTATING) == text

    run(scenario)


def test_a_patch_that_does_not_fit_fails_the_write_whatever_the_policy(run):
    async def scenario(api, hooks):
        hooks.answers["/"] = patching({"op": "remove", "path": "/no/such/path"})
        hook = webhook(client=hooks.client(), failurePolicy="Ignore")
        await register(api, MUTATING, hook)
        answer = await api.config_map("a")
        assert (answer.code, answer.json["reason"]) == (500, "InternalError")

    run(scenario)


def test_a_webhook_that_is_not_there_fails_the_write(run):
    async def scenario(api, hooks):
        url = "https://127.0.0.1:1/x"
        assert await refusal(api, hooks, client={"url": url}) == (
            f'failed to call webhook: Post "{url}?timeout=10s": dial tcp 127.0.0.1:1: connect: '
            "connection refused"
        )

    run(scenario)


def test_a_webhook_whose_name_nobody_knows_fails_the_write(run):
    async def scenario(api, hooks):
        url = "https://no-such-host.invalid/x"
        assert (await refusal(api, hooks, client={"url": url})).endswith(
            "dial tcp: lookup no-such-host.invalid: no such host"
        )

    run(scenario)


def test_a_webhook_that_is_too_slow_fails_the_write_in_time(run):
    async def scenario(api, hooks):
        async def sleep(review):
            await asyncio.sleep(30)

        hooks.answers["/"] = sleep
        started = asyncio.get_running_loop().time()
        await register(api, VALIDATING, webhook(client=hooks.client(), timeoutSeconds=1))
        slow = asyncio.ensure_future(api.config_map("a"))
        await asyncio.sleep(0.1)
        assert (await api.pod("quick")).code == 201
        assert not slow.done()
        answer = await slow
        assert asyncio.get_running_loop().time() - started < 5
        assert answer.message == (
            f'{FAILED}failed to call webhook: Post "{hooks.url()}?timeout=1s": context deadline '
            "exceeded"
        )

    run(scenario)


@pytest.mark.parametrize(
    ("options", "trusts", "text"),
    [
        pytest.param({}, False, "certificate signed by unknown authority", id="unknown"),
        pytest.param(
            {"names": ("elsewhere",)}, True, "certificate is not valid for 127.0.0.1", id="name"
        ),
        pytest.param(
            {"ended": True}, True, "certificate has expired or is not yet valid", id="expired"
        ),
    ],
)
def test_a_webhook_without_the_right_certificate_fails_the_write(run, options, trusts, text):
    authority = Authority()
    bundle = authority.bundle if trusts else Authority().bundle
    made = WebhookServer(authority.context(**options), bundle)

    async def scenario(api, hooks):
        assert await refusal(api, hooks) == (
            f'failed to call webhook: Post "{hooks.url()}?timeout=10s": tls: failed to verify '
            f"certificate: x509: {text}"
        )
        assert hooks.reviews == []

    run(scenario, made)


def test_a_webhook_that_speaks_no_tls_fails_the_write(run):
    async def scenario(api, hooks):
        assert (await refusal(api, hooks)).endswith(
            "http: server gave HTTP response to HTTPS client"
        )

    run(scenario, WebhookServer(None, Authority().bundle))


def test_a_webhook_may_fail_without_harm_if_its_policy_says_so(run):
    async def scenario(api, hooks):
        gone = {"url": "https://127.0.0.1:1/"}
        await register(api, VALIDATING, webhook(client=gone, failurePolicy="Ignore"))
        await register(api, MUTATING, webhook(client=gone, failurePolicy="Ignore"), name="m")
        assert (await api.config_map("a")).code == 201

    run(scenario)


def test_connections_are_used_again_and_one_that_was_closed_is_replaced(run):
    async def scenario(api, hooks):
        await register(api, VALIDATING, webhook(client=hooks.client()))
        for name in "abc":
            assert (await api.config_map(name)).code == 201
        assert hooks.n_connections == 1
        hooks.hang_up()
        assert (await api.config_map("d")).code == 201
        assert hooks.n_connections == 2

    run(scenario)


# Services.


async def service(api, **spec):
    await api.post(
        "/api/v1/namespaces/default/services", {"metadata": {"name": "hooks"}, "spec": spec}
    )


def by_service(hooks, **reference):
    service = {"namespace": "default", "name": "hooks", **reference}
    return {"service": service, "caBundle": hooks.bundle}


def test_a_service_is_reached_through_its_endpoints(run):
    async def scenario(api, hooks):
        await service(api, ports=[{"name": "https", "port": 443, "targetPort": hooks.port}])
        # No client could make this one: loopback addresses are not allowed in it.
        from kubeberth.api.scheme import ENDPOINT_SLICES
        from kubeberth.apiserver.objects import key_of, pack

        labels = {"kubernetes.io/service-name": "hooks"}
        slice_ = {
            "kind": "EndpointSlice",
            "apiVersion": "discovery.k8s.io/v1",
            "metadata": {"name": "s", "namespace": "default", "uid": "u", "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "https", "port": hooks.port}],
            "endpoints": [
                {"addresses": ["192.0.2.1"], "conditions": {"ready": False}},
                {"addresses": ["127.0.0.1"]},
            ],
        }
        await api.store.create(
            key_of(ENDPOINT_SLICES, "default", "s"), pack(ENDPOINT_SLICES, slice_)
        )
        await register(api, VALIDATING, webhook(client=by_service(hooks, path="/svc")))
        assert (await api.config_map("a")).code == 201
        assert len(hooks.requests("/svc")) == 1
        assert hooks.headers[0]["Host"] == "hooks.default.svc:443"

    run(scenario)


def test_a_service_may_be_another_name(run):
    async def scenario(api, hooks):
        await service(api, type="ExternalName", externalName="localhost")
        await register(api, VALIDATING, webhook(client=by_service(hooks, port=hooks.port)))
        assert (await api.config_map("a")).code == 201
        assert len(hooks.reviews) == 1

    run(scenario)


def test_a_service_that_leads_nowhere_fails_the_write(run):
    async def scenario(api, hooks):
        where = 'failed to call webhook: Post "https://hooks.default.svc:443/?timeout=10s": '
        text = await refusal(api, hooks, client=by_service(hooks))
        assert text == f'{where}service "hooks" not found'
        await service(api, ports=[{"port": 80}])
        answer = await api.config_map("b")
        assert answer.message == f'{FAILED}{where}no service port 443 found for service "hooks"'
        change = {"spec": {"ports": [{"port": 443}]}}
        await api.patch("/api/v1/namespaces/default/services/hooks", change)
        answer = await api.config_map("b")
        assert answer.message == f'{FAILED}{where}no endpoints available for service "hooks"'

    run(scenario)
