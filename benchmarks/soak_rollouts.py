"""Whether workloads keep their promises while their controllers are killed amid rollouts.

    python -m benchmarks.soak_rollouts [--kills 100] [--nodes 6] [--seed 1] [--pause 2.0]

Starts a cluster in a temporary directory, with Deployments of several strategies, StatefulSets of
both policies, DaemonSets with and without surge, and indexed Jobs. One after the other they get new
templates, before they have done with the last ones, while the controllers get SIGKILL again and
again, at any time up to `--pause` seconds after their supervisor has started them anew. An auditor
reads nothing but the API. It reports, at any revision,

- a Deployment with more pods than maxSurge allows, or fewer available ones than maxUnavailable does
- a StatefulSet with an ordinal twice, a pod beyond its ordinals, or two members away at once
- a DaemonSet with pods too many on a node, or with too few available ones
- a Job with an index that two pods work on at once

and when all is calm, for a minute at most: workloads that are not as they should be, pods of old
templates, pods and revisions without an owner that is there, two sets of one template, Jobs whose
count is wrong, pods that are still held, and pods of which the watch has not told. Of what is wrong
then it shows the objects, and what the controllers say that they have to do; of what was wrong
before, all that became of the workload in the seconds around it, who wrote that, and the kills. It
stops by itself, after about kills * 2.5 + 30 seconds, and ends with 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from benchmarks.chronicle import Chronicle
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

from kubeberth.api.scheme import (
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Resource,
)
from kubeberth.client.client import Client
from kubeberth.errors import ApiError, TransportError

NAMESPACE = "soak"
CALM_S = 60.0
N_INDEXES = 6
INDEX = "batch.kubernetes.io/job-completion-index"
SNAPSHOTS = (REPLICA_SETS, CONTROLLER_REVISIONS)


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that is rolled, and what may be seen of it meanwhile.

    Parameters
    ----------
    most, least
        How many pods there may be at most, and how many available ones at least.
    per_node
        How many of them may be on one node; 0 for any number.
    """

    resource: Resource
    name: str
    replicas: int
    most: int
    least: int
    spec: Document = field(default_factory=dict)
    per_node: int = 0

    @property
    def is_ordinal(self) -> bool:
        """Whether its pods have numbers."""
        return self.resource == STATEFUL_SETS


def _rolling(surge: int | str, unavailable: int | str) -> Document:
    return {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def workloads(n_nodes: int) -> list[Workload]:
    """Return what is rolled in a cluster of so many nodes."""
    update = {"updateStrategy": _rolling(1, 0)}
    # Without saying so, as upstream, a new template amid an update may take a second one away.
    one_by_one = {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 1}}}
    parallel = {"podManagementPolicy": "Parallel", "serviceName": "parallel", **one_by_one}
    return [
        Workload(DEPLOYMENTS, "usual", 10, 13, 8, {"strategy": _rolling("25%", "25%")}),
        Workload(DEPLOYMENTS, "careful", 5, 6, 5, {"strategy": _rolling(1, 0)}),
        Workload(DEPLOYMENTS, "tight", 6, 6, 4, {"strategy": _rolling(0, 2)}),
        Workload(DEPLOYMENTS, "recreated", 4, 4, 0, {"strategy": {"type": "Recreate"}}),
        Workload(STATEFUL_SETS, "ordered", 4, 4, 3, {"serviceName": "ordered"}),
        Workload(STATEFUL_SETS, "parallel", 4, 4, 3, parallel),
        Workload(DAEMON_SETS, "replacing", n_nodes, n_nodes, n_nodes - 1, per_node=1),
        Workload(DAEMON_SETS, "surging", n_nodes, n_nodes + 1, n_nodes, update, per_node=2),
    ]


