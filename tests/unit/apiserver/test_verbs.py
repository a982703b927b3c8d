"""Create, get, list, update, patch and delete, the same for every kind."""

import asyncio

import pytest

from kubeberth.apiserver.storage.memory import MemoryStore

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"


def test_a_created_object_has_what_the_server_writes(run):
    async def scenario(api):
        answer = await api.pod("web")
        assert answer.code == 201
        metadata = answer.json["metadata"]
        assert metadata["namespace"] == "default"
        assert metadata["generation"] == 1
        assert len(metadata["uid"]) == 36
        assert metadata["creationTimestamp"].endswith("Z")
        assert int(metadata["resourceVersion"]) == api.store.revision
        assert answer.json["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
        assert (await api.get(f"{PODS}/web")).json == answer.json

    run(scenario)


def test_what_only_the_server_may_write_is_ignored_at_create(run):
    async def scenario(api):
        metadata = {"name": "c", "uid": "mine", "generation": 9}
        answer = await api.post(MAPS, {"metadata": metadata})
        assert answer.json["metadata"]["uid"] != "mine"
        assert "generation" not in answer.json["metadata"]
        pod = {
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
            "status": {"phase": "Running"},
        }
        assert (await api.post(PODS, pod)).json["status"]["phase"] == "Pending"

    run(scenario)


def test_a_new_object_with_a_version_is_refused_but_on_trial(run):
    async def scenario(api):
        exported = {"metadata": {"name": "c", "resourceVersion": "7"}}
        answer = await api.post(MAPS, exported)
        assert answer.code == 500
        assert answer.message == "resourceVersion should not be set on objects to be created"
        tried = await api.post(f"{MAPS}?dryRun=All", exported)
        assert tried.json["metadata"]["resourceVersion"] == "7"

    run(scenario)


def test_a_name_is_taken_once(run):
    async def scenario(api):
        await api.config_map("c")
        answer = await api.config_map("c")
        assert (answer.code, answer.json["reason"]) == (409, "AlreadyExists")
        assert answer.message == 'configmaps "c" already exists'

    run(scenario)


def test_generated_names_differ_and_keep_their_prefix(run):
    async def scenario(api):
        body = {"metadata": {"generateName": "c-"}}
        names = [(await api.post(MAPS, body)).json["metadata"]["name"] for _ in range(50)]
        assert len(set(names)) == 50
        assert all(name.startswith("c-") and len(name) == 7 for name in names)

    run(scenario)


def test_what_is_not_there_is_404(run):
    async def scenario(api):
        answer = await api.get("/apis/apps/v1/namespaces/default/deployments/d")
        assert answer.json == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": 'deployments.apps "d" not found',
            "reason": "NotFound",
            "details": {"name": "d", "group": "apps", "kind": "deployments"},
            "code": 404,
        }

    run(scenario)


def test_a_write_that_changes_nothing_makes_no_version_and_no_event(run):
    async def scenario(api):
        created = (await api.config_map("c", a="1")).json
        before = api.store.revision
        assert (await api.put(f"{MAPS}/c", created)).json == created
        assert (await api.patch(f"{MAPS}/c", {"data": {"a": "1"}})).json == created
        assert api.store.revision == before

    run(scenario)


def test_an_update_of_an_old_version_is_refused(run):
    async def scenario(api):
        old = (await api.config_map("c", a="1")).json
        await api.patch(f"{MAPS}/c", {"data": {"a": "2"}})
        answer = await api.put(f"{MAPS}/c", old | {"data": {"a": "3"}})
        assert (answer.code, answer.json["reason"]) == (409, "Conflict")
        assert "the object has been modified" in answer.message
        del old["metadata"]["resourceVersion"]
        answer = await api.put(f"{MAPS}/c", old | {"data": {"a": "3"}})
        assert answer.json["data"] == {"a": "3"}

    run(scenario)


def test_patches_without_a_version_never_conflict(run):
    async def scenario(api):
        await api.config_map("c")
        answers = await asyncio.gather(
            *(api.patch(f"{MAPS}/c", {"data": {f"k{i}": "v"}}) for i in range(20))
        )
        assert {answer.code for answer in answers} == {200}
        assert len((await api.get(f"{MAPS}/c")).json["data"]) == 20

    run(scenario)


def test_put_creates_leases_but_no_config_maps(run):
    async def scenario(api):
        lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "x"}}
        path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l"
        assert (await api.put(path, lease)).code == 201
        assert (await api.put(path, lease)).code == 422  # now the version must be told
        assert (await api.put(f"{MAPS}/c", {"metadata": {"name": "c"}})).code == 404

    run(scenario)


