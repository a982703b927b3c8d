"""The keys that wait to be reconciled: each at most once, and never two at a time.

Rule 1: a key that is added while it waits stays one entry.
Rule 2: a key that is added while it is worked on waits until it is done, then comes again.
Rule 3: failures of a key in a row delay it by 5 ms, 10 ms, 20 ms, ... up to 1,000 s.

`now` is an argument everywhere; matches client-go's workqueue with its default rate limiter.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

BASE_DELAY_S = 0.005
MAX_DELAY_S = 1000.0


@dataclass(frozen=True, slots=True)
class Entry:
    """What there is to say of a key.

    Parameters
    ----------
    is_active
        Whether it is worked on.
    is_added
        Whether it comes now, or once the work on it is done.
    due_at
        When it comes in any case; None when only a change brings it back.
    failures
        How many times in a row it failed.
    """

    key: str
    is_active: bool
    is_added: bool
    due_at: float | None
    failures: int


class WorkQueue:
    """A set of keys with order, delays and back-off."""

    def __init__(self) -> None:
        self._ready: OrderedDict[str, None] = OrderedDict()
        self._again: set[str] = set()
        self._active: set[str] = set()
        self._due: dict[str, float] = {}
        self._timers: list[tuple[float, str]] = []
        self._failures: dict[str, int] = {}

    def add(self, key: str) -> None:
        """Make a key ready now, or as soon as the work on it is done."""
        if key in self._active:
            self._again.add(key)
        else:
            self._ready[key] = None

    def add_all(self, keys: Iterable[str]) -> None:
        """Make all these keys ready."""
        for key in keys:
            self.add(key)

    def add_after(self, key: str, delay_s: float, now: float) -> None:
        """Make a key ready later; of several delays the earliest counts."""
        at = now + delay_s
        if at < self._due.get(key, float("inf")):
            self._due[key] = at
            heapq.heappush(self._timers, (at, key))

    def retry(self, key: str, now: float, *, at_most_s: float = MAX_DELAY_S) -> float:
        """Make a key that failed ready again after its back-off, which is returned."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # The exponent is held down, or 2**failures would overflow a float some day.
        delay = min(BASE_DELAY_S * 2.0 ** min(failures, 60), at_most_s)
        self.add_after(key, delay, now)
        return delay

    def forget(self, key: str) -> None:
        """Start the key's back-off over, because it succeeded."""
        self._failures.pop(key, None)

    def failures(self, key: str) -> int:
        """Return how many times in a row the key failed."""
        return self._failures.get(key, 0)

    def pop(self, now: float) -> str | None:
        """Return a key to work on, or None; `done` must follow."""
        self._fire_timers(now)
        if not self._ready:
            return None
        key, _ = self._ready.popitem(last=False)
        self._active.add(key)
        return key

    def done(self, key: str) -> None:
        """Say that the work on a key has ended, well or not."""
        self._active.discard(key)
        if key in self._again:
            self._again.discard(key)
            self._ready[key] = None

    def next_at(self) -> float | None:
        """Return when the earliest delayed key becomes ready; None when nothing is delayed."""
        while self._timers and self._due.get(self._timers[0][1]) != self._timers[0][0]:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def __len__(self) -> int:
        return len(self._ready)

    def entries(self) -> Iterator[Entry]:
        """Yield what there is to say of each key that is known, sorted."""
        known = {*self._ready, *self._again, *self._active, *self._due, *self._failures}
        for key in sorted(known):
            yield Entry(
                key,
                is_active=key in self._active,
                is_added=key in self._ready or key in self._again,
                due_at=self._due.get(key),
                failures=self.failures(key),
            )

    def _fire_timers(self, now: float) -> None:
        while (at := self.next_at()) is not None and at <= now:
            _, key = heapq.heappop(self._timers)
            del self._due[key]
            self.add(key)
