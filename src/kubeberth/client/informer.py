"""A copy of a collection that follows the server, and tells what changes.

Lists, then watches from the list's version; a broken watch goes on where it was, an expired one
lists again and tells only the differences.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import msgspec

from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import Resource
from kubeberth.client.client import Client, WatchEvent
from kubeberth.errors import (
    ApiError,
    BerthError,
    ExpiredError,
    InvalidObjectError,
    TransportError,
)

logger = logging.getLogger(__name__)

T = TypeVar("T", bound=HasMetadata)

# The server is usually on the same machine and back within a second; a dead one is not hammered,
# but asked often enough that work goes on within two seconds of its return.
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.05, 1.5
# Waits grow slowly: what is lost after a server's return is less than half of how long it was away.
BACKOFF_GROWTH = 1.4
# As client-go: watches end by themselves after 5 to 10 minutes, not all at once.
WATCH_S = (300, 600)


# So many objects come at a time: a large list as a whole would be held several times over.
PAGE = 2000


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _Object(msgspec.Struct):
    metadata: _Meta


class _List(msgspec.Struct):
    metadata: _Meta
    items: list[msgspec.Raw]


_decode_object = msgspec.json.Decoder(_Object).decode
_decode_list = msgspec.json.Decoder(_List).decode


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """What happened to one object; `old` and `new` as far as there is one.

    Parameters
    ----------
    key
        `namespace/name`, or `name` of an object without namespace.
    """

    kind: Literal["added", "modified", "deleted"]
    key: str
    old: T | None
    new: T | None


class Moment:
    """Something that happens once; costs nothing while nobody waits for it."""

    __slots__ = ("_is_past", "_waiting")

    def __init__(self) -> None:
        self._is_past = False
        self._waiting: tuple[asyncio.Future[None], ...] = ()

    def is_set(self) -> bool:
        """Return whether it has happened."""
        return self._is_past

    def set(self) -> None:
        """Have it happen."""
        self._is_past = True
        waiting, self._waiting = self._waiting, ()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self) -> None:
        """Return once it has happened."""
        if not self._is_past:
            future = asyncio.get_running_loop().create_future()
            self._waiting += (future,)
            await future


class Informer(Generic[T]):
    """Follows one collection.

    Parameters
    ----------
    decode
        Makes a T of an object's JSON; with the version that it has.

    Attributes
    ----------
    resource
        What is in it.
    store
        The objects by key, never newer or older than what subscribers were told.
    synced
        Set once the first list is in the store.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        decode: Callable[[bytes], T],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        self.store: dict[str, T] = {}
        self.synced = Moment()
        self._client = client
        self.resource = resource
        self._decode = decode
        self._namespace = namespace
        self._selectors = {"label_selector": label_selector, "field_selector": field_selector}
        self._version = ""
        self._subscribers: list[Callable[[Change[T]], None]] = []

    @property
    def revision(self) -> int:
        """How far the store has come: it holds what was written up to this revision."""
        return int(self._version) if self._version.isdecimal() else 0

    def subscribe(self, callback: Callable[[Change[T]], None]) -> None:
        """Call back for every change, in order; first with what the store already holds.

        A callback may raise InvalidObjectError: the change is then logged and taken back.
        """
        for key, item in self.store.items():
            callback(Change("added", key, None, item))
        self._subscribers.append(callback)

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        loop = asyncio.get_running_loop()
        backoff_s = FIRST_BACKOFF_S
        while True:
            began_at = loop.time()
            trouble = await self._follow()
            if loop.time() - began_at > backoff_s:
                # The server was there, or took its time to refuse: that is back-off enough.
                backoff_s = FIRST_BACKOFF_S
            if trouble is not None:
                # Once an outage: thousands of informers may go through it together.
                level = logging.WARNING if backoff_s == FIRST_BACKOFF_S else logging.DEBUG
                logger.log(level, "lost %s: %s", self.resource.group_resource, trouble)
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1))
            backoff_s = min(backoff_s * BACKOFF_GROWTH, LAST_BACKOFF_S)

    async def _follow(self) -> BerthError | None:
        """List if need be, watch until that ends, and return what went wrong."""
        try:
            if not self._version:
                await self._list()
            await self._watch()
        except ExpiredError:
            self._version = ""
        except (TransportError, ApiError) as error:
            return error
        return None

    async def _list(self) -> None:
        present: set[str] = set()
        continue_ = ""
        while True:
            body = await self._client.list_bytes(
                self.resource, self._namespace, limit=PAGE, continue_=continue_, **self._selectors
            )
            listed = _decode_list(body)
            for raw in listed.items:
                meta = _meta(raw)
                key = _key(meta)
                present.add(key)
                known = self.store.get(key)
                if known is None or known.metadata.resource_version != meta.resource_version:
                    self._put(key, meta, bytes(raw))
            continue_ = listed.metadata.continue_
            if not continue_:
                break
        for key in self.store.keys() - present:
            self._remove(key)
        self._version = listed.metadata.resource_version
        self.synced.set()

    async def _watch(self) -> None:
        events = self._client.watch(
            self.resource,
            self._namespace,
            resource_version=self._version,
            timeout_s=random.randint(*WATCH_S),
            **self._selectors,
        )
        async with aclosing(events):
            async for event in events:
                self._apply(event)
                del event  # or it would stay until the next one

    def _apply(self, event: WatchEvent) -> None:
        meta = _meta(event.object)
        if event.type == "DELETED":
            self._remove(_key(meta))
        elif event.type != "BOOKMARK":
            self._put(_key(meta), meta, event.object)
        self._version = meta.resource_version

    def _put(self, key: str, meta: _Meta, raw: bytes) -> None:
        old = self.store.get(key)
        try:
            new = self._decode(raw)
        except msgspec.ValidationError as error:
            # One object in a shape nobody knows must not hide all the others.
            logger.error("ignoring %s %s: %s", self.resource.group_resource, key, error)
            return
        self.store[key] = new
        try:
            self._tell(Change("added" if old is None else "modified", key, old, new))
        except InvalidObjectError as error:
            # Nor must one of which no account can be kept; it counts as it was before.
            logger.error("ignoring %s %s: %s", self.resource.group_resource, key, error)
            self._restore(key, old)

    def _restore(self, key: str, old: T | None) -> None:
        if old is None:
            del self.store[key]
        else:
            self.store[key] = old

    def _remove(self, key: str) -> None:
        old = self.store.pop(key, None)
        if old is not None:
            self._tell(Change("deleted", key, old, None))

    def _tell(self, change: Change[T]) -> None:
        for callback in self._subscribers:
            callback(change)


def _meta(raw: bytes | msgspec.Raw) -> _Meta:
    return _decode_object(raw).metadata


def _key(meta: _Meta) -> str:
    return f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name
