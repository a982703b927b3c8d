"""What load generators make of a watch: of the news that they wait for, and of its end."""

from __future__ import annotations

import asyncio

import pytest

from kubeberth.bench.cluster_load import Leaving
from kubeberth.bench.deployment_load import _Available
from kubeberth.bench.load import LoadError

GONE = (
    b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",'
    b'"message":"too old resource version: 3 (9)","reason":"Expired","code":410}}\n'
)
DELETED = b'{"type":"DELETED","object":{"metadata":{"namespace":"default","name":"a"}}}\n'


def test_what_a_watch_brings_in_pieces_is_put_together():
    leaving = Leaving()
    leaving.feed(DELETED[:20])
    leaving.feed(DELETED[20:])
    assert asyncio.run(leaving.until_left(1))


@pytest.mark.parametrize(
    "wait",
    [
        pytest.param(lambda: (each := Leaving(), each.until_left(2)), id="pods"),
        pytest.param(lambda: (each := _Available(3), each.until(2)), id="deployments"),
    ],
)
def test_who_waits_is_told_why_the_server_ended_the_watch(wait):
    async def scenario():
        progress, waiting = wait()
        task = asyncio.create_task(waiting)
        await asyncio.sleep(0)
        progress.feed(GONE)
        await task

    with pytest.raises(LoadError, match=r"a watch was ended: too old resource version: 3 \(9\)"):
        asyncio.run(scenario())


def test_what_came_before_the_end_counts():
    leaving = Leaving()
    leaving.feed(DELETED + GONE)
    assert asyncio.run(leaving.until_left(1))


def test_an_event_that_nobody_knows_is_shown():
    leaving = Leaving()
    leaving.feed(b'{"type":"ADDED","object":[]}\n')
    with pytest.raises(LoadError, match=r"a watch tells what nobody knows: .*ADDED"):
        asyncio.run(leaving.until_left(1))
