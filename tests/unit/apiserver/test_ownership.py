"""Who owns the fields of objects, and server-side apply, through HTTP."""

import json

import pytest

from kubeberth.apiserver.auth.authn import AUTHENTICATED, User

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LABELLED = {"f:labels": {".": {}, "f:a": {}}}


def config(name="c", metadata=None, **data):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **(metadata or {})},
        **({"data": data} if data else {}),
    }


def deployment(**spec):
    template = {
        "metadata": {"labels": {"app": "d"}},
        "spec": {"containers": [{"name": "c", "image": "nginx"}]},
    }
    spec = {"selector": {"matchLabels": {"app": "d"}}, "template": template, **spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": spec,
    }


async def applied(api, body, manager="one", path=f"{MAPS}/c", query="", **options):
    return await api.patch(
        f"{path}?fieldManager={manager}{query}", body, "apply-patch+yaml", **options
    )


def owned(answer):
    """Return the fields of every manager of an object."""
    assert answer.code < 300, answer.message
    entries = answer.json["metadata"].get("managedFields", [])
    return {
        " ".join(filter(None, (e["manager"], e["operation"], e.get("subresource")))): e["fieldsV1"]
        for e in entries
    }


def test_a_client_is_called_as_it_says_or_as_its_program_is(run):
    async def scenario(api):
        for name, query, headers in (
            ("said", "?fieldManager=said", {"user_agent": "program/1.0 (linux)"}),
            ("program", "", {"user_agent": "program/1.0 (linux)"}),
            ("unknown", "", {}),
        ):
            body = config(name, {"labels": {"a": "1"}})
            answer = await api.post(f"{MAPS}{query}", body, **headers)
            assert owned(answer) == {f"{name} Update": {"f:metadata": LABELLED}}

    run(scenario)


def test_what_admission_and_the_server_add_is_nobodys(run):
    async def scenario(api):
        (fields,) = owned(await api.pod("p")).values()
        assert "f:tolerations" not in fields["f:spec"]
        assert "f:serviceAccountName" not in fields["f:spec"]
        assert "f:restartPolicy" in fields["f:spec"]
        assert set(fields) == {"f:spec"}

    run(scenario)


def test_a_write_that_changes_nothing_leaves_version_and_times(run):
    async def scenario(api):
        await applied(api, config(a="1"))
        before = (await api.get(f"{MAPS}/c")).json
        for answer in (
            await applied(api, config(a="1")),
            await api.patch(f"{MAPS}/c?fieldManager=other", {"data": {"a": "1"}}),
            await api.put(f"{MAPS}/c?fieldManager=other", before),
            await api.put(f"{MAPS}/c?fieldManager=other", config(a="1")),
        ):
            assert answer.json == before

    run(scenario)


def test_an_apply_that_comes_to_the_same_when_it_is_read_writes_nothing(run):
    async def scenario(api):
        path = f"{PODS}/p"
        container = {"name": "c", "image": "x", "resources": {"requests": {"cpu": "0.5"}}}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p"},
            "spec": {"containers": [container]},
        }
        first = await applied(api, pod, path=path)
        assert first.code == 201
        again = await applied(api, pod, path=path)
        assert again.json == first.json

    run(scenario)


def test_the_status_has_owners_of_its_own(run):
    async def scenario(api):
        await api.pod("p")
        await api.patch(f"{PODS}/p/status", {"status": {"message": "m"}}, user_agent="kubelet/1")
        answer = await api.get(f"{PODS}/p")
        assert owned(answer)["kubelet Update status"] == {"f:status": {"f:message": {}}}

    run(scenario)


def test_who_binds_or_deletes_a_pod_owns_nothing_of_it(run):
    async def scenario(api):
        before = owned(await api.pod("p", terminationGracePeriodSeconds=30))
        await api.post(f"{PODS}/p/binding", {"metadata": {"name": "p"}, "target": {"name": "n"}})
        await api.delete(f"{PODS}/p")
        answer = await api.get(f"{PODS}/p")
        assert answer.json["metadata"]["deletionTimestamp"]
        assert owned(answer) == before

    run(scenario)


