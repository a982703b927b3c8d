"""Whose turn it is to write."""

import asyncio
from contextlib import asynccontextmanager

from kubeberth.kubelet.writers import Writers


class Author:
    """Writes so many things, and says who wrote when."""

    def __init__(self, name, left, log, error=None):
        self.name, self.left, self.log, self.error = name, left, log, error
        self.n_under_way = 0

    async def write_next(self):
        self.n_under_way += 1
        assert self.n_under_way == 1, "an author writes one thing at a time"
        await asyncio.sleep(0)
        self.n_under_way -= 1
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        self.left -= 1
        self.log.append(self.name)
        return self.left > 0


@asynccontextmanager
async def running(writers):
    task = asyncio.create_task(writers.run())
    await asyncio.sleep(0)
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


def test_authors_write_one_thing_each_in_turn():
    async def scenario():
        writers, log = Writers(1), []
        async with running(writers):
            for name in "ab":
                writers.ask(Author(name, 2, log))
            await until(lambda: len(log) == 4)
        assert log == ["a", "b", "a", "b"]

    asyncio.run(scenario())


def test_no_more_authors_write_at_once_than_may():
    async def scenario():
        writers, log = Writers(2), []
        authors = [Author(name, 3, log) for name in "abcd"]
        most = 0
        async with running(writers):
            for author in authors:
                writers.ask(author)
            while len(log) < 12:
                most = max(most, sum(author.n_under_way for author in authors))
                await asyncio.sleep(0)
        assert most == 2

    asyncio.run(scenario())


def test_an_author_that_asks_again_before_its_turn_gets_one():
    async def scenario():
        writers, log = Writers(2), []
        author = Author("a", 1, log)
        async with running(writers):
            writers.ask(author)
            writers.ask(author)
            await until(lambda: log)
            author.left = 1
            writers.ask(author)
            await until(lambda: len(log) == 2)
        assert log == ["a", "a"]

    asyncio.run(scenario())


def test_an_author_that_fails_takes_nobodys_turn(caplog):
    async def scenario():
        writers, log = Writers(1), []
        async with running(writers):
            broken = Author("broken", 1, log, RuntimeError("a bug"))
            writers.ask(broken)
            writers.ask(Author("well", 1, log))
            await until(lambda: log == ["well"])
            writers.ask(broken)
            await until(lambda: log == ["well", "broken"])

    asyncio.run(scenario())
    assert "a bug" in caplog.text


def test_turns_wait_for_their_time():
    async def scenario():
        is_time, log = asyncio.Event(), []
        writers = Writers(2, is_time.wait)
        async with running(writers):
            writers.ask(Author("a", 2, log))
            for _ in range(10):
                await asyncio.sleep(0)
            assert log == []
            is_time.set()
            await until(lambda: log == ["a", "a"])

    asyncio.run(scenario())
