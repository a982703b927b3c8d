"""Evictor: asks the victims of a preemption to go.

As upstream, budgets have been weighed when the victims were chosen, so this is no eviction in the
sense of the API: each victim is told by a condition why it has to go, then it is deleted and gets
the time that its pod spec grants.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from kubeberth.api.disruption_target import preempted_by
from kubeberth.api.meta import ObjectMeta, to_documents
from kubeberth.api.scheme import PODS
from kubeberth.client.client import Client
from kubeberth.clock import Clock, rfc3339
from kubeberth.errors import BerthError, NotFoundError
from kubeberth.scheduler.queue import QueuedPod

logger = logging.getLogger(__name__)

Gone = Callable[[QueuedPod, ObjectMeta], None]
Done = Callable[[QueuedPod, bool], None]


class Evictor:
    """Deletes pods for the sake of others.

    Parameters
    ----------
    tasks
        Where the calls run; a bug in one ends them all.
    told
        Called for each victim that has been asked to go.
    done
        Called at the end with the pod that gets the room, and whether all victims were told.
    """

    def __init__(
        self, client: Client, clock: Clock, tasks: asyncio.TaskGroup, told: Gone, done: Done
    ) -> None:
        self._client = client
        self._clock = clock
        self._tasks = tasks
        self._told = told
        self._done = done

    def start(self, entry: QueuedPod, victims: Sequence[ObjectMeta]) -> None:
        """Begin to make room for a pod."""
        self._tasks.create_task(self._make_room(entry, victims))

    async def _make_room(self, entry: QueuedPod, victims: Sequence[ObjectMeta]) -> None:
        outcomes = await asyncio.gather(*(self._evict(entry, victim) for victim in victims))
        self._done(entry, all(outcomes))

    async def _evict(self, entry: QueuedPod, victim: ObjectMeta) -> bool:
        """Ask one pod to go, unless it is going already; return False when that failed."""
        if victim.deletion_timestamp is not None:
            return True
        name, namespace, uid = victim.name, victim.namespace, victim.uid
        why = preempted_by(entry.pod.spec.scheduler_name, rfc3339(self._clock.now()))
        change = {"metadata": {"uid": uid}, "status": {"conditions": to_documents([why])}}
        try:
            await self._client.patch(PODS, name, change, namespace, kind="strategic", sub="status")
            await self._client.delete(PODS, name, namespace, uid=uid)
        except NotFoundError:
            return True
        except BerthError as error:
            logger.info("could not preempt: %s", error, extra={"pod": victim.key})
            return False
        self._told(entry, victim)
        return True
