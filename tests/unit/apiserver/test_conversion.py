"""Custom resources whose versions a webhook converts into each other."""

import asyncio
import copy

import pytest
from tests.unit.apiserver.conftest import Api
from tests.webhook_server import plain, server

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = "/apis/stable.example.com"
V1, V2 = (f"{GROUP}/{version}/namespaces/default/hosts" for version in ("v1", "v2"))


def version(name, *fields, **changes):
    spec = {"type": "object", "properties": {field: {"type": "string"} for field in fields}}
    schema = {"type": "object", "properties": {"spec": spec}}
    return {
        "name": name,
        "served": True,
        "storage": False,
        "schema": {"openAPIV3Schema": schema},
        **changes,
    }


def definition(hooks, **changes):
    """Return the definition of hosts: `spec.hostPort` in v1 is `spec.host`, `spec.port` in v2."""
    conversion = {
        "strategy": "Webhook",
        "webhook": {
            "clientConfig": hooks.client("/convert"),
            "conversionReviewVersions": ["v1", "v1beta1"],
            **changes,
        },
    }
    return {
        "metadata": {"name": "hosts.stable.example.com"},
        "spec": {
            "group": "stable.example.com",
            "scope": "Namespaced",
            "names": {"plural": "hosts", "kind": "Host"},
            "versions": [version("v1", "hostPort", storage=True), version("v2", "host", "port")],
            "conversion": conversion,
        },
    }


def convert(review, change=None):
    """Answer as a webhook does that knows both versions."""
    request = review["request"]
    converted = []
    for found in request["objects"]:
        host = copy.deepcopy(found)
        host["apiVersion"] = request["desiredAPIVersion"]
        spec = host["spec"]
        if host["apiVersion"].endswith("/v2"):
            name, _, port = spec.pop("hostPort").partition(":")
            spec |= {"host": name, "port": port}
        else:
            spec["hostPort"] = f"{spec.pop('host')}:{spec.pop('port')}"
        if change is not None:
            change(host)
        converted.append(host)
    response = {"uid": request["uid"], "result": {"status": "Success"}}
    return {**review, "response": {**response, "convertedObjects": converted}}


def answering(change):
    """Return an answer with objects that a function has changed."""
    return lambda review: convert(review, change)


def host(name="a", host="example.com", port="80"):
    return {"metadata": {"name": name}, "spec": {"host": host, "port": port}}


@pytest.fixture
def run():
    """Run a scenario with a started `Api` that serves hosts, and the webhook that converts them."""

    def run(scenario, **changes):
        async def main():
            async with server() as hooks:
                hooks.answers["/convert"] = convert
                api = await Api().start()
                answer = await api.post(DEFINITIONS, definition(hooks, **changes))
                assert answer.code == 201, answer.message
                while (await api.get(V2)).code != 200:
                    await asyncio.sleep(0.001)
                hooks.reviews.clear()
                try:
                    return await scenario(api, hooks)
                finally:
                    api.app.close()

        return asyncio.run(main())

    return run


def test_an_object_is_written_in_one_version_and_read_in_another(run):
    async def scenario(api, hooks):
        answer = await api.post(V2, host())
        assert answer.code == 201
        assert answer.json["apiVersion"] == "stable.example.com/v2"
        assert answer.json["spec"] == {"host": "example.com", "port": "80"}
        assert len(hooks.reviews) == 1  # into the version in which it is stored
        stored = (await api.get(f"{V1}/a")).json
        assert stored["spec"] == {"hostPort": "example.com:80"}
        assert len(hooks.reviews) == 1
        assert (await api.get(f"{V2}/a")).json == answer.json

    run(scenario)


def test_the_webhook_is_asked_as_upstream_asks(run):
    async def scenario(api, hooks):
        await api.post(V2, host())
        [(path, review)] = hooks.reviews
        assert path == "/convert"
        assert (review["kind"], review["apiVersion"]) == (
            "ConversionReview",
            "apiextensions.k8s.io/v1",
        )
        assert review["request"]["desiredAPIVersion"] == "stable.example.com/v1"
        [shown] = review["request"]["objects"]
        assert shown["apiVersion"] == "stable.example.com/v2"
        assert shown["metadata"]["uid"]
        assert hooks.queries == ["timeout=30s"]

    run(scenario)


def test_a_list_is_converted_at_once_and_remembered(run):
    async def scenario(api, hooks):
        for name in "abc":
            await api.post(V1, {"metadata": {"name": name}, "spec": {"hostPort": f"{name}:1"}})
        assert hooks.reviews == []
        for _ in range(2):
            items = (await api.get(V2)).json["items"]
            assert [item["spec"]["host"] for item in items] == ["a", "b", "c"]
        [(_, review)] = hooks.reviews
        assert len(review["request"]["objects"]) == 3

    run(scenario)


