"""A cluster in which one thing happens at a time: controllers look when they are told to."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable
from typing import Any

import msgspec

from kubeberth.api.scheme import EVENTS, NAMESPACES, PODS, Resource
from kubeberth.api.workloads import decode_object
from kubeberth.client.recorder import EventRecorder
from kubeberth.clock import rfc3339
from kubeberth.controllers.action import Action, Failure, ObjectRef, Outcome, Together, failure_of
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.executor import Executor
from kubeberth.controllers.reconciler import Reconciler
from kubeberth.controllers.supervisor import DECODERS
from kubeberth.errors import BerthError
from tests.fake_api import Document, FakeApi
from tests.objects import NOW


class ManualClock:
    """Time that goes on when it is told to."""

    def __init__(self, now: float = NOW) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class _Journal:
    def wrote(self, resource: Resource, resource_version: str) -> None:
        """Nothing is awaited: the next look is at what there is by then."""

    def deleted(self, target: ObjectRef) -> None:
        """Nothing is awaited."""


class World:
    """An API server in memory, and a clock.

    Attributes
    ----------
    events
        Type, reason and message of what users were told, in order.
    """

    def __init__(self, reconciler: Reconciler) -> None:
        self.clock = ManualClock()
        self.api = FakeApi(self.clock)
        self.api.put(NAMESPACES, {"metadata": {"name": "default"}})
        self.reconciler = reconciler
        self.events: list[tuple[str, str, str]] = []
        self.failure: Failure | None = None

    @property
    def cache(self) -> Cache:
        """What controllers know that have read everything."""
        cache = Cache()
        for resource, objects in self.api.objects.items():
            decode = DECODERS.get(resource, decode_object)
            for body in objects.values():
                cache.apply(resource, None, decode(msgspec.json.encode(body)))
        return cache

    def look(self, key: str) -> Outcome:
        """Return what the controller would do."""
        return self.reconciler.reconcile(self.cache, key, self.clock.now(), self.failure)

    def sync(self, key: str) -> Outcome:
        """Let the controller do what it wants to."""
        outcome = self.look(key)
        try:
            self.carry_out(outcome.actions)
        except BerthError as error:
            self.failure = failure_of(error)
        else:
            self.failure = None
        return outcome

    def settle(self, key: str) -> Outcome:
        """Let the controller go on until it has nothing more to do for now."""
        for _ in range(50):
            outcome = self.sync(key)
            if not outcome.actions:
                return outcome
        raise AssertionError("it never comes to rest")

    def carry_out(self, actions: Iterable[Action]) -> None:
        """Do some actions; their events are told, and kept."""

        async def scenario() -> None:
            client = self.api.client()
            recorder = EventRecorder(client, self.reconciler.name, self.clock)
            writing = asyncio.create_task(recorder.run())
            try:
                await Executor(client, recorder).carry_out(actions, _Journal())
            finally:
                for _ in range(1000):
                    await asyncio.sleep(0)
                writing.cancel()

        try:
            asyncio.run(scenario())
        finally:
            for body in self.api.objects.pop(EVENTS, {}).values():
                self.events.append((body["type"], body["reason"], body["message"]))

    def reasons(self) -> list[str]:
        """Return the reasons of the events, in order."""
        return [reason for _, reason, _ in self.events]

    def of(self, resource: Resource, name: str) -> Document:
        """Return an object of the namespace `default`."""
        return self.api.objects[resource][f"default/{name}"]

    def status(self, resource: Resource, name: str) -> Document:
        """Return an object's status."""
        return self.of(resource, name).get("status", {})

    def change(self, resource: Resource, name: str, **spec: Any) -> None:
        """Change an object's spec, as a user does."""
        self.api.change(resource, f"default/{name}", {"spec": spec})

    def pods(self) -> list[Document]:
        """Return the pods in the order of their creation."""
        return list(self.api.objects[PODS].values())

    def alive(self) -> list[Document]:
        """Return the pods that have neither ended nor been told to."""
        return [
            pod
            for pod in self.pods()
            if pod["status"]["phase"] in ("Pending", "Running")
            and "deletionTimestamp" not in pod["metadata"]
        ]

    def run(self, *pods: Document) -> None:
        """Start pods on a node, as scheduler and kubelet do."""
        for pod in pods or self.alive():
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": self._stamp()}
            status = {"phase": "Running", "conditions": [ready]}
            self._change(pod, {"spec": {"nodeName": "node-1"}, "status": status})

    def end(self, *pods: Document, code: int = 0, conditions: Iterable[Document] = ()) -> None:
        """Let pods end with an exit code."""
        for pod in pods:
            ended = {"exitCode": code, "finishedAt": self._stamp()}
            containers = [
                {"name": container["name"], "state": {"terminated": ended}}
                for container in pod["spec"]["containers"]
            ]
            unready = {"type": "Ready", "status": "False", "lastTransitionTime": self._stamp()}
            status = {
                "phase": "Failed" if code else "Succeeded",
                "containerStatuses": containers,
                "conditions": [unready, *conditions],
            }
            self._change(pod, {"status": status})

    def reap(self) -> None:
        """Let pods that were told to go end and disappear, as kubelets do."""
        for key, pod in list(self.api.objects[PODS].items()):
            if "deletionTimestamp" in pod["metadata"]:
                gone = copy.deepcopy(pod)
                gone["metadata"]["deletionGracePeriodSeconds"] = 0
                if gone["status"]["phase"] in ("Pending", "Running"):
                    gone["status"]["phase"] = "Failed"
                self.api.replace(PODS, key, gone)

    def _change(self, pod: Document, patch: Document) -> None:
        meta = pod["metadata"]
        self.api.change(PODS, f"{meta['namespace']}/{meta['name']}", patch)

    def _stamp(self) -> str:
        return rfc3339(self.clock.now())


def flat(actions: Iterable[Action]) -> list[Action]:
    """Return actions one by one, with those that are done together."""
    result: list[Action] = []
    for action in actions:
        result += flat(action.actions) if isinstance(action, Together) else [action]
    return result
