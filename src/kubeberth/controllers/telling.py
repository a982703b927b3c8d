"""When a key may tell again: what only says how things are is said together with what comes next.

A set whose pods start one after the other would write its status for each of them, and so would
whoever owns the set. What is to be done is never put off, only what is to be told; and the longer
a write takes, as the API server is busy, the more changes share the next one. Upstream's Job
controller waits a second for the same reason (`syncJobBatchPeriod`). A controller whose statuses
are its memory, such as which jobs of a CronJob are active, does not take part.

Pure: `now` is an argument.
"""

from __future__ import annotations

# A key rests for so many times as long as it took to tell, so that none keeps the API server busy
# for more than a tenth of the time, but never longer than upstream's second.
REST_SHARE = 9
LONGEST_REST_S = 1.0


class Telling:
    """Which keys have told lately."""

    def __init__(self) -> None:
        # In the order in which they told, so that those whose rest is over gather in front.
        self._rests_until: dict[str, float] = {}

    def told(self, key: str, took_s: float, now: float) -> None:
        """Take note that a key has told, and how long that took."""
        self._forget(now)
        self._rests_until.pop(key, None)
        self._rests_until[key] = now + min(REST_SHARE * took_s, LONGEST_REST_S)

    def wait_s(self, key: str, now: float) -> float:
        """Return for how long a key is not to tell yet; 0 when it may."""
        return max(0.0, self._rests_until.get(key, now) - now)

    def __len__(self) -> int:
        return len(self._rests_until)

    def _forget(self, now: float) -> None:
        """Forget those that may tell again."""
        while self._rests_until:
            key = next(iter(self._rests_until))
            if self._rests_until[key] > now:
                return
            del self._rests_until[key]
