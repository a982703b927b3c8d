"""The tokens of service accounts: asked for when needed, and shown while they hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from aiohttp import web
from tests.unit.client.scripted_server import Answer, Script, refuses, says, serving

from kubeberth.api.scheme import PODS
from kubeberth.client.account_token import AccountToken
from kubeberth.client.client import Client
from kubeberth.errors import NotFoundError, TransportError


class Clock:
    def __init__(self) -> None:
        self.time = 1_000_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


def token(text: str, seconds: int = 3600) -> Answer:
    return says({"spec": {"expirationSeconds": seconds}, "status": {"token": text}}, 201)


Story = Callable[[AccountToken, Clock], Awaitable[None]]


def play(story: Story, *answers: Answer) -> list[str]:
    """Tell a story of one account, and return the paths that were asked for."""

    async def scenario() -> list[str]:
        script, clock = Script(*answers), Clock()
        async with serving(script) as client:
            await story(AccountToken(client, "kube-system", "cleaner", clock), clock)
        return [request.path for request in script.requests]

    return asyncio.run(scenario())


ACCOUNTS = "/api/v1/namespaces/kube-system/serviceaccounts"
TOKEN = f"{ACCOUNTS}/cleaner/token"


def test_a_token_is_asked_for_once_by_all_who_need_it():
    async def story(source: AccountToken, clock: Clock) -> None:
        proofs = await asyncio.gather(*(source.get() for _ in range(5)))
        assert {proof.token for proof in proofs} == {"one"}

    assert play(story, token("one")) == [TOKEN]


def test_an_account_that_is_missing_is_made():
    async def story(source: AccountToken, clock: Clock) -> None:
        assert (await source.get()).token == "one"

    missing, made = refuses(404, "NotFound"), says({}, 201)
    assert play(story, missing, made, token("one")) == [TOKEN, ACCOUNTS, TOKEN]
    elsewhere = refuses(409, "AlreadyExists")
    assert play(story, missing, elsewhere, token("one")) == [TOKEN, ACCOUNTS, TOKEN]


@pytest.mark.parametrize(
    ("passed_s", "shown"),
    [
        pytest.param(479, "one", id="most of its time is left"),
        pytest.param(480, "two", id="a fifth of its time is left"),
        pytest.param(-10, "two", id="the clock was set back, so nobody knows"),
    ],
)
def test_a_token_is_renewed_well_before_it_ends(passed_s: float, shown: str):
    async def story(source: AccountToken, clock: Clock) -> None:
        await source.get()
        clock.time += passed_s
        assert (await source.get()).token == shown

    play(story, token("one", 600), token("two"))


def test_a_token_that_holds_is_shown_though_no_other_can_be_had():
    async def story(source: AccountToken, clock: Clock) -> None:
        await source.get()
        clock.time += 599
        assert (await source.get()).token == "one"
        clock.time += 1
        with pytest.raises(TransportError, match="no token for service account"):
            await source.get()

    play(story, token("one", 600), refuses(403, "Forbidden"), refuses(403, "Forbidden"))


def test_without_a_namespace_for_it_there_is_no_token_and_nothing_else_is_said_to_be_missing():
    async def story(source: AccountToken, clock: Clock) -> None:
        with pytest.raises(TransportError, match="kube-system/cleaner: notfound") as caught:
            await source.get()
        assert not isinstance(caught.value, NotFoundError)

    play(story, refuses(404, "NotFound"), refuses(404, "NotFound"))


def test_clients_of_several_accounts_share_connections_and_show_each_their_own_token():
    seen: list[tuple[str, object]] = []

    async def note(request: web.Request) -> web.StreamResponse:
        peer = request.transport.get_extra_info("peername") if request.transport else None
        seen.append((request.headers["Authorization"], peer))
        return web.json_response({"items": []})

    async def scenario() -> None:
        asked, script = Script(token("one"), token("two")), Script(note, note)
        async with serving(asked) as manager, serving(script) as server:
            nobody = Client(replace(server.credentials, token="of the manager").without_proof())
            async with nobody:
                for name in ("a", "b"):
                    source = AccountToken(manager, "kube-system", name, Clock())
                    await nobody.showing(source).list(PODS)

    asyncio.run(scenario())
    assert [authorization for authorization, _ in seen] == ["Bearer one", "Bearer two"]
    assert len({peer for _, peer in seen}) == 1
