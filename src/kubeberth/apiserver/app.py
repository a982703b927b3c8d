"""The ASGI application: health, discovery, and every resource, in the order of upstream's filters.

authenticate -> authorize -> route -> read the body -> verb -> answer
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec

from kubeberth.api.scheme import BINDINGS
from kubeberth.apiserver import refusals
from kubeberth.apiserver.admission import plugins
from kubeberth.apiserver.admission.chain import Chain
from kubeberth.apiserver.auth.authn import Authenticator
from kubeberth.apiserver.auth.bootstrap import BootstrapPolicy
from kubeberth.apiserver.auth.rbac import Authorizer
from kubeberth.apiserver.bootstrap import make_bootstrap_objects
from kubeberth.apiserver.discovery import VERSION, Discovery
from kubeberth.apiserver.media import JSON, SERVED, YAML, negotiate, parse_accept, to_yaml
from kubeberth.apiserver.openapi import OpenApi
from kubeberth.apiserver.registry import Registry
from kubeberth.apiserver.responses import (
    Headers,
    Response,
    StreamResponse,
    encode,
    error_response,
    warning_headers,
)
from kubeberth.apiserver.route import (
    GenericError,
    PlainNotFoundError,
    RequestInfo,
    parse_request,
    served,
    unknown_method,
)
from kubeberth.apiserver.storage.store import StorageError, Store
from kubeberth.apiserver.subresources import Subresources
from kubeberth.apiserver.verbs import Answer, Call, Verb, Verbs
from kubeberth.apiserver.watch import WatchHub
from kubeberth.clock import Clock
from kubeberth.errors import ApiError, BadRequestError, RequestEntityTooLargeError

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = 3 * 1024 * 1024
HEALTH_PATHS = ("/healthz", "/livez", "/readyz")
PUBLIC_PATHS = frozenset((*HEALTH_PATHS, "/version", "/version/"))
TEXT = "text/plain; charset=utf-8"
USUAL_HEADERS = [(b"cache-control", b"no-cache, private")]
_UNITS = "|".join(("ns", "us", "µs", "ms", "s", "m", "h"))


@dataclass(slots=True)
class AppSettings:
    """How an application is made.

    Parameters
    ----------
    server_address
        `HOST:PORT` under which clients reach the server.
    service_cidr
        Where the addresses of services come from; the first is that of `default/kubernetes`.
    """

    server_address: str = "127.0.0.1:6443"
    service_cidr: str = "10.96.0.0/16"
    authenticator: Authenticator = field(default_factory=Authenticator)
    chance: random.Random = field(default_factory=random.Random)


class App:
    """See the module. `start` before the first request, `close` when the server stops."""

    def __init__(self, store: Store, clock: Clock, settings: AppSettings | None = None) -> None:
        self._settings = settings = settings or AppSettings()
        self._authenticator = settings.authenticator
        self._authorizer = Authorizer(BootstrapPolicy())
        self._discovery = Discovery(settings.server_address)
        self._openapi = OpenApi()
        self.hub = WatchHub(store)
        self.registry = Registry(store, clock, settings.chance)
        self.registry.chain = Chain(plugins(self.registry, settings.chance, settings.service_cidr))
        self._verbs = verbs = Verbs(self.registry, self.hub, clock)
        self._subresources = Subresources(verbs, self.registry, clock)
        self._table: dict[str, Verb] = {
            "get": verbs.get,
            "list": verbs.list_objects,
            "watch": verbs.watch,
            "create": verbs.create,
            "update": verbs.update,
            "patch": verbs.patch,
            "delete": verbs.delete,
            "deletecollection": verbs.delete_collection,
        }
        self._is_ready = False

    async def start(self) -> None:
        """Make what every cluster starts with."""
        port = int(self._settings.server_address.rpartition(":")[2])
        address = str(ipaddress.ip_network(self._settings.service_cidr)[1])
        await make_bootstrap_objects(self.registry, address, port)
        self._is_ready = True

    def close(self) -> None:
        """Stop being ready, and end all watches."""
        self._is_ready = False
        self.hub.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"{scope['type']} is not served")
        headers = Request(scope)
        answer = await self._answer(scope, headers, receive)
        if isinstance(answer, StreamResponse):
            await send_stream(answer, receive, send)
        else:
            await send_response(in_asked_form(answer, headers), headers, send)

    async def _answer(self, scope: Scope, request: Request, receive: Receive) -> Answer:
        try:
            return await self._dispatch(scope, request, receive)
        except (ApiError, GenericError) as error:
            return error_response(error)
        except PlainNotFoundError:
            return Response(b"404 page not found\n", 404, content_type=TEXT)
        except StorageError as error:
            logger.exception("cannot store", extra={"path": request.path})
            return error_response(refusals.internal(str(error)))
        except Exception as error:
            logger.exception("cannot answer", extra={"path": request.path})
            return error_response(refusals.internal(f"{type(error).__name__}: {error}"))

    async def _dispatch(self, scope: Scope, request: Request, receive: Receive) -> Answer:
        info = parse_request(scope["method"], request.path, request.query)
        is_public = info.path in PUBLIC_PATHS and "authorization" not in request.headers
        if not is_public:
            user = self._authenticator.authenticate(
                scope.get("state", {}).get("user"), request.headers.get("authorization", "")
            )
            self._authorizer.authorize(user, info)
        if not info.is_resource:
            return self._non_resource(info, request)
        resource = served(info)
        _check_timeout(info.query.get("timeout"))
        verb = self._verb(info)
        body = b"" if info.method == "GET" else await read_body(receive)
        call = Call(
            info,
            resource,
            user,
            request.headers.get("accept", ""),
            request.headers.get("content-type", ""),
            body,
        )
        try:
            answer = await verb(call)
        except (ApiError, GenericError) as error:
            answer = error_response(error)
        answer.headers += warning_headers(call.warnings)
        return answer

    def _verb(self, info: RequestInfo) -> Verb:
        if info.resource is BINDINGS:
            return self._subresources.bind
        if not info.subresource:
            return self._table[info.verb]
        verb = self._subresources.verb(info.subresource, info.verb)
        if verb is None:
            raise unknown_method()
        return verb

    def _non_resource(self, info: RequestInfo, request: Request) -> Answer:
        path = info.path if info.path == "/" else info.path.rstrip("/")
        if path in HEALTH_PATHS:
            return self._health(path, is_verbose="verbose" in info.query)
        root = path.split("/")[1]
        if root not in ("api", "apis", "version", "openapi"):
            raise PlainNotFoundError
        if info.method != "GET":
            raise unknown_method()
        accept = request.headers.get("accept", "")
        if path == "/version":
            negotiate(accept)
            return Response(encode(VERSION))
        if root == "openapi":
            return self._openapi.respond(path, info.query, request.headers)
        return self._discovery.respond(path, accept, request.headers.get("if-none-match", ""))

    def _health(self, path: str, *, is_verbose: bool) -> Response:
        is_well = self._is_ready or path != "/readyz"
        lines = ["[+]ping ok", "[+]etcd ok"]
        if path == "/readyz":
            lines.append("[+]shutdown ok" if is_well else "[-]shutdown failed: reason withheld")
        if is_well and not is_verbose:
            return Response(b"ok", content_type=TEXT)
        name = path.strip("/")
        lines.append(f"{name} check {'passed' if is_well else 'failed'}")
        body = "".join(f"{line}\n" for line in lines).encode()
        return Response(body, 200 if is_well else 500, content_type=TEXT)


class Request:
    """Path and headers of an HTTP request."""

    __slots__ = ("headers", "method", "path", "query")

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: str = scope["query_string"].decode("latin-1")
        self.headers: Mapping[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }


def in_asked_form(response: Response, request: Request) -> Response:
    """Return a JSON answer as YAML, or indented, if the client wants it so."""
    if response.content_type != JSON or not response.body:
        return response
    indent = wants_indentation(request)
    clauses = parse_accept(request.headers.get("accept", ""))
    first = next((c.media_type for c in clauses if c.media_type in SERVED), JSON)
    if SERVED[first] == YAML:
        response.body, response.content_type = to_yaml(response.body), YAML
    elif indent:
        response.body = msgspec.json.format(response.body, indent=2) + b"\n"
    return response


def wants_indentation(request: Request) -> bool:
    """Return whether a person reads the answer."""
    if "pretty=" in request.query:
        return parse_qs(request.query).get("pretty", [""])[0].lower() not in ("false", "0", "")
    return request.headers.get("user-agent", "").startswith(("curl", "Wget", "Mozilla/5.0"))


def _check_timeout(text: str) -> None:
    if not text:
        return
    import re

    if not re.fullmatch(rf"[+-]?(0|(\d+(\.\d*)?|\.\d+)({_UNITS}))+", text):
        raise BadRequestError(
            f'invalid timeout specified in the request URL - time: invalid duration "{text}"'
        )


async def read_body(receive: Receive) -> bytes:
    """Return the whole body.

    Raises
    ------
    RequestEntityTooLargeError
        It is over the limit.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequestError("the client went away before its body was complete")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise RequestEntityTooLargeError(f"Request entity too large: limit is {MAX_BODY_BYTES}")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _encoded(content_type: str, headers: Headers) -> list[tuple[bytes, bytes]]:
    own = {name.lower() for name, _ in headers}
    usual = [] if "cache-control" in own else USUAL_HEADERS
    return [
        *usual,
        (b"content-type", content_type.encode()),
        *((name.lower().encode(), value.encode()) for name, value in headers),
    ]


async def send_response(response: Response, request: Request, send: Send) -> None:
    """Send a complete answer."""
    body = response.body
    content_type = response.content_type
    head = _encoded(content_type, response.headers)
    if response.status == 304:
        # A cache takes these headers over into what it has: say nothing about a body.
        head = [(name, value) for name, value in head if name != b"content-type"]
    else:
        head.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": head})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})


async def send_stream(response: StreamResponse, receive: Receive, send: Send) -> None:
    """Send an answer that grows, until it ends or the client goes away."""
    head = _encoded(response.content_type, response.headers)
    await send({"type": "http.response.start", "status": 200, "headers": head})
    # An empty chunk makes the head go out at once: clients wait for it before the first event.
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    sending = asyncio.ensure_future(_send_chunks(response, send))
    leaving = asyncio.ensure_future(_disconnected(receive))
    await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
    for task in (sending, leaving):
        task.cancel()
    await asyncio.gather(sending, leaving, return_exceptions=True)


async def _send_chunks(response: StreamResponse, send: Send) -> None:
    async with contextlib.aclosing(response.chunks) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
