"""Binder: carries out decisions, several at a time, and says how each one ended.

A call without an answer may have been carried out. Until the API server says which it was, the pod
counts on its node: were the room given away, the node could end up with both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from kubeberth.api.core import Pod
from kubeberth.api.scheme import PODS
from kubeberth.client.client import Client
from kubeberth.clock import Clock
from kubeberth.errors import (
    ApiError,
    BerthError,
    ConflictError,
    NotFoundError,
    TransportError,
)
from kubeberth.placement.reservation import Reservation
from kubeberth.scheduler.queue import QueuedPod
from kubeberth.scheduler.volumes import Volumes

# As many as the client keeps connections; more would only wait in its pool.
MAX_BINDS = 64
# How soon, and how often, a server that did not answer is asked how a binding ended.
FIRST_RETRY_S, LAST_RETRY_S = 0.05, 1.0


class PreBindError(BerthError):
    """What a pod was promised on its node could not be made good."""


Done = Callable[[QueuedPod, str, BerthError | None], None]


class Acted(Protocol):
    """Is told what was done for a pod."""

    def __call__(
        self, extension_point: str, plugin: str, profile: str, seconds: float, *, ok: bool
    ) -> None:
        """Take note of it."""


class Binder:
    """Sends binding calls.

    Parameters
    ----------
    tasks
        Where the calls run; a bug in one ends them all.
    acted
        Told of each extension point, its plugin, the profile, how many seconds it took, and whether
        it went well.
    done
        Called at the end of each binding with the pod, the node, and what went wrong or None.
    """

    def __init__(
        self,
        client: Client,
        volumes: Volumes,
        tasks: asyncio.TaskGroup,
        clock: Clock,
        acted: Acted,
        done: Done,
    ) -> None:
        self._client = client
        self._volumes = volumes
        self._tasks = tasks
        self._clock = clock
        self._acted = acted
        self._done = done
        self._n_running = 0

    @property
    def room(self) -> int:
        """How many more bindings would not only stand in line."""
        return max(0, MAX_BINDS - self._n_running)

    def start(
        self, entry: QueuedPod, node_name: str, reservations: Sequence[Reservation] = ()
    ) -> None:
        """Begin to bind a pod to a node, once what it was promised there is made good."""
        if reservations:
            self._tasks.create_task(self._prepare(entry, node_name, reservations))
        else:
            self._n_running += 1
            self._tasks.create_task(self._bind(entry, node_name))

    async def _prepare(
        self, entry: QueuedPod, node_name: str, reservations: Sequence[Reservation]
    ) -> None:
        """Make promises good, which may take long and holds up no other pod."""
        began_at, failure = self._clock.monotonic(), None
        try:
            await self._volumes.prepare(entry.pod, reservations)
        except BerthError as error:
            failure = PreBindError(str(error))
        self._tell("PreBind", "VolumeBinding", entry, began_at, failure)
        if failure is not None:
            self._done(entry, node_name, failure)
            return
        self._n_running += 1
        await self._bind(entry, node_name)

    async def _bind(self, entry: QueuedPod, node_name: str) -> None:
        began_at = self._clock.monotonic()
        try:
            failure = await self._failure(entry.pod, node_name)
        finally:
            self._n_running -= 1
        self._tell("Bind", "DefaultBinder", entry, began_at, failure)
        self._done(entry, node_name, failure)

    def _tell(
        self,
        extension_point: str,
        plugin: str,
        entry: QueuedPod,
        began_at: float,
        failure: BerthError | None,
    ) -> None:
        seconds = self._clock.monotonic() - began_at
        profile = entry.pod.spec.scheduler_name
        self._acted(extension_point, plugin, profile, seconds, ok=failure is None)

    async def _failure(self, pod: Pod, node_name: str) -> BerthError | None:
        """Bind, and return what went wrong."""
        meta = pod.metadata
        try:
            await self._client.bind(meta.namespace, meta.name, node_name, uid=meta.uid)
        except BerthError as error:
            if _is_uncertain(error) and await self._is_bound(pod, node_name):
                return None
            return error
        return None

    async def _is_bound(self, pod: Pod, node_name: str) -> bool:
        """Ask until there is an answer whether the pod is on the node."""
        meta = pod.metadata
        delay_s = FIRST_RETRY_S
        while True:
            try:
                document = await self._client.get(PODS, meta.name, meta.namespace)
            except NotFoundError:
                return False
            except BerthError:
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, LAST_RETRY_S)
                continue
            found = (document["metadata"]["uid"], document["spec"].get("nodeName"))
            return found == (meta.uid, node_name)


def _is_uncertain(error: BerthError) -> bool:
    """Return whether a binding may have been carried out although it was not said so.

    A conflict may be with our own call: it was carried out, failed to be answered, and was sent
    again.
    """
    if isinstance(error, ApiError):
        return error.code >= 500 or isinstance(error, ConflictError)
    return isinstance(error, TransportError)