def test_spec_and_status_are_written_apart(run):
    async def scenario(api):
        await api.pod("p")
        status = {"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Running"}}
        answer = await api.patch(f"{PODS}/p/status", status | {"spec": {"nodeName": "n"}})
        assert answer.json["status"]["phase"] == "Running"
        assert answer.json["status"]["qosClass"] == "BestEffort"
        assert answer.json["metadata"]["labels"] == {"a": "b"}
        assert answer.json["metadata"]["generation"] == 1
        assert "nodeName" not in answer.json["spec"]
        answer = await api.patch(f"{PODS}/p", {"status": {"phase": "Failed"}})
        assert answer.json["status"]["phase"] == "Running"

    run(scenario)


def test_dry_run_does_everything_but_store(run):
    async def scenario(api):
        before = api.store.revision
        body = {"metadata": {"name": "c"}}
        answer = await api.post(f"{MAPS}?dryRun=All", body)
        assert answer.code == 201
        assert "uid" in answer.json["metadata"]
        assert "resourceVersion" not in answer.json["metadata"]
        assert api.store.revision == before
        await api.post(MAPS, body)
        assert (await api.post(f"{MAPS}?dryRun=All", body)).code == 409
        assert (await api.delete(f"{MAPS}/c?dryRun=All")).code == 200
        assert (await api.get(f"{MAPS}/c")).code == 200

    run(scenario)


def test_unknown_fields_are_an_error_a_warning_or_nothing(run):
    async def scenario(api):
        body = {"metadata": {"name": "c"}, "bogus": 1}
        answer = await api.post(f"{MAPS}?fieldValidation=Strict", body)
        assert answer.code == 400
        assert answer.message.endswith('strict decoding error: unknown field "bogus"')
        answer = await api.post(f"{MAPS}?fieldValidation=Warn&dryRun=All", body)
        assert answer.headers["warning"] == '299 - "unknown field \\"bogus\\""'
        answer = await api.post(f"{MAPS}?fieldValidation=Ignore", body)
        assert "warning" not in answer.headers
        assert "bogus" not in answer.json

    run(scenario)


def test_a_list_is_cut_into_pages_of_one_snapshot(run):
    async def scenario(api):
        for i in range(7):
            await api.config_map(f"c{i}")
        first = (await api.get(f"{MAPS}?limit=3")).json
        assert first["metadata"]["remainingItemCount"] == 4
        await api.delete(f"{MAPS}/c4")
        await api.config_map("c9")
        names, token = [], first["metadata"]["continue"]
        while token:
            page = (await api.get(f"{MAPS}?limit=3&continue={token}")).json
            assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
            names += [item["metadata"]["name"] for item in page["items"]]
            token = page["metadata"].get("continue")
        assert names == ["c3", "c4", "c5", "c6"]

    run(scenario)


def test_a_page_of_a_forgotten_snapshot_is_410_with_a_token_to_go_on(run):
    async def scenario(api):
        for i in range(5):
            await api.config_map(f"c{i}")
        token = (await api.get(f"{MAPS}?limit=2")).json["metadata"]["continue"]
        await api.config_map("c9")
        await api.store.compact(api.store.revision)
        answer = await api.get(f"{MAPS}?limit=2&continue={token}")
        assert (answer.code, answer.json["reason"]) == (410, "Expired")
        fresh = answer.json["metadata"]["continue"]
        rest = (await api.get(f"{MAPS}?continue={fresh}")).json
        assert [item["metadata"]["name"] for item in rest["items"]] == ["c2", "c3", "c4", "c9"]

    run(scenario)


def test_selectors_choose_by_labels_and_fields(run):
    async def scenario(api):
        await api.pod("a", labels={"app": "web"}, nodeName="n1")
        await api.pod("b", labels={"app": "db"}, nodeName="n1")
        await api.pod("c", labels={"app": "web"})

        async def names(query):
            items = (await api.get(f"{PODS}?{query}")).json["items"]
            return [item["metadata"]["name"] for item in items]

        assert await names("labelSelector=app%3Dweb") == ["a", "c"]
        assert await names("fieldSelector=spec.nodeName%3Dn1") == ["a", "b"]
        assert await names("fieldSelector=spec.nodeName%3D") == ["c"]
        assert await names("labelSelector=app%3Dweb&fieldSelector=spec.nodeName%21%3Dn1") == ["c"]
        answer = await api.get(f"{PODS}?fieldSelector=spec.bogus%3D1")
        assert (answer.code, answer.message) == (400, "field label not supported: spec.bogus")

    run(scenario)


def test_lists_tell_the_kind_once(run):
    async def scenario(api):
        await api.config_map("c")
        answer = (await api.get(MAPS)).json
        assert (answer["kind"], answer["apiVersion"]) == ("ConfigMapList", "v1")
        assert "kind" not in answer["items"][0]
        assert answer["items"][0]["metadata"]["resourceVersion"].isdigit()

    run(scenario)


