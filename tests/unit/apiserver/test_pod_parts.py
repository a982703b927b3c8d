"""Ephemeral containers and resizes through the API."""

PODS = "/api/v1/namespaces/default/pods"
STRATEGIC = "strategic-merge-patch+json"


def test_an_ephemeral_container_comes_by_patch_with_its_defaults(run):
    async def scenario(api):
        await api.pod("p")
        change = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox"}]}}
        answer = await api.patch(f"{PODS}/p/ephemeralcontainers", change, kind=STRATEGIC)
        assert answer.code == 200
        (container,) = answer.json["spec"]["ephemeralContainers"]
        assert container["imagePullPolicy"] == "Always"
        assert answer.json["metadata"]["generation"] == 2
        assert (await api.get(f"{PODS}/p/ephemeralcontainers")).json == answer.json

    run(scenario)


def test_nothing_else_is_changed_through_the_ephemeral_containers(run):
    async def scenario(api):
        pod = (await api.pod("p", labels={"a": "b"})).json
        pod["metadata"]["labels"] = {"c": "d"}
        pod["spec"]["containers"][0]["image"] = "other"
        pod["status"] = {"phase": "Failed"}
        answer = await api.put(f"{PODS}/p/ephemeralcontainers", pod)
        assert answer.code == 200
        assert answer.json["metadata"]["labels"] == {"a": "b"}
        assert answer.json["spec"]["containers"][0]["image"] == "nginx"
        assert answer.json["status"]["phase"] == "Pending"
        assert answer.json["metadata"]["generation"] == 1

    run(scenario)


def test_ephemeral_containers_do_not_come_with_the_pod_itself(run):
    async def scenario(api):
        await api.pod("p")
        change = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox"}]}}
        answer = await api.patch(f"{PODS}/p", change, kind=STRATEGIC)
        assert answer.code == 422

    run(scenario)


def test_a_resize_changes_resources_and_their_policy_alone(run):
    async def scenario(api):
        resources = {"requests": {"cpu": "1"}}
        await api.pod("p", containers=[{"name": "c", "image": "nginx", "resources": resources}])
        policy = [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]
        more = {"requests": {"cpu": "2"}}
        container = {"name": "c", "image": "other", "resources": more}
        answer = await api.patch(
            f"{PODS}/p/resize", {"spec": {"containers": [container]}}, kind=STRATEGIC
        )
        assert answer.code == 200, answer.message
        (found,) = answer.json["spec"]["containers"]
        assert (found["image"], found["resources"]) == ("nginx", more)
        assert answer.json["metadata"]["generation"] == 2
        container["resizePolicy"] = policy
        answer = await api.patch(
            f"{PODS}/p/resize", {"spec": {"containers": [container]}}, kind=STRATEGIC
        )
        assert "only cpu and memory resources are mutable" in answer.message

    run(scenario)


def test_resources_do_not_change_with_the_pod_itself(run):
    async def scenario(api):
        await api.pod("p")
        change = {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]}}
        answer = await api.patch(f"{PODS}/p", change, kind=STRATEGIC)
        assert "pod updates may not change fields other than" in answer.message

    run(scenario)


async def resized(api, cpu):
    container = {"name": "c", "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}}
    change = {"spec": {"containers": [container]}}
    return await api.patch(f"{PODS}/p/resize", change, kind=STRATEGIC)


async def resizable(api):
    resources = {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}
    container = {"name": "c", "image": "nginx", "resources": resources}
    assert (await api.pod("p", containers=[container])).code == 201


def test_a_resize_stays_within_the_limits_of_the_namespace(run):
    async def scenario(api):
        await resizable(api)
        limits = {"limits": [{"type": "Container", "max": {"cpu": "2"}}]}
        body = {"metadata": {"name": "l"}, "spec": limits}
        await api.post("/api/v1/namespaces/default/limitranges", body)
        assert (await resized(api, "2")).code == 200
        answer = await resized(api, "3")
        assert answer.code == 403
        assert "maximum cpu usage per Container is 2, but limit is 3" in answer.message

    run(scenario)


def test_a_resize_is_charged_to_the_quota(run):
    async def scenario(api):
        await resizable(api)
        quotas = "/api/v1/namespaces/default/resourcequotas"
        spec = {"hard": {"requests.cpu": "2"}}
        await api.post(quotas, {"metadata": {"name": "q"}, "spec": spec})
        status = {"status": {"hard": {"requests.cpu": "2"}, "used": {"requests.cpu": "1"}}}
        assert (await api.patch(f"{quotas}/q/status", status)).code == 200
        assert (await resized(api, "1500m")).code == 200
        used = (await api.get(f"{quotas}/q")).json["status"]["used"]
        assert used == {"requests.cpu": "1500m"}
        answer = await resized(api, "3")
        assert answer.code == 403
        assert "exceeded quota: q, requested: requests.cpu=1500m" in answer.message

    run(scenario)
