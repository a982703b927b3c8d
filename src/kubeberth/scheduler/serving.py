"""The HTTP side of a scheduler: probes, metrics, dumps, and why pods are where they are.

Nothing can be changed here. What is served is in `pages`; who may see it, `access` says.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
from aiohttp import web

from kubeberth import metrics
from kubeberth.errors import ApiError, BerthError, InternalError
from kubeberth.scheduler.access import Access
from kubeberth.scheduler.pages import Check, Pages

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
# Visitors who are being answered when the process is told to end.
GRACE_S = 0.5


@dataclass(frozen=True, slots=True)
class Door:
    """Where to be reached.

    Parameters
    ----------
    context
        Over TLS if there is one.
    access
        Who is let in; None for everybody who gets there.
    """

    listener: socket.socket
    context: ssl.SSLContext | None = None
    access: Access | None = None


@asynccontextmanager
async def serving(pages: Pages, doors: Sequence[Door]) -> AsyncIterator[None]:
    """Serve pages for a while."""
    runners = []
    try:
        for door in doors:
            runner = web.AppRunner(
                _application(pages, door.access), access_log=None, shutdown_timeout=GRACE_S
            )
            runners.append(runner)
            await runner.setup()
            site = web.SockSite(runner, door.listener, ssl_context=door.context)
            await site.start()
        yield
    finally:
        for runner in runners:
            await runner.shutdown()
            await runner.cleanup()


def _application(pages: Pages, access: Access | None) -> web.Application:
    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if access is not None:
                transport = request.transport
                peer = None if transport is None else transport.get_extra_info("peercert")
                header = request.headers.get("Authorization", "")
                await access.check(request.path, header, peer)
            return await handler(request)
        except ApiError as error:
            return _json(error.status, error.code)
        except web.HTTPException as error:
            return web.Response(status=error.status, text=f"{error.status}: {error.reason}\n")
        except BerthError as error:
            logger.warning("cannot answer %s: %s", request.path, error)
            return _json(InternalError(str(error)).status, 500)

    application = web.Application(middlewares=[guarded])
    for name in ("healthz", "livez", "readyz"):
        application.router.add_get(f"/{name}", _probe(pages, name))
    application.router.add_get("/metrics", _metrics(pages))
    application.router.add_get("/debug/queue", _debug(pages, "queue"))
    application.router.add_get("/debug/cache", _debug(pages, "cache"))
    application.router.add_get("/why/{namespace}/{pod}", _why(pages))
    return application


def _probe(pages: Pages, name: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        checks = pages.checks(name)
        is_good = all(check.is_good for check in checks)
        if is_good and "verbose" not in request.query:
            return web.Response(text="ok")
        return web.Response(text=_verbose(name, checks), status=200 if is_good else 500)

    return answer


def _verbose(name: str, checks: Sequence[Check]) -> str:
    lines = [
        f"[+]{check.name} ok" if check.is_good else f"[-]{check.name} failed: {check.trouble}"
        for check in checks
    ]
    end = "passed" if all(check.is_good for check in checks) else "failed"
    return "\n".join((*lines, f"{name} check {end}", ""))


def _metrics(pages: Pages) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": metrics.CONTENT_TYPE}
        return web.Response(body=metrics.to_text(pages.metrics()).encode(), headers=headers)

    return answer


def _debug(pages: Pages, name: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return _json(pages.queue() if name == "queue" else pages.cache())

    return answer


def _why(pages: Pages) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        key = f"{request.match_info['namespace']}/{request.match_info['pod']}"
        why = pages.why(key)
        look = pages.remedies(key)
        return _json(why if look is None else await asyncio.to_thread(look, why))

    return answer


def _json(document: object, status: int = 200) -> web.Response:
    body = msgspec.json.format(msgspec.json.encode(document), indent=2)
    return web.Response(body=body + b"\n", status=status, content_type=JSON)
