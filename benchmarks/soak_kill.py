"""Kill processes of a busy cluster again and again, and hold what is left against the rules.

    python benchmarks/soak_kill.py [KILLS] [SECONDS_BETWEEN]

A cluster of twelve nodes is kept busy: deployments with required anti-affinity and affinity are
scaled up and down, single pods come and go, labels change, nodes are cordoned. Meanwhile a random
process gets SIGKILL, and the supervisor restarts it. An auditor that reads only the API counts what
must never happen; at the end everything must come to rest as it was asked for. Ends by itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from kubeberth.api.quantity import milli_value
from kubeberth.api.scheme import DEPLOYMENTS, NODES, PODS, REPLICA_SETS
from kubeberth.client.client import Client
from kubeberth.client.informer import Change, Informer
from kubeberth.errors import AlreadyExistsError, BerthError, NotFoundError

Document = dict[str, Any]

BERTH = Path(sys.executable).with_name("berth")
NAMESPACE = "default"
NODES_COUNT, ZONES = 12, 3
CPU_OF_NODE = 4000
SETTLE_S = 60.0


def deployment(name: str, affinity: Document) -> Document:
    """Return a Deployment of small pods."""
    labels = {"app": name}
    container = {
        "name": "main",
        "image": "nginx",
        "resources": {"requests": {"cpu": "300m"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "affinity": affinity,
                    "terminationGracePeriodSeconds": 1,
                    "containers": [container],
                },
            },
        },
    }


def term(app: str, key: str) -> Document:
    """Return a required affinity rule."""
    rule = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key}
    return {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}


WORKLOADS = {
    "apart": {"podAntiAffinity": term("apart", "kubernetes.io/hostname")},
    "beside": {"podAffinity": term("apart", "topology.kubernetes.io/zone")},
    "anywhere": {},
}


def single_pod(name: str) -> Document:
    """Return a pod by itself."""
    requests = {"cpu": "200m"}
    container = {"name": "main", "image": "nginx", "resources": {"requests": requests}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": "single"}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
    }


@dataclass
class Auditor:
    """Reads pods as the API tells them, and counts what must not be."""

    found: Counter[str] = field(default_factory=Counter)
    nodes: dict[str, str] = field(default_factory=dict)

    def observe(self, change: Change[Document]) -> None:
        """Hold one change against the rules."""
        old, new = change.old, change.new
        before = (old or {}).get("spec", {}).get("nodeName")
        after = (new or {}).get("spec", {}).get("nodeName")
        same = old and new and old["metadata"]["uid"] == new["metadata"]["uid"]
        if same and before and after != before:
            self.found["a bound pod moved"] += 1

    def judge(self, pods: dict[str, Document]) -> None:
        """Hold all pods together against the rules."""
        cpu: Counter[str] = Counter()
        apart: Counter[str] = Counter()
        for pod in pods.values():
            node = pod["spec"].get("nodeName")
            if not node or pod["status"].get("phase") in ("Succeeded", "Failed"):
                continue
            for container in pod["spec"]["containers"]:
                cpu[node] += milli_value(container["resources"]["requests"]["cpu"])
            apart[node] += pod["metadata"]["labels"]["app"] == "apart"
        self.found["overcommitted nodes"] += sum(amount > CPU_OF_NODE for amount in cpu.values())
        self.found["anti-affinity broken"] += sum(count > 1 for count in apart.values())


class Storm:
    """The churn, and what it was promised."""

    def __init__(self, client: Client, data: Path, dice: random.Random) -> None:
        self.client = client
        self.promised: dict[str, None] = {}
        self.replicas: dict[str, int] = {}
        self.calls: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self._data = data
        self._dice = dice
        self._number = 0

    async def start(self) -> None:
        """Make the deployments."""
        for name, affinity in WORKLOADS.items():
            await self.client.create(DEPLOYMENTS, deployment(name, affinity))
            self.replicas[name] = 3

    async def churn(self) -> None:
        """Change something, again and again; a server that is away is asked again later."""
        deeds = (self._scale, self._create, self._create, self._delete, self._label, self._cordon)
        while True:
            deed = self._dice.choice(deeds)
            try:
                await deed()
                self.calls["answered"] += 1
            except BerthError as error:
                self.calls[type(error).__name__] += 1
            await asyncio.sleep(self._dice.uniform(0.005, 0.05))

    async def kill(self, times: int, pause_s: float) -> None:
        """Kill a random process so many times."""
        for _ in range(times):
            await asyncio.sleep(pause_s * self._dice.uniform(0.5, 1.5))
            running = json.loads((self._data / "running.json").read_bytes())
            process = self._dice.choice(running["processes"])
            try:
                os.kill(process["pid"], signal.SIGKILL)
            except ProcessLookupError:
                continue
            self.kills[process["name"]] += 1

    async def calm(self) -> None:
        """Take back what would keep pods from running."""
        for node in (await self.client.list(NODES))["items"]:
            change = {"spec": {"unschedulable": None}}
            await self.client.patch(NODES, node["metadata"]["name"], change)

    async def _scale(self) -> None:
        name = self._dice.choice(list(WORKLOADS))
        replicas = self._dice.randint(1, 10)
        change = {"spec": {"replicas": replicas}}
        await self.client.patch(DEPLOYMENTS, name, change, NAMESPACE)
        self.replicas[name] = replicas

    async def _create(self) -> None:
        if len(self.promised) > 60:
            return
        self._number += 1
        name = f"single-{self._number}"
        try:
            await self.client.create(PODS, single_pod(name))
        except AlreadyExistsError:
            self.found_twice(name)
        self.promised[name] = None

    def found_twice(self, name: str) -> None:
        """Note that a name nobody used was taken."""
        self.calls["a name taken twice"] += 1

    async def _delete(self) -> None:
        if len(self.promised) < 20:
            return
        name = next(iter(self.promised))
        # From here on nobody may rely on it: the call may succeed and its answer get lost.
        del self.promised[name]
        await self.client.delete(PODS, name, NAMESPACE)

    async def _label(self) -> None:
        change = {"metadata": {"labels": {"disktype": self._dice.choice(("ssd", "hdd"))}}}
        await self.client.patch(NODES, self._some_node(), change)

    async def _cordon(self) -> None:
        change = {"spec": {"unschedulable": self._dice.choice((True, None, None))}}
        await self.client.patch(NODES, self._some_node(), change)

    def _some_node(self) -> str:
        return f"node-{self._dice.randint(1, NODES_COUNT)}"


async def until(condition: Callable[[], bool], within_s: float) -> float | None:
    """Return after how many seconds something held, or None when it did not."""
    started_at = time.monotonic()
    while not condition():
        if time.monotonic() - started_at > within_s:
            return None
        await asyncio.sleep(0.05)
    return time.monotonic() - started_at


async def first_placement(client: Client, pods: Informer[Document], name: str) -> float | None:
    """Return how long a new pod waits for its node now, tried from this moment on."""
    started_at = time.monotonic()
    while True:
        try:
            await client.create(PODS, single_pod(name))
            break
        except BerthError:
            await asyncio.sleep(0.05)
    key = f"{NAMESPACE}/{name}"
    placed = await until(
        lambda: bool(pods.store.get(key, {}).get("spec", {}).get("nodeName")), SETTLE_S
    )
    return None if placed is None else time.monotonic() - started_at


def memory_mib(data: Path) -> dict[str, int]:
    """Return the resident memory of each process."""
    running = json.loads((data / "running.json").read_bytes())
    sizes = {}
    for process in running["processes"]:
        command = ["ps", "-o", "rss=", "-p", str(process["pid"])]
        listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        sizes[process["name"]] = int(listed or 0) // 1024
    return sizes


async def soak(data: Path, kills: int, pause_s: float) -> bool:
    """Run the storm and print what came of it; return whether all was well."""
    dice = random.Random(1)
    auditor = Auditor()
    async with Client.from_kubeconfig(data / "kubeconfig") as client:
        pods = Informer(client, PODS, msgspec.json.decode, namespace=NAMESPACE)
        pods.subscribe(auditor.observe)
        storm = Storm(client, data, dice)
        await storm.start()
        following = asyncio.create_task(pods.run())
        churning = asyncio.create_task(storm.churn())
        judging = asyncio.create_task(judge_often(auditor, pods))
        await storm.kill(kills, pause_s)
        for task in (churning, judging):
            task.cancel()
        resumed_s = await first_placement(client, pods, "after-the-storm")
        storm.promised["after-the-storm"] = None
        await storm.calm()
        settled_s = await until(lambda: is_settled(storm, pods.store), SETTLE_S)
        auditor.judge(pods.store)
        problems = await leftovers(client, storm)
        problems += [] if settled_s is not None else await unsettled(client, pods.store)
        following.cancel()
    problems += [f"{count} x {what}" for what, count in auditor.found.items() if count]
    report(storm, resumed_s, settled_s, memory_mib(data), problems)
    return not problems


async def judge_often(auditor: Auditor, pods: Informer[Document]) -> None:
    """Hold what is known against the rules ten times a second."""
    while True:
        await asyncio.sleep(0.1)
        auditor.judge(pods.store)


def is_settled(storm: Storm, pods: dict[str, Document]) -> bool:
    """Return whether every promised pod runs and every deployment has what it wants."""
    running: dict[str, int] = defaultdict(int)
    for pod in pods.values():
        ready = any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in pod["status"].get("conditions", ())
        )
        if "deletionTimestamp" in pod["metadata"] or not ready:
            return False
        running[pod["metadata"]["labels"]["app"]] += 1
    singles = {
        key.split("/")[1] for key, pod in pods.items() if "ownerReferences" not in pod["metadata"]
    }
    return storm.promised.keys() <= singles and all(
        running[name] == count for name, count in storm.replicas.items()
    )


async def leftovers(client: Client, storm: Storm) -> list[str]:
    """Return what the server itself says is missing or too much."""
    problems = []
    for name in storm.promised:
        try:
            await client.get(PODS, name, NAMESPACE)
        except NotFoundError:
            problems.append(f"pod {name} was acknowledged and is gone")
    sets = (await client.list(REPLICA_SETS, NAMESPACE))["items"]
    owners = {item["metadata"]["uid"] for item in sets}
    problems += [
        f"pod {pod['metadata']['name']} has no owner any more"
        for pod in (await client.list(PODS, NAMESPACE))["items"]
        for owner in pod["metadata"].get("ownerReferences", ())
        if owner["uid"] not in owners
    ]
    return problems


async def unsettled(client: Client, known: dict[str, Document]) -> list[str]:
    """Return the pods that are not at rest, as the server has them, and what was not heard of."""
    listed = {
        f"{NAMESPACE}/{pod['metadata']['name']}": pod
        for pod in (await client.list(PODS, NAMESPACE))["items"]
    }
    problems = [
        f"{key}: node {pod['spec'].get('nodeName')}, {pod['status'].get('phase')}"
        for key, pod in listed.items()
        if pod["status"].get("phase") != "Running" or "deletionTimestamp" in pod["metadata"]
    ]
    if listed != known:
        problems.append("the auditor's watch does not tell what a list tells")
    return [*problems, "it did not come to rest"]


def report(
    storm: Storm,
    resumed_s: float | None,
    settled_s: float | None,
    memory: dict[str, int],
    problems: list[str],
) -> None:
    """Print the result as a table."""
    rows = [
        ("killed", ", ".join(f"{name} {n}" for name, n in sorted(storm.kills.items()))),
        ("calls", ", ".join(f"{what} {n}" for what, n in storm.calls.most_common())),
        ("first placement after the last kill", _seconds(resumed_s)),
        ("all at rest after", _seconds(settled_s)),
        ("memory, MiB", ", ".join(f"{name} {size}" for name, size in memory.items())),
        ("problems", "none" if not problems else "; ".join(problems)),
    ]
    for name, value in rows:
        print(f"{name:<36}{value}")


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"


def main() -> None:
    """Start a cluster, let the storm loose, stop the cluster."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    pause_s = float(sys.argv[2]) if len(sys.argv) > 2 else 1.5
    with tempfile.TemporaryDirectory(prefix="kubeberth-soak-") as name:
        data = Path(name) / "cluster"
        at = ["--data-dir", str(data)]
        shape = ["--nodes", str(NODES_COUNT), "--zones", str(ZONES), "--port", "0", "--detach"]
        subprocess.run([BERTH, "up", *shape, *at], check=True, stdout=subprocess.DEVNULL)
        try:
            is_well = asyncio.run(soak(data, kills, pause_s))
        finally:
            subprocess.run([BERTH, "down", *at], check=True, stdout=subprocess.DEVNULL)
            if "SOAK_LOGS" in os.environ:
                shutil.copytree(data / "logs", os.environ["SOAK_LOGS"], dirs_exist_ok=True)
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
