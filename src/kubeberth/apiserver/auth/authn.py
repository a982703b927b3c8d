"""Who is asking: client certificates and bearer tokens become users.

Matches `k8s.io/apiserver/pkg/authentication` of Kubernetes 1.36: the credential that is given must
be good, a bad one is refused rather than taken for nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubeberth.errors import UnauthorizedError

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"
NODES = "system:nodes"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody the server knows."""

    name: str
    groups: frozenset[str] = frozenset()
    uid: str = ""


ANONYMOUS = User("system:anonymous", frozenset((UNAUTHENTICATED,)))


def user_of_certificate(certificate: Mapping[str, Any] | None) -> User | None:
    """Return the user of a verified client certificate: CN is the name, each O a group.

    Parameters
    ----------
    certificate
        As `ssl.SSLSocket.getpeercert` returns it; None or empty when there is none.
    """
    if not certificate:
        return None
    subject = [pair for part in certificate.get("subject", ()) for pair in part]
    name = next((value for key, value in subject if key == "commonName"), "")
    if not name:
        return None
    groups = {value for key, value in subject if key == "organizationName"}
    return User(name, frozenset(groups | {AUTHENTICATED}))


class Authenticator:
    """Finds the user of a request.

    Parameters
    ----------
    tokens
        Bearer tokens and whose they are.
    allow_anonymous
        Whether who shows nothing may ask as `system:anonymous`, with that user's few rights.
    """

    def __init__(
        self, tokens: Mapping[str, User] | None = None, *, allow_anonymous: bool = False
    ) -> None:
        self._tokens = dict(tokens or {})
        self._allow_anonymous = allow_anonymous

    def authenticate(self, certificate_user: User | None, authorization: str) -> User:
        """Return who is asking.

        Raises
        ------
        UnauthorizedError
            The token is nobody's, or nothing was shown and anonymous requests are off.
        """
        if certificate_user is not None:
            return certificate_user
        if authorization:
            scheme, _, token = authorization.partition(" ")
            user = self._tokens.get(token.strip()) if scheme.lower() == "bearer" else None
            if user is None:
                raise UnauthorizedError
            return user
        if self._allow_anonymous:
            return ANONYMOUS
        raise UnauthorizedError
