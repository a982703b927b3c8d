"""A server that answers as it is told, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from kubeberth.client.client import Client
from kubeberth.client.credentials import Credentials

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Script:
    """Answers one request after the other; further ones wait until the test is over."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[web.Request] = []
        self.is_over = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if not self._answers:
            await self.is_over.wait()
            return web.Response(status=503)
        return await self._answers.pop(0)(request)


def says(document: object, code: int = 200, **headers: str) -> Answer:
    """Answer with a JSON document."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(document, status=code, headers=headers)

    return answer


def refuses(code: int, reason: str, **headers: str) -> Answer:
    """Answer with a Status that says no."""
    status = {"kind": "Status", "status": "Failure", "reason": reason, "message": reason.lower()}
    return says({**status, "code": code}, code, **headers)


def streams(*chunks: bytes) -> Answer:
    """Answer with a watch that sends these chunks and ends."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0)
        return response

    return answer


def event(kind: str, document: object) -> bytes:
    """Return one line of a watch."""
    return json.dumps({"type": kind, "object": document}).encode() + b"\n"


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[Client]:
    """Serve a script and give a client for it."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", script.answer)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with Client(Credentials(f"http://127.0.0.1:{port}")) as client:
            yield client
    finally:
        script.is_over.set()
        await runner.cleanup()
