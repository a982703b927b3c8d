"""How soon an informer asks again, and how far it says it has come."""

import asyncio
import json
from collections import deque
from typing import Any, cast

from kubeberth.api.scheme import PODS
from kubeberth.client.client import Client, WatchEvent
from kubeberth.client.informer import Informer
from kubeberth.errors import TransportError


class Server:
    """Answers lists with what it holds, and plays one script for each watch."""

    def __init__(self, *scripts: list[WatchEvent | Exception | float]) -> None:
        self.items: list[dict[str, Any]] = []
        self.version = "1"
        self.watched_from: list[str] = []
        self.watched_at: list[float] = []
        self._scripts = deque(scripts)

    async def list_bytes(self, *_: Any, **__: Any) -> bytes:
        return json.dumps(
            {"metadata": {"resourceVersion": self.version}, "items": self.items}
        ).encode()

    async def watch(self, *_: Any, resource_version: str, **__: Any) -> Any:
        self.watched_from.append(resource_version)
        self.watched_at.append(asyncio.get_running_loop().time())
        for step in self._scripts.popleft() if self._scripts else [3600.0]:
            if isinstance(step, float):
                await asyncio.sleep(step)
            elif isinstance(step, Exception):
                raise step
            else:
                yield step


def pod(name: str, version: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "a", "resourceVersion": version}}


def event(kind: str, name: str, version: str) -> WatchEvent:
    return WatchEvent(kind, json.dumps(pod(name, version)).encode())


def follow(server: Server, watches: int) -> Informer[dict[str, Any]]:
    """Run an informer until it has begun so many watches."""

    async def run() -> Informer[dict[str, Any]]:
        informer = Informer(cast(Client, server), PODS, json.loads)
        task = asyncio.create_task(informer.run())
        async with asyncio.timeout(10):
            while len(server.watched_at) < watches:
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return informer

    return asyncio.run(run())


def test_the_version_is_how_far_the_store_has_come() -> None:
    server = Server([event("ADDED", "x", "5"), event("DELETED", "x", "6"), 3600.0])
    informer = follow(server, 1)
    assert (informer.revision, informer.store) == (6, {})


def test_a_server_that_was_back_for_a_while_is_asked_again_at_once() -> None:
    """However often it went away before: each outage starts the back-off over."""
    outage: list[list[WatchEvent | Exception | float]] = [
        [0.3, TransportError("killed")],
        [TransportError("refused")],
    ]
    server = Server(*outage * 6)
    follow(server, 12)
    waited = [
        later - at for at, later in zip(server.watched_at, server.watched_at[1:], strict=False)
    ]
    assert max(waited[1::2]) < 0.5


def test_a_server_that_stays_away_is_asked_ever_more_seldom() -> None:
    server = Server(*[[TransportError("refused")]] * 4)
    follow(server, 5)
    assert server.watched_at[4] - server.watched_at[0] > 0.15


def test_a_server_that_ends_every_watch_at_once_is_not_hammered() -> None:
    server = Server(*[[]] * 4)
    follow(server, 5)
    assert server.watched_at[4] - server.watched_at[0] > 0.15