def test_updates_and_patches_work_in_every_version(run):
    async def scenario(api, hooks):
        body = (await api.post(V2, host())).json
        body["spec"]["port"] = "81"
        assert (await api.put(f"{V2}/a", body)).json["spec"]["port"] == "81"
        answer = await api.patch(f"{V2}/a", {"spec": {"port": "82"}})
        assert answer.json["spec"] == {"host": "example.com", "port": "82"}
        assert answer.json["metadata"]["generation"] == 3
        answer = await api.patch(f"{V1}/a", {"spec": {"hostPort": "x:1"}})
        assert answer.json["spec"] == {"hostPort": "x:1"}
        assert (await api.get(f"{V2}/a")).json["spec"] == {"host": "x", "port": "1"}
        assert (await api.delete(f"{V2}/a")).code == 200

    run(scenario)


def test_labels_and_annotations_may_change_and_nothing_else_of_the_metadata(run):
    async def scenario(api, hooks):
        def change(found):
            found["metadata"]["labels"] = {"converted": "yes"}
            found["metadata"]["generation"] = 99
            found["metadata"]["finalizers"] = ["example.com/x"]

        hooks.answers["/convert"] = answering(change)
        await api.post(V1, {"metadata": {"name": "a"}, "spec": {"hostPort": "h:1"}})
        metadata = (await api.get(f"{V2}/a")).json["metadata"]
        assert metadata["labels"] == {"converted": "yes"}
        assert metadata["generation"] == 1
        assert "finalizers" not in metadata
        # Selectors look at the version that is read.
        assert len((await api.get(f"{V2}?labelSelector=converted")).json["items"]) == 1
        assert len((await api.get(f"{V1}?labelSelector=converted")).json["items"]) == 0

    run(scenario)


def test_fields_that_the_version_does_not_have_are_dropped(run):
    async def scenario(api, hooks):
        hooks.answers["/convert"] = answering(lambda found: found["spec"].update(more="x"))
        await api.post(V1, {"metadata": {"name": "a"}, "spec": {"hostPort": "h:1"}})
        assert (await api.get(f"{V2}/a")).json["spec"] == {"host": "h", "port": "1"}

    run(scenario)


def test_a_watch_tells_of_objects_in_its_version_in_order(run):
    async def scenario(api, hooks):
        await api.post(V1, {"metadata": {"name": "a"}, "spec": {"hostPort": "h:1"}})
        async with api.watch(f"{V2}?watch=true") as next_event:
            kind, found = await next_event()
            assert (kind, found["spec"]) == ("ADDED", {"host": "h", "port": "1"})
            await api.post(V1, {"metadata": {"name": "b"}, "spec": {"hostPort": "i:2"}})
            await api.patch(f"{V2}/b", {"spec": {"port": "3"}})
            await api.delete(f"{V1}/b")
            seen = [await next_event() for _ in range(3)]
            assert [(kind, found["spec"]["port"]) for kind, found in seen] == [
                ("ADDED", "2"),
                ("MODIFIED", "3"),
                ("DELETED", "3"),
            ]
            assert all(found["apiVersion"] == "stable.example.com/v2" for _, found in seen)
            versions = [int(found["metadata"]["resourceVersion"]) for _, found in seen]
            assert versions == sorted(versions)

    run(scenario)


def test_a_watch_resumes_from_the_version_of_a_list(run):
    async def scenario(api, hooks):
        await api.post(V2, host("a"))
        revision = (await api.get(V2)).json["metadata"]["resourceVersion"]
        await api.post(V2, host("b"))
        await api.config_map("unrelated")
        path = f"{V2}?watch=true&resourceVersion={revision}"
        async with api.watch(path) as next_event:
            kind, found = await next_event()
            assert (kind, found["metadata"]["name"]) == ("ADDED", "b")

    run(scenario)


def test_a_watch_ends_when_the_webhook_fails_and_the_next_one_is_told_why(run):
    async def scenario(api, hooks):
        async with api.watch(f"{V2}?watch=true") as next_event:
            hooks.answers["/convert"] = plain(500, "boom")
            await api.post(V1, {"metadata": {"name": "a"}, "spec": {"hostPort": "h:1"}})
            assert await next_event() is None
        answer = await api.get(f"{V2}?watch=true")
        assert answer.code == 500
        assert 'an error on the server ("boom")' in answer.message
        hooks.answers["/convert"] = convert
        async with api.watch(f"{V2}?watch=true") as next_event:
            assert (await next_event())[1]["metadata"]["name"] == "a"

    run(scenario)


def test_a_watch_ends_when_the_definition_changes(run):
    async def scenario(api, hooks):
        async with api.watch(f"{V2}?watch=true") as next_event:
            change = {"spec": {"conversion": {"strategy": "None", "webhook": None}}}
            answer = await api.patch(f"{DEFINITIONS}/hosts.stable.example.com", change)
            assert answer.code == 200, answer.message
            assert await next_event() is None

    run(scenario)


