"""How many writes all nodes of a process have under way: as many as the server answers quickly.

Thousands of nodes that start a pod each would have the API server to themselves while others create
and place pods; once nobody else asks for anything, it has time for many more of them.

Rule 1: there are never fewer than LEAST turns, and never more than MOST.
Rule 2: an answer that comes soon makes room for more; one that comes late, or never, takes as much
away. So half of the answers come soon where it ends up.
Rule 3: soon is within so many times of the shortest time that an answer took lately, also to those
who write beside the turns: LATE while pods keep coming, which others create and place, LATE_ALONE
otherwise.
Rule 4: what can wait is written while nobody waits for a turn.
Rule 5: after a rest it begins with the fewest: nobody knows who else has come meanwhile.

The same idea as TCP Vegas (Brakmo and Peterson, 1995): who waits longer than in an empty line sees
the queue, and stands back before it grows.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from kubeberth.clock import Clock
from kubeberth.errors import TransportError

LEAST, MOST = 5, 64
# From the fewest to the most within some hundred answers, less than a second.
STEP = 1 / 8
# Where others create and place pods as fast as they can, an answer takes ten times as long as in an
# empty line and more. At 2.5 three times as many are placed a second as at 10, and all of them run
# sooner: who stands back has less to say, as what came to pass meanwhile is written once.
LATE = 2.5
# With so many turns that an answer takes ten times as long, the server is busy all the time, though
# some of its commits take much longer than most. With five it waits for us a third of the time.
LATE_ALONE = 10.0
# Where no pod has come for so long, nobody places any.
PLACING_S = 1.0
# The shortest answer is forgotten within ten minutes or so, as disks and servers change, but not
# while many pods come and the line is long for a few of them.
FORGET_S = 600.0
REST_S = 1.0


class Pace:
    """Turns to write, given in the order in which they were asked for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turns = float(LEAST)
        self._n_taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._patient: set[asyncio.Future[None]] = set()
        self._shortest_s = math.inf
        self._came_at = -math.inf
        self._learnt_at = self._given_at = clock.monotonic()

    @property
    def turns(self) -> int:
        """How many writes may be under way now."""
        return int(self._turns)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Callable[[], None]]:
        """Wait for a turn, and keep it for the block, which sends one request at most.

        What it gives is to be called when the answer is there. A block that sends nothing after
        all says nothing about the server.
        """
        await self._take()
        began_at = self._clock.monotonic()
        try:
            yield lambda: self._learn(self._clock.monotonic() - began_at)
        except TransportError:
            self._learn(math.inf)
            raise
        finally:
            self._n_taken -= 1
            self._pass_on()

    async def lull(self, patience_s: float) -> None:
        """Wait until nobody waits for a turn, but no longer than so many seconds."""
        if not self._waiting:
            return
        lull = asyncio.get_running_loop().create_future()
        self._patient.add(lull)
        try:
            async with asyncio.timeout(patience_s):
                await lull
        except TimeoutError:
            return
        finally:
            self._patient.discard(lull)

    async def _take(self) -> None:
        now = self._clock.monotonic()
        if not self._n_taken and now - self._given_at > REST_S:
            self._turns = float(LEAST)
        self._given_at = now
        if self._n_taken < self.turns and not self._waiting:
            self._n_taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._n_taken -= 1
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting and self._n_taken < self.turns:
            turn = self._waiting.popleft()
            if not turn.done():
                self._n_taken += 1
                turn.set_result(None)
        if not self._waiting:
            for lull in self._patient:
                if not lull.done():
                    lull.set_result(None)
            self._patient.clear()

    def _learn(self, took_s: float) -> None:
        """Take note of how long an answer took to a write that had a turn; infinity is none."""
        self.note(took_s)
        if took_s > self._late() * self._shortest_s:
            self._turns = max(self._turns - STEP, LEAST)
        elif self._waiting:  # or nothing is learnt about more turns than there are
            self._turns = min(self._turns + STEP, MOST)

    def _late(self) -> float:
        """Return how many times as long as the shortest answer takes one that is late."""
        is_placing = self._clock.monotonic() - self._came_at < PLACING_S
        return LATE if is_placing else LATE_ALONE

    def pod_came(self) -> None:
        """Take note that a node was given a pod: somebody else creates or places them."""
        self._came_at = self._clock.monotonic()

    def note(self, took_s: float) -> None:
        """Take note of how long an answer took to a write beside the turns.

        Signs of life are given all the time: they know how short the line is when it is empty.
        """
        now = self._clock.monotonic()
        forgotten = math.exp((now - self._learnt_at) / FORGET_S)
        self._learnt_at = now
        self._shortest_s = min(self._shortest_s * forgotten, took_s)