def test_only_metadata_or_a_table_are_sent_if_asked_for(run):
    async def scenario(api):
        await api.pod("p")
        accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"
        answer = (await api.get(f"{PODS}/p", accept=accept)).json
        assert sorted(answer) == ["apiVersion", "kind", "metadata"]
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
        table = (await api.get(PODS, accept=accept)).json
        assert table["kind"] == "Table"
        assert table["rows"][0]["cells"][:3] == ["p", "0/1", "Pending"]
        assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"

    run(scenario)


def test_an_unbound_pod_goes_at_once_a_bound_one_gracefully(run):
    async def scenario(api):
        await api.pod("free")
        await api.pod("bound", nodeName="n1", terminationGracePeriodSeconds=20)
        assert (await api.delete(f"{PODS}/free")).json["metadata"][
            "deletionGracePeriodSeconds"
        ] == 0
        assert (await api.get(f"{PODS}/free")).code == 404
        marked = (await api.delete(f"{PODS}/bound")).json["metadata"]
        assert (marked["deletionGracePeriodSeconds"], marked["generation"]) == (20, 2)
        assert (await api.delete(f"{PODS}/bound")).json["metadata"] == marked
        await api.delete(f"{PODS}/bound", {"gracePeriodSeconds": 0})
        assert (await api.get(f"{PODS}/bound")).code == 404

    run(scenario)


def test_finalizers_keep_a_deleted_object_until_the_last_is_taken(run):
    async def scenario(api):
        body = {"metadata": {"name": "c", "finalizers": ["example.com/hold"]}}
        await api.post(MAPS, body)
        answer = await api.delete(f"{MAPS}/c")
        assert "deletionTimestamp" in answer.json["metadata"]
        assert (await api.get(f"{MAPS}/c")).code == 200
        answer = await api.patch(f"{MAPS}/c", {"metadata": {"finalizers": None}})
        assert answer.code == 200
        assert (await api.get(f"{MAPS}/c")).code == 404

    run(scenario)


def test_propagation_leaves_a_finalizer_for_the_garbage_collector(run):
    async def scenario(api):
        for name, policy, finalizer in (
            ("a", "Orphan", "orphan"),
            ("b", "Foreground", "foregroundDeletion"),
        ):
            await api.config_map(name)
            answer = await api.delete(f"{MAPS}/{name}", {"propagationPolicy": policy})
            assert answer.json["metadata"]["finalizers"] == [finalizer]
        await api.config_map("c")
        answer = await api.delete(f"{MAPS}/c", {"propagationPolicy": "Background"})
        assert answer.json["status"] == "Success"

    run(scenario)


def test_preconditions_protect_another_incarnation(run):
    async def scenario(api):
        await api.config_map("c")
        answer = await api.delete(f"{MAPS}/c", {"preconditions": {"uid": "other"}})
        assert answer.code == 409
        assert "the UID in the precondition (other) does not match" in answer.message

    run(scenario)


def test_deletecollection_deletes_what_is_selected_and_answers_with_it(run):
    async def scenario(api):
        await api.pod("a", labels={"app": "web"})
        await api.pod("b")
        answer = (await api.delete(f"{PODS}?labelSelector=app%3Dweb")).json
        assert [item["metadata"]["name"] for item in answer["items"]] == ["a"]
        left = (await api.get(PODS)).json["items"]
        assert [item["metadata"]["name"] for item in left] == ["b"]

    run(scenario)


def test_a_namespace_stays_until_its_finalizer_is_gone(run):
    async def scenario(api):
        await api.post("/api/v1/namespaces", {"metadata": {"name": "a"}})
        answer = (await api.delete("/api/v1/namespaces/a")).json
        assert answer["status"] == {"phase": "Terminating"}
        answer = await api.post("/api/v1/namespaces/a/configmaps", {"metadata": {"name": "c"}})
        assert answer.code == 403
        assert answer.json["details"]["causes"][0]["reason"] == "NamespaceTerminating"
        emptied = {"metadata": {"name": "a"}, "spec": {"finalizers": []}}
        assert (await api.put("/api/v1/namespaces/a/finalize", emptied)).code == 200
        assert (await api.get("/api/v1/namespaces/a")).code == 404

    run(scenario)


