"""All timers of all simulated nodes in one heap, so that thousands of nodes wait in one task."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from kubeberth.clock import Clock


class Alarm:
    """One call that is due at some moment."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Do not call after all."""
        self.callback = None


# What is due within so long after another is called back with it.
TICK_S = 0.005


class Timers:
    """Calls back when it is time, or up to a tick later."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Alarm]] = []
        self._order = itertools.count()
        self._sleeping: asyncio.Future[None] | None = None

    def call_in(self, delay_s: float, callback: Callable[[], None]) -> Alarm:
        """Call back after a delay."""
        alarm = Alarm(callback)
        at = self._clock.monotonic() + delay_s
        if not self._heap or at < self._heap[0][0]:
            _wake(self._sleeping)
        heapq.heappush(self._heap, (at, next(self._order), alarm))
        return alarm

    def fire(self) -> None:
        """Call back everything that is due."""
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            _, _, alarm = heapq.heappop(self._heap)
            callback, alarm.callback = alarm.callback, None
            if callback is not None:
                callback()

    async def run(self) -> None:
        """Fire timers until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self.fire()
            self._sleeping = loop.create_future()
            if not self._heap:
                await self._sleeping
                continue
            due_in = self._heap[0][0] - self._clock.monotonic()
            alarm = loop.call_later(max(due_in, TICK_S), _wake, self._sleeping)
            try:
                await self._sleeping
            finally:
                alarm.cancel()


def _wake(sleeping: asyncio.Future[None] | None) -> None:
    if sleeping is not None and not sleeping.done():
        sleeping.set_result(None)
