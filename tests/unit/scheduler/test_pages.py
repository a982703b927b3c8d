"""What a scheduler shows over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

import aiohttp
import pytest
from tests.unit.scheduler.fake_api import FakeApi, node, pod

from kubeberth.api.scheme import NODES, PODS
from kubeberth.client.client import Client
from kubeberth.clock import SystemClock
from kubeberth.scheduler.access import Access
from kubeberth.scheduler.config import Settings
from kubeberth.scheduler.scheduler import run
from kubeberth.scheduler.serving import Door

Get = Callable[..., Awaitable[tuple[int, str]]]


class Reviewer(FakeApi):
    """Knows one token, whose owner may read `/metrics`."""

    def __init__(self) -> None:
        super().__init__()
        self.reviews = 0
        self.answers: dict[Any, int] = {}

    async def create(self, resource: Any, body: Any, namespace: Any = None, **rest: Any) -> Any:
        spec = body.get("spec", {})
        if resource.kind == "TokenReview":
            self.reviews += 1
            is_known = spec["token"] == "secret"
            user = {"username": "prometheus", "groups": ["system:authenticated"]}
            return {"status": {"authenticated": is_known, "user": user}}
        if resource.kind == "SubjectAccessReview":
            self.reviews += 1
            path = spec["nonResourceAttributes"]["path"]
            return {"status": {"allowed": (spec["user"], path) == ("prometheus", "/metrics")}}
        return await super().create(resource, body, namespace, **rest)


def with_door(story: Callable[[FakeApi, Get], Awaitable[None]], *there: Any, guarded: bool) -> None:
    async def both() -> None:
        api = Reviewer()
        for document in there:
            api.put(PODS if "spec" in document else NODES, document)
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        client = cast(Client, api)
        access = Access(client, SystemClock()) if guarded else None
        ready = asyncio.Event()
        running = run(client, Settings(), ready=ready.set, doors=[Door(listener, None, access)])
        scheduler = asyncio.create_task(running)
        await ready.wait()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

            async def get(path: str, token: str = "") -> tuple[int, str]:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                async with session.get(path, headers=headers) as response:
                    return response.status, await response.text()

            await story(api, get)
        scheduler.cancel()
        with suppress(asyncio.CancelledError):
            await scheduler

    asyncio.run(both())


def test_probes_say_ok_and_more_when_asked() -> None:
    async def story(api: FakeApi, get: Get) -> None:
        assert await get("/healthz") == (200, "ok")
        assert await get("/livez") == (200, "ok")
        assert await get("/readyz?verbose") == (
            200,
            "[+]ping ok\n[+]informer-sync ok\nreadyz check passed\n",
        )

    with_door(story, node("a"), guarded=False)


def test_metrics_have_the_names_of_kube_scheduler() -> None:
    async def story(api: FakeApi, get: Get) -> None:
        api.put(PODS, pod("web"))
        api.put(PODS, pod("big", cpu="40"))
        await api.until(lambda: len(api.written) == 2)
        status, text = await get("/metrics")
        assert status == 200
        lines = text.splitlines()
        profile = 'profile="default-scheduler"'
        for line in (
            f'scheduler_schedule_attempts_total{{{profile},result="scheduled"}} 1',
            f'scheduler_schedule_attempts_total{{{profile},result="unschedulable"}} 1',
            'scheduler_pending_pods{queue="unschedulable"} 1',
            'scheduler_pending_pods{queue="active"} 0',
            'scheduler_queue_incoming_pods_total{queue="active",event="PodAdd"} 2',
            f'scheduler_unschedulable_pods{{plugin="NodeResourcesFit",{profile}}} 1',
            'scheduler_cache_size{type="nodes"} 1',
            'scheduler_pod_scheduling_sli_duration_seconds_count{attempts="1"} 1',
            "scheduler_pod_scheduling_attempts_count 1",
            "scheduler_preemption_attempts_total 1",
        ):
            assert line in lines
        names = {line.split()[2] for line in lines if line.startswith("# TYPE")}
        assert "scheduler_scheduling_attempt_duration_seconds" in names
        assert "process_resident_memory_bytes" in names

    with_door(story, node("a"), guarded=False)


def test_dumps_show_who_waits_and_what_is_taken() -> None:
    async def story(api: FakeApi, get: Get) -> None:
        api.put(PODS, pod("web"))
        api.put(PODS, pod("big", cpu="40"))
        await api.until(lambda: len(api.written) == 2)
        queue = json.loads((await get("/debug/queue"))[1])
        assert queue["counts"] == {"waiting": 1}
        assert queue["pods"][0]["pod"] == "default/big"
        assert queue["pods"][0]["rejectedBy"] == ["NodeResourcesFit"]
        cache = json.loads((await get("/debug/cache"))[1])
        assert cache["nodes"]["a"]["pods"] == ["default/web"]
        assert cache["nodes"]["a"]["resources"]["cpu"] == {"requested": "100m", "allocatable": "1"}

    with_door(story, node("a"), guarded=False)


def test_why_tells_what_is_in_the_way_and_the_scores_at_the_time() -> None:
    async def story(api: FakeApi, get: Get) -> None:
        api.put(PODS, pod("web"))
        await api.until(lambda: api.bindings)
        chosen = api.bindings[0][1]
        api.put(PODS, pod("big", cpu="40"))
        await api.until(lambda: len(api.written) == 2)
        async with asyncio.timeout(5):
            while not (web := json.loads((await get("/why/default/web"))[1])).get("at"):
                await asyncio.sleep(0.001)  # the scores are written once the binding is sent
        assert (web["state"], web["node"], web["nFeasible"]) == ("placed", chosen, 2)
        assert {row["node"] for row in web["best"]} == {"a", "b"}
        # Before it was placed: the nodes were equal.
        assert len({row["total"] for row in web["best"]}) == 1
        big = json.loads((await get("/why/default/big"))[1])
        assert big["state"] == "pending"
        assert big["queue"]["place"] == "waiting"
        assert [obstacle["reason"] for obstacle in big["obstacles"]] == ["Insufficient cpu"]
        status, text = await get("/why/default/nobody")
        assert (status, json.loads(text)["message"]) == (404, 'pods "nobody" not found')

    with_door(story, node("a"), node("b"), guarded=False)


def test_a_pod_of_a_node_that_is_not_there_is_told_so() -> None:
    async def story(api: FakeApi, get: Get) -> None:
        lost = json.loads((await get("/why/default/lost"))[1])
        assert (lost["state"], lost["node"]) == ("placed", "gone")
        assert lost["message"].startswith("its nodeName names a node that is not there")

    with_door(story, node("a"), pod("lost", nodeName="gone"), guarded=False)


def test_a_gated_pod_and_one_of_another_scheduler_are_told_apart() -> None:
    async def story(api: FakeApi, get: Get) -> None:
        gated = json.loads((await get("/why/default/gated"))[1])
        assert (gated["state"], gated["queue"]["place"]) == ("gated", "gated")
        other = json.loads((await get("/why/default/other"))[1])
        assert other["message"] == 'waits for a scheduler called "mine", which this is not'

    gates = [{"name": "quota"}]
    there = [pod("gated", schedulingGates=gates), pod("other", schedulerName="mine")]
    with_door(story, node("a"), *there, guarded=False)


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/healthz", "", 200),
        ("/metrics", "", 403),
        ("/metrics", "wrong", 401),
        ("/metrics", "secret", 200),
        ("/debug/cache", "secret", 403),
        ("/why/default/web", "", 403),
    ],
)
def test_the_api_server_says_who_may_see_what(path: str, token: str, status: int) -> None:
    async def story(api: FakeApi, get: Get) -> None:
        assert (await get(path, token))[0] == status

    with_door(story, node("a"), guarded=True)


def test_the_api_server_is_not_asked_again_within_seconds() -> None:
    async def story(api: FakeApi, get: Get) -> None:
        for _ in range(3):
            assert (await get("/metrics", "secret"))[0] == 200
        assert cast(Reviewer, api).reviews == 2

    with_door(story, node("a"), guarded=True)


def test_what_is_asked_of_many_nodes_does_not_hold_up_the_others_for_long() -> None:
    nodes = [node(f"node-{index}") for index in range(1000)]

    async def story(api: FakeApi, get: Get) -> None:
        api.put(PODS, pod("big", cpu="40", nodeSelector={"disk": "ssd"}))
        await api.until(lambda: api.written)
        began_at = time.monotonic()
        why = json.loads((await get("/why/default/big"))[1])
        assert time.monotonic() - began_at < 2
        assert len(why["obstacles"][0]["nodes"]) == 1000

    with_door(story, *nodes, guarded=False)