def test_lists_and_watches_tell_the_owners_too(run):
    async def scenario(api):
        made = await api.config_map("c", a="1")
        async with api.watch(f"{MAPS}?watch=true") as next_event:
            assert (await next_event())[1] == made.json
        (item,) = (await api.get(MAPS)).json["items"]
        assert item["metadata"] == made.json["metadata"]
        table = await api.get(MAPS, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
        assert table.json["rows"][0]["object"]["metadata"] == made.json["metadata"]

    run(scenario)


def test_several_conflicts_are_told_by_manager(run):
    async def scenario(api):
        await api.post(f"{MAPS}?fieldManager=b", config(a="1", b="1"))
        await applied(api, config(c="1"), "a")
        answer = await applied(api, config(a="2", b="2", c="2"))
        assert answer.code == 409
        assert answer.message == (
            'Apply failed with 3 conflicts: conflicts with "a":\n- .data.c\n'
            'conflicts with "b" using v1:\n- .data.a\n- .data.b'
        )
        assert [cause["field"] for cause in answer.json["details"]["causes"]] == [
            ".data.c",
            ".data.a",
            ".data.b",
        ]
        forced = await applied(api, config(a="2", b="2", c="2"), query="&force=true")
        assert owned(forced) == {
            "one Apply": {"f:data": {"f:a": {}, "f:b": {}, "f:c": {}}},
            "b Update": {"f:data": {}},
        }

    run(scenario)


def test_whose_object_was_never_tracked_is_known_before_the_first_apply(run):
    async def scenario(api):
        await api.config_map("c", a="1")
        forgotten = await api.patch(f"{MAPS}/c", {"metadata": {"managedFields": [{}]}})
        assert owned(forgotten) == {}
        still = await api.patch(f"{MAPS}/c", {"data": {"b": "1"}})
        assert owned(still) == {}
        answer = await applied(api, config(a="2"))
        assert answer.message == (
            'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a'
        )

    run(scenario)


def test_the_oldest_of_many_managers_become_one(run):
    async def scenario(api):
        await api.post(f"{MAPS}?fieldManager=m00", config(a="1"))
        for number in range(1, 13):
            patch = {"data": {f"k{number:02}": "1"}}
            answer = await api.patch(f"{MAPS}/c?fieldManager=m{number:02}", patch)
        fields = owned(answer)
        assert len(fields) == 10
        assert fields["ancient-changes Update"] == {
            "f:data": {".": {}, "f:a": {}, "f:k01": {}, "f:k02": {}, "f:k03": {}}
        }

    run(scenario)


def test_clients_may_write_the_owners_themselves(run):
    async def scenario(api):
        await api.post(f"{MAPS}?fieldManager=creator", config(a="1"))
        entry = {
            "manager": "adopter",
            "operation": "Apply",
            "apiVersion": "v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:a": {".": {}}}},
        }
        patch = [{"op": "replace", "path": "/metadata/managedFields", "value": [entry]}]
        answer = await api.patch(f"{MAPS}/c", patch, "json-patch+json")
        assert owned(answer) == {"adopter Apply": {"f:data": {"f:a": {}}}}
        for bad in (
            {**entry, "operation": "Bad"},
            {**entry, "apiVersion": ""},
            {**entry, "fieldsType": ""},
            {**entry, "fieldsType": "FieldsV2"},
            {**entry, "fieldsV1": {"x:": {}}},
        ):
            answer = await api.put(f"{MAPS}/c", config(metadata={"managedFields": [bad]}, a="1"))
            assert owned(answer) == {"adopter Apply": {"f:data": {"f:a": {}}}}

    run(scenario)


def test_owners_that_come_with_the_status_are_ignored(run):
    async def scenario(api):
        before = owned(await api.pod("p"))
        patch = {"metadata": {"managedFields": [{}]}, "status": {"message": "m"}}
        answer = await api.patch(f"{PODS}/p/status?fieldManager=k", patch)
        assert owned(answer) == {**before, "k Update status": {"f:status": {"f:message": {}}}}

    run(scenario)


