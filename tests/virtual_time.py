"""An event loop in which nobody waits: when nothing is ready, it is at once the time of what is
due next.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

STARTED_AT = 1_700_000_000.0


class VirtualTime(selectors.DefaultSelector):
    """Waits for nobody."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready; let time pass if nothing is."""
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("nobody waits for anything")
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time."""

    def __init__(self) -> None:
        self._virtual = VirtualTime()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return how many seconds have passed."""
        return self._virtual.now


class VirtualClock:
    """The clock of the running loop."""

    def now(self) -> float:
        """Return the wall clock, in seconds since 1970."""
        return STARTED_AT + self.monotonic()

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        return asyncio.get_running_loop().time()
