"""How many requests are worked on at once: the others wait, and when too many do, are sent away.

    Rule 1  Reads and writes have seats of their own, as many as kube-apiserver gives them.
    Rule 2  Who finds no seat waits, first come first served, with so many of the same user at most
            and for so long at most; then it is 429, and clients come back by themselves.
    Rule 3  `system:masters` always get a seat: whoever has to repair the cluster gets through.
    Rule 4  Who has gone while waiting is not served: what a killed client asked for comes about
            before anything that its successor asks for, or not at all.
    Rule 5  What is open for long, a watch or a log that is followed, takes no seat.

The numbers are those of `--max-requests-inflight`, `--max-mutating-requests-inflight` and of the
priority level `global-default` (six queues of 50 for one flow) of Kubernetes 1.36.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter, deque
from dataclasses import dataclass

from kubeberth.apiserver.auth.authn import MASTERS, User
from kubeberth.apiserver.route import RequestInfo

READ_VERBS = frozenset(("get", "list", "watch", "head"))
LONG_RUNNING_VERBS = frozenset(("watch", "proxy"))
LONG_RUNNING_SUBRESOURCES = frozenset(("attach", "exec", "log", "portforward", "proxy"))


class NoSeatError(Exception):
    """There is no seat, and no place to wait for one; the answer is plain text."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many are served at once, and how many of one user may wait, and how long."""

    reads: int = 400
    writes: int = 200
    waiting: int = 300
    wait_s: float = 15.0


class InFlight:
    """Gives out the seats."""

    def __init__(self, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self._reads = Seats(limits.reads, limits)
        self._writes = Seats(limits.writes, limits)
        self._exempt_reads = Seats(sys.maxsize, limits)
        self._exempt_writes = Seats(sys.maxsize, limits)
        self._long_running = Seats(sys.maxsize, limits)

    @property
    def n_reads(self) -> int:
        """How many reads are worked on."""
        return self._reads.n_taken + self._exempt_reads.n_taken

    @property
    def n_writes(self) -> int:
        """How many writes are worked on."""
        return self._writes.n_taken + self._exempt_writes.n_taken

    def seats(self, user: User, info: RequestInfo) -> Seats:
        """Return the seats of which a request takes one: at once, or after it has waited."""
        if _is_long_running(info):
            return self._long_running
        is_exempt = MASTERS in user.groups
        if info.verb in READ_VERBS:
            return self._exempt_reads if is_exempt else self._reads
        return self._exempt_writes if is_exempt else self._writes


def _is_long_running(info: RequestInfo) -> bool:
    return info.verb in LONG_RUNNING_VERBS or info.subresource in LONG_RUNNING_SUBRESOURCES


class Seats:
    """Seats of one kind, and who waits for them.

    Attributes
    ----------
    n_taken
        How many are taken.
    """

    def __init__(self, n_seats: int, limits: Limits) -> None:
        self._n_seats = n_seats
        self.n_taken = 0
        self._limits = limits
        self._queue: deque[asyncio.Future[None]] = deque()
        self._waiting: Counter[str] = Counter()

    def take(self) -> bool:
        """Take a seat, if there is one; else `wait` for it."""
        if self.n_taken >= self._n_seats:
            return False
        self.n_taken += 1
        return True

    def give_back(self) -> None:
        """Pass a seat on to who waits longest, or put it back."""
        while self._queue:
            future = self._queue.popleft()
            if not future.done():
                future.set_result(None)
                return
        self.n_taken -= 1

    async def wait(self, user: str) -> None:
        """Wait until a seat is passed on.

        Raises
        ------
        NoSeatError
            Too many of this user wait already, or this one has waited for too long.
        """
        if self._waiting[user] >= self._limits.waiting:
            raise NoSeatError
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(future)
        self._waiting[user] += 1
        try:
            await asyncio.wait((future,), timeout=self._limits.wait_s)
        except asyncio.CancelledError:
            if not future.cancel():
                self.give_back()  # passed on to one that has gone
            raise
        finally:
            self._waiting[user] -= 1
            if not self._waiting[user]:
                del self._waiting[user]
        if not future.done():
            future.cancel()
            raise NoSeatError
