"""Time, in one place: everybody else takes a Clock or is handed `now`."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """Where a component reads the time."""

    def now(self) -> float:
        """Return the wall clock, in seconds since 1970."""

    def monotonic(self) -> float:
        """Return a clock that never goes back, in seconds since no particular moment."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        """Return the wall clock, in seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Return a clock that never goes back, in seconds since no particular moment."""
        return time.monotonic()


def rfc3339(seconds: float) -> str:
    """Return a wall clock time as `metav1.Time` prints it: UTC, whole seconds."""
    return _whole_seconds(math.floor(seconds))


# Everything that is written within a second has the same stamp.
@lru_cache(maxsize=64)
def _whole_seconds(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(seconds: float) -> str:
    """Return a wall clock time as `metav1.MicroTime` prints it: UTC, six decimals."""
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_whole_seconds(whole)[:-1]}.{micros:06d}Z"
