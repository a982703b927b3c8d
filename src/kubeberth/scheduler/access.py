"""Who may look at a scheduler: asked of the API server, as kube-scheduler does.

Who somebody is, a client certificate says, or the API server of a bearer token (TokenReview); what
they may see, the API server says (SubjectAccessReview of the path).
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubeberth.api.scheme import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS
from kubeberth.client.client import Client
from kubeberth.clock import Clock
from kubeberth.errors import ForbiddenError, UnauthorizedError

# As kube-scheduler: so long an answer of the API server is good for.
ALLOWED_S, DENIED_S = 10.0, 10.0
# Whoever probes needs no rights (`--authorization-always-allow-paths`).
OPEN_PATHS = ("/healthz", "/livez", "/readyz")
MAX_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who asks."""

    name: str
    groups: tuple[str, ...]
    uid: str = ""


ANONYMOUS = Visitor("system:anonymous", ("system:unauthenticated",))


class Access:
    """Decides who may see what.

    Parameters
    ----------
    client
        Its identity must be allowed to create both kinds of reviews.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._answers: dict[tuple[Any, ...], tuple[float, Any]] = {}

    async def check(self, path: str, authorization: str, peer: Mapping[str, Any] | None) -> None:
        """Return if somebody may read a path.

        Parameters
        ----------
        authorization
            The header's value.
        peer
            A client certificate that was verified, as `ssl` describes it.

        Raises
        ------
        ApiError
            They may not, or there is nobody who can say so.
        """
        if path in OPEN_PATHS:
            return
        visitor = await self._visitor(authorization, peer)
        if not await self._may_read(visitor, path):
            raise ForbiddenError(f'User "{visitor.name}" cannot get path "{path}"')

    async def _visitor(self, authorization: str, peer: Mapping[str, Any] | None) -> Visitor:
        kind, _, token = authorization.partition(" ")
        if kind.lower() == "bearer" and token:
            visitor: Visitor | None = await self._remembered(("token", token), self._review, token)
            if visitor is None:
                raise UnauthorizedError()
            return visitor
        return ANONYMOUS if not peer else _of_certificate(peer)

    async def _review(self, token: str) -> Visitor | None:
        body = {
            "apiVersion": TOKEN_REVIEWS.api_version,
            "kind": TOKEN_REVIEWS.kind,
            "spec": {"token": token},
        }
        status = (await self._client.create(TOKEN_REVIEWS, body)).get("status", {})
        if not status.get("authenticated"):
            return None
        user = status.get("user", {})
        groups = tuple(user.get("groups") or ())
        return Visitor(user.get("username", ""), groups, user.get("uid", ""))

    async def _may_read(self, visitor: Visitor, path: str) -> bool:
        allowed: bool = await self._remembered((visitor, path), self._ask, visitor, path)
        return allowed

    async def _ask(self, visitor: Visitor, path: str) -> bool:
        spec = {
            "user": visitor.name,
            "groups": list(visitor.groups),
            "uid": visitor.uid,
            "nonResourceAttributes": {"path": path, "verb": "get"},
        }
        body = {
            "apiVersion": SUBJECT_ACCESS_REVIEWS.api_version,
            "kind": SUBJECT_ACCESS_REVIEWS.kind,
            "spec": spec,
        }
        answer = await self._client.create(SUBJECT_ACCESS_REVIEWS, body)
        return bool(answer.get("status", {}).get("allowed"))

    async def _remembered(self, key: tuple[Any, ...], ask: Any, *about: Any) -> Any:
        """Return an answer that is not old, or ask."""
        now = self._clock.monotonic()
        known = self._answers.get(key)
        if known is not None and known[0] > now:
            return known[1]
        answer = await ask(*about)
        if len(self._answers) >= MAX_KEPT:
            self._answers.clear()
        self._answers[key] = (now + (ALLOWED_S if answer else DENIED_S), answer)
        return answer


def _of_certificate(peer: Mapping[str, Any]) -> Visitor:
    """Return whom a verified certificate names: the user is its CN, the groups are its Os."""
    subject = [pair for part in peer.get("subject", ()) for pair in part]
    name = next((value for key, value in subject if key == "commonName"), "")
    if not name:
        raise UnauthorizedError()
    groups = tuple(value for key, value in subject if key == "organizationName")
    return Visitor(name, (*groups, "system:authenticated"))


def server_context(cert: str, key: str, client_ca: str | None) -> ssl.SSLContext:
    """Return what a TLS server needs; with authorities, clients may show certificates."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_ca)
    context.load_cert_chain(cert, key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
    return context
