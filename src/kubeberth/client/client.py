"""The API as coroutines: sends Calls, returns documents, raises what the Status says."""

from __future__ import annotations

import asyncio
import copy
import re
import ssl
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from kubeberth.api.scheme import PODS, Resource
from kubeberth.client import calls
from kubeberth.client.calls import Body, Call, PatchBody, PatchKind
from kubeberth.client.credentials import Credentials, Proof, ProofSource
from kubeberth.client.handshakes import handshakes_of
from kubeberth.client.http import Answer, Pool
from kubeberth.client.kubeconfig import load_kubeconfig
from kubeberth.client.mandate import Alone, LeadershipLostError, Mandate
from kubeberth.errors import ApiError, TransportError

Document = dict[str, Any]

# As often as client-go: a server that says Retry-After is asked again, whatever the verb.
MAX_RETRIES = 10
MAX_REQUESTS = 64


class WatchEvent(NamedTuple):
    """One line of a watch: ADDED, MODIFIED, DELETED or BOOKMARK, and the object's JSON."""

    type: str
    object: bytes


class _WatchLine(msgspec.Struct):
    type: str
    object: msgspec.Raw


# Of names and the like nothing has to be quoted, as a rule; to find that out so is faster.
_is_plain = re.compile(r"[\w/.:~-]*", re.ASCII).fullmatch

_decode_line = msgspec.json.Decoder(_WatchLine).decode


