"""A proxy before an API server: slow, refusing, failing, hanging up, forgetting, as it is told."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from kubeberth.client.credentials import Credentials

_HOP_BY_HOP = {"connection", "content-length", "host", "transfer-encoding", "content-encoding"}
_EXPIRED = (
    b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure",'
    b'"reason":"Expired","code":410,"message":"too old resource version"}}\n'
)


class FaultyProxy:
    """Passes requests on, and goes wrong now and then.

    Parameters
    ----------
    rate
        How many requests of all go wrong, 0 to 1; may be changed at any time.

    Attributes
    ----------
    faults
        How often what went wrong.
    """

    def __init__(self, credentials: Credentials, rate: float, seed: int) -> None:
        self.rate = rate
        self.faults: Counter[str] = Counter()
        self._credentials = credentials
        self._random = random.Random(seed)
        self._answering: set[asyncio.Task[object]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Give the URL of the proxy while it runs."""
        context = self._credentials.ssl_context()
        connector = aiohttp.TCPConnector(ssl=True if context is None else context)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=True) as session:
            self._session = session
            application = web.Application()
            application.router.add_route("*", "/{path:.*}", self._answer)
            runner = web.AppRunner(application, shutdown_timeout=0, access_log=None)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                # Watches whose clients are gone would wait for what the server tells next.
                for answering in list(self._answering):
                    answering.cancel()
                await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            return await self._answer_or_fail(request)
        finally:
            self._answering.discard(task)

    async def _answer_or_fail(self, request: web.Request) -> web.StreamResponse:
        is_watch = "watch" in request.query
        fault = self._pick(is_watch)
        if fault:
            self.faults[fault] += 1
        match fault:
            case "slow":
                await asyncio.sleep(self._random.uniform(0.05, 0.5))
            case "429":
                return _refusal(429, "TooManyRequests", {"Retry-After": "1"})
            case "500":
                return _refusal(500, "InternalError")
            case "hang up":
                return _hang_up(request)
            case "410":
                return await _expire(request)
        try:
            return await self._pass_on(request, fault, is_watch=is_watch)
        except (aiohttp.ClientError, OSError):
            return _hang_up(request)  # the server itself is away

    def _pick(self, is_watch: bool) -> str:
        if self._random.random() >= self.rate:
            return ""
        kinds = ["slow", "429", "500", "hang up"]
        kinds += ["410", "cut"] if is_watch else ["done, then 500", "done, then hang up"]
        return self._random.choice(kinds)

    async def _pass_on(
        self, request: web.Request, fault: str, *, is_watch: bool
    ) -> web.StreamResponse:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        async with self._session.request(
            request.method,
            self._credentials.server + request.path_qs,
            data=await request.read(),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as answer:
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
            if not is_watch:
                body = await answer.read()
                if fault == "done, then 500":
                    return _refusal(500, "InternalError")
                if fault == "done, then hang up":
                    return _hang_up(request)
                return web.Response(body=body, status=answer.status, headers=kept)
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            left = self._random.randint(1, 5) if fault == "cut" else -1
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
                left -= 1
                if left == 0:
                    break
            return response


def _hang_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _refusal(code: int, reason: str, headers: dict[str, str] | None = None) -> web.Response:
    status = {"kind": "Status", "status": "Failure", "reason": reason, "code": code}
    return web.json_response(status, status=code, headers=headers)


async def _expire(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(_EXPIRED)
    return response
