"""Events on their way to the API server: written one after the other, never waited for."""

from __future__ import annotations

import asyncio
import logging

from kubeberth.api.events import CountedEvent, EventCorrelator, EventMemory, NewEvent
from kubeberth.api.meta import ObjectReference
from kubeberth.api.scheme import EVENTS
from kubeberth.client.client import Client
from kubeberth.clock import Clock
from kubeberth.errors import BerthError, NotFoundError

logger = logging.getLogger(__name__)

# As upstream's broadcaster: events are worth keeping, but nothing waits for them.
QUEUE_LENGTH = 1000


class EventRecorder:
    """Tells users what one component did.

    Parameters
    ----------
    component, host
        `source` of the events.
    memory
        What was told already, when others of the process share it.
    """

    def __init__(
        self,
        client: Client,
        component: str,
        clock: Clock,
        *,
        host: str = "",
        memory: EventMemory | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._correlator = EventCorrelator(component, host, memory)
        self._queue: list[NewEvent | CountedEvent] = []
        self._news: asyncio.Future[None] | None = None  # waited for while there is nothing to write

    def record(self, about: ObjectReference, type_: str, reason: str, message: str) -> None:
        """Note an event about an object; one too many is dropped."""
        event = self._correlator.observe(about, type_, reason, message, self._clock.now())
        if event is None:
            return
        if len(self._queue) >= QUEUE_LENGTH:
            logger.warning("too many events at once: dropping %s of %s", reason, about.name)
            return
        self._queue.append(event)
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def forget(self) -> None:
        """Write nothing more of what has been recorded."""
        self._queue.clear()

    async def run(self) -> None:
        """Write events until cancelled."""
        while True:
            if not self._queue:
                self._news = asyncio.get_running_loop().create_future()
                await self._news
            await self.write_next()

    async def write_next(self) -> bool:
        """Write the oldest event that was not written yet; return whether there are more."""
        if self._queue:
            event = self._queue.pop(0)
            try:
                await self._write(event)
            except NotFoundError:
                pass  # the event it counts has expired, or its namespace is gone
            except BerthError as error:
                logger.info("could not write an event: %s", error)
        return bool(self._queue)

    async def _write(self, event: NewEvent | CountedEvent) -> None:
        if isinstance(event, NewEvent):
            await self._client.create(EVENTS, event.body, event.namespace)
        else:
            await self._client.patch(EVENTS, event.name, event.patch, event.namespace)