def test_kubectl_may_change_what_it_has_applied_from_the_client(run):
    async def scenario(api):
        text = json.dumps(config(a="1", b="1"))
        annotated = config(metadata={"annotations": {LAST_APPLIED: text}}, a="1", b="1")
        await api.post(f"{MAPS}?fieldManager=kubectl-client-side-apply", annotated)
        await api.patch(f"{MAPS}/c?fieldManager=hand", {"data": {"b": "2"}})
        answer = await applied(api, config(a="9", b="9"), "kubectl")
        assert answer.message == (
            'Apply failed with 1 conflict: conflict with "hand" using v1: .data.b'
        )
        answer = await applied(api, config(a="9"), "other")
        assert answer.code == 409
        answer = await applied(api, config(a="9"), "kubectl")
        assert owned(answer)["kubectl Apply"] == {"f:data": {"f:a": {}}}
        kept = answer.json["metadata"]["annotations"][LAST_APPLIED]
        assert kept == (
            '{"apiVersion":"v1","data":{"a":"9"},"kind":"ConfigMap","metadata":{"name":"c"}}\n'
        )

    run(scenario)


@pytest.mark.parametrize("text", ["{", "[]", '{"apiVersion":"v2"}', '{"apiVersion":"v1","x":1}'])
def test_an_annotation_that_says_nothing_allows_nothing(run, text):
    async def scenario(api):
        annotated = config(metadata={"annotations": {LAST_APPLIED: text}}, a="1")
        await api.post(f"{MAPS}?fieldManager=creator", annotated)
        assert (await applied(api, config(a="2"), "kubectl")).code == 409

    run(scenario)


def test_an_annotation_that_would_be_too_long_goes(run):
    async def scenario(api):
        metadata = {"annotations": {LAST_APPLIED: "{}"}}
        await api.post(f"{MAPS}?fieldManager=creator", config(metadata=metadata))
        answer = await applied(api, config(a="x" * 270_000), "kubectl")
        assert answer.code == 200
        assert "annotations" not in answer.json["metadata"]

    run(scenario)


# May change everything and create nothing.
CHANGER = "system:serviceaccount:kube-system:generic-garbage-collector"


def test_an_apply_creates_only_for_those_who_may_create(run):
    async def scenario(api):
        changer = User(CHANGER, frozenset((AUTHENTICATED,)))
        path = f"{DEPLOYMENTS}/d"
        answer = await applied(api, deployment(), path=path, user=changer)
        assert answer.code == 403
        assert answer.message == (
            f'deployments.apps "d" is forbidden: User "{CHANGER}" cannot '
            'create resource "deployments" in API group "apps" in the namespace "default"'
        )
        assert (await applied(api, deployment(), path=path)).code == 201
        assert (await applied(api, deployment(), path=path, user=changer)).code == 200

    run(scenario)


def test_a_put_creates_only_for_those_who_may_create(run):
    async def scenario(api):
        changer = User(CHANGER, frozenset((AUTHENTICATED,)))
        service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
        path = "/api/v1/namespaces/default/services/s"
        answer = await api.put(path, service, user=changer)
        assert (answer.code, answer.json["reason"]) == (403, "Forbidden")
        assert (await api.put(path, service)).code == 201

    run(scenario)


def test_an_apply_with_a_uid_does_not_create(run):
    async def scenario(api):
        answer = await applied(api, config(metadata={"uid": "u"}))
        assert answer.code == 409
        assert answer.message == (
            'Operation cannot be fulfilled on configmaps "c": uid mismatch: the provided object '
            "specified uid u, and no existing object was found"
        )

    run(scenario)


def test_an_apply_through_a_subresource_does_not_create(run):
    async def scenario(api):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "status": {}}
        assert (await applied(api, pod, path=f"{PODS}/p/status")).code == 404

    run(scenario)


def test_an_apply_for_another_version_of_the_object_is_refused(run):
    async def scenario(api):
        made = await applied(api, config(a="1"))
        version = made.json["metadata"]["resourceVersion"]
        assert (await applied(api, config(metadata={"resourceVersion": "1"}, a="2"))).code == 409
        right = config(metadata={"resourceVersion": version}, a="2")
        assert (await applied(api, right)).code == 200

    run(scenario)


