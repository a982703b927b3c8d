"""How many writes of all nodes are under way together."""

import asyncio

import pytest
from tests.unit.kubelet.test_parts import ManualClock

from kubeberth.errors import TransportError
from kubeberth.kubelet.pace import (
    FORGET_S,
    LATE,
    LATE_ALONE,
    LEAST,
    MOST,
    PLACING_S,
    REST_S,
    Pace,
)


class Server:
    """Answers so many requests a second, one after the other, and each after a while at least.

    Parameters
    ----------
    others
        How many requests of other clients stand in the line all the time.
    """

    def __init__(self, clock, per_s, delay_s, others=0):
        self.clock, self.per_s, self.delay_s, self.others = clock, per_s, delay_s, others

    def took_s(self, n_under_way):
        return max(self.delay_s, (n_under_way + self.others) / self.per_s)


async def write(pace, server, n):
    """Have many nodes write at once, so that there is always somebody who waits."""

    async def one():
        async with pace.turn() as answered:
            took_s = server.took_s(min(n, pace.turns))
            await asyncio.sleep(0)
            server.clock.at += took_s
            answered()
            server.clock.at -= took_s  # others wrote at the same time

    await asyncio.gather(*(one() for _ in range(n)))


@pytest.fixture
def clock():
    return ManualClock()


def test_a_server_that_is_quick_gets_more_writes_at_once_until_it_is_busy(clock):
    async def scenario():
        pace = Pace(clock)
        server = Server(clock, per_s=500, delay_s=0.006)
        await write(pace, server, 1)
        await write(pace, server, 1000)
        assert pace.turns == pytest.approx(LATE_ALONE * 0.006 * 500, rel=0.2)
        await write(pace, Server(clock, per_s=100_000, delay_s=0.01), 5000)
        assert pace.turns == MOST

    asyncio.run(scenario())


def test_while_others_have_much_to_ask_the_nodes_stand_back(clock):
    async def scenario():
        pace = Pace(clock)
        await write(pace, Server(clock, per_s=1000, delay_s=0.01), 3000)
        await write(pace, Server(clock, per_s=1000, delay_s=0.01, others=300), 1000)
        assert pace.turns == LEAST

    asyncio.run(scenario())


def test_while_pods_keep_coming_the_nodes_stand_back_sooner(clock):
    async def scenario():
        pace, server = Pace(clock), Server(clock, per_s=1000, delay_s=0.01)
        await write(pace, server, 1)
        pace.pod_came()
        await write(pace, server, 1000)
        assert pace.turns == pytest.approx(LATE * 0.01 * 1000, rel=0.2)
        clock.at += PLACING_S
        pace.pod_came()
        clock.at += PLACING_S / 2
        await write(pace, server, 1000)
        assert pace.turns == pytest.approx(LATE * 0.01 * 1000, rel=0.2)
        clock.at += PLACING_S
        await write(pace, server, 1)
        await write(pace, server, 1000)
        assert pace.turns == MOST

    asyncio.run(scenario())


def test_signs_of_life_tell_how_short_the_line_is_when_it_is_empty(clock):
    async def scenario():
        pace = Pace(clock)
        server = Server(clock, per_s=1000, delay_s=0.01)
        pace.note(0.0005)
        await write(pace, server, 1000)
        assert pace.turns == LEAST

    asyncio.run(scenario())


def test_without_anybody_who_waits_there_are_no_more_turns(clock):
    async def scenario():
        pace = Pace(clock)
        for _ in range(1000):
            await write(pace, Server(clock, per_s=1000, delay_s=0.01), LEAST)
        assert pace.turns == LEAST

    asyncio.run(scenario())


def test_a_server_that_becomes_slower_for_good_is_got_used_to(clock):
    async def scenario():
        pace = Pace(clock)
        await write(pace, Server(clock, per_s=10_000, delay_s=0.002), 100)
        slower = Server(clock, per_s=10_000, delay_s=0.05)
        await write(pace, slower, 1000)
        assert pace.turns == LEAST
        for _ in range(5):
            clock.at += FORGET_S
            await write(pace, slower, 1000)
        assert pace.turns == MOST

    asyncio.run(scenario())


def test_after_a_rest_the_fewest_write_at_once_again(clock):
    async def scenario():
        pace = Pace(clock)
        await write(pace, Server(clock, per_s=100_000, delay_s=0.01), 5000)
        assert pace.turns == MOST
        clock.at += 2 * REST_S
        await write(pace, Server(clock, per_s=100_000, delay_s=0.01), 1)
        assert pace.turns == LEAST

    asyncio.run(scenario())


def test_requests_without_an_answer_take_turns_away(clock):
    async def scenario():
        pace = Pace(clock)
        await write(pace, Server(clock, per_s=10_000, delay_s=0.01), 3000)
        before = pace.turns
        for _ in range(20):
            with pytest.raises(TransportError):
                async with pace.turn():
                    raise TransportError("no answer")
        assert pace.turns < before

    asyncio.run(scenario())


def test_a_turn_without_a_request_says_nothing_about_the_server(clock):
    async def scenario():
        pace = Pace(clock)
        for _ in range(1000):
            async with pace.turn():
                pass
        await write(pace, Server(clock, per_s=10_000, delay_s=0.01), 3000)
        assert pace.turns == MOST

    asyncio.run(scenario())


def test_who_is_cancelled_while_it_waits_leaves_its_turn_to_the_next(clock):
    async def scenario():
        pace, may_end = Pace(clock), asyncio.Event()
        done = []

        async def hold(name):
            async with pace.turn():
                await may_end.wait()
                done.append(name)

        tasks = [asyncio.create_task(hold(name)) for name in range(LEAST + 2)]
        await asyncio.sleep(0)
        tasks[LEAST].cancel()
        may_end.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert done == [*range(LEAST), LEAST + 1]
        assert pace._n_taken == 0

    asyncio.run(scenario())


def test_what_can_wait_is_written_once_nobody_waits_for_a_turn(clock):
    async def scenario():
        pace, log = Pace(clock), []

        async def one():
            async with pace.turn() as answered:
                await asyncio.sleep(0)
                log.append("turn")
                answered()

        async def patient():
            await pace.lull(60)
            log.append("lull")

        async with asyncio.TaskGroup() as tasks:
            for _ in range(3 * LEAST):
                tasks.create_task(one())
            await asyncio.sleep(0)
            tasks.create_task(patient())
        assert log.index("lull") >= 2 * LEAST
        await pace.lull(60)

    asyncio.run(scenario())


def test_what_can_wait_does_not_wait_for_ever(clock):
    async def scenario():
        pace, is_over = Pace(clock), asyncio.Event()

        async def one():
            async with pace.turn():
                await is_over.wait()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(LEAST + 1):
                tasks.create_task(one())
            await asyncio.sleep(0)
            await pace.lull(0.01)
            await pace.lull(0.01)
            is_over.set()

    asyncio.run(scenario())