class Auditor:
    """Follows pods, one revision after the other, and notes what must not be.

    Parameters
    ----------
    n_nodes
        How many nodes daemons are on.

    Attributes
    ----------
    broken
        What was seen that must not be, and when that was for the first time.
    """

    def __init__(self, client: Client, rolled: Iterable[Workload]) -> None:
        self.broken: dict[str, float] = {}
        self.history = History(client, PODS, self._check)
        self._chronicle = Chronicle()
        self._owners = [self._owners_history(client, each) for each in (DEPLOYMENTS, REPLICA_SETS)]
        self._rolled = {workload.name: workload for workload in rolled}
        self._complete: set[str] = set()
        self.n_looks: Counter[str] = Counter()

    def begin(self) -> None:
        """Hold all workloads to having their pods, from now on."""
        self._complete = set(self._rolled)

    async def follow(self) -> None:
        """Follow what there is until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for history in (self.history, *self._owners):
                tasks.create_task(history.follow())

    def story(self, fault: str, killed_at: Iterable[float]) -> list[str]:
        """Return what led to a fault."""
        app = fault.partition(":")[0]
        return self._chronicle.story(app, self.broken[fault], killed_at)

    def _owners_history(self, client: Client, resource: Resource) -> History:
        def note(old: Document | None, new: Document | None) -> None:
            item = new or old or {}
            app = _app_of(item) or item["metadata"]["name"]
            self._chronicle.note(resource, old, new, app=app, version=history.version)

        history = History(client, resource, note)
        return history

    def _check(self, old: Document | None, new: Document | None) -> None:
        name = _app_of(new or old or {})
        if not name:
            return
        self._chronicle.note(PODS, old, new, app=name, version=self.history.version)
        if workload := self._rolled.get(name):
            self.n_looks[name] += 1
            faults = self._faults(workload)
        else:
            faults = self._job_faults(name)
        for fault in faults:
            self.broken.setdefault(f"{name}: {fault}", time.monotonic())

    def _pods_of(self, name: str) -> list[Document]:
        return [pod for pod in self.history.objects.values() if _app_of(pod) == name]

    def _faults(self, workload: Workload) -> Iterator[str]:
        pods = self._pods_of(workload.name)
        staying = [pod for pod in pods if not _is_going(pod) and not is_over(pod)]
        if len(staying) > workload.most:
            yield f"{len(staying)} pods, {workload.most} at most"
        n_available = sum(map(is_ready, staying))
        if workload.name in self._complete and n_available < workload.least:
            yield f"{n_available} available, {workload.least} at least"
        if workload.per_node:
            per_node = Counter(node_of(pod) for pod in staying if node_of(pod))
            for node, n_pods in per_node.items():
                if n_pods > workload.per_node:
                    yield f"{n_pods} pods on {node}"
        if workload.is_ordinal:
            yield from _ordinal_faults(workload, pods)

    def _job_faults(self, name: str) -> Iterator[str]:
        working = (p for p in self._pods_of(name) if not _is_going(p) and not is_over(p))
        indexes = Counter(pod["metadata"]["annotations"][INDEX] for pod in working)
        for index, n_pods in indexes.items():
            if n_pods > 1:
                yield f"{n_pods} pods work on index {index}"


def _ordinal_faults(workload: Workload, pods: Iterable[Document]) -> Iterator[str]:
    ordinals = Counter(pod["metadata"]["name"] for pod in pods)
    allowed = {f"{workload.name}-{ordinal}" for ordinal in range(workload.replicas)}
    for ordinal, n_pods in ordinals.items():
        if n_pods > 1 or ordinal not in allowed:
            yield f"{n_pods} of {ordinal}"


def _app_of(pod: Document) -> str:
    return str(pod.get("metadata", {}).get("labels", {}).get("app", ""))


def _is_going(pod: Document) -> bool:
    return "deletionTimestamp" in pod["metadata"]


class Storm:
    """Rolls one workload after the other, and kills the controllers meanwhile."""

    def __init__(
        self, client: Client, cluster: Cluster, rolled: list[Workload], dice: random.Random
    ) -> None:
        self._client = client
        self._cluster = cluster
        self.rolled = rolled
        self._dice = dice
        self.versions = {workload.name: 0 for workload in rolled}
        self.jobs: list[str] = []
        self.killed_at: list[float] = []

    async def begin(self) -> None:
        """Make everything."""
        await self._client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        for workload in self.rolled:
            await self._client.create(workload.resource, _manifest(workload), NAMESPACE)

    async def roll(self) -> None:
        """Give a workload a new template after a moment."""
        await asyncio.sleep(self._dice.uniform(0.1, 0.6))
        workload = self._dice.choice(self.rolled)
        version = self.versions[workload.name] + 1
        # Now and then back to a template that there was.
        shown = version if self._dice.random() < 0.8 else max(1, version - 2)
        change = {"spec": {"template": {"metadata": {"annotations": {"version": str(shown)}}}}}
        await self._client.patch(workload.resource, workload.name, change, NAMESPACE)
        self.versions[workload.name] = shown
        if self._dice.random() < 0.1:
            await self._make_job()

    async def _make_job(self) -> None:
        name = f"job-{len(self.jobs)}"
        await self._client.create(JOBS, _job(name), NAMESPACE)
        self.jobs.append(name)

    async def kill(self, kills: int, pause_s: float, tell: Callable[[int], None]) -> None:
        """Kill the controllers so many times."""
        killed = 0
        for number in range(kills):
            tell(number)
            while (pid := self._cluster.pids().get("controllers", 0)) in (0, killed):
                await asyncio.sleep(0.05)
            # It starts, reads up on things and begins to act within these.
            await asyncio.sleep(self._dice.uniform(0.3, pause_s))
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.killed_at.append(time.monotonic())
            killed = pid


def _template(name: str) -> Document:
    container = {"name": "main", "image": "nginx", "resources": {"requests": {"cpu": "10m"}}}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 2}
    return {
        "metadata": {"labels": {"app": name}, "annotations": {"version": "0"}},
        "spec": spec,
    }


def _manifest(workload: Workload) -> Document:
    selector = {"matchLabels": {"app": workload.name}}
    spec = {"selector": selector, "template": _template(workload.name), **workload.spec}
    if workload.resource != DAEMON_SETS:
        spec["replicas"] = workload.replicas
    return {"metadata": {"name": workload.name}, "spec": spec}


def _job(name: str) -> Document:
    template = _template(name)
    template["spec"]["restartPolicy"] = "Never"
    template["spec"]["containers"][0]["command"] = ["sleep", "1"]
    return {
        "metadata": {"name": name},
        "spec": {
            "completions": N_INDEXES,
            "parallelism": 3,
            "completionMode": "Indexed",
            "template": template,
        },
    }


async def until_calm(client: Client, storm: Storm, auditor: Auditor) -> list[str]:
    """Wait until all is as it should be, and return what is not after a minute."""
    deadline = time.monotonic() + CALM_S
    while True:
        try:
            wrong = await _differences(client, storm, auditor)
        except (TransportError, ApiError) as error:
            wrong = [str(error)]
        if not wrong or time.monotonic() > deadline:
            return wrong
        await asyncio.sleep(0.25)


async def _differences(client: Client, storm: Storm, auditor: Auditor) -> list[str]:
    found = {
        resource: (await client.list(resource, NAMESPACE))["items"]
        for resource in (
            *(PODS, REPLICA_SETS, CONTROLLER_REVISIONS, JOBS),
            *(DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS),
        )
    }
    return [
        *(fault for each in storm.rolled for fault in _workload_faults(each, storm, found[PODS])),
        *(fault for name in storm.jobs for fault in _finished_job_faults(name, found)),
        *_ownership_faults(found),
        *_twin_faults(found[REPLICA_SETS]),
        *_unheard_faults(found[PODS], auditor.history.objects),
    ]


def _workload_faults(workload: Workload, storm: Storm, pods: list[Document]) -> Iterator[str]:
    mine = [pod for pod in pods if _app_of(pod) == workload.name]
    if len(mine) != workload.replicas or not all(map(is_ready, mine)):
        yield f"{workload.name} has {sum(map(is_ready, mine))} ready pods of {len(mine)}"
    wanted = str(storm.versions[workload.name])
    versions = Counter(pod["metadata"]["annotations"].get("version") for pod in mine)
    if set(versions) - {wanted}:
        yield f"{workload.name} should have pods of template {wanted}, has {dict(versions)}"


def _finished_job_faults(name: str, found: dict[Resource, list[Document]]) -> Iterator[str]:
    job = next(item for item in found[JOBS] if item["metadata"]["name"] == name)
    status = job.get("status", {})
    counts = (status.get("succeeded", 0), status.get("failed", 0), status.get("completedIndexes"))
    if counts != (N_INDEXES, 0, f"0-{N_INDEXES - 1}"):
        yield f"{name} counts {counts}"
    pods = [pod for pod in found[PODS] if _app_of(pod) == name]
    if len(pods) != N_INDEXES:
        yield f"{name} has made {len(pods)} pods"
    if any(pod["metadata"].get("finalizers") for pod in pods):
        yield f"{name} still holds pods"


def _ownership_faults(found: dict[Resource, list[Document]]) -> Iterator[str]:
    uids = {item["metadata"]["uid"] for items in found.values() for item in items}
    for resource in (PODS, REPLICA_SETS, CONTROLLER_REVISIONS):
        for item in found[resource]:
            owners = [r["uid"] for r in item["metadata"].get("ownerReferences", ())]
            if len(owners) != 1 or owners[0] not in uids:
                yield f"{resource.kind} {item['metadata']['name']} has no owner that is there"


def _twin_faults(sets: list[Document]) -> Iterator[str]:
    templates: Counter[tuple[str, bytes]] = Counter()
    for item in sets:
        template = msgspec.json.decode(msgspec.json.encode(item["spec"]["template"]))
        template["metadata"]["labels"].pop("pod-template-hash", None)
        templates[_app_of(item), msgspec.json.encode(template, order="sorted")] += 1
    for (app, _), n_sets in templates.items():
        if n_sets > 1:
            yield f"{app} has {n_sets} replica sets of one template"


def _unheard_faults(listed: list[Document], followed: dict[str, Document]) -> Iterator[str]:
    now = {key_of(pod): pod["metadata"]["resourceVersion"] for pod in listed}
    heard = {
        key: pod["metadata"]["resourceVersion"]
        for key, pod in followed.items()
        if pod["metadata"]["namespace"] == NAMESPACE
    }
    for key in sorted(now.keys() | heard.keys()):
        if now.get(key) != heard.get(key):
            yield f"{key} is at {now.get(key)}, who watches has {heard.get(key)}"


async def evidence(client: Client, cluster: Cluster, wrong: Iterable[str]) -> list[str]:
    """Return what there is to see of the workloads that faults name, and of their controllers."""
    blamed = {fault.split()[0] for fault in wrong}
    lines = []
    for resource in (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, JOBS, *SNAPSHOTS, PODS):
        for item in (await client.list(resource, NAMESPACE))["items"]:
            app = _app_of(item) or item["metadata"]["name"]
            if blamed & {app, item["metadata"]["name"]}:
                item["metadata"].pop("managedFields", None)
                lines.append(f"{resource.kind} {msgspec.json.encode(item).decode()}")
    return [*lines, *await cluster.dump("controllers")]


async def soak(
    cluster: Cluster, kills: int, nodes: int, seed: int, pause_s: float, tell: Callable[[int], None]
) -> tuple[list[str], Auditor, Storm]:
    """Run the storm; return which promises were broken, and by whom that was seen."""
    dice, rolled = random.Random(seed), workloads(nodes)
    async with (
        Client.from_kubeconfig(cluster.data / "kubeconfig") as client,
        Client.from_kubeconfig(cluster.data / "kubeconfig") as watching,
    ):
        auditor = Auditor(watching, rolled)
        storm = Storm(client, cluster, rolled, dice)
        following = asyncio.create_task(auditor.follow())
        await storm.begin()
        wrong = await until_calm(client, storm, auditor)
        auditor.begin()
        async with going_on(storm.roll):
            await storm.kill(kills, pause_s, tell)
        wrong += await until_calm(client, storm, auditor)
        if wrong:
            print(*await evidence(client, cluster, wrong), sep="\n", file=sys.stderr)
        await end(following)
    return [*auditor.broken, *auditor.history.backwards, *wrong], auditor, storm


def main() -> None:
    """Soak a cluster, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--nodes", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=2.0)
    parser.add_argument("--keep", type=Path, help="folder to leave the cluster's files in")
    options = parser.parse_args()

    def tell(number: int) -> None:
        if number % 10 == 0:
            print(f"{number} of {options.kills} kills", file=sys.stderr, flush=True)

    began_at = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kubeberth-soak-") as name:
        cluster = Cluster(options.keep or Path(name), options.nodes)
        try:
            broken, auditor, storm = asyncio.run(
                soak(cluster, options.kills, options.nodes, options.seed, options.pause, tell)
            )
            complaints = cluster.complaints()
        finally:
            cluster.stop()
    print(f"{time.monotonic() - began_at:.0f} s, {len(storm.killed_at)} kills, seed {options.seed}")
    print(f"rolled  {', '.join(f'{n} {k}' for k, n in sorted(storm.versions.items()))}")
    print(f"jobs    {len(storm.jobs)}")
    print(f"looked  {sum(auditor.n_looks.values())} times, {auditor.history.n_events} events")
    for line in complaints:
        print(f"log: {line}")
    for fault in broken[:40]:
        print(f"BROKEN: {fault}")
        if fault in auditor.broken:
            print(*auditor.story(fault, storm.killed_at), sep="\n")
    print(f"\n{len(broken)} promises broken")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
