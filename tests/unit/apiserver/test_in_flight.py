"""How many requests are served at once."""

import asyncio
import json

import pytest

from kubeberth.apiserver.auth.authn import MASTERS, Shown, User
from kubeberth.apiserver.http.request import Request
from kubeberth.apiserver.in_flight import InFlight, Limits, NoSeatError
from kubeberth.apiserver.route import parse_request
from kubeberth.errors import BadRequestError

ALICE, BOB = User("alice"), User("bob")
PODS = "/api/v1/namespaces/default/pods"
CREATE, LIST = parse_request("POST", PODS, ""), parse_request("GET", PODS, "")
WATCH = parse_request("GET", PODS, "watch=1")
MAPS = "/api/v1/namespaces/default/configmaps"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ROLE = {
    "metadata": {"name": "writer"},
    "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}],
}
BINDING = {
    "metadata": {"name": "alice"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "writer"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}],
}
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


def test_who_has_gone_while_waiting_is_not_served(run):
    async def scenario(api):
        await api.post(f"{RBAC}/clusterroles", ROLE)
        await api.post(f"{RBAC}/clusterrolebindings", BINDING)
        api.app._in_flight = in_flight = InFlight(Limits(writes=1))
        seats = in_flight.seats(ALICE, CREATE)
        assert seats.take()
        bodies = [json.dumps({"metadata": {"name": name}}).encode() for name in ("gone", "here")]
        requests = [Request("POST", MAPS.encode(), (), Shown(ALICE), body) for body in bodies]
        answers = [asyncio.ensure_future(api.app.answer(each)) for each in requests]
        await _settle()
        requests[0].fail(BadRequestError("the client went away"))
        seats.give_back()
        assert [(await each).status for each in answers] == [400, 201]
        assert (await api.get(f"{MAPS}/gone")).code == 404
        assert seats.n_taken == 0

    run(scenario)


def test_the_answer_is_plain_text_and_says_when_to_come_back(run):
    async def scenario(api):
        api.app._in_flight = InFlight(Limits(reads=0, waiting=0))
        answer = await api.get(PODS, user=ALICE)
        assert answer.code == 429
        assert answer.body == b"Too many requests, please try again later.\n"
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"

    run(scenario)
