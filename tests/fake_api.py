"""An API server in memory, behind the methods of a Client: enough for controllers and kubelets.

It keeps revisions, generations, finalizers and graceful deletion as the real one does; it checks
nothing.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec

from kubeberth.api.scheme import NAMESPACES, PODS, Resource
from kubeberth.api.selectors import parse_field_selector
from kubeberth.client.client import WatchEvent
from kubeberth.client.mandate import Alone, LeadershipLostError, Mandate
from kubeberth.clock import Clock, SystemClock, rfc3339
from kubeberth.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    NotFoundError,
    TransportError,
)

Document = dict[str, Any]
# Keys of lists that a strategic merge patch merges, and by what.
MERGE_KEYS = {"conditions": "type", "addresses": "type", "podIPs": "ip", "hostIPs": "ip"}
DELETE_FROM_LIST = "$deleteFromPrimitiveList/"
SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


class FakeApi:
    """The store; `client()` gives access to it.

    Attributes
    ----------
    onlookers
        Called after every change.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.objects: dict[Resource, dict[str, Document]] = defaultdict(dict)
        self.log: list[tuple[str, str, str]] = []
        self.is_down = False
        self.former_namespaces: set[str] = set()
        self.refusals: dict[tuple[str, Resource], ApiError] = {}
        self.onlookers: list[Callable[[], None]] = []
        self._events: dict[Resource, list[tuple[int, str, bytes]]] = defaultdict(list)
        self._forgotten = 0
        self._news = asyncio.Event()
        self._revisions = itertools.count(1)
        self._revision = 0
        self._random = random.Random(1)

    def client(self) -> FakeClient:
        """Return a client, as a process of its own would have."""
        return FakeClient(self)

    def put(self, resource: Resource, body: Mapping[str, Any]) -> Document:
        """Store an object as if somebody had created it."""
        body = copy.deepcopy(dict(body))
        meta = body.setdefault("metadata", {})
        if resource.namespaced:
            meta.setdefault("namespace", "default")
        if not meta.get("name"):
            meta["name"] = meta["generateName"] + "".join(self._random.choices(SUFFIX, k=5))
        key = key_of(meta)
        if key in self.objects[resource]:
            raise AlreadyExistsError(f'{resource.group_resource} "{meta["name"]}" already exists')
        meta.setdefault("uid", f"uid-{self._revision + 1:06}")
        meta.setdefault("creationTimestamp", rfc3339(self.clock.now()))
        meta.setdefault("generation", 1)
        if resource == PODS:
            body.setdefault("status", {}).setdefault("phase", "Pending")
        if resource == NAMESPACES:
            body.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
            body.setdefault("status", {"phase": "Active"})
        return self._store(resource, key, body, "ADDED")

    def change(self, resource: Resource, key: str, patch: Mapping[str, Any]) -> Document:
        """Merge a patch into an object as if somebody else had."""
        current = self.objects[resource][key]
        return self.replace(resource, key, merge(current, patch, strategic=True))

    def replace(self, resource: Resource, key: str, new: Document) -> Document:
        """Store a new state of an object."""
        old = self.objects[resource][key]
        if _without_revision(old) == _without_revision(new):
            return old
        if old.get("spec") != new.get("spec"):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        meta = new["metadata"]
        is_held = meta.get("finalizers") or meta.get("deletionGracePeriodSeconds")
        if meta.get("deletionTimestamp") and not is_held and resource != NAMESPACES:
            return self.remove(resource, key)
        return self._store(resource, key, new, "MODIFIED")

    def remove(self, resource: Resource, key: str) -> Document:
        """Delete an object at once."""
        body = self.objects[resource].pop(key)
        if resource == NAMESPACES:
            self.former_namespaces.add(key)
        self._revision = next(self._revisions)
        body = copy.deepcopy(body)
        body["metadata"]["resourceVersion"] = str(self._revision)
        self._tell(resource, "DELETED", body)
        return body

    def _store(self, resource: Resource, key: str, body: Document, type_: str) -> Document:
        self._revision = next(self._revisions)
        body["metadata"]["resourceVersion"] = str(self._revision)
        self.objects[resource][key] = body
        self._tell(resource, type_, body)
        return body

    def _tell(self, resource: Resource, type_: str, body: Document) -> None:
        self._events[resource].append((self._revision, type_, msgspec.json.encode(body)))
        news, self._news = self._news, asyncio.Event()
        news.set()
        for look in self.onlookers:
            look()

    @property
    def revision(self) -> int:
        return self._revision

    def forget(self) -> None:
        """Keep no events of what has happened so far, as after a compaction."""
        self._forgotten = self._revision

    async def events_after(
        self, resource: Resource, revision: int
    ) -> AsyncIterator[tuple[str, bytes]]:
        """Yield a resource's events from a revision on, for ever."""
        if revision < self._forgotten:
            raise ExpiredError("too old resource version")
        log, position = self._events[resource], 0
        while True:
            news = self._news
            while position < len(log):
                at, type_, raw = log[position]
                position += 1
                if at > revision:
                    yield type_, raw
            await news.wait()
            if self.is_down:
                raise TransportError("the server is down")


