"""Tokens of service accounts: what they claim, and whether that still holds.

Rule 1  A token counts while it has not expired and its account exists with the same uid.
Rule 2  One that is bound to a pod, a secret or a node counts while that exists with the same uid.
Rule 3  What is being deleted counts as gone after the leeway, which also late clocks are given.

Matches `pkg/serviceaccount` of Kubernetes 1.36.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kubeberth.api.scheme import NODES, PODS, SECRETS, SERVICE_ACCOUNTS, Resource
from kubeberth.api.times import seconds_of
from kubeberth.apiserver.auth.authn import (
    AUTHENTICATED,
    SERVICE_ACCOUNT,
    Holder,
    InvalidTokenError,
    User,
    account_groups,
)
from kubeberth.apiserver.auth.signing_key import SigningKey, TokenError, claims_of

ISSUER = "https://kubernetes.default.svc.cluster.local"
LEEWAY_S = 60
# What pods ask for when nobody has said how long their token shall last: they may be old enough
# not to read it again, and so get much more.
UNASKED_S = 3607
EXTENDED_S = 365 * 24 * 3600
INVALIDATED = "service account token has been invalidated"
PRIVATE = "kubernetes.io"
# Tokens whose signature is known to be good: those of every pod of a large cluster.
REMEMBERED = 16384

Document = dict[str, Any]


class Reader(Protocol):
    """Where accounts, and what tokens are bound to, are looked up."""

    def find(self, resource: Resource, namespace: str, name: str) -> Document | None:
        """Return an object, or None."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants a token for.

    Parameters
    ----------
    bound_to
        The pod, secret or node with which the token ends, by its kind in lower case.
    """

    account: Document
    audiences: Sequence[str]
    seconds: int
    bound_to: Mapping[str, Document] = field(default_factory=dict)


class ServiceAccountTokens:
    """Issues tokens, and tells whose a token is.

    Parameters
    ----------
    audiences
        Those of the API server itself.
    """

    def __init__(
        self, key: SigningKey, reader: Reader, issuer: str = ISSUER, audiences: Sequence[str] = ()
    ) -> None:
        self.key = key
        self.issuer = issuer
        self.audiences = tuple(audiences) or (issuer,)
        self._reader = reader
        self._known: dict[str, Mapping[str, Any]] = {}

    def issue(self, wish: Wish, now: float) -> str:
        """Return a new token."""
        started, seconds = int(now), wish.seconds
        metadata = wish.account["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        private: Document = {"namespace": namespace}
        for kind, bound in sorted(wish.bound_to.items()):
            private[kind] = _reference(bound)
        private["serviceaccount"] = _reference(wish.account)
        is_unasked = wish.seconds == UNASKED_S and "pod" in wish.bound_to
        if is_unasked and set(wish.audiences) <= set(self.audiences):
            private["warnafter"] = started + seconds
            seconds = EXTENDED_S
        return self.key.sign(
            {
                "aud": list(wish.audiences),
                "exp": started + seconds,
                "iat": started,
                "iss": self.issuer,
                "jti": str(uuid.uuid4()),
                PRIVATE: private,
                "nbf": started,
                "sub": f"{SERVICE_ACCOUNT}{namespace}:{name}",
            }
        )

    def holder(self, token: str, now: float, audiences: Sequence[str] = ()) -> Holder | None:
        """Return whose a token is; None when this server has not issued it.

        Parameters
        ----------
        audiences
            For whom it must be; the API server's own when there are none.

        Raises
        ------
        InvalidTokenError
            It does not count, or not for them.
        """
        claims = self._known.get(token) or self._signed_claims(token)
        if claims is None:
            return None
        asked = tuple(audiences) or self.audiences
        told = _audiences_of(claims)
        shared = tuple(audience for audience in told if audience in asked)
        if not shared:
            raise InvalidTokenError(
                f"token audiences {_listed(told)} is invalid for the target audiences "
                f"{_listed(asked)}"
            )
        _check_times(claims, now)
        return Holder(self._user(claims, now), shared)

    def _signed_claims(self, token: str) -> Mapping[str, Any] | None:
        try:
            claims = claims_of(token)
        except TokenError:
            return None
        if claims.get("iss") != self.issuer:
            return None
        if not self.key.has_signed(token):
            raise InvalidTokenError("go-jose/go-jose: error in cryptographic primitive")
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[token] = claims
        return claims

    def _user(self, claims: Mapping[str, Any], now: float) -> User:
        private = claims[PRIVATE]
        namespace, account = private["namespace"], private["serviceaccount"]
        gone_before = now - LEEWAY_S
        found = self._reader.find(SERVICE_ACCOUNTS, namespace, account["name"])
        if found is None:
            raise InvalidTokenError(f'serviceaccounts "{account["name"]}" not found')
        if (uid := found["metadata"]["uid"]) != account["uid"]:
            raise InvalidTokenError(
                f"service account UID ({uid}) does not match claim ({account['uid']})"
            )
        if _is_gone(found, gone_before):
            name = f"{namespace}/{account['name']}"
            raise InvalidTokenError(f"service account {name} has been deleted")
        for kind, resource in (("secret", SECRETS), ("pod", PODS), ("node", NODES)):
            # The node of a pod is told along: that the pod is there says enough.
            if kind in private and not (kind == "node" and "pod" in private):
                self._check_bound(resource, namespace, kind, private[kind], gone_before)
        return User.of(
            claims["sub"],
            (*account_groups(namespace), AUTHENTICATED),
            account["uid"],
            extra=_extra(claims, private),
        )

    def _check_bound(
        self,
        resource: Resource,
        namespace: str,
        kind: str,
        bound: Mapping[str, str],
        gone_before: float,
    ) -> None:
        found = self._reader.find(resource, namespace, bound["name"])
        if found is None or _is_gone(found, gone_before):
            raise InvalidTokenError(INVALIDATED)
        if (uid := found["metadata"]["uid"]) != bound["uid"]:
            raise InvalidTokenError(
                f"{kind} UID ({uid}) does not match service account {kind} ref claim "
                f"({bound['uid']})"
            )


def _reference(document: Document) -> dict[str, str]:
    metadata = document["metadata"]
    found = {"name": metadata["name"], "uid": metadata.get("uid", "")}
    return {field: value for field, value in found.items() if value}


def _audiences_of(claims: Mapping[str, Any]) -> list[str]:
    told = claims["aud"]
    return list(told) if isinstance(told, list) else [told]


def _listed(texts: Sequence[str]) -> str:
    return "[" + " ".join(f'"{text}"' for text in texts) + "]"


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    if now - LEEWAY_S > claims["exp"]:
        raise InvalidTokenError("service account token has expired")
    if now + LEEWAY_S < claims["nbf"]:
        raise InvalidTokenError("service account token is not valid yet")


def _is_gone(document: Document, before: float) -> bool:
    stamp = document["metadata"].get("deletionTimestamp")
    return stamp is not None and seconds_of(stamp) < before


def _extra(claims: Mapping[str, Any], private: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
    """Return what else is told of the user: the token, and the pod and node that it is for."""
    domain = "authentication.kubernetes.io"
    extra: dict[str, tuple[str, ...]] = {f"{domain}/credential-id": (f"JTI={claims['jti']}",)}
    for kind in ("node", "pod"):
        for name, value in private.get(kind, {}).items():
            extra[f"{domain}/{kind}-{name}"] = (value,)
    return extra
