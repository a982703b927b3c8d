"""A client whose certificate is renewed while it runs, on a server with TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from kubeberth.api.scheme import PODS
from kubeberth.client.client import Client
from kubeberth.client.kubeconfig import load_kubeconfig
from kubeberth.clock import SystemClock
from kubeberth.cluster.kubeconfigs import kubeconfig, linked_user
from kubeberth.cluster.pki import Authority, Identity
from kubeberth.private_file import write_private


@asynccontextmanager
async def serving(authority: Authority, seen: list[str]) -> AsyncIterator[str]:
    """Serve lists, note who asks for them by certificate, and refuse `ann`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        subject = dict(pair[0] for pair in request.transport.get_extra_info("peercert")["subject"])
        seen.append(subject["commonName"])
        is_refused = subject["commonName"] == "ann" and len(seen) > 1
        return web.json_response({"items": []}, status=401 if is_refused else 200)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.cert_file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(authority.server("server", ["127.0.0.1"]))
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def test_a_certificate_that_is_refused_and_was_renewed_is_shown_anew_at_once(tmp_path: Path):
    seen: list[str] = []

    async def scenario() -> None:
        authority = Authority(tmp_path / "pki", SystemClock().now())
        own = tmp_path / "own.pem"
        write_private(own, authority.client("ann", Identity("ann")).read_bytes())
        async with serving(authority, seen) as server:
            config = tmp_path / "kubeconfig"
            config.write_text(kubeconfig(server, authority.cert_file, linked_user(own)))
            async with Client(load_kubeconfig(config)) as client:
                await client.list(PODS)
                write_private(own, authority.client("bob", Identity("bob")).read_bytes())
                await client.list(PODS)
                await client.list(PODS)

    asyncio.run(scenario())
    assert seen == ["ann", "ann", "bob", "bob"]