class FakeClient:
    """The methods of `kubeberth.client.Client`, on a FakeApi."""

    def __init__(self, api: FakeApi, mandate: Mandate | None = None) -> None:
        self.api = api
        self._mandate = mandate or Alone()
        self._is_cut = asyncio.Event()

    def under(self, mandate: Mandate) -> FakeClient:
        return FakeClient(self.api, mandate)

    def cut(self) -> None:
        self._is_cut.set()

    def mend(self) -> None:
        self._is_cut.clear()

    async def __aenter__(self) -> FakeClient:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Document:
        await self._answer("get", resource, name)
        return copy.deepcopy(self._find(resource, name, namespace)[1])

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        field_selector: str = "",
        **_: Any,
    ) -> Document:
        await self._answer("list", resource, "")
        items = [
            item
            for item in self.api.objects[resource].values()
            if (not namespace or item["metadata"].get("namespace") == namespace)
            and _selects(field_selector, item)
        ]
        metadata = {"resourceVersion": str(self.api.revision)}
        return {"metadata": metadata, "items": copy.deepcopy(items)}

    async def list_bytes(
        self, resource: Resource, namespace: str | None = None, **parameters: Any
    ) -> bytes:
        return msgspec.json.encode(await self.list(resource, namespace, **parameters))

    async def create(
        self,
        resource: Resource,
        body: Mapping[str, Any],
        namespace: str | None = None,
        **_: Any,
    ) -> Document:
        name = body["metadata"].get("name") or body["metadata"].get("generateName", "")
        await self._answer("create", resource, name)
        if namespace:
            self._check_namespace(namespace)
            body = merge(dict(body), {"metadata": {"namespace": namespace}})
        return copy.deepcopy(self.api.put(resource, body))

    async def update(
        self,
        resource: Resource,
        body: Mapping[str, Any],
        *,
        sub: str = "",
        patience_s: float | None = None,
    ) -> Document:
        meta = body["metadata"]
        await self._answer("update", resource, meta["name"])
        key, current = self._find(resource, meta["name"], meta.get("namespace"))
        if (
            meta.get("resourceVersion", current["metadata"]["resourceVersion"])
            != (current["metadata"]["resourceVersion"])
        ):
            raise ConflictError("the object has been modified")
        if sub == "finalize":
            new = merge(current, {"spec": body["spec"]})
            if not body["spec"]["finalizers"]:
                return self.api.remove(resource, key)
        else:
            new = {**copy.deepcopy(dict(body)), "metadata": current["metadata"] | dict(meta)}
        return copy.deepcopy(self.api.replace(resource, key, new))

    async def patch(
        self,
        resource: Resource,
        name: str,
        change: Mapping[str, Any],
        namespace: str | None = None,
        *,
        kind: str = "merge",
        sub: str = "",
    ) -> Document:
        await self._answer("patch", resource, name)
        key, current = self._find(resource, name, namespace)
        meta = change.get("metadata") or {}
        for field in ("uid", "resourceVersion"):
            if field in meta and meta[field] != current["metadata"][field]:
                raise ConflictError(f"{field} differs")
        new = merge(current, change, strategic=kind == "strategic")
        if sub == "status":
            new = {**current, "status": new.get("status", {}), "metadata": new["metadata"]}
        elif resource.has_status:
            new = {**new, "status": current.get("status", {})}
        return copy.deepcopy(self.api.replace(resource, key, new))

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_s: int | None = None,
        propagation: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Document:
        await self._answer("delete", resource, name)
        key, current = self._find(resource, name, namespace)
        if uid and uid != current["metadata"]["uid"]:
            raise ConflictError("the UID in the precondition does not match")
        new = copy.deepcopy(current)
        meta = new["metadata"]
        finalizers = [f for f in meta.get("finalizers", []) if f not in _PROPAGATION.values()]
        if propagation in _PROPAGATION:
            finalizers.append(_PROPAGATION[propagation])
        meta["finalizers"] = finalizers
        if resource == NAMESPACES:
            new["status"] = {**new.get("status", {}), "phase": "Terminating"}
        grace = _grace(resource, current, grace_period_s)
        if not (grace or finalizers or resource == NAMESPACES):
            return self.api.remove(resource, key)
        meta.setdefault("deletionTimestamp", rfc3339(self.api.clock.now() + grace))
        meta["deletionGracePeriodSeconds"] = grace
        return copy.deepcopy(self.api.replace(resource, key, new))

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        field_selector: str = "",
        **_: Any,
    ) -> AsyncIterator[WatchEvent]:
        await self._answer("watch", resource, "")
        seen: set[str] = set()
        events = self.api.events_after(resource, int(resource_version))
        async for type_, raw in _until(self._is_cut, events):
            item = msgspec.json.decode(raw)
            if namespace and item["metadata"].get("namespace") != namespace:
                continue
            uid = item["metadata"]["uid"]
            if not _selects(field_selector, item):
                continue
            if field_selector and type_ == "MODIFIED" and uid not in seen:
                type_ = "ADDED"
            seen.add(uid)
            yield WatchEvent(type_, raw)

    async def _answer(self, verb: str, resource: Resource, name: str) -> None:
        # Another task may run in between, as over a network.
        await asyncio.sleep(0)
        if self.api.is_down or self._is_cut.is_set():
            raise TransportError("the server is down")
        if verb not in ("get", "list", "watch") and not self._mandate.holds:
            raise LeadershipLostError("leaderelection lost")
        self.api.log.append((verb, resource.group_resource, name))
        refusal = self.api.refusals.get((verb, resource))
        if refusal is not None:
            raise refusal

    def _check_namespace(self, namespace: str) -> None:
        """Refuse what goes into a namespace that is going or gone, as admission does."""
        found = self.api.objects[NAMESPACES].get(namespace)
        if found is not None and "deletionTimestamp" in found["metadata"]:
            cause = {"reason": "NamespaceTerminating"}
            raise ForbiddenError("it is being terminated", details={"causes": [cause]})
        if found is None and namespace in self.api.former_namespaces:
            raise NotFoundError(f'namespaces "{namespace}" not found')

    def _find(self, resource: Resource, name: str, namespace: str | None) -> tuple[str, Document]:
        key = f"{namespace}/{name}" if namespace and resource.namespaced else name
        current = self.api.objects[resource].get(key)
        if current is None:
            raise NotFoundError(f'{resource.group_resource} "{name}" not found')
        return key, current


