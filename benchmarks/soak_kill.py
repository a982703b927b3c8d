"""Whether a cluster keeps its promises while its processes are killed at random.

    python -m benchmarks.soak_kill [--kills 60] [--nodes 20] [--every 1.5] [--seed 1] [--calm 10]

Starts a cluster in a temporary directory and keeps it busy: deployments with anti-affinity between
hosts and affinity to a zone are scaled and restarted, pods come and go, nodes are cordoned, tainted
and labelled, whole namespaces are deleted. Meanwhile one of its processes (apiserver, scheduler,
controllers, nodes) gets SIGKILL every `--every` seconds; the supervisor brings it back. An auditor
reads nothing but the API. It reports

- a pod that was acknowledged and is gone, though nobody deleted it
- a pod whose spec.nodeName changed
- a node with more requested than it has, at any revision
- two pods of a required anti-affinity on one node; a pod outside of the zone it has to be in
- after the storm, for a minute at most: a Deployment without its replicas, pods too many, orphans,
  pods that are not Running and Ready, terminating pods that stay, a pending pod without a reason

and prints how long placing took after each restart, and how much memory each process has. It stops
by itself, after about kills * every + calm + 60 seconds, and ends with 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from benchmarks.soaking import (
    Cluster,
    Document,
    History,
    end,
    going_on,
    is_over,
    is_ready,
    key_of,
    node_of,
)

from kubeberth.api.quantity import milli_value
from kubeberth.api.scheme import DEPLOYMENTS, NAMESPACES, NODES, PODS, REPLICA_SETS
from kubeberth.client.client import Client
from kubeberth.errors import AlreadyExistsError, ApiError, TransportError

NAMESPACE = "soak"
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
PROCESSES = ("apiserver", "scheduler", "controllers", "nodes")
RESUME_S = 2.0
CONVERGE_S = 60.0
# So that all of them and all deployments fit on twenty nodes.
MAX_SINGLE_PODS = 25
# A pod that vanished so recently may have been there when the scheduler decided.
RECENT_S = 10.0


class Auditor:
    """Follows pods and nodes, one revision after the other, and notes what must not be."""

    def __init__(self, client: Client) -> None:
        self.broken: list[str] = []
        self.bound_at: dict[str, float] = {}
        self.nodes = History(client, NODES, lambda old, new: None)
        self.pods = History(client, PODS, self._check)
        self._zones_left: dict[tuple[str, str], float] = {}
        self._home: dict[str, str] = {}

    @property
    def histories(self) -> tuple[History, History]:
        """What is followed."""
        return self.nodes, self.pods

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.nodes.follow())
            while not self.nodes.objects:  # what pods are checked against
                await asyncio.sleep(0.05)
            tasks.create_task(self.pods.follow())

    def _check(self, old: Document | None, new: Document | None) -> None:
        if old is not None and _zone_group(old) and node_of(old):
            place = (_zone_group(old), self._zone(node_of(old)))
            self._zones_left[place] = time.monotonic()
        if new is None:
            return
        uid, node = new["metadata"]["uid"], node_of(new)
        home = self._home.setdefault(uid, node) or node
        if node != home:
            self.broken.append(f"{key_of(new)} moved from {home!r} to {node!r}")
        self._home[uid] = home
        if node and uid not in self.bound_at:
            self.bound_at[uid] = time.monotonic()
            self._check_placed(new, node)

    def _check_placed(self, pod: Document, node: str) -> None:
        there = [p for p in self.pods.objects.values() if node_of(p) == node and not is_over(p)]
        used = sum(map(_millis, there))
        has = milli_value(self.nodes.objects[node]["status"]["allocatable"]["cpu"])
        if used > has:
            self.broken.append(f"{node} has {has}m and is asked for {used}m, by {key_of(pod)} last")
        group = pod["metadata"].get("labels", {}).get("apart", "")
        if group:
            same = [p for p in there if p["metadata"].get("labels", {}).get("apart") == group]
            if len(same) > 1:
                names = ", ".join(map(key_of, same))
                self.broken.append(f"{node} has two pods that exclude each other: {names}")
        if group := _zone_group(pod):
            self._check_zone(pod, group, self._zone(node))

    def _check_zone(self, pod: Document, group: str, zone: str) -> None:
        """Pods of a group want to be where the group is; the first may go anywhere."""
        uid = pod["metadata"]["uid"]
        others = {
            self._zone(node_of(p))
            for p in self.pods.objects.values()
            if _zone_group(p) == group and node_of(p) and p["metadata"]["uid"] != uid
        }
        now = time.monotonic()
        recent = {
            z for (g, z), at in self._zones_left.items() if g == group and now - at < RECENT_S
        }
        if others and zone not in others | recent:
            self.broken.append(f"{key_of(pod)} is in {zone}, its group in {', '.join(others)}")

    def _zone(self, node: str) -> str:
        labels = self.nodes.objects.get(node, {}).get("metadata", {}).get("labels", {})
        return str(labels.get(ZONE, ""))


def _millis(pod: Document) -> int:
    requests = (c.get("resources", {}).get("requests", {}) for c in pod["spec"]["containers"])
    return sum(milli_value(request.get("cpu", "0")) for request in requests)


def _zone_group(pod: Document) -> str:
    return str(pod["metadata"].get("labels", {}).get("together", ""))


class Churn:
    """Keeps the cluster busy, and remembers what it was told is there."""

    def __init__(self, client: Client, nodes: int, dice: random.Random) -> None:
        self._client = client
        self._nodes = [f"node-{number}" for number in range(1, nodes + 1)]
        self._dice = dice
        self._names = 0
        self.replicas: dict[str, int] = {}
        self.pods: dict[str, str] = {}
        self.impossible: set[str] = set()
        self.namespaces: set[str] = set()
        self.done: Counter[str] = Counter()

    async def begin(self) -> None:
        """Make what is going to be changed."""
        await self._keep_trying(lambda: self._client.create(NAMESPACES, _namespace(NAMESPACE)))
        for name in ("apart-a", "apart-b", "together-a", "together-b", "plain-a", "plain-b"):
            self.replicas[name] = 5
            body = _deployment(name, 5)
            await self._keep_trying(
                lambda body=body: self._client.create(DEPLOYMENTS, body, NAMESPACE)
            )

    async def go_on(self) -> None:
        """Do one thing, and rest for a moment."""
        things = (
            *(self._scale,) * 4,
            *(self._create_pod,) * 4,
            *(self._delete_pod,) * 2,
            self._restart_deployment,
            self._cordon,
            self._taint,
            self._label,
            self._delete_namespace,
        )
        thing = self._dice.choice(things)
        await thing()
        self.done[thing.__name__.strip("_")] += 1
        await asyncio.sleep(self._dice.uniform(0, 0.25))

    async def calm_down(self) -> None:
        """Make all nodes usable again, and leave enough room for everybody."""
        for node in self._nodes:
            await self._patch_node(node, {"spec": {"unschedulable": None, "taints": None}})
        for name in self.replicas:
            await self._set_replicas(name, self._dice.randint(3, 8))

    async def create_pod(self, body: Document) -> str:
        """Make a pod for certain, and return the uid that was acknowledged."""
        made = await self._keep_trying(lambda: self._client.create(PODS, body, NAMESPACE))
        if made is None:  # acknowledged to an earlier try whose answer was lost
            name = body["metadata"]["name"]
            made = await self._keep_trying(lambda: self._client.get(PODS, name, NAMESPACE))
        assert made is not None
        uid: str = made["metadata"]["uid"]
        return uid

    async def _keep_trying(self, call: Callable[[], Awaitable[Document]]) -> Document | None:
        """Call until there is an answer; None when there is such an object, or none any more."""
        while True:
            try:
                return await call()
            except TransportError:
                await asyncio.sleep(0.05)
            except AlreadyExistsError:
                return None
            except ApiError as error:
                if error.code == 404:
                    return None
                if error.code not in (409, 429, 500, 503):
                    raise
                await asyncio.sleep(0.05)

    def _name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}-{self._names}"

    async def _set_replicas(self, name: str, replicas: int) -> None:
        self.replicas[name] = replicas
        change = {"spec": {"replicas": replicas}}
        await self._keep_trying(lambda: self._client.patch(DEPLOYMENTS, name, change, NAMESPACE))

    async def _scale(self) -> None:
        await self._set_replicas(self._dice.choice(list(self.replicas)), self._dice.randint(0, 25))

    async def _restart_deployment(self) -> None:
        note = {"kubectl.kubernetes.io/restartedAt": self._name("restart")}
        change = {"spec": {"template": {"metadata": {"annotations": note}}}}
        name = self._dice.choice(list(self.replicas))
        await self._keep_trying(lambda: self._client.patch(DEPLOYMENTS, name, change, NAMESPACE))

    async def _create_pod(self) -> None:
        if len(self.pods) >= MAX_SINGLE_PODS:
            await self._delete_pod()
        name = self._name("single")
        is_impossible = self._dice.random() < 0.1
        body = _pod(name, "1000" if is_impossible else f"{self._dice.randint(1, 8) * 250}m")
        self.pods[name] = await self.create_pod(body)
        if is_impossible:
            self.impossible.add(name)

    async def _delete_pod(self) -> None:
        if not self.pods:
            return
        name = self._dice.choice(list(self.pods))
        del self.pods[name]
        self.impossible.discard(name)
        await self._keep_trying(lambda: self._client.delete(PODS, name, NAMESPACE))

    async def _patch_node(self, name: str, change: Document) -> None:
        await self._keep_trying(lambda: self._client.patch(NODES, name, change))

    async def _cordon(self) -> None:
        is_cordon = self._dice.random() < 0.4
        change = {"spec": {"unschedulable": True if is_cordon else None}}
        await self._patch_node(self._dice.choice(self._nodes), change)

    async def _taint(self) -> None:
        effect = self._dice.choice(("NoSchedule", "NoExecute", "PreferNoSchedule", ""))
        taints = [{"key": "soak", "value": "x", "effect": effect}] if effect else None
        await self._patch_node(self._dice.choice(self._nodes), {"spec": {"taints": taints}})

    async def _label(self) -> None:
        labels = {"disk": self._dice.choice(("ssd", "hdd", None))}
        await self._patch_node(self._dice.choice(self._nodes), {"metadata": {"labels": labels}})

    async def _delete_namespace(self) -> None:
        """Make a namespace with some pods, and let it go again at once."""
        name = self._name("gone")
        self.namespaces.add(name)
        await self._keep_trying(lambda: self._client.create(NAMESPACES, _namespace(name)))
        body = _deployment("short", 8)
        await self._keep_trying(lambda: self._client.create(DEPLOYMENTS, body, name))
        await asyncio.sleep(self._dice.uniform(0, 1))
        await self._keep_trying(lambda: self._client.delete(NAMESPACES, name))


def _namespace(name: str) -> Document:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _pod(name: str, cpu: str) -> Document:
    container = {"name": "c", "image": "nginx", "resources": {"requests": {"cpu": cpu}}}
    spec = {"containers": [container], "tolerations": [{"operator": "Exists"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def _deployment(name: str, replicas: int) -> Document:
    labels = {"app": name}
    affinity: Document = {}
    if name.startswith("apart"):
        labels["apart"] = name
        affinity = {"podAntiAffinity": _required({"apart": name}, HOST)}
    if name.startswith("together"):
        labels["together"] = name
        affinity = {"podAffinity": _required({"together": name}, ZONE)}
    container = {"name": "c", "image": "nginx", "resources": {"requests": {"cpu": "300m"}}}
    spec = {"containers": [container], "affinity": affinity, "terminationGracePeriodSeconds": 2}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _required(labels: dict[str, str], topology: str) -> Document:
    term = {"labelSelector": {"matchLabels": labels}, "topologyKey": topology}
    return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}


class Killer:
    """Kills processes, and sees how long it takes until pods are placed again."""

    def __init__(self, cluster: Cluster, churn: Churn, auditor: Auditor, dice: random.Random):
        self._cluster, self._churn, self._auditor, self._dice = cluster, churn, auditor, dice
        self.kills: Counter[str] = Counter()
        self.resumed_s: dict[str, list[float]] = defaultdict(list)
        self._probes: set[asyncio.Task[None]] = set()

    async def run(self, kills: int, every_s: float) -> None:
        """Kill so many times."""
        for number in range(kills):
            await asyncio.sleep(every_s * self._dice.uniform(0.7, 1.3))
            name = self._dice.choice(PROCESSES)
            pid = await self._kill(name)
            self.kills[name] += 1
            probe = asyncio.create_task(asyncio.wait_for(self._probe(name, pid, number), 120))
            self._probes.add(probe)
        await asyncio.gather(*self._probes)

    async def _kill(self, name: str) -> int:
        """Kill a process as soon as it runs, and return its pid."""
        while True:
            pid = self._cluster.pids().get(name)
            if pid:
                with suppress(ProcessLookupError):  # dead, and its supervisor does not know yet
                    os.kill(pid, signal.SIGKILL)
                    return pid
            await asyncio.sleep(0.1)

    async def _probe(self, name: str, killed: int, number: int) -> None:
        """Place a pod, and note how long after the restart it has a node.

        While other processes that this takes are away as well, the clock stands still.
        """
        while self._cluster.pids().get(name) in (None, 0, killed):
            await asyncio.sleep(0.02)
        pod = f"probe-{number}"
        creating = asyncio.create_task(self._churn.create_pod(_pod(pod, "10m")))
        before, since = self._placing(), time.monotonic()
        while not (creating.done() and creating.result() in self._auditor.bound_at):
            await asyncio.sleep(0.02)
            if before != (now := self._placing()) or None in now:
                before, since = now, time.monotonic()
        uid = self._churn.pods[pod] = creating.result()
        self.resumed_s[name].append(max(0.0, self._auditor.bound_at[uid] - since))

    def _placing(self) -> tuple[int | None, ...]:
        pids = self._cluster.pids()
        return pids.get("apiserver"), pids.get("scheduler")


async def converge(client: Client, churn: Churn) -> list[str]:
    """Wait until all is as it should be, and return what is not after a minute."""
    deadline = time.monotonic() + CONVERGE_S
    while True:
        try:
            wrong = await _differences(client, churn)
        except TransportError as error:
            wrong = [str(error)]
        if not wrong or time.monotonic() > deadline:
            return wrong
        await asyncio.sleep(0.25)


async def _differences(client: Client, churn: Churn) -> list[str]:
    pods = {key_of(item): item for item in (await client.list(PODS))["items"]}
    sets = {s["metadata"]["uid"]: s for s in (await client.list(REPLICA_SETS))["items"]}
    deployments = (await client.list(DEPLOYMENTS))["items"]
    namespaces = {item["metadata"]["name"] for item in (await client.list(NAMESPACES))["items"]}
    wrong = [f"namespace {name} is still there" for name in churn.namespaces & namespaces]
    count: Counter[str] = Counter()
    for key, pod in pods.items():
        if _is_refused_for_taint(pod):
            continue
        wrong += _pod_faults(key, pod, churn)
        for owner in pod["metadata"].get("ownerReferences", []):
            owning = sets.get(owner["uid"])
            if owning is None:
                wrong.append(f"pod {key} is an orphan")
            elif owning["spec"]["replicas"]:
                count[owning["metadata"]["labels"]["app"]] += 1
            else:
                wrong.append(f"pod {key} is of an old template")
    for deployment in deployments:
        name, status = deployment["metadata"]["name"], deployment.get("status", {})
        wanted = churn.replicas.get(name, 0)
        numbers = [
            status.get(field, 0)
            for field in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        ]
        if {*numbers, count[name]} != {wanted}:
            wrong.append(f"{name} should have {wanted}, says {numbers}, has {count[name]}")
        if status.get("observedGeneration") != deployment["metadata"]["generation"]:
            wrong.append(f"{name} has a generation nobody looked at")
    for name, uid in churn.pods.items():
        pod = pods.get(f"{NAMESPACE}/{name}")
        if pod is None or pod["metadata"]["uid"] != uid:
            wrong.append(f"pod {name} was acknowledged and is gone")
    return wrong


def _is_refused_for_taint(pod: Document) -> bool:
    """Return whether a taint came between the decision and the kubelet: as upstream, it stays."""
    status = pod.get("status", {})
    return status.get("phase") == "Failed" and status.get("reason") == "TaintToleration"


def _pod_faults(key: str, pod: Document, churn: Churn) -> list[str]:
    status = pod.get("status", {})
    if "deletionTimestamp" in pod["metadata"]:
        return [f"pod {key} is still terminating ({status.get('phase')} on {node_of(pod)!r})"]
    if pod["metadata"]["name"] in churn.impossible:
        said = [c for c in status.get("conditions", []) if c["type"] == "PodScheduled"]
        if said and "Insufficient cpu" in said[0].get("message", ""):
            return []
        return [f"pod {key} is pending and nothing says why: {said}"]
    if status.get("phase") != "Running" or not is_ready(pod):
        if status.get("reason"):
            return [f"pod {key} is {status['reason']} on {node_of(pod)!r}: {status['message']}"]
        conditions = {
            c["type"]: c.get("message", c["status"]) for c in status.get("conditions", [])
        }
        return [f"pod {key} is {status.get('phase')} on {node_of(pod)!r}: {conditions}"]
    return []


async def soak(cluster: Cluster, options: argparse.Namespace) -> int:
    """Run the storm, and return how many promises were broken."""
    dice = random.Random(options.seed)
    started_at = time.monotonic()
    async with (
        Client.from_kubeconfig(cluster.data / "kubeconfig") as client,
        Client.from_kubeconfig(cluster.data / "kubeconfig") as watching,
    ):
        auditor = Auditor(watching)
        churn = Churn(client, options.nodes, dice)
        killer = Killer(cluster, churn, auditor, dice)
        watch = asyncio.create_task(auditor.run())
        await churn.begin()
        before = cluster.memory_mb()
        async with going_on(churn.go_on):
            await killer.run(options.kills, options.every)
            after_storm = cluster.memory_mb()
            await asyncio.sleep(options.calm)
        calm_at = time.monotonic()
        await churn.calm_down()
        wrong = await converge(client, churn)
        converged_s = time.monotonic() - calm_at
        after = cluster.memory_mb()
        await end(watch)
    backwards = [line for history in auditor.histories for line in history.backwards]
    broken = [*auditor.broken, *backwards, *wrong]
    lasted_s = time.monotonic() - started_at
    print(f"{lasted_s:.0f} s, {sum(killer.kills.values())} kills, seed {options.seed}")
    print(f"done           {', '.join(f'{n} {k}' for k, n in sorted(churn.done.items()))}")
    n_events = sum(history.n_events for history in auditor.histories)
    relists = sum(history.relists for history in auditor.histories)
    print(f"seen           {n_events} events, {len(auditor.bound_at)} pods placed,")
    print(f"               {relists} lists, {len(churn.pods)} single pods at the end")
    print(
        f"converged      {converged_s:.1f} s after the last change"
        if not wrong
        else "NOT CONVERGED"
    )
    print("\nprocess      kills  placing again after the restart   MB at first, after storm, end")
    for name in PROCESSES:
        took = killer.resumed_s[name] or [0.0]
        late = sum(s > RESUME_S for s in took)
        print(
            f"{name:<12} {killer.kills[name]:>5}  median {statistics.median(took):5.2f} s"
            f"  max {max(took):5.2f} s  late {late:>2}   "
            f"{before.get(name, 0):>4} {after_storm.get(name, 0):>4} {after.get(name, 0):>4}"
        )
    for line in cluster.complaints():
        print(f"log: {line}")
    for fault in broken[:40]:
        print(f"BROKEN: {fault}")
    print(f"\n{len(broken)} promises broken")
    return len(broken)


def main() -> None:
    """Soak a cluster, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--nodes", type=int, default=20)
    parser.add_argument("--every", type=float, default=1.5)
    parser.add_argument("--calm", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder to leave the cluster's files in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kubeberth-soak-") as name:
        cluster = Cluster(options.keep or Path(name), options.nodes)
        try:
            broken = asyncio.run(soak(cluster, options))
        finally:
            cluster.stop()
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
