"""How many requests are served at once."""

import asyncio

import pytest

from kubeberth.apiserver.auth.authn import MASTERS, User
from kubeberth.apiserver.in_flight import InFlight, Limits, NoSeatError
from kubeberth.apiserver.route import parse_request

ALICE, BOB = User("alice"), User("bob")
PODS = "/api/v1/namespaces/default/pods"
CREATE, LIST = parse_request("POST", PODS, ""), parse_request("GET", PODS, "")
WATCH = parse_request("GET", PODS, "watch=1")
LOG = parse_request("GET", f"{PODS}/a/log", "follow=true")


class Room:
    """Limits of one, and who came in, in order."""

    def __init__(self, **limits) -> None:
        self.in_flight = InFlight(Limits(**{"reads": 1, "writes": 1, **limits}))
        self.came_in = []
        self.leave = asyncio.Event()

    async def enter(self, user, info):
        seats = self.in_flight.seats(user, info)
        if not seats.take():
            await seats.wait(user.name)
        try:
            self.came_in.append(user.name)
            await self.leave.wait()
        finally:
            seats.give_back()


async def _settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_who_finds_no_seat_waits_for_one_first_come_first_served():
    async def scenario():
        room = Room()
        tasks = [asyncio.ensure_future(room.enter(user, CREATE)) for user in (ALICE, BOB, ALICE)]
        await _settle()
        assert room.came_in == ["alice"]
        room.leave.set()
        await asyncio.gather(*tasks)
        assert room.came_in == ["alice", "bob", "alice"]

    asyncio.run(scenario())


def test_reads_and_writes_do_not_take_each_others_seats():
    async def scenario():
        room = Room()
        tasks = [asyncio.ensure_future(room.enter(ALICE, info)) for info in (CREATE, LIST)]
        await _settle()
        assert len(room.came_in) == 2
        room.leave.set()
        await asyncio.gather(*tasks)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("user", "info"),
    [
        pytest.param(ALICE, WATCH, id="a watch"),
        pytest.param(ALICE, LOG, id="a log"),
        pytest.param(User("root", frozenset((MASTERS,))), CREATE, id="system:masters"),
    ],
)
def test_some_need_no_seat(user, info):
    async def scenario():
        room = Room(reads=0, writes=0)
        task = asyncio.ensure_future(room.enter(user, info))
        await _settle()
        assert room.came_in == [user.name]
        room.leave.set()
        await task

    asyncio.run(scenario())


def test_too_many_of_one_user_are_sent_away_and_others_may_still_wait():
    async def scenario():
        room = Room(waiting=1)
        tasks = [asyncio.ensure_future(room.enter(user, CREATE)) for user in (ALICE, ALICE)]
        await _settle()
        with pytest.raises(NoSeatError):
            await room.enter(ALICE, CREATE)
        tasks.append(asyncio.ensure_future(room.enter(BOB, CREATE)))
        room.leave.set()
        await asyncio.gather(*tasks)
        assert room.came_in == ["alice", "alice", "bob"]

    asyncio.run(scenario())


def test_who_waits_for_too_long_is_sent_away_and_leaves_no_trace():
    async def scenario():
        room = Room(wait_s=0.01)
        first = asyncio.ensure_future(room.enter(ALICE, CREATE))
        await _settle()
        with pytest.raises(NoSeatError):
            await room.enter(BOB, CREATE)
        room.leave.set()
        await first
        await room.enter(BOB, CREATE)
        assert room.came_in == ["alice", "bob"]

    asyncio.run(scenario())


def test_a_seat_that_was_passed_to_somebody_who_left_goes_to_the_next():
    async def scenario():
        room = Room()
        first, second, third = (
            asyncio.ensure_future(room.enter(user, CREATE)) for user in (ALICE, BOB, ALICE)
        )
        await _settle()
        room.leave.set()
        await first  # the seat is now passed on to the second, who is cancelled
        second.cancel()
        await third
        assert room.came_in.count("alice") == 2

    asyncio.run(scenario())


def test_the_answer_is_plain_text_and_says_when_to_come_back(run):
    async def scenario(api):
        api.app._in_flight = InFlight(Limits(reads=0, waiting=0))
        answer = await api.get(PODS, user=ALICE)
        assert answer.code == 429
        assert answer.body == b"Too many requests, please try again later.\n"
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"

    run(scenario)