def test_events_are_one_object_in_two_views(run):
    async def scenario(api):
        event = {
            "metadata": {"name": "e", "namespace": "default"},
            "eventTime": "2026-01-01T00:00:00.000000Z",
            "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
            "reason": "Scheduled",
            "note": "on n1",
            "type": "Normal",
            "action": "Binding",
            "reportingController": "example.com/x",
            "reportingInstance": "x-1",
        }
        path = "/namespaces/default/events"
        assert (await api.post(f"/apis/events.k8s.io/v1{path}", event)).code == 201
        core = (await api.get(f"/api/v1{path}/e")).json
        assert (core["involvedObject"]["name"], core["message"]) == ("p", "on n1")
        new = (await api.get(f"/apis/events.k8s.io/v1{path}/e")).json
        assert (new["regarding"]["name"], new["note"]) == ("p", "on n1")
        query = "fieldSelector=involvedObject.name%3Dp"
        assert len((await api.get(f"/api/v1{path}?{query}")).json["items"]) == 1

    run(scenario)


def test_too_large_a_body_is_refused(run):
    async def scenario(api):
        answer = await api.post(MAPS, b"x" * (3 * 1024 * 1024 + 1))
        assert answer.code == 413
        assert answer.message == "Request entity too large: limit is 3145728"

    run(scenario)


def test_yaml_and_indentation_are_given_if_asked_for(run):
    async def scenario(api):
        await api.config_map("c", a="1")
        answer = await api.get(f"{MAPS}/c", accept="application/yaml")
        assert answer.headers["content-type"] == "application/yaml"
        assert answer.body.startswith(b'apiVersion: v1\ndata:\n  a: "1"\nkind: ConfigMap\n')
        assert b'\n  "apiVersion"' in (await api.get(f"{MAPS}/c?pretty=true")).body

    run(scenario)


def test_a_new_pods_own_labels_are_written_into_its_constraints(run):
    async def scenario(api):
        constraint = {
            "maxSkew": 1,
            "topologyKey": "zone",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}},
            "matchLabelKeys": ["version"],
        }
        pod = {
            "metadata": {"name": "p", "labels": {"app": "web", "version": "2"}},
            "spec": {
                "containers": [{"name": "c", "image": "i"}],
                "topologySpreadConstraints": [constraint],
            },
        }
        created = (await api.post(PODS, pod)).json
        selector = created["spec"]["topologySpreadConstraints"][0]["labelSelector"]
        added = {"key": "version", "operator": "In", "values": ["2"]}
        assert selector == {"matchLabels": {"app": "web"}, "matchExpressions": [added]}
        change = {"metadata": {"labels": {"version": "3"}}}
        changed = (await api.patch(f"{PODS}/p", change)).json
        assert changed["spec"] == created["spec"]

    run(scenario)


def test_what_is_hardly_meant_is_allowed_with_a_warning_once(run):
    async def scenario(api):
        pod = {
            "metadata": {"name": "p"},
            "spec": {
                "containers": [{"name": "c", "image": "i"}],
                "nodeSelector": {"beta.kubernetes.io/os": "linux"},
            },
        }
        created = await api.post(PODS, pod)
        assert created.code == 201
        assert "kubernetes.io/os" in created.headers["warning"]
        relabelled = await api.patch(f"{PODS}/p", {"metadata": {"labels": {"a": "b"}}})
        assert "warning" not in relabelled.headers

    run(scenario)


def test_metadata_come_in_the_order_in_which_go_writes_them(run):
    async def scenario(api):
        metadata = {"labels": {"a": "b"}, "name": "c"}
        created = await api.post(MAPS, {"metadata": metadata})
        expected = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"]
        listed = (await api.get(MAPS)).json["items"]
        read = await api.get(f"{MAPS}/c")
        for found in (created.json, read.json, listed[0]):
            assert [*found["metadata"]][:5] == expected

    run(scenario)


class _Contended(MemoryStore):
    """A store in which somebody else is quicker, once, after a pod has been told to end."""

    def __init__(self, *, removes: bool) -> None:
        super().__init__()
        self._removes = removes
        self._is_alone = False

    async def delete(self, key, expected):
        if key.startswith("pods/") and not self._is_alone:
            self._is_alone = True
            if self._removes:
                await super().delete(key, expected)
            else:
                await self.update(key, self.get(key).value, expected)
        return await super().delete(key, expected)


@pytest.mark.parametrize("removes", [True, False], ids=["removed", "changed"])
def test_a_pod_that_others_reach_first_while_it_is_removed_is_gone_as_was_asked(run, removes):
    async def scenario(api):
        await api.pod("web", nodeName="n")
        answer = await api.delete(f"{PODS}/web", {"gracePeriodSeconds": 0})
        assert answer.code == 200
        assert answer.json["metadata"]["deletionGracePeriodSeconds"] == 0
        assert (await api.get(f"{PODS}/web")).code == 404

    run(scenario, store=_Contended(removes=removes))
