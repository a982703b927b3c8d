"""Two processes of controllers, one lease: one works, the other takes over when it is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeberth.api.scheme import DEPLOYMENTS, LEASES, PODS, REPLICA_SETS
from kubeberth.bench.apiserver import OwnServer
from kubeberth.client.client import Client
from kubeberth.clock import SystemClock
from kubeberth.cluster.kubeconfigs import kubeconfig, linked_user
from kubeberth.cluster.pki import CONTROLLERS, Authority
from tests.e2e.elected_pair import LEASE_S, RETRY_S, ElectedPair

pytestmark = pytest.mark.e2e

# The lease must run out, and the follower look at it once more and read what there is.
TAKES_OVER_WITHIN_S = LEASE_S + RETRY_S * 2.2 + 5


@pytest.fixture
def server() -> Iterator[OwnServer]:
    with OwnServer(SystemClock()) as made:
        made.start()
        yield made


@pytest.fixture
def pair(server: OwnServer, tmp_path: Path) -> Iterator[ElectedPair]:
    """With the rights of upstream's controllers and no more."""
    authority = Authority(server.folder / "pki", SystemClock().now())
    user = linked_user(authority.client("controllers", CONTROLLERS))
    text = kubeconfig(f"https://127.0.0.1:{server.port}", authority.cert_file, user)
    (tmp_path / "kubeconfig").write_text(text)
    options = ["--kubeconfig", str(tmp_path / "kubeconfig"), "--use-service-account-credentials"]
    made = ElectedPair("controllers", options, tmp_path)
    yield made
    made.stop()


def deployment(name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "nginx"}]},
            },
        },
    }


async def until_made(client: Client, n_pods: int, within_s: float) -> None:
    """Wait for so many pods, and see that there are never more."""
    async with asyncio.timeout(within_s):
        while True:
            pods = (await client.list(PODS, "default"))["items"]
            assert len(pods) <= n_pods
            if len(pods) == n_pods:
                return
            await asyncio.sleep(0.05)


def test_the_other_takes_over_from_controllers_that_are_killed_and_no_pod_is_made_twice(
    server: OwnServer, pair: ElectedPair
) -> None:
    leader = pair.leader()

    async def story() -> None:
        async with Client.from_kubeconfig(server.kubeconfig) as client:
            await client.create(DEPLOYMENTS, deployment("before", 3), "default")
            await until_made(client, 3, 10)
            assert not pair.leads(1 - leader)

            await client.create(DEPLOYMENTS, deployment("after", 200), "default")
            while len((await client.list(PODS, "default"))["items"]) < 10:
                await asyncio.sleep(0.005)
            os.kill(pair.processes[leader].pid, signal.SIGKILL)
            await until_made(client, 203, TAKES_OVER_WITHIN_S)
            await asyncio.sleep(0.5)
            await until_made(client, 203, 5)
            assert len((await client.list(REPLICA_SETS, "default"))["items"]) == 2
            lease = await client.get(LEASES, "kube-controller-manager", "kube-system")
            assert lease["spec"]["leaseTransitions"] == 1

    asyncio.run(story())


def test_controllers_that_are_told_to_end_let_the_others_go_on_at_once(
    server: OwnServer, pair: ElectedPair
) -> None:
    leader = pair.leader()

    async def story() -> None:
        async with Client.from_kubeconfig(server.kubeconfig) as client:
            pair.processes[leader].terminate()
            assert pair.processes[leader].wait(5) == 0
            await client.create(DEPLOYMENTS, deployment("web", 3), "default")
            await until_made(client, 3, RETRY_S * 2.2 + 5)

    asyncio.run(story())


def test_controllers_that_slept_through_their_lease_write_nothing_more(
    server: OwnServer, pair: ElectedPair
) -> None:
    leader = pair.leader()
    process = pair.processes[leader]

    async def story() -> None:
        async with Client.from_kubeconfig(server.kubeconfig) as client:
            await client.create(DEPLOYMENTS, deployment("web", 200), "default")
            while len((await client.list(PODS, "default"))["items"]) < 10:
                await asyncio.sleep(0.005)
            os.kill(process.pid, signal.SIGSTOP)
            await until_made(client, 200, TAKES_OVER_WITHIN_S)
            os.kill(process.pid, signal.SIGCONT)
            assert await asyncio.to_thread(process.wait, 5) == 1
            await until_made(client, 200, 5)

    asyncio.run(story())
    assert "leaderelection lost" in pair.log(leader).read_text()


def test_wrong_durations_are_told_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kubeberth", "controllers"]
    command += ["--kubeconfig", str(tmp_path / "none"), "--leader-elect-lease-duration", "1s"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: leaderElection.leaseDuration: Invalid value")
    assert len(done.stderr.splitlines()) == 1
