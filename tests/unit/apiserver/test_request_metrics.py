"""What the server counts of its requests, and shows under `/metrics`."""

from kubeberth.apiserver.auth.authn import AUTHENTICATED, User
from kubeberth.apiserver.in_flight import InFlight, Limits

MAPS = "/api/v1/namespaces/default/configmaps"
ALICE = User("alice", frozenset((AUTHENTICATED,)))
PROMETHEUS = User("prometheus", frozenset((AUTHENTICATED, "system:monitoring")))


async def samples(api, name: str) -> dict[str, float]:
    """Return the samples of a metric by their labels."""
    answer = await api.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = [line for line in answer.body.decode().splitlines() if line.startswith(name + "{")]
    found = {}
    for line in lines:
        labels, _, value = line.removeprefix(name).rpartition(" ")
        found[labels] = float(value)
    return found


def of_maps(verb: str, code: int, scope: str, dry_run: str = "") -> str:
    return (
        f'{{code="{code}",component="apiserver",dry_run="{dry_run}",group="",'
        f'resource="configmaps",scope="{scope}",subresource="",verb="{verb}",version="v1"}}'
    )


def test_every_request_for_a_resource_is_counted_with_what_became_of_it(run):
    async def scenario(api):
        body = {"metadata": {"name": "a"}}
        await api.post(MAPS, body)
        await api.post(MAPS, body)
        await api.post(f"{MAPS}?dryRun=All", {"metadata": {"name": "b"}})
        await api.get(f"{MAPS}/a")
        await api.get(MAPS)
        await api.get("/api/v1/configmaps")
        await api.delete(f"{MAPS}/a")
        found = await samples(api, "apiserver_request_total")
        assert {labels: n for labels, n in found.items() if "configmaps" in labels} == {
            of_maps("POST", 201, "resource"): 1,
            of_maps("POST", 409, "resource"): 1,
            of_maps("POST", 201, "resource", "All"): 1,
            of_maps("GET", 200, "resource"): 1,
            of_maps("LIST", 200, "namespace"): 1,
            of_maps("LIST", 200, "cluster"): 1,
            of_maps("DELETE", 200, "resource"): 1,
        }
        seconds = await samples(api, "apiserver_request_duration_seconds_count")
        of_trials = [n for labels, n in seconds.items() if 'dry_run="All"' in labels]
        assert of_trials == [1]

    run(scenario)


def test_an_apply_is_told_from_other_patches_and_a_patch_of_no_known_kind_is_counted(run):
    async def scenario(api):
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
        for media_type in ("apply-patch+yaml", "merge-patch+json", "nonsense"):
            query = "?fieldManager=me" if "apply" in media_type else ""
            await api.patch(f"{MAPS}/a{query}", config, media_type)
        found = await samples(api, "apiserver_request_total")
        assert found[of_maps("APPLY", 201, "resource")] == 1
        assert found[of_maps("PATCH", 200, "resource")] == 1
        assert found[of_maps("PATCH", 415, "resource")] == 1

    run(scenario)


def test_a_watch_is_open_until_it_ends_and_counted_then(run):
    async def scenario(api):
        async with api.watch(f"{MAPS}?watch=1") as watch:
            await api.post(MAPS, {"metadata": {"name": "a"}})
            await watch()
            open_now = await samples(api, "apiserver_longrunning_requests")
            assert [n for labels, n in open_now.items() if "configmaps" in labels] == [1]
            ended = await samples(api, "apiserver_request_total")
            assert of_maps("WATCH", 200, "namespace") not in ended
        assert not await samples(api, "apiserver_longrunning_requests")
        ended = await samples(api, "apiserver_request_total")
        assert ended[of_maps("WATCH", 200, "namespace")] == 1

    run(scenario)


def test_who_finds_no_seat_is_counted_with_429(run):
    async def scenario(api):
        api.app._in_flight = InFlight(Limits(reads=0, waiting=0))
        assert (await api.get(MAPS, user=ALICE)).code == 429
        found = await samples(api, "apiserver_request_total")
        assert found[of_maps("LIST", 429, "namespace")] == 1

    run(scenario)


def test_what_is_stored_is_counted_by_resource(run):
    async def scenario(api):
        await api.post(MAPS, {"metadata": {"name": "a"}})
        found = await samples(api, "apiserver_storage_objects")
        assert found['{resource="configmaps"}'] == 1
        assert found['{resource="clusterroles.rbac.authorization.k8s.io"}'] > 10
        await api.delete(f"{MAPS}/a")
        assert '{resource="configmaps"}' not in await samples(api, "apiserver_storage_objects")

    run(scenario)


def test_only_who_may_sees_it(run):
    async def scenario(api):
        refused = await api.get("/metrics", user=ALICE)
        assert refused.code == 403
        assert 'User "alice" cannot get path "/metrics"' in refused.message
        assert (await api.get("/metrics", user=PROMETHEUS)).code == 200
        assert (await api.post("/metrics", {})).code == 405

    run(scenario)
