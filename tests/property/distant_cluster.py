"""A cluster whose controllers may be killed, over a network that takes its time.

Requests of a process that was killed may arrive after its successor has read up on things, and the
news of one kind come before those of another. Everything is in virtual time.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager, suppress

from tests.fake_api import FakeApi, FakeClient
from tests.objects import template
from tests.virtual_time import VirtualClock

from kubeberth.api.scheme import LEASES, NAMESPACES, NODES, PODS
from kubeberth.clock import rfc3339_micro
from kubeberth.controllers.supervisor import ControllerSettings, run
from kubeberth.errors import ConflictError, TransportError

LONGEST_S = 0.2


class DistantClient(FakeClient):
    """A client far from its server, which does what it has heard of whoever still waits for it."""

    def __init__(self, api, dice, mandate=None):
        super().__init__(api, mandate)
        self.dice = dice

    def under(self, mandate):
        other = DistantClient(self.api, self.dice, mandate)
        other._is_cut = self._is_cut
        return other

    async def _way(self):
        await asyncio.sleep(self.dice.uniform(0, LONGEST_S))

    async def _over(self, asked):
        async def done():
            await self._way()
            return await asked

        task = asyncio.ensure_future(done())
        # Nobody may be there to hear of it.
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        answer = await asyncio.shield(task)
        await self._way()
        if self._is_cut.is_set():
            raise TransportError("the network was gone by then")
        return answer

    async def get(self, *arguments, **options):
        return await self._over(super().get(*arguments, **options))

    async def list(self, *arguments, **options):
        return await self._over(super().list(*arguments, **options))

    async def create(self, *arguments, **options):
        return await self._over(super().create(*arguments, **options))

    async def update(self, *arguments, **options):
        return await self._over(super().update(*arguments, **options))

    async def patch(self, *arguments, **options):
        return await self._over(super().patch(*arguments, **options))

    async def delete(self, *arguments, **options):
        return await self._over(super().delete(*arguments, **options))

    async def watch(self, *arguments, **options):
        async for event in super().watch(*arguments, **options):
            await self._way()
            yield event


class Cluster:
    """A server, kubelets, and one process of controllers after the other.

    Parameters
    ----------
    sets
        Resource and spec, beside replicas, selector and template, of what is to be controlled.
    replicas
        How many pods each has at first.
    """

    def __init__(self, seed, sets, replicas=3):
        self.dice = random.Random(seed)
        self.api = FakeApi(VirtualClock())
        self.asked = dict.fromkeys(sets, (1, replicas))
        self.api.put(NAMESPACES, {"metadata": {"name": "default"}})
        ready = {"type": "Ready", "status": "True"}
        self.api.put(NODES, {"metadata": {"name": "n"}, "status": {"conditions": [ready]}})
        self.api.put(LEASES, {"metadata": {"name": "n", "namespace": "kube-node-lease"}})
        self._sets = {name: resource for name, (resource, _) in sets.items()}
        for name, (resource, more) in sets.items():
            made = {"metadata": {"name": name}, "spec": spec(name, 1, replicas) | more}
            self.api.put(resource, made)
        self.client = None
        self._process = None
        self._going_on = []

    @asynccontextmanager
    async def going_on(self):
        """Let nodes and controllers work for as long as a block takes."""
        node = [asyncio.create_task(each()) for each in (self._run_pods, self._renew)]
        self.start()
        try:
            yield
        finally:
            await self.stop()
            for task in node:
                task.cancel()

    def start(self):
        self.client = DistantClient(self.api, self.dice)
        settings = ControllerSettings(root_ca="PEM")
        process = run(self.client, settings, clock=VirtualClock())
        self._process = asyncio.create_task(process)

    async def stop(self):
        self._process.cancel()
        with suppress(asyncio.CancelledError):
            await self._process

    async def happen(self, what, which, value):
        match what:
            case "roll" | "scale":
                version, replicas = self.asked[which]
                asked = (value, replicas) if what == "roll" else (version, value)
                self.asked[which] = asked
                self.api.change(
                    self._sets[which], f"default/{which}", {"spec": spec(which, *asked)}
                )
            case "end":
                self._end(which, value)
            case "kill":
                await self.stop()
                await asyncio.sleep(value)
                self.start()
            case "lose":
                self._going_on.append(asyncio.create_task(self._lose(self.client, which, value)))
            case "refuse":
                self.api.refusals[which] = ConflictError("the object has been modified")
                await asyncio.sleep(value)
                del self.api.refusals[which]

    async def _lose(self, client, is_long, lasts_s):
        """Take a process's connections; after a long time, nobody knows what it has missed."""
        client.cut()
        await asyncio.sleep(lasts_s)
        if is_long:
            self.api.forget()
        client.mend()

    def _end(self, how, number):
        pods = sorted(self.api.objects[PODS].items())
        if not pods:
            return
        key, pod = pods[number % len(pods)]
        if how == "fail":
            self.api.change(PODS, key, {"status": {"phase": "Failed", "conditions": []}})
        elif "deletionTimestamp" not in pod["metadata"]:
            self.api.remove(PODS, key)

    async def _run_pods(self):
        """Play the scheduler and the kubelets."""
        while True:
            for key, pod in list(self.api.objects[PODS].items()):
                if "deletionTimestamp" in pod["metadata"]:
                    self.api.remove(PODS, key)
                elif pod["status"]["phase"] == "Pending":
                    ready = {"type": "Ready", "status": "True"}
                    status = {"phase": "Running", "conditions": [ready]}
                    self.api.change(PODS, key, {"spec": {"nodeName": "n"}, "status": status})
            await asyncio.sleep(self.dice.uniform(0.01, 0.5))

    async def _renew(self):
        """Play a node that is well."""
        while True:
            renewed = {"spec": {"renewTime": rfc3339_micro(VirtualClock().now())}}
            self.api.change(LEASES, "kube-node-lease/n", renewed)
            await asyncio.sleep(10)

    def stayed_behind(self):
        """Return the sets that are not as they were asked to be, and of what their pods are."""
        wanted = {name: [version] * replicas for name, (version, replicas) in self.asked.items()}
        found = {name: [] for name in self._sets}
        for pod in self.api.objects[PODS].values():
            # As upstream, a ReplicaSet leaves the failed ones to those who want to look at them.
            if pod["status"]["phase"] != "Failed":
                found[pod["metadata"]["labels"]["app"]].append(version_of(pod))
        return {name: (wanted[name], found[name]) for name in found if found[name] != wanted[name]}


def spec(name, version, replicas):
    labels = {"app": name}
    made_of = template(f"nginx:{version}", labels)
    return {"replicas": replicas, "selector": {"matchLabels": labels}, "template": made_of}


def version_of(pod):
    return int(pod["spec"]["containers"][0]["image"].rpartition(":")[2])


def is_serving(pod):
    """Return whether a pod runs and is ready."""
    conditions = pod["status"].get("conditions", ())
    is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return pod["status"]["phase"] == "Running" and is_ready
