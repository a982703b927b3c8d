"""Sees that a cluster is at rest before it is measured."""

from __future__ import annotations

from collections.abc import Callable

from kubeberth.bench.apiserver import LoadGenerator
from kubeberth.clock import Clock

# A tenth of a second at a time, so that Ctrl-C is heard.
PAUSE_S = 0.1
# At rest little more is written than signs of life.
MARGIN = 1.2


def heartbeats(n_nodes: int) -> float:
    """Return how many signs of life so many nodes give a second, as docs/nodes.md has it."""
    return n_nodes / 10 + n_nodes / 300


class Writes:
    """Counts what is written in a cluster, by whomever.

    Parameters
    ----------
    sleep
        Waits for so many seconds.
    """

    def __init__(self, load: LoadGenerator, clock: Clock, sleep: Callable[[float], None]) -> None:
        self._load = load
        self._clock = clock
        self._sleep = sleep

    def settle(self, n_nodes: int, window_s: float, tries: int) -> None:
        """Wait until hardly more than signs of life is written, but so often at most.

        When pods have started, or have gone, nodes still tell of them in events for a while.
        """
        for _ in range(tries):
            if self.per_second(window_s) <= MARGIN * heartbeats(n_nodes) + 1:
                return

    def per_second(self, seconds: float, tell: Callable[[int], None] = lambda _: None) -> float:
        """Wait for a while; return how many writes there were a second.

        Parameters
        ----------
        tell
            Is told how many seconds are over.
        """
        before, began_at = self._revision(), self._clock.monotonic()
        while (gone_s := self._clock.monotonic() - began_at) < seconds:
            tell(int(gone_s))
            self._sleep(PAUSE_S)
        return (self._revision() - before) / (self._clock.monotonic() - began_at)

    def _revision(self) -> int:
        listed = self._load.do("read", path="/api/v1/nodes?limit=1")
        return int(listed["metadata"]["resourceVersion"])
