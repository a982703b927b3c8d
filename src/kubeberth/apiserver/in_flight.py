"""How many requests are worked on at once: the others wait, and when too many do, are sent away.

    Rule 1  Reads and writes have seats of their own, as many as kube-apiserver gives them.
    Rule 2  Who finds no seat waits, first come first served, with so many of the same user at most
            and for so long at most; then it is 429, and clients come back by themselves.
    Rule 3  `system:masters` always get a seat: whoever has to repair the cluster gets through.
    Rule 4  What is open for long, a watch or a log that is followed, takes no seat.

The numbers are those of `--max-requests-inflight`, `--max-mutating-requests-inflight` and of the
priority level `global-default` (six queues of 50 for one flow) of Kubernetes 1.36.
"""

from __future__ import annotations

import asyncio
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
        self._limits = limits = limits or Limits()
        self._reads = _Seats(limits.reads)
        self._writes = _Seats(limits.writes)

    def seat(self, user: User, info: RequestInfo) -> Seat:
        """Return a seat, to be held by `async with`."""
        if _is_long_running(info) or MASTERS in user.groups:
            return Seat(None, user.name, self._limits)
        seats = self._reads if info.verb in READ_VERBS else self._writes
        return Seat(seats, user.name, self._limits)


class Seat:
    """A place among those that are served: taken, or waited for, on entering."""

    __slots__ = ("_limits", "_seats", "_user")

    def __init__(self, seats: _Seats | None, user: str, limits: Limits) -> None:
        self._seats = seats
        self._user = user
        self._limits = limits

    async def __aenter__(self) -> None:
        """Take the seat.

        Raises
        ------
        NoSeatError
            Too many of this user wait already, or this one has waited for too long.
        """
        if self._seats is not None and not self._seats.take():
            await self._seats.wait(self._user, self._limits.waiting, self._limits.wait_s)

    async def __aexit__(self, *_: object) -> None:
        """Leave it to the next."""
        if self._seats is not None:
            self._seats.give_back()


def _is_long_running(info: RequestInfo) -> bool:
    return info.verb in LONG_RUNNING_VERBS or info.subresource in LONG_RUNNING_SUBRESOURCES


class _Seats:
    """Seats of one kind, and who waits for them."""

    def __init__(self, n_free: int) -> None:
        self._n_free = n_free
        self._queue: deque[asyncio.Future[None]] = deque()
        self._waiting: Counter[str] = Counter()

    def take(self) -> bool:
        """Take a seat, if there is one."""
        if not self._n_free:
            return False
        self._n_free -= 1
        return True

    def give_back(self) -> None:
        """Pass a seat on to who waits longest, or put it back."""
        while self._queue:
            future = self._queue.popleft()
            if not future.done():
                future.set_result(None)
                return
        self._n_free += 1

    async def wait(self, user: str, limit: int, timeout_s: float) -> None:
        """Wait until a seat is passed on."""
        if self._waiting[user] >= limit:
            raise NoSeatError
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(future)
        self._waiting[user] += 1
        try:
            await asyncio.wait((future,), timeout=timeout_s)
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
