"""An event loop on a thread of its own, for tests that know nothing of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

Main = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]
"""What runs until it is cancelled, and calls its argument once it is ready."""


class LoopThread:
    """An event loop that runs until it is closed, and what was started on it."""

    def __init__(self, name: str) -> None:
        self._loop = uvloop.new_event_loop()
        self._running: list[asyncio.Task[None]] = []
        # A daemon: a test run that is killed half-way ends without it.
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns that is run over there."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def start(self, main: Main) -> None:
        """Start something, and return when it is ready; an error before that is raised."""
        self.call(self._start(main))

    def close(self) -> None:
        """Cancel what was started, last things first, and end the thread."""
        self.call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self, main: Main) -> None:
        ready = asyncio.Event()
        running = asyncio.ensure_future(main(ready.set))
        waiting = asyncio.ensure_future(ready.wait())
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if running.done():
            await running
        self._running.append(running)

    async def _stop(self) -> None:
        for task in reversed(self._running):
            task.cancel()
            # What went wrong meanwhile was logged, and shows in the tests.
            await asyncio.gather(task, return_exceptions=True)
