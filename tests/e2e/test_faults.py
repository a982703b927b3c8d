"""A scheduler before an API server in trouble: it waits, goes on, and never takes too much."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from typing import Any

import msgspec
import pytest

from kubeberth.api.quantity import milli_value
from kubeberth.api.scheme import NODES, PODS
from kubeberth.client.client import Client
from kubeberth.client.credentials import Credentials
from kubeberth.client.kubeconfig import load_kubeconfig
from kubeberth.clock import SystemClock
from kubeberth.errors import BerthError
from kubeberth.scheduler.config import parse_configuration, to_settings
from kubeberth.scheduler.scheduler import run
from tests.e2e.conftest import Berth
from tests.e2e.faulty_proxy import FaultyProxy

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NAME = "in-trouble"
CONFIGURATION = f"""
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles: [{{schedulerName: {NAME}}}]
""".encode()


def pod(name: str, cpu: str) -> dict[str, Any]:
    container = {"name": "main", "image": "x", "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"schedulerName": NAME, "containers": [container]},
    }


class Auditor:
    """Follows all pods past the proxy, and notes every node that each one was ever on."""

    def __init__(self) -> None:
        self.nodes: dict[str, list[str]] = defaultdict(list)
        self._taken: dict[str, int] = defaultdict(int)
        self.overcommitted: list[str] = []

    async def run(self, client: Client, room: dict[str, int]) -> None:
        version = "0"
        while True:
            with contextlib.suppress(BerthError):
                async for event in client.watch(PODS, "default", resource_version=version):
                    document = msgspec.json.decode(event.object)
                    version = document["metadata"]["resourceVersion"]
                    if event.type != "BOOKMARK":
                        self._note(document, room)
            await asyncio.sleep(0.05)

    def _note(self, document: dict[str, Any], room: dict[str, int]) -> None:
        node, uid = document["spec"].get("nodeName", ""), document["metadata"]["uid"]
        if not node or (self.nodes[uid] and self.nodes[uid][-1] == node):
            return
        self.nodes[uid].append(node)
        [container] = document["spec"]["containers"]
        self._taken[node] += milli_value(container["resources"]["requests"]["cpu"])
        if self._taken[node] > room[node]:
            self.overcommitted.append(node)


async def until_there(client: Client) -> None:
    """Wait until the API server is back."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(BerthError):
                await client.list(NODES)
                return
            await asyncio.sleep(0.1)


async def count_bound(client: Client) -> int:
    items = (await client.list(PODS, "default"))["items"]
    return sum(bool(item["spec"].get("nodeName")) for item in items)


@pytest.mark.parametrize("seed", [1, 2])
def test_pods_are_bound_once_and_no_node_gets_too_many(berth: Berth, seed: int) -> None:
    berth.up("--nodes", "4")
    credentials = load_kubeconfig(berth.data / "kubeconfig")

    async def story() -> None:
        proxy, auditor = FaultyProxy(credentials, 0.25, seed), Auditor()
        async with Client(credentials) as client, proxy.running() as url:
            nodes = (await client.list(NODES))["items"]
            room = {
                n["metadata"]["name"]: milli_value(n["status"]["allocatable"]["cpu"]) for n in nodes
            }
            # Each takes a fifth of a node: four nodes hold 20 of the 30.
            share = f"{min(room.values()) // 5}m"
            auditing = asyncio.create_task(auditor.run(client, room))
            settings = to_settings(parse_configuration(CONFIGURATION), {}, seed)
            async with Client(Credentials(url)) as troubled:
                scheduling = asyncio.create_task(run(troubled, settings, clock=SystemClock()))
                for index in range(30):
                    await client.create(PODS, pod(f"web-{index}", share))
                    await asyncio.sleep(0.02)
                    if index == 15:
                        berth.kill("apiserver")
                        await until_there(client)
                async with asyncio.timeout(60):
                    while await count_bound(client) < 20:
                        assert not scheduling.done()
                        await asyncio.sleep(0.1)
                # Trouble ends: the pods that found no room are still known, and get it.
                proxy.rate = 0.0
                bound = (await client.list(PODS, "default"))["items"]
                for item in [i for i in bound if i["spec"].get("nodeName")][:5]:
                    auditor._taken[item["spec"]["nodeName"]] -= milli_value(share)
                    name = item["metadata"]["name"]
                    await client.delete(PODS, name, "default", grace_period_s=0)
                async with asyncio.timeout(30):
                    while await count_bound(client) < 20:
                        await asyncio.sleep(0.1)
                scheduling.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await scheduling
            auditing.cancel()
        await asyncio.sleep(0.3)  # connections that were hung up on end in their own time
        assert [uid for uid, on in auditor.nodes.items() if len(on) > 1] == []
        assert auditor.overcommitted == []
        assert sum(bool(on) for on in auditor.nodes.values()) == 25
        assert len(proxy.faults) >= 6, proxy.faults

    asyncio.run(story())
