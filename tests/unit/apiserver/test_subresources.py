"""Binding, eviction and scale."""

import asyncio

PODS = "/api/v1/namespaces/default/pods"


def binding(name, node="n1", **metadata):
    return {"metadata": {"name": name, **metadata}, "target": {"kind": "Node", "name": node}}


def test_a_binding_puts_the_pod_on_its_node(run):
    async def scenario(api):
        labels = {"topology.kubernetes.io/zone": "z1", "other": "x"}
        await api.post("/api/v1/nodes", {"metadata": {"name": "n1", "labels": labels}})
        await api.pod("p")
        answer = await api.post(f"{PODS}/p/binding", binding("p", annotations={"a": "b"}))
        assert answer.code == 201
        assert (answer.json["kind"], answer.json["status"]) == ("Status", "Success")
        pod = (await api.get(f"{PODS}/p")).json
        assert pod["spec"]["nodeName"] == "n1"
        assert pod["metadata"]["labels"] == {"topology.kubernetes.io/zone": "z1"}
        assert pod["metadata"]["annotations"] == {"a": "b"}
        assert pod["metadata"]["generation"] == 1
        (condition,) = pod["status"]["conditions"]
        assert (condition["type"], condition["status"]) == ("PodScheduled", "True")

    run(scenario)


def test_of_many_bindings_of_a_pod_one_wins(run):
    async def scenario(api):
        await api.pod("p")
        answers = await asyncio.gather(
            *(api.post(f"{PODS}/p/binding", binding("p", f"n{i}")) for i in range(8))
        )
        assert sorted(answer.code for answer in answers) == [201] + [409] * 7

    run(scenario)


def test_a_binding_can_be_refused_for_many_reasons(run):
    async def scenario(api):
        await api.pod("gated", schedulingGates=[{"name": "g"}])
        await api.pod("p")
        cases = [
            ("gated", binding("gated"), 409, "non-empty .spec.schedulingGates"),
            ("p", binding("p", uid="other"), 409, "UID in precondition: other"),
            ("p", binding("q"), 400, "name in URL does not match name in Binding object"),
            ("p", {"metadata": {"name": "p"}, "target": {}}, 500, "target.name: Required value"),
            ("absent", binding("absent"), 404, 'pods "absent" not found'),
        ]
        for name, body, code, text in cases:
            answer = await api.post(f"{PODS}/{name}/binding", body)
            assert answer.code == code
            assert text in answer.message

    run(scenario)


def test_an_eviction_marks_the_pod_and_deletes_it(run):
    async def scenario(api):
        await api.pod("p", nodeName="n1")
        answer = await api.post(f"{PODS}/p/eviction", {"metadata": {"name": "p"}})
        assert (answer.code, answer.json["status"]) == (201, "Success")
        pod = (await api.get(f"{PODS}/p")).json
        assert "deletionTimestamp" in pod["metadata"]
        assert pod["status"]["conditions"][0]["type"] == "DisruptionTarget"

    run(scenario)


def test_scale_writes_the_replicas_of_its_workload(run):
    async def scenario(api):
        deployments = "/apis/apps/v1/namespaces/default/deployments"
        template = {
            "metadata": {"labels": {"app": "d"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        }
        spec = {"selector": {"matchLabels": {"app": "d"}}, "template": template}
        await api.post(deployments, {"metadata": {"name": "d"}, "spec": spec})
        scale = (await api.get(f"{deployments}/d/scale")).json
        assert (scale["spec"], scale["status"]) == (
            {"replicas": 1},
            {"replicas": 0, "selector": "app=d"},
        )
        answer = await api.patch(f"{deployments}/d/scale", {"spec": {"replicas": 3}})
        assert answer.json["spec"] == {"replicas": 3}
        deployment = (await api.get(f"{deployments}/d")).json
        assert (deployment["spec"]["replicas"], deployment["metadata"]["generation"]) == (3, 2)
        answer = await api.put(f"{deployments}/d/scale", scale)
        assert answer.code == 409
        answer = await api.patch(f"{deployments}/d/scale", {"spec": {"replicas": -1}})
        assert answer.code == 422

    run(scenario)
