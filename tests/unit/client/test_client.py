import asyncio
import socket

import pytest
from aiohttp import web
from tests.unit.client.scripted_server import Script, event, refuses, says, serving, streams

from kubeberth.api.scheme import DEPLOYMENTS, PODS
from kubeberth.client.client import MAX_REQUESTS, Client
from kubeberth.client.credentials import Credentials
from kubeberth.client.mandate import LeadershipLostError
from kubeberth.errors import (
    ApiError,
    ConflictError,
    ExpiredError,
    TooManyRequestsError,
    TransportError,
)


def test_a_document_comes_back_from_where_it_lies():
    async def scenario():
        script = Script(says({"kind": "Pod"}))
        async with serving(script) as client:
            assert await client.get(PODS, "a", "team") == {"kind": "Pod"}
        assert script.requests[0].path == "/api/v1/namespaces/team/pods/a"

    asyncio.run(scenario())


def test_a_patch_says_which_kind_it_is():
    async def scenario():
        script = Script(says({}))
        async with serving(script) as client:
            await client.patch(
                DEPLOYMENTS, "a", {"spec": {}}, "team", kind="strategic", sub="scale"
            )
        request = script.requests[0]
        assert request.path == "/apis/apps/v1/namespaces/team/deployments/a/scale"
        assert request.content_type == "application/strategic-merge-patch+json"

    asyncio.run(scenario())


def test_a_status_that_says_no_is_raised_as_what_it_says():
    async def scenario():
        async with serving(Script(refuses(409, "Conflict"))) as client:
            with pytest.raises(ConflictError, match="conflict"):
                await client.get(PODS, "a", "team")

    asyncio.run(scenario())


def test_an_answer_that_is_no_status_is_still_an_error():
    async def scenario():
        async with serving(Script(says("no gateway", 502))) as client:
            with pytest.raises(ApiError, match="the server answered 502"):
                await client.get(PODS, "a", "team")

    asyncio.run(scenario())


def test_a_server_that_asks_for_patience_is_asked_again():
    async def scenario():
        script = Script(refuses(429, "TooManyRequests", **{"Retry-After": "0"}), says({"a": 1}))
        async with serving(script) as client:
            assert await client.create(PODS, {"metadata": {"namespace": "team"}}) == {"a": 1}
        assert len(script.requests) == 2

    asyncio.run(scenario())


def test_patience_ends():
    async def scenario():
        refusal = refuses(429, "TooManyRequests", **{"Retry-After": "0"})
        async with serving(Script(*[refusal] * 11)) as client:
            with pytest.raises(TooManyRequestsError):
                await client.get(PODS, "a", "team")

    asyncio.run(scenario())


def test_a_refusal_without_an_invitation_is_not_repeated():
    async def scenario():
        script = Script(refuses(429, "TooManyRequests"))
        async with serving(script) as client:
            with pytest.raises(TooManyRequestsError):
                await client.get(PODS, "a", "team")
        assert len(script.requests) == 1

    asyncio.run(scenario())


def test_a_server_that_is_away_is_named():
    async def scenario():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            server = f"http://127.0.0.1:{free.getsockname()[1]}"
        async with Client(Credentials(server)) as client:
            with pytest.raises(TransportError, match=f"no answer from {server}"):
                await client.get(PODS, "a", "team")

    asyncio.run(scenario())


def test_watch_events_come_whole_however_they_are_cut():
    async def scenario():
        lines = event("ADDED", {"a": 1}) + event("MODIFIED", {"a": 2})
        script = Script(streams(lines[:7], lines[7:60], lines[60:]))
        async with serving(script) as client:
            watch = client.watch(PODS, resource_version="5")
            seen = [(event.type, event.object) async for event in watch]
        assert seen == [("ADDED", b'{"a": 1}'), ("MODIFIED", b'{"a": 2}')]
        assert script.requests[0].query["resourceVersion"] == "5"

    asyncio.run(scenario())


def test_an_error_event_is_raised():
    async def scenario():
        gone = {"kind": "Status", "reason": "Expired", "code": 410, "message": "too old"}
        async with serving(Script(streams(event("ERROR", gone)))) as client:
            with pytest.raises(ExpiredError, match="too old"):
                async for _ in client.watch(PODS, resource_version="5"):
                    pass

    asyncio.run(scenario())


def test_however_many_watches_are_open_requests_are_answered():
    watched = MAX_REQUESTS + 1

    async def stays_open(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(event("ADDED", {}))
        await script.is_over.wait()
        return response

    script = Script(*[stays_open] * watched, says({"kind": "Pod"}))

    async def scenario():
        async with serving(script) as client:
            watches = [client.watch(PODS, resource_version="1") for _ in range(watched)]
            async with asyncio.timeout(10):
                await asyncio.gather(*(anext(watch) for watch in watches))
                assert await client.get(PODS, "a", "team") == {"kind": "Pod"}
            script.is_over.set()
            for watch in watches:
                await watch.aclose()

    asyncio.run(scenario())


class Seat:
    """A mandate that a test can take away."""

    holds = True


def test_nothing_is_written_without_a_mandate_and_reads_are_free():
    async def scenario():
        script, seat = Script(*[says({})] * 3), Seat()
        async with serving(script) as client:
            acting = client.under(seat)
            await acting.patch(PODS, "a", {}, "team")
            seat.holds = False
            for write in (
                acting.create(PODS, {"metadata": {"name": "a"}}, "team"),
                acting.delete(PODS, "a", "team"),
            ):
                with pytest.raises(LeadershipLostError):
                    await write
            await acting.get(PODS, "a", "team")
            # Whoever has no mandate to keep, such as the candidate itself, goes on.
            await client.patch(PODS, "a", {}, "team")
        assert [request.method for request in script.requests] == ["PATCH", "GET", "PATCH"]

    asyncio.run(scenario())


def test_what_waited_for_its_turn_when_the_mandate_was_lost_is_not_written():
    async def scenario():
        script, seat = Script(), Seat()
        async with serving(script) as client:
            acting = client.under(seat)
            writes = [
                asyncio.create_task(acting.delete(PODS, str(i), "team"))
                for i in range(MAX_REQUESTS + 10)
            ]
            async with asyncio.timeout(5):
                while len(script.requests) < MAX_REQUESTS:
                    await asyncio.sleep(0.01)
            seat.holds = False
            script.is_over.set()
            results = await asyncio.gather(*writes, return_exceptions=True)
        assert len(script.requests) == MAX_REQUESTS
        assert sum(isinstance(result, LeadershipLostError) for result in results) == 10

    asyncio.run(scenario())
