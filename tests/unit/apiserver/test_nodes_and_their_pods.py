"""Nodes, and pods on them, through the server; numbers are those of rules/node_cases.yaml."""

import pytest
from tests.unit.apiserver.captured_node import N1, NODES, PODS, allow_nodes, nodes

HOME = "/api/v1/namespaces/default"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


async def running(api, name, *, ready="True"):
    await api.pod(name, nodeName="n", labels={"app": "web"})
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
    await api.patch(f"{PODS}/{name}/status", {"status": status})


async def budget(api, *, healthy, desired, allowed=0, **spec):
    body = {"metadata": {"name": "pdb"}}
    selector = {"matchLabels": {"app": "web"}}
    body["spec"] = {"minAvailable": desired, "selector": selector, **spec}
    await api.post(BUDGETS, body)
    counts = {"currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": 3}
    status = {"observedGeneration": 1, "disruptionsAllowed": allowed, **counts}
    await api.patch(f"{BUDGETS}/pdb/status", {"status": status})


async def evict(api, name):
    return await api.post(f"{PODS}/{name}/eviction", {"metadata": {"name": name}})


def test_who_replaces_a_node_changes_its_labels_and_not_its_status(run):
    """N13."""

    async def scenario(api):
        status = {"capacity": {"cpu": "4"}, "allocatable": {"cpu": "4"}}
        body = (await api.post(NODES, {"metadata": {"name": "n1"}, "status": status})).json
        body["metadata"]["labels"] = {"disk": "ssd"}
        body["status"] = {"capacity": {"cpu": "99"}}
        answer = await api.put(f"{NODES}/n1", body)
        assert answer.json["metadata"]["labels"] == {"disk": "ssd"}
        assert answer.json["status"]["capacity"] == {"cpu": "4"}

    run(scenario)


def test_labels_go_through_the_status_of_a_node(run):
    """N14."""

    async def scenario(api):
        await api.post(NODES, {"metadata": {"name": "n1"}})
        answer = await api.patch(f"{NODES}/n1/status", {"metadata": {"labels": {"disk": "ssd"}}})
        assert answer.code == 200
        assert (await api.get(f"{NODES}/n1")).json["metadata"]["labels"] == {"disk": "ssd"}

    run(scenario)


def test_a_node_stays_the_machine_that_it_is(run):
    """N15."""

    async def scenario(api):
        await api.post(NODES, {"metadata": {"name": "n1"}})
        assert (await api.patch(f"{NODES}/n1", {"spec": {"providerID": "a"}})).code == 200
        answer = await api.patch(f"{NODES}/n1", {"spec": {"providerID": "b"}})
        assert answer.code == 422
        assert 'node updates may not change providerID except from "" to valid' in answer.message

    run(scenario)


def test_what_nodes_may_not_read_as_nodes_rbac_may_allow_them(run):
    """N62."""

    async def scenario(api):
        await nodes(api)
        await api.post(f"{HOME}/secrets", {"metadata": {"name": "s"}})
        refusal = "no relationship found between node 'n1' and this object"
        answer = await api.get(f"{HOME}/secrets/s", user=N1)
        assert answer.code == 403
        assert refusal in answer.message
        await allow_nodes(api, ["get"], "secrets")
        assert (await api.get(f"{HOME}/secrets/s", user=N1)).code == 200

    run(scenario)


def test_a_gated_pod_cannot_be_on_a_node_yet(run):
    """N96."""

    async def scenario(api):
        answer = await api.pod("p", nodeName="n", schedulingGates=[{"name": "wait"}])
        assert answer.code == 422
        assert "cannot be set until all schedulingGates have been cleared" in answer.message

    run(scenario)


@pytest.mark.parametrize(
    ("spec", "query"),
    [
        pytest.param({"nodeName": "n"}, "?gracePeriodSeconds=0", id="N106: without grace"),
        pytest.param({}, "", id="N107: it never came to a node"),
    ],
)
def test_a_pod_goes_at_once(run, spec, query):
    async def scenario(api):
        await api.pod("p", **spec)
        assert (await api.ask("DELETE", f"{PODS}/p{query}")).code == 200
        assert (await api.get(f"{PODS}/p")).code == 404

    run(scenario)


@pytest.mark.parametrize(
    ("ready", "healthy", "desired", "policy", "code"),
    [
        pytest.param("True", 2, 2, None, 429, id="N143: a healthy one that is needed"),
        pytest.param("False", 2, 2, None, 201, id="N144: an unhealthy one that is not needed"),
        pytest.param("False", 2, 3, None, 429, id="N145: an unhealthy one, of too few"),
        pytest.param("False", 2, 3, "AlwaysAllow", 201, id="N145: that does not matter"),
    ],
)
def test_whether_a_pod_may_go_depends_on_how_many_are_healthy(
    run, ready, healthy, desired, policy, code
):
    async def scenario(api):
        await running(api, "a", ready=ready)
        more = {"unhealthyPodEvictionPolicy": policy} if policy else {}
        await budget(api, healthy=healthy, desired=desired, **more)
        answer = await evict(api, "a")
        assert answer.code == code
        if code == 429:
            (cause,) = answer.json["details"]["causes"]
            assert cause["message"] == (
                f"The disruption budget pdb needs {desired} healthy pods and has {healthy} "
                "currently"
            )

    run(scenario)


def test_a_pod_that_does_not_run_yet_may_go_whatever_its_budget(run):
    """N147."""

    async def scenario(api):
        await api.pod("a", labels={"app": "web"})
        await budget(api, healthy=0, desired=1)
        assert (await evict(api, "a")).code == 201
        assert (await api.get(f"{PODS}/a")).code == 404

    run(scenario)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("nodeAffinity", {"nodeSelectorTerms": []}),
        ("podAntiAffinity", [{"topologyKey": "kubernetes.io/hostname"}]),
    ],
)
def test_rules_for_the_time_of_execution_are_no_fields(run, kind, rule):
    """N149."""
    field = "requiredDuringSchedulingRequiredDuringExecution"
    path = f"spec.affinity.{kind}.{field}"
    spec = {
        "containers": [{"name": "c", "image": "i"}],
        "affinity": {kind: {field: rule}},
    }

    async def scenario(api):
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
        strict = await api.post(f"{PODS}?fieldValidation=Strict", body)
        assert strict.code == 400
        assert strict.message == (
            'Pod in version "v1" cannot be handled as a Pod: strict decoding error: '
            f'unknown field "{path}"'
        )
        warned = await api.post(PODS, body)
        assert warned.code == 201
        assert warned.warnings == [f'unknown field "{path}"']
        assert warned.json["spec"]["affinity"] == {kind: {}}

    run(scenario)