def test_an_apply_on_trial_stores_nothing(run):
    async def scenario(api):
        answer = await applied(api, config(a="1"), query="&dryRun=All")
        assert (answer.code, answer.json["data"]) == (201, {"a": "1"})
        assert (await api.get(f"{MAPS}/c")).code == 404

    run(scenario)


def test_keys_that_come_twice_are_refused_when_asked_to_be_strict(run):
    async def scenario(api):
        text = b'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: "1"\n  a: "2"\n'
        answer = await applied(api, text, query="&fieldValidation=Strict")
        assert answer.code == 400
        assert answer.message == (
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
            '  line 6: key "a" already set in map'
        )
        assert (await applied(api, text, query="&fieldValidation=Ignore")).headers.get(
            "warning"
        ) is None

    run(scenario)


def test_an_applied_value_that_cannot_be_read_is_the_servers_fault(run):
    async def scenario(api):
        container = {"name": "c", "image": "x", "resources": {"limits": {"cpu": "many"}}}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p", "namespace": "default"},
            "spec": {"containers": [container]},
        }
        answer = await applied(api, pod, path=f"{PODS}/p")
        assert answer.code == 500
        assert answer.message.startswith(
            "failed to convert new object (default/p; /v1, Kind=Pod) to proper version (v1): "
            "unable to convert unstructured object to /v1, Kind=Pod: quantities must match"
        )

    run(scenario)


def test_who_applies_replicas_through_the_scale_conflicts_with_who_applied_them(run):
    async def scenario(api):
        path = f"{DEPLOYMENTS}/d"
        await applied(api, deployment(replicas=2), path=path)
        scale = {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {"name": "d"},
            "spec": {"replicas": 3},
        }
        answer = await applied(api, scale, "scaler", f"{path}/scale")
        assert answer.message == 'Apply failed with 1 conflict: conflict with "one": .spec.replicas'
        answer = await applied(api, scale, "scaler", f"{path}/scale", "&force=true")
        assert answer.json["spec"] == {"replicas": 3}
        fields = owned(await api.get(path))
        assert fields["scaler Apply scale"] == {"f:spec": {"f:replicas": {}}}
        assert "f:replicas" not in fields["one Apply"]["f:spec"]
        # Who owns the replicas keeps owning them when they are scaled to what they are.
        again = await applied(api, scale, "scaler", f"{path}/scale")
        assert again.code == 200
        assert owned(await api.get(path)) == fields

    run(scenario)


def test_a_put_of_the_scale_takes_the_replicas(run):
    async def scenario(api):
        path = f"{DEPLOYMENTS}/d"
        await applied(api, deployment(replicas=2), path=path)
        scale = (await api.get(f"{path}/scale")).json
        scale["spec"]["replicas"] = 5
        assert (await api.put(f"{path}/scale?fieldManager=hand", scale)).code == 200
        fields = owned(await api.get(path))
        assert fields["hand Update scale"] == {"f:spec": {"f:replicas": {}}}

    run(scenario)


def test_owners_that_are_named_twice_are_kept_once(run):
    async def scenario(api):
        owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}
        answer = await api.post(MAPS, config(metadata={"ownerReferences": [owner, owner]}))
        assert answer.json["metadata"]["ownerReferences"] == [owner]
        assert "duplicate UID(s) observed: [u]" in answer.headers["warning"]
        assert owned(answer) == {
            "unknown Update": {"f:metadata": {"f:ownerReferences": {".": {}, 'k:{"uid":"u"}': {}}}}
        }

    run(scenario)


def test_every_cluster_starts_with_objects_of_the_server(run):
    async def scenario(api):
        answer = await api.get("/api/v1/namespaces/default")
        name = "f:kubernetes.io/metadata.name"
        assert owned(answer) == {
            "kube-apiserver Update": {"f:metadata": {"f:labels": {".": {}, name: {}}}}
        }

    run(scenario)
