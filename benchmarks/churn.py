"""A day in the life of a scheduler, in a minute or two: virtual time, and an auditor.

    python benchmarks/churn.py [--hours 24] [--nodes 40] [--every 2.0] [--seed 1]

The scheduler is the real one; the API server is a store in the same process, and time leaps to
whenever something is due. Nodes come and go, their labels and taints change, pods of fifty kinds
with priorities come and go, important ones have others make room, and one binding in fifty is
answered by silence, carried out or not. An auditor follows pods and nodes as any client would,
knows the rules by itself, and reports

- a pod that was bound twice, or to a node that is not there
- a node with more requested than it has, when a pod is bound to it
- a required rule that does not hold when a pod is bound: selector, taints, anti-affinity, spreading
- at the end, a pod that has no node although one would take it

It ends with 1 when there was any of these.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.virtual_time import VirtualClock, VirtualLoop

from kubeberth.api.quantity import milli_value
from kubeberth.api.scheme import NODES, PODS, Resource
from kubeberth.client.client import Client, WatchEvent
from kubeberth.client.mandate import Mandate
from kubeberth.clock import rfc3339
from kubeberth.errors import ConflictError, NotFoundError, TransportError
from kubeberth.scheduler.config import Settings
from kubeberth.scheduler.scheduler import run

Document = dict[str, Any]

ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
N_TEMPLATES, N_ZONES = 50, 3
GRACE_S = 2.0
SILENCE = 0.02
# After the last change so much time passes that every pod has been tried again.
SETTLE_S = 900.0


class Api:
    """As much of an API server as a scheduler asks for; stands in for a Client."""

    def __init__(self, dice: random.Random) -> None:
        self.objects: dict[str, dict[str, Document]] = defaultdict(dict)
        self.done: Counter[str] = Counter()
        self.answers: Counter[tuple[str, ...]] = Counter()
        self._dice = dice
        self._version = 0
        self._watchers: dict[str, list[asyncio.Queue[WatchEvent]]] = defaultdict(list)

    def put(self, resource: Resource, document: Document) -> None:
        """Create or replace an object."""
        kept = self.objects[resource.plural]
        kind = "MODIFIED" if _key(document) in kept else "ADDED"
        kept[_key(document)] = document
        self._tell(resource, kind, document)

    def remove(self, resource: Resource, key: str) -> None:
        """Delete an object at once."""
        document = self.objects[resource.plural].pop(key, None)
        if document is not None:
            self._tell(resource, "DELETED", document)

    def _tell(self, resource: Resource, kind: str, document: Document) -> None:
        self._version += 1
        document["metadata"]["resourceVersion"] = str(self._version)
        event = WatchEvent(kind, msgspec.json.encode(document))
        for watcher in self._watchers[resource.plural]:
            watcher.put_nowait(event)

    def under(self, _: Mandate) -> Api:
        """Return itself: the scheduler has no rivals here."""
        return self

    async def list_bytes(self, resource: Resource, *_: Any, **__: Any) -> bytes:
        """Return a List."""
        items = list(self.objects[resource.plural].values())
        metadata = {"resourceVersion": str(self._version)}
        return msgspec.json.encode({"metadata": metadata, "items": items})

    async def watch(self, resource: Resource, *_: Any, **__: Any) -> AsyncIterator[WatchEvent]:
        """Yield what happens from now on."""
        events: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self._watchers[resource.plural].append(events)
        while True:
            yield await events.get()

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Document:
        """Return an object."""
        return self._found(resource, name, namespace)

    async def bind(self, namespace: str, pod: str, node: str, *, uid: str | None = None) -> None:
        """Assign a pod to a node; sometimes nobody hears how that ended."""
        document = self._found(PODS, pod, namespace)
        is_silent = self._dice.random() < SILENCE
        # Pods of one kind are spread in view of each other. When one of them is not bound after
        # all, those that were counted on it are where they are, with any scheduler.
        is_counted_on = "topologySpreadConstraints" in document["spec"]
        if is_silent and not is_counted_on and self._dice.random() < 0.5:
            self.done["binding lost"] += 1
            raise TransportError("the request got lost")
        if uid != document["metadata"]["uid"] or "deletionTimestamp" in document["metadata"]:
            raise ConflictError(f"pod {pod} is another one, or is being deleted")
        if document["spec"].get("nodeName"):
            raise ConflictError(f"pod {pod} is already assigned to a node")
        document["spec"]["nodeName"] = node
        document["status"] = {"phase": "Running", "startTime": rfc3339(VirtualClock().now())}
        self.done["bound"] += 1
        self.put(PODS, document)
        if is_silent:
            self.done["answer lost"] += 1
            raise TransportError("the answer got lost")

    async def create(self, resource: Resource, body: Any, *_: Any, **__: Any) -> Document:
        """Take an event."""
        self.done[f"event {body['reason']}"] += 1
        return cast(Document, body)

    async def patch(
        self, resource: Resource, name: str, change: Any, namespace: str | None = None, **_: Any
    ) -> Document:
        """Take the status of a pod; of events nothing is kept."""
        if resource is not PODS:
            return {}
        document = self._found(resource, name, namespace)
        status = {**document["status"], **change["status"]}
        by_type = {
            entry["type"]: entry
            for source in (document["status"], change["status"])
            for entry in source.get("conditions", [])
        }
        kept = {name: value for name, value in status.items() if value is not None}
        document["status"] = {**kept, "conditions": list(by_type.values())}
        self.put(PODS, document)
        return document

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, **_: Any
    ) -> Document:
        """Ask a pod to go, which takes its time when it has a node."""
        document = self._found(resource, name, namespace)
        self.ask_to_go(document)
        self.done["preempted"] += 1
        return document

    def ask_to_go(self, pod: Document) -> None:
        """Have a pod end, as its kubelet would."""
        if "deletionTimestamp" in pod["metadata"]:
            return
        if not pod["spec"].get("nodeName"):
            self.remove(PODS, _key(pod))
            return
        pod["metadata"]["deletionTimestamp"] = rfc3339(VirtualClock().now())
        self.put(PODS, pod)
        asyncio.get_running_loop().call_later(GRACE_S, self.remove, PODS, _key(pod))

    def _found(self, resource: Resource, name: str, namespace: str | None) -> Document:
        document = self.objects[resource.plural].get(f"{namespace}/{name}")
        if document is None:
            raise NotFoundError(f'{resource.plural} "{name}" not found')
        return document


def _key(document: Document) -> str:
    meta = document["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if "namespace" in meta else str(meta["name"])


# What there is


def make_node(name: str, dice: random.Random) -> Document:
    """Return an empty node."""
    zone = f"zone-{dice.randrange(N_ZONES)}"
    labels = {HOST: name, ZONE: zone, "disk": dice.choice(("ssd", "hdd"))}
    room = {"cpu": dice.choice(("4", "8")), "memory": "32Gi", "pods": "20"}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {"allocatable": room},
    }


def make_templates(dice: random.Random) -> list[Document]:
    """Return labels and spec of fifty kinds of pods."""
    return [_template(index, dice) for index in range(N_TEMPLATES)]


def _template(index: int, dice: random.Random) -> Document:
    app = f"app-{index}"
    selector = {"labelSelector": {"matchLabels": {"app": app}}}
    cpu = dice.choice((100, 250, 500, 1000, 2000))
    container = {"name": "main", "resources": {"requests": {"cpu": f"{cpu}m"}}}
    spec: Document = {"containers": [container], "priority": dice.choice((0, 0, 0, 10, 100))}
    match index % 5:
        case 1:
            spec["nodeSelector"] = {"disk": dice.choice(("ssd", "hdd"))}
        case 2:
            term = {**selector, "topologyKey": HOST}
            spec["affinity"] = {"podAntiAffinity": {REQUIRED: [term]}}
        case 3:
            rule = {"topologyKey": ZONE, "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"}
            spec["topologySpreadConstraints"] = [{**selector, **rule}]
        case 4:
            spec["tolerations"] = [{"key": "busy", "operator": "Exists"}]
    return {"labels": {"app": app}, "spec": spec}


@dataclass
class Auditor:
    """Follows the API, and knows the rules by itself."""

    api: Api
    broken: list[str] = field(default_factory=list)
    n_bound: int = 0
    pods: dict[str, Document] = field(default_factory=dict)
    nodes: dict[str, Document] = field(default_factory=dict)
    _homes: dict[str, str] = field(default_factory=dict)

    async def follow(self, resource: Resource) -> None:
        """Follow pods or nodes until cancelled."""
        kept = self.pods if resource is PODS else self.nodes
        async for event in self.api.watch(resource):
            document = msgspec.json.decode(event.object)
            if event.type == "DELETED":
                kept.pop(_key(document), None)
                continue
            if resource is PODS:
                self._check(document)
            kept[_key(document)] = document

    def _check(self, pod: Document) -> None:
        uid, home = pod["metadata"]["uid"], pod["spec"].get("nodeName", "")
        before = self._homes.get(uid, "")
        if before and before != home:
            self.broken.append(f"{_key(pod)} moved from {before} to {home!r}")
        if not home or before:
            return
        self._homes[uid] = home
        self.n_bound += 1
        node = self.nodes.get(home)
        if node is None:
            self.broken.append(f"{_key(pod)} is on {home}, which is not there")
            return
        self.broken += [f"{_key(pod)} on {home}: {why}" for why in self.obstacles(pod, node)]

    def obstacles(self, pod: Document, node: Document) -> Iterator[str]:
        """Yield what speaks against a pod on a node, as things are."""
        labels, spec = node["metadata"]["labels"], pod["spec"]
        there = [p for p in self._others(pod) if p["spec"]["nodeName"] == node["metadata"]["name"]]
        room = node["status"]["allocatable"]
        if len(there) + 1 > int(room["pods"]):
            yield "too many pods"
        if sum(map(_millis, (*there, pod))) > milli_value(room["cpu"]):
            yield "more CPU than there is"
        if any(labels.get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
            yield "other labels than it selects"
        tolerated = {entry["key"] for entry in spec.get("tolerations", [])}
        taints = node["spec"].get("taints", [])
        if any(t["key"] not in tolerated and t["effect"] != "PreferNoSchedule" for t in taints):
            yield "a taint"
        app = pod["metadata"]["labels"]["app"]
        if "affinity" in spec and any(p["metadata"]["labels"]["app"] == app for p in there):
            yield "another one of its kind"
        if "topologySpreadConstraints" in spec:
            yield from self._skew(pod, labels[ZONE])

    def _skew(self, pod: Document, zone: str) -> Iterator[str]:
        """Count the others of its kind by zone; those that are about to go do not count."""
        app = pod["metadata"]["labels"]["app"]
        counts = dict.fromkeys((n["metadata"]["labels"][ZONE] for n in self.nodes.values()), 0)
        for other in self._others(pod):
            node = self.nodes.get(other["spec"]["nodeName"])
            is_going = "deletionTimestamp" in other["metadata"]
            if node is not None and not is_going and other["metadata"]["labels"]["app"] == app:
                counts[node["metadata"]["labels"][ZONE]] += 1
        skew = counts[zone] + 1 - min(counts.values())
        if skew > pod["spec"]["topologySpreadConstraints"][0]["maxSkew"]:
            yield f"a skew of {skew}"

    def _others(self, pod: Document) -> Iterator[Document]:
        uid = pod["metadata"]["uid"]
        for other in self.pods.values():
            if other["spec"].get("nodeName") and other["metadata"]["uid"] != uid:
                yield other

    def forgotten(self) -> Iterator[str]:
        """Yield which pods have no node although one would take them, or nobody says why."""
        for key, pod in self.pods.items():
            if pod["spec"].get("nodeName"):
                continue
            for name, node in self.nodes.items():
                if not list(self.obstacles(pod, node)):
                    yield f"{key} has no node, and {name} would take it"
                    break
            said = {entry["type"]: entry for entry in pod["status"].get("conditions", [])}
            if said.get("PodScheduled", {}).get("reason") != "Unschedulable":
                yield f"{key} has no node, and nothing says why"


def _millis(pod: Document) -> int:
    return int(pod["spec"]["containers"][0]["resources"]["requests"]["cpu"].removesuffix("m"))


class Churn:
    """Changes the cluster all day."""

    def __init__(self, api: Api, n_nodes: int, dice: random.Random) -> None:
        self._api, self._dice, self._n_nodes = api, dice, n_nodes
        self._templates = make_templates(dice)
        self._n_made = 0
        for _ in range(n_nodes):
            self._add_node()

    async def run(self, hours: float, every_s: float) -> None:
        """Change something every now and then."""
        loop = asyncio.get_running_loop()
        end = loop.time() + hours * 3600
        actions = [self._add_pods] * 12 + [self._delete_pod] * 12
        actions += [self._taint, self._label, self._delete_node, self._add_node]
        while loop.time() < end:
            await asyncio.sleep(self._dice.expovariate(1 / every_s))
            action = self._dice.choice(actions)
            self._api.done[action.__name__.strip("_")] += 1
            action()

    def _add_node(self) -> None:
        if len(self._api.objects["nodes"]) < self._n_nodes * 1.2:
            self._n_made += 1
            self._api.put(NODES, make_node(f"node-{self._n_made}", self._dice))

    def _delete_node(self) -> None:
        nodes = self._api.objects["nodes"]
        if len(nodes) < self._n_nodes * 0.8:
            return
        name = self._dice.choice(list(nodes))
        self._api.remove(NODES, name)
        for key, pod in list(self._api.objects["pods"].items()):
            if pod["spec"].get("nodeName") == name:
                self._api.remove(PODS, key)

    def _any_node(self) -> Document:
        return self._api.objects["nodes"][self._dice.choice(list(self._api.objects["nodes"]))]

    def _taint(self) -> None:
        node = self._any_node()
        effect = self._dice.choice(("NoSchedule", "PreferNoSchedule", ""))
        taints = [{"key": "busy", "effect": effect}] if effect else []
        self._api.put(NODES, {**node, "spec": {"taints": taints}})

    def _label(self) -> None:
        node = self._any_node()
        labels = {**node["metadata"]["labels"], "disk": self._dice.choice(("ssd", "hdd"))}
        self._api.put(NODES, {**node, "metadata": {**node["metadata"], "labels": labels}})

    def _add_pods(self) -> None:
        template = self._dice.choice(self._templates)
        for _ in range(self._dice.randint(1, 4)):
            self._n_made += 1
            self._api.put(PODS, _pod(f"pod-{self._n_made}", template))

    def _delete_pod(self) -> None:
        pods = self._api.objects["pods"]
        # More go when there are many, so that the cluster is nearly full most of the time.
        for _ in range(1 + len(pods) // (self._n_nodes * 5)):
            if pods:
                self._api.ask_to_go(pods[self._dice.choice(list(pods))])


def _pod(name: str, template: Document) -> Document:
    meta = {"name": name, "namespace": "default", "labels": template["labels"]}
    stamp = rfc3339(VirtualClock().now())
    meta |= {"uid": str(uuid.uuid5(uuid.NAMESPACE_OID, name)), "creationTimestamp": stamp}
    return {"metadata": meta, "spec": dict(template["spec"]), "status": {"phase": "Pending"}}


async def live(hours: float, n_nodes: int, every_s: float, seed: int) -> tuple[Api, Auditor]:
    """Let so many hours pass, and return what there is then, and who has watched."""
    dice = random.Random(seed)
    api = Api(random.Random(seed + 1))
    auditor = Auditor(api)
    background = [asyncio.create_task(auditor.follow(kind)) for kind in (NODES, PODS)]
    await asyncio.sleep(0)
    churn = Churn(api, n_nodes, dice)
    background.append(
        asyncio.create_task(run(cast(Client, api), Settings(seed=seed), clock=VirtualClock()))
    )
    await churn.run(hours, every_s)
    await asyncio.sleep(SETTLE_S)
    auditor.broken += auditor.forgotten()
    for task in background:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return api, auditor


def live_through(hours: float, n_nodes: int, every_s: float, seed: int) -> tuple[Api, Auditor]:
    """Do so in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(live(hours, n_nodes, every_s, seed))


def main() -> None:
    """Live through a day, and say how it went."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--nodes", type=int, default=40)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two changes")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    api, auditor = live_through(options.hours, options.nodes, options.every, options.seed)
    for name, count in sorted(api.done.items()):
        print(f"{name:<28}{count:>9,}")
    pending = sum(not pod["spec"].get("nodeName") for pod in auditor.pods.values())
    print(f"{'pods at the end, pending':<28}{len(auditor.pods):>9,}, {pending}")
    for fault in auditor.broken[:40]:
        print(f"BROKEN: {fault}")
    print(f"\n{auditor.n_bound:,} bindings audited, {len(auditor.broken)} promises broken")
    sys.exit(bool(auditor.broken))


if __name__ == "__main__":
    main()
