"""Who is asking: client certificates and bearer tokens become users.

Matches `k8s.io/apiserver/pkg/authentication` of Kubernetes 1.36: the credential that is given must
be good, a bad one is refused rather than taken for nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from kubeberth.errors import UnauthorizedError

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"
NODES = "system:nodes"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody the server knows.

    Parameters
    ----------
    listed
        The groups in the order in which they were told; empty when nobody knows the order.
    """

    name: str
    groups: frozenset[str] = frozenset()
    uid: str = ""
    listed: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, name: str, groups: Iterable[str], uid: str = "") -> User:
        """Return a user whose groups have an order."""
        listed = tuple(dict.fromkeys(groups))
        return cls(name, frozenset(listed), uid, listed)

    @property
    def group_list(self) -> list[str]:
        """The groups, as answers list them."""
        return list(self.listed or sorted(self.groups))


ANONYMOUS = User("system:anonymous", frozenset((UNAUTHENTICATED,)))


class CertificateUsers(Protocol):
    """Knows whose a chain of certificates is; see `certificates.ClientCertificates`."""

    def user_of(self, chain: tuple[bytes, ...], now: float) -> User | None:
        """Return the user, None for nobody; raise UnauthorizedError for a bad chain."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What came with a request to tell who asks.

    Parameters
    ----------
    user
        Known already: requests within a process.
    certificates
        DER, as shown in the handshake and not verified.
    authorization
        The header.
    """

    user: User | None = None
    certificates: tuple[bytes, ...] = ()
    authorization: str = ""

    def __bool__(self) -> bool:
        return bool(self.user or self.certificates or self.authorization)


class Authenticator:
    """Finds the user of a request.

    Parameters
    ----------
    certificates
        Verifies client certificates; without it, none is good.
    tokens
        Bearer tokens and whose they are.
    allow_anonymous
        Whether who shows nothing may ask as `system:anonymous`, with that user's few rights.
    """

    def __init__(
        self,
        tokens: Mapping[str, User] | None = None,
        *,
        certificates: CertificateUsers | None = None,
        allow_anonymous: bool = False,
    ) -> None:
        self._tokens = dict(tokens or {})
        self._certificates = certificates
        self._allow_anonymous = allow_anonymous

    def authenticate(self, shown: Shown, now: float) -> User:
        """Return who is asking.

        Raises
        ------
        UnauthorizedError
            Nothing that was shown is good, or nothing was shown and anonymous requests are off.
        """
        if shown.user is not None:
            return shown.user
        refused: UnauthorizedError | None = None
        if shown.certificates:
            try:
                user = self._of_certificates(shown.certificates, now)
            except UnauthorizedError as error:
                refused = error  # a good token still counts
            else:
                if user is not None:
                    return user
        if shown.authorization:
            user = self._of_token(shown.authorization)
            if user is not None:
                return user
            refused = UnauthorizedError()
        if refused is not None or not self._allow_anonymous:
            raise refused or UnauthorizedError
        return ANONYMOUS

    def user_of_token(self, token: str) -> User | None:
        """Return whose a bearer token is, or None."""
        return self._tokens.get(token)

    def _of_certificates(self, chain: tuple[bytes, ...], now: float) -> User | None:
        if self._certificates is None:
            raise UnauthorizedError
        return self._certificates.user_of(chain, now)

    def _of_token(self, authorization: str) -> User | None:
        scheme, _, token = authorization.partition(" ")
        return self.user_of_token(token.strip()) if scheme.lower() == "bearer" else None