async def _until(
    is_over: asyncio.Event, events: AsyncIterator[tuple[str, bytes]]
) -> AsyncIterator[tuple[str, bytes]]:
    """Yield events until it is over, which breaks the watch."""
    over = asyncio.ensure_future(is_over.wait())
    awaited: list[asyncio.Future[Any]] = [over]
    try:
        while True:
            event = asyncio.ensure_future(anext(events))
            awaited = [event, over]
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                raise TransportError("the network is gone")
            yield event.result()
    finally:
        for each in awaited:
            each.cancel()


_PROPAGATION = {"Orphan": "orphan", "Foreground": "foregroundDeletion"}


def key_of(meta: Mapping[str, Any]) -> str:
    return f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else meta["name"]


def merge(target: Document, patch: Mapping[str, Any], *, strategic: bool = False) -> Document:
    """Return a merge patch's result; strategic ones merge the lists of MERGE_KEYS."""
    result = copy.deepcopy(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            result[key] = merge(result.get(key) or {}, value, strategic=strategic)
        elif strategic and key.startswith(DELETE_FROM_LIST):
            field = key.removeprefix(DELETE_FROM_LIST)
            result[field] = [item for item in result.get(field, []) if item not in value]
        elif strategic and key == "finalizers":
            result[key] = list(dict.fromkeys([*result.get(key, []), *value]))
        elif strategic and key in MERGE_KEYS:
            result[key] = _merge_list(result.get(key) or [], value, MERGE_KEYS[key])
        else:
            result[key] = copy.deepcopy(value)
    return result


def _merge_list(target: list[Document], patch: list[Document], by: str) -> list[Document]:
    if {"$patch": "replace"} in patch:
        return [copy.deepcopy(item) for item in patch if "$patch" not in item]
    result = copy.deepcopy(target)
    for item in patch:
        index = next((i for i, old in enumerate(result) if old.get(by) == item.get(by)), None)
        if index is None:
            result.append(merge({}, item))
        else:
            result[index] = merge(result[index], item, strategic=True)
    return result


def _grace(resource: Resource, current: Document, asked: int | None) -> int:
    if resource != PODS or not current.get("spec", {}).get("nodeName"):
        return 0
    if current.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    default = current["spec"].get("terminationGracePeriodSeconds", 30)
    return int(default if asked is None else asked)


def _selects(selector: str, item: Document) -> bool:
    def value_of(path: str) -> str:
        value: Any = item
        for part in path.split("."):
            value = (value or {}).get(part)
        return value or ""

    return parse_field_selector(selector).matches(value_of)


def _without_revision(body: Document) -> Document:
    meta = {k: v for k, v in body["metadata"].items() if k != "resourceVersion"}
    return {**body, "metadata": meta}
