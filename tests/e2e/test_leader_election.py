"""Two schedulers, one lease: one works, the other takes over when it is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeberth.api.scheme import LEASES, NEW_EVENTS, NODES, PODS
from kubeberth.client.client import Client
from tests.e2e.conftest import Berth
from tests.e2e.elected_pair import LEASE_S, RETRY_S, ElectedPair

pytestmark = pytest.mark.e2e

NAME = "second"
N_PODS = 60


@pytest.fixture
def pair(berth: Berth, tmp_path: Path) -> Iterator[ElectedPair]:
    """Two schedulers by the same name, on a cluster whose own one leaves their pods alone."""
    berth.up("--nodes", "3")
    options = ["--kubeconfig", str(berth.data / "kubeconfig")]
    options += ["--scheduler-name", NAME, "--secure-port", "0"]
    made = ElectedPair("scheduler", options, tmp_path)
    yield made
    made.stop()


def pod(name: str, cpu: str = "100m") -> dict[str, Any]:
    container = {"name": "main", "image": "x", "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"schedulerName": NAME, "containers": [container]},
    }


async def until_bound(client: Client, n_pods: int, within_s: float) -> list[dict[str, Any]]:
    async with asyncio.timeout(within_s):
        while True:
            pods = (await client.list(PODS, "default"))["items"]
            if sum(bool(pod["spec"].get("nodeName")) for pod in pods) == n_pods:
                return list(pods)
            await asyncio.sleep(0.05)


def test_the_other_takes_over_from_a_leader_that_is_killed_and_no_pod_is_lost(
    berth: Berth, pair: ElectedPair
) -> None:
    leader = pair.leader()
    follower = 1 - leader

    async def story() -> None:
        async with Client.from_kubeconfig(berth.data / "kubeconfig") as client:
            for index in range(N_PODS // 2):
                await client.create(PODS, pod(f"before-{index}"))
            await until_bound(client, N_PODS // 2, 10)
            assert not pair.leads(follower)

            creating = [client.create(PODS, pod(f"after-{i}")) for i in range(N_PODS // 2)]
            flood = asyncio.gather(*creating)
            await asyncio.sleep(0.01)
            os.kill(pair.processes[leader].pid, signal.SIGKILL)
            killed_at = time.monotonic()
            await flood
            # The lease must run out, and the follower look at it once more.
            pods = await until_bound(client, N_PODS, LEASE_S + RETRY_S * 2.2 + 3)
            assert time.monotonic() - killed_at < LEASE_S + RETRY_S * 2.2 + 3

            events = (await client.list(NEW_EVENTS, "default"))["items"]
            bound = Counter(e["regarding"]["uid"] for e in events if e["reason"] == "Scheduled")
            assert max(bound.values()) == 1
            nodes = (await client.list(NODES))["items"]
            room = {n["metadata"]["name"]: int(n["status"]["allocatable"]["pods"]) for n in nodes}
            on = Counter(pod["spec"]["nodeName"] for pod in pods)
            assert all(on[name] <= room[name] for name in on)
            lease = await client.get(LEASES, NAME, "kube-system")
            assert lease["spec"]["leaseTransitions"] == 1

    asyncio.run(story())


def test_a_leader_that_is_told_to_end_lets_the_other_go_on_at_once(
    berth: Berth, pair: ElectedPair
) -> None:
    leader = pair.leader()

    async def story() -> None:
        async with Client.from_kubeconfig(berth.data / "kubeconfig") as client:
            pair.processes[leader].terminate()
            assert pair.processes[leader].wait(5) == 0
            await client.create(PODS, pod("web"))
            await until_bound(client, 1, RETRY_S * 2.2 + 2)

    asyncio.run(story())


def test_a_leader_that_slept_through_its_lease_decides_nothing_more(
    berth: Berth, pair: ElectedPair
) -> None:
    leader = pair.leader()
    process = pair.processes[leader]

    async def story() -> None:
        async with Client.from_kubeconfig(berth.data / "kubeconfig") as client:
            os.kill(process.pid, signal.SIGSTOP)
            await client.create(PODS, pod("web"))
            await until_bound(client, 1, LEASE_S + RETRY_S * 2.2 + 3)
            await client.create(PODS, pod("late"))
            os.kill(process.pid, signal.SIGCONT)
            await until_bound(client, 2, 10)

    asyncio.run(story())
    assert process.wait(5) == 1
    assert "leaderelection lost" in pair.log(leader).read_text()
