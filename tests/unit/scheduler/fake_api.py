"""A small API server in memory, with the methods of the client that the scheduler uses."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, Callable
from typing import Any

import msgspec

from kubeberth.api.scheme import NODES, PODS, Resource
from kubeberth.client.client import WatchEvent
from kubeberth.client.mandate import Mandate
from kubeberth.errors import ApiError, BerthError, ConflictError, NotFoundError, TransportError

Document = dict[str, Any]


class FakeApi:
    """Objects by resource, and everybody who watches them.

    Attributes
    ----------
    bindings
        `(pod, node)` in the order in which they were accepted.
    written
        Events that were created.
    refuse_bind
        Called before each binding; returns the error to raise, or None.
    hanging
        Pods whose bindings get no answer and are not carried out, until this is emptied.
    refuse_delete
        The same before each deletion, by the name of the pod.
    losses
        How many of the next reads and writes of pods get no answer.
    """

    def __init__(self) -> None:
        self.bindings: list[tuple[str, str]] = []
        self.written: list[Document] = []
        self.series: list[tuple[str, Document]] = []
        self.refuse_bind: Callable[[str], BerthError | None] = lambda _: None
        self.refuse_delete: Callable[[str], BerthError | None] = lambda _: None
        self.hanging: set[str] = set()
        self.losses = 0
        self._objects: dict[str, dict[str, Document]] = {}
        self._watchers: dict[str, list[asyncio.Queue[WatchEvent]]] = {}
        self._version = 0
        self._changed = asyncio.Event()

    # What tests do

    def put(self, resource: Resource, document: Document) -> None:
        """Create or replace an object."""
        self._store(resource, copy.deepcopy(document))

    def remove(self, resource: Resource, key: str) -> None:
        """Delete an object."""
        document = self._objects[resource.plural].pop(key)
        self._version += 1
        document["metadata"]["resourceVersion"] = str(self._version)
        self._tell(resource, "DELETED", document)

    def pod(self, key: str) -> Document:
        """Return a pod as it is now."""
        return self._objects["pods"][key]

    def __contains__(self, key: str) -> bool:
        return key in self._objects["pods"]

    async def until(self, condition: Callable[[], object], within_s: float = 5.0) -> None:
        """Wait until something holds; looks again after every change."""
        async with asyncio.timeout(within_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def answer(self) -> None:
        """Let the bindings that hang go on."""
        self.hanging.clear()
        self._changed.set()

    # What the client offers

    def under(self, mandate: Mandate) -> FakeApi:
        """Return itself: those who test it are alone."""
        return self

    async def list_bytes(
        self, resource: Resource, namespace: str | None = None, **parameters: Any
    ) -> bytes:
        """Return a List."""
        items = list(self._objects.get(resource.plural, {}).values())
        metadata = {"resourceVersion": str(self._version)}
        return msgspec.json.encode({"metadata": metadata, "items": items})

    async def watch(
        self, resource: Resource, namespace: str | None = None, **parameters: Any
    ) -> AsyncGenerator[WatchEvent, None]:
        """Yield what happens from now on."""
        events: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self._watchers.setdefault(resource.plural, []).append(events)
        while True:
            yield await events.get()

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Document:
        """Return a pod as it is now."""
        self._lose()
        document = self._objects[resource.plural].get(f"{namespace}/{name}")
        if document is None:
            raise NotFoundError(f'{resource.plural} "{name}" not found')
        return document

    async def bind(self, namespace: str, pod: str, node: str, *, uid: str | None = None) -> None:
        """Assign a pod to a node."""
        await asyncio.sleep(0)
        key = f"{namespace}/{pod}"
        while key in self.hanging:
            self._changed.clear()
            await self._changed.wait()
        error = self.refuse_bind(key)
        if error is not None:
            raise error
        document = self._objects["pods"].get(key)
        if document is None:
            raise NotFoundError(f'pods "{pod}" not found')
        if document["spec"].get("nodeName"):
            raise ConflictError(f'pod {pod} is already assigned to node "{node}"')
        document["spec"]["nodeName"] = node
        self.bindings.append((key, node))
        self._store(PODS, document)

    async def create(
        self, resource: Resource, body: Document, namespace: str | None = None, **_: Any
    ) -> Document:
        """Take an event."""
        if namespace != body["metadata"]["namespace"]:
            raise ApiError("the namespace of the object does not match the request")
        self.written.append(body)
        self._changed.set()
        return body

    async def patch(
        self,
        resource: Resource,
        name: str,
        change: Document,
        namespace: str | None = None,
        *,
        kind: str = "merge",
        sub: str = "",
    ) -> Document:
        """Set a pod's conditions and nomination, or an event's series."""
        if resource.plural == "events":
            self.series.append((name, change["series"]))
            self._changed.set()
            return {}
        self._lose()
        pod = self._objects["pods"].get(f"{namespace}/{name}")
        if pod is None:
            raise NotFoundError(f'pods "{name}" not found')
        status = pod.setdefault("status", {})
        for condition in change["status"].get("conditions", ()):
            others = [c for c in status.get("conditions", ()) if c["type"] != condition["type"]]
            status["conditions"] = [*others, condition]
        if "nominatedNodeName" in change["status"]:
            status["nominatedNodeName"] = change["status"]["nominatedNodeName"] or ""
        self._store(PODS, pod)
        return pod

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, *, uid: str
    ) -> Document:
        """Ask a pod to go; it is gone when the test says so."""
        pod = self._objects["pods"].get(f"{namespace}/{name}")
        if pod is None:
            raise NotFoundError(f'pods "{name}" not found')
        error = self.refuse_delete(name)
        if error is not None:
            raise error
        if uid != pod["metadata"]["uid"]:
            raise ConflictError("the UID in the precondition does not match")
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self._store(PODS, pod)
        return pod

    def _lose(self) -> None:
        if self.losses:
            self.losses -= 1
            raise TransportError("no answer")

    def _store(self, resource: Resource, document: Document) -> None:
        meta = document["metadata"]
        key = f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else meta["name"]
        known = self._objects.setdefault(resource.plural, {})
        kind = "MODIFIED" if key in known else "ADDED"
        self._version += 1
        meta["resourceVersion"] = str(self._version)
        meta.setdefault("uid", f"uid-{self._version}")
        known[key] = document
        self._tell(resource, kind, document)

    def _tell(self, resource: Resource, kind: str, document: Document) -> None:
        raw = msgspec.json.encode(document)
        for events in self._watchers.get(resource.plural, ()):
            events.put_nowait(WatchEvent(kind, raw))
        self._changed.set()


def pod(name: str, *, cpu: str = "100m", **spec: Any) -> Document:
    """Return a pod of the default scheduler."""
    containers = [{"name": "main", "resources": {"requests": {"cpu": cpu}}}]
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {"containers": containers, **spec},
        "status": {"phase": "Pending"},
    }


def node(name: str, *, cpu: str = "1", labels: dict[str, str] | None = None) -> Document:
    """Return a node with room for ten pods."""
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "status": {"allocatable": {"cpu": cpu, "memory": "1Gi", "pods": "10"}},
    }


__all__ = ["NODES", "PODS", "FakeApi", "node", "pod"]