def test_the_objects_of_a_definition_go_without_the_webhook(run):
    async def scenario(api, hooks):
        await api.post(V2, host())
        hooks.answers["/convert"] = plain(500)
        await api.delete(f"{DEFINITIONS}/hosts.stable.example.com")
        for _ in range(1000):
            if (await api.get(f"{DEFINITIONS}/hosts.stable.example.com")).code == 404:
                return
            await asyncio.sleep(0.001)
        raise AssertionError("the definition is still there")

    run(scenario)


def test_webhooks_for_admission_see_the_version_that_they_ask_for(run):
    async def scenario(api, hooks):
        path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
        rule = {
            "operations": ["CREATE"],
            "apiGroups": ["stable.example.com"],
            "apiVersions": ["v1"],
            "resources": ["hosts"],
        }
        hook = {
            "name": "hook.example.com",
            "clientConfig": hooks.client("/admit"),
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        await api.post(path, {"metadata": {"name": "x"}, "webhooks": [hook]})
        assert (await api.post(V2, host())).code == 201
        [request] = hooks.requests("/admit")
        assert request["object"]["spec"] == {"hostPort": "example.com:80"}
        assert request["kind"]["version"] == "v1"
        assert request["requestKind"]["version"] == "v2"

    run(scenario)


FAILED = "conversion webhook for stable.example.com/v2, Kind=Host"


def strange(**response):
    """Return an answer that differs from a good one."""

    def answer(review):
        good = convert(review)
        return {**good, "response": {**good["response"], **response}}

    return answer


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(
            plain(500, "boom"),
            ' failed: an error on the server ("boom") has prevented the request from succeeding',
            id="500",
        ),
        pytest.param(lambda review: {}, None, id="nothing"),
        pytest.param(
            strange(uid="another"),
            ' failed: expected response.uid="{uid}", got "another"',
            id="uid",
        ),
        pytest.param(
            strange(result={"status": "Failure", "message": "cannot"}), " failed: cannot", id="no"
        ),
        pytest.param(
            strange(result={}),
            " failed: response.result.status was '', not 'Success'",
            id="no status",
        ),
        pytest.param(strange(convertedObjects=[]), " returned 0 objects, expected 1", id="too few"),
        pytest.param(
            answering(lambda found: found.update(apiVersion="stable.example.com/v2")),
            " returned invalid object: invalid groupVersion (expected stable.example.com/v1, "
            "received stable.example.com/v2)",
            id="another version",
        ),
        pytest.param(
            answering(lambda found: found.update(kind="Other")),
            " returned invalid object: invalid kind (expected Host, received Other)",
            id="another kind",
        ),
        pytest.param(
            answering(lambda found: found["metadata"].update(name="b")),
            " returned invalid object: must have the same name: a != b",
            id="another name",
        ),
        pytest.param(
            answering(lambda found: found["metadata"].update(labels={"a": 1})),
            " returned invalid metadata: metadata.labels[a] must be a string, but is not in "
            "converted object",
            id="label",
        ),
    ],
)
def test_an_answer_that_is_none_fails_the_write(run, answer, why):
    async def scenario(api, hooks):
        hooks.answers["/convert"] = answer
        found = await api.post(V2, host())
        assert found.code == 500
        assert "reason" not in found.json
        uid = hooks.requests("/convert")[0]["uid"]
        wanted = why or (
            " failed: expected webhook response of apiextensions.k8s.io/v1, "
            "Kind=ConversionReview, got /, Kind="
        )
        assert found.message == FAILED + wanted.format(uid=uid)
        assert (await api.get(f"{V1}/a")).code == 404

    run(scenario)


def test_reviews_of_v1beta1_go_without_their_uid(run):
    async def scenario(api, hooks):
        def answer(review):
            assert review["apiVersion"] == "apiextensions.k8s.io/v1beta1"
            good = convert(review)
            del good["response"]["uid"]
            return {"response": good["response"]}

        hooks.answers["/convert"] = answer
        assert (await api.post(V2, host())).code == 201

    run(scenario, conversionReviewVersions=["v1beta1"])


def test_reads_in_the_stored_version_do_not_need_the_webhook(run):
    async def scenario(api, hooks):
        await api.post(V1, {"metadata": {"name": "a"}, "spec": {"hostPort": "h:1"}})
        hooks.answers["/convert"] = plain(500)
        assert (await api.get(f"{V1}/a")).code == 200
        assert (await api.get(V1)).code == 200
        assert (await api.get(f"{V2}/a")).code == 500
        assert (await api.get(V2)).code == 500

    run(scenario)
