"""Whose turn it is to write: of all nodes of a process so many at a time, each one thing per turn.

Thousands of nodes with something to tell wait in one queue, which costs nothing but their places.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

logger = logging.getLogger(__name__)


class Author(Protocol):
    """Somebody who writes, one thing at a time."""

    async def write_next(self) -> bool:
        """Write one thing; return whether there is another one."""


class Writers:
    """Gives turns to authors.

    Parameters
    ----------
    at_once
        So many authors write at a time.
    when
        Waited for before each turn.
    """

    def __init__(self, at_once: int, when: Callable[[], Awaitable[object]] | None = None) -> None:
        self._at_once = at_once
        self._when = when
        # Those whose turn is to come, and besides them those whose turn it is.
        self._queue: deque[Author] = deque()
        self._asked: set[Author] = set()
        self._idle: list[asyncio.Future[None]] = []

    def ask(self, author: Author) -> None:
        """Give an author a turn, and further ones until there is nothing left to write."""
        if author in self._asked:
            return
        self._asked.add(author)
        self._queue.append(author)
        if self._idle:
            self._idle.pop().set_result(None)

    async def run(self) -> None:
        """Give turns until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._at_once):
                tasks.create_task(self._give_turns())

    async def _give_turns(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._queue:
                news = loop.create_future()
                self._idle.append(news)
                await news
            author = self._queue.popleft()
            if self._when is not None:
                await self._when()
            has_more = False
            try:
                has_more = await author.write_next()
            except* Exception:
                # A bug met by one author must not take the turns of the others.
                logger.exception("writing failed")
            if has_more:
                self._queue.append(author)
            else:
                self._asked.discard(author)
