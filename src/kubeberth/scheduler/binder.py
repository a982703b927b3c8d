"""Binder: carries out decisions, several at a time, and says how each one ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kubeberth.client.client import Client
from kubeberth.errors import BerthError
from kubeberth.scheduler.queue import QueuedPod

# As many as the client keeps connections; more would only wait in its pool.
MAX_BINDS = 64

Done = Callable[[QueuedPod, str, BerthError | None], None]


class Binder:
    """Sends binding calls.

    Parameters
    ----------
    tasks
        Where the calls run; a bug in one ends them all.
    done
        Called at the end of each binding with the pod, the node, and what went wrong or None.
    """

    def __init__(self, client: Client, tasks: asyncio.TaskGroup, done: Done) -> None:
        self._client = client
        self._tasks = tasks
        self._done = done
        self._n_running = 0

    @property
    def is_full(self) -> bool:
        """Whether another binding would only stand in line."""
        return self._n_running >= MAX_BINDS

    def start(self, entry: QueuedPod, node_name: str) -> None:
        """Begin to bind a pod to a node."""
        self._n_running += 1
        self._tasks.create_task(self._bind(entry, node_name))

    async def _bind(self, entry: QueuedPod, node_name: str) -> None:
        meta = entry.pod.metadata
        failure: BerthError | None = None
        try:
            await self._client.bind(meta.namespace, meta.name, node_name, uid=meta.uid)
        except BerthError as error:
            failure = error
        finally:
            self._n_running -= 1
        self._done(entry, node_name, failure)