class Client:
    """A connection pool to one API server, under one identity. Use it as `async with`.

    Parameters
    ----------
    max_requests
        How many are under way at once; further ones wait for their turn, watches do not count.
    answers
        How many answers there have been, by method and code; `<error>` where there was none.
        Clients that nobody tells apart may count together.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        user_agent: str = "berth",
        max_requests: int = MAX_REQUESTS,
        answers: Counter[tuple[str, ...]] | None = None,
    ) -> None:
        self.credentials = credentials
        self._user_agent = user_agent
        self._max_requests = max_requests
        self._pool: Pool | None = None
        self._proof = Proof()
        self._mandate: Mandate = Alone()
        self.answers: Counter[tuple[str, ...]] = Counter() if answers is None else answers

    @classmethod
    def from_kubeconfig(
        cls, path: Path | str, context: str | None = None, *, user_agent: str = "berth"
    ) -> Client:
        """Return a client for a kubeconfig's context, the current one by default."""
        return cls(load_kubeconfig(Path(path), context), user_agent=user_agent)

    def showing(self, source: ProofSource) -> Client:
        """Return a client that shows another token on the connections of this one.

        It is open for as long as this one is. Connections on which a certificate was shown stay
        those of its owner: see `Credentials.without_proof`.
        """
        shown = replace(self.credentials, source=source)
        other = Client(shown, user_agent=self._user_agent, answers=self.answers)
        other._pool = self._pool
        return other

    def under(self, mandate: Mandate) -> Client:
        """Return a client that writes nothing unless a mandate holds, by the connections of this.

        A write that finds that it does not raises a LeadershipLostError, however long before that
        the write was asked for. Reads are free.
        """
        other = copy.copy(self)
        other._mandate = mandate
        return other

    async def __aenter__(self) -> Client:
        headers = {"User-Agent": self._user_agent, "Accept": "application/json"}
        known = self.credentials
        self._proof = Proof(known.token, known.cert, known.key)
        is_secure = known.server.startswith("https:")
        if is_secure:
            try:
                handshakes_of(known, self._proof).check(self._proof)
            except (ssl.SSLError, ValueError) as error:
                raise known.unusable(error) from None
        begin = self._begin_handshake if is_secure else None
        self._pool = Pool(known.server, headers, begin, self._max_requests)
        return self

    def _begin_handshake(
        self, host: str, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> ssl.SSLObject:
        handshakes = handshakes_of(self.credentials, self._proof)
        return handshakes.begin(self._proof, host, incoming, outgoing)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close()

    def cut(self) -> None:
        """Have no network until `mend`: what is under way breaks off, and nobody is reached."""
        self._opened.cut()

    def mend(self) -> None:
        """Have a network again."""
        if self._pool is not None:
            self._pool.mend()

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Document:
        """Read one object."""
        return await self._document(calls.get(resource, name, namespace))

    async def list(
        self, resource: Resource, namespace: str | None = None, **parameters: Any
    ) -> Document:
        """Read a collection; the parameters are those of `calls.list_`."""
        return await self._document(calls.list_(resource, namespace, **parameters))

    async def list_bytes(
        self, resource: Resource, namespace: str | None = None, **parameters: Any
    ) -> bytes:
        """Read a collection as the JSON that was sent."""
        return await self.send(calls.list_(resource, namespace, **parameters))

    async def create(
        self,
        resource: Resource,
        body: Body,
        namespace: str | None = None,
        *,
        name: str = "",
        sub: str = "",
    ) -> Document:
        """Make an object, or post to the subresource `sub` of the object `name`."""
        return await self._document(calls.create(resource, body, namespace, name=name, sub=sub))

    async def update(
        self,
        resource: Resource,
        body: Mapping[str, Any],
        *,
        sub: str = "",
        patience_s: float | None = None,
    ) -> Document:
        """Replace an object; its name, namespace and version are those in the body.

        Parameters
        ----------
        patience_s
            See `send`.
        """
        return await self._document(calls.update(resource, body, sub=sub), patience_s)

    async def patch(
        self,
        resource: Resource,
        name: str,
        change: PatchBody,
        namespace: str | None = None,
        *,
        kind: PatchKind = "merge",
        sub: str = "",
    ) -> Document:
        """Change parts of an object."""
        call = calls.patch(resource, name, change, namespace, kind=kind, sub=sub)
        return await self._document(call)

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, **options: Any
    ) -> Document:
        """Delete an object; the options are those of `calls.delete`."""
        return await self._document(calls.delete(resource, name, namespace, **options))

    async def bind(self, namespace: str, pod: str, node: str, *, uid: str | None = None) -> None:
        """Assign a pod to a node, if it still is the pod of this uid."""
        metadata = {"name": pod, "namespace": namespace, **({"uid": uid} if uid else {})}
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": metadata,
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await self.send(calls.create(PODS, body, namespace, name=pod, sub="binding"))

    async def watch(
        self, resource: Resource, namespace: str | None = None, **parameters: Any
    ) -> AsyncGenerator[WatchEvent, None]:
        """Follow a collection until the server ends the watch.

        Raises
        ------
        ApiError
            What an ERROR event says, above all ExpiredError: list again.
        TransportError
            The connection broke.
        """
        call = calls.watch(resource, namespace, **parameters)
        try:
            headers = await self._headers(call)
            async with self._opened.stream(_target(call), headers) as (answer, parts):
                self._note(call, answer)
                if answer.status >= 400:
                    body = b"".join([part async for part in parts])
                    raise ApiError.from_status(_status(body), answer.status)
                pending = b""
                async for part in parts:
                    *lines, pending = (pending + part).split(b"\n")
                    # Thousands of watches wait here: none keeps what it has told already.
                    del part
                    while lines:
                        yield _event(lines.pop(0))
        except OSError as error:
            raise self._trouble(call, error) from error

    async def _document(self, call: Call, patience_s: float | None = None) -> Document:
        document: Document = msgspec.json.decode(await self.send(call, patience_s))
        return document

    async def send(self, call: Call, patience_s: float | None = None) -> bytes:
        """Return the body of a successful answer.

        Parameters
        ----------
        patience_s
            How long to wait while as many requests are under way as may be; then this one takes a
            connection more, so that it is not held up by others that get no answer.

        Raises
        ------
        ApiError
            The answer is a Status that says no.
        TransportError
            There was no answer.
        """
        check = _is_free if call.method == "GET" else self._check_mandate
        for retries_left in range(MAX_RETRIES, -1, -1):
            try:
                headers = await self._headers(call)
                answer = await self._opened.request(
                    call.method, _target(call), headers, call.body, check, patience_s
                )
            except OSError as error:
                raise self._trouble(call, error) from error
            self._note(call, answer)
            if answer.status < 400:
                return answer.body
            retry_after_s = _retry_after_s(answer)
            if self._may_be_outdated(answer) and retries_left == MAX_RETRIES:
                retry_after_s = 0.0
            if retry_after_s is None or not retries_left:
                raise ApiError.from_status(_status(answer.body), answer.status)
            await asyncio.sleep(retry_after_s)
        raise AssertionError("the last try returns or raises")

    def _check_mandate(self) -> None:
        if not self._mandate.holds:
            raise LeadershipLostError("leaderelection lost")

    def _may_be_outdated(self, answer: Answer) -> bool:
        """Return whether the server may take a newer proof of who we are."""
        return answer.status == 401 and self.credentials.source is not None

    async def _proof_now(self) -> Proof:
        """Return what to show; a new certificate is shown from the next connection on."""
        source = self.credentials.source
        if source is None:
            return self._proof
        proof = await source.get()
        if proof != self._proof:
            self._proof = proof
            if proof.cert and proof.key:
                self._opened.renew()
        return proof

    @property
    def _opened(self) -> Pool:
        if self._pool is None:
            raise RuntimeError("the client is closed: use it as `async with`")
        return self._pool

    async def _headers(self, call: Call) -> dict[str, str]:
        headers = {"Content-Type": call.content_type} if call.body is not None else {}
        if token := (await self._proof_now()).token:
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _note(self, call: Call, answer: Answer) -> None:
        """Take note that there was an answer."""
        self.answers[call.method, str(answer.status)] += 1
        if answer.status == 401 and self.credentials.source is not None:
            self.credentials.source.refused()

    def _trouble(self, call: Call, error: OSError) -> TransportError:
        """Return what has gone wrong on the way to the server, or back, and count it."""
        self.answers[call.method, "<error>"] += 1
        how = " in time" if isinstance(error, TimeoutError) else f": {error}"
        return TransportError(f"no answer from {self.credentials.server}{how}")


def _event(line: bytes) -> WatchEvent:
    event = _decode_line(line)
    if event.type == "ERROR":
        raise ApiError.from_status(msgspec.json.decode(event.object), 500)
    return WatchEvent(event.type, bytes(event.object))


def _is_free() -> None:
    """Let a request be sent that needs no mandate."""


def _target(call: Call) -> str:
    """Return the path and query of a call, as they are sent."""
    path = call.path if _is_plain(call.path) else quote(call.path, safe="/:@!$&'()*+,;=~")
    return f"{path}?{urlencode(call.query, quote_via=quote)}" if call.query else path


def _status(body: bytes) -> Document:
    try:
        status = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {"message": body[:200].decode(errors="replace").strip()}
    return status if isinstance(status, dict) else {}


def _retry_after_s(answer: Answer) -> float | None:
    if answer.status != 429 and answer.status < 500:
        return None
    header = answer.headers.get("retry-after", "")
    return float(header) if header.isdigit() else None
