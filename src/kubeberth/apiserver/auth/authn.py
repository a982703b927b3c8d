"""Who is asking: client certificates and bearer tokens become users.

Matches `k8s.io/apiserver/pkg/authentication` of Kubernetes 1.36: the credential that is given must
be good, a bad one is refused rather than taken for nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kubeberth.errors import UnauthorizedError

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"
NODES = "system:nodes"
# How the names of service accounts begin; `NAMESPACE:NAME` follows.
SERVICE_ACCOUNT = "system:serviceaccount:"


def account_groups(namespace: str) -> tuple[str, ...]:
    """Return the groups that a service account is in by itself."""
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody the server knows.

    Parameters
    ----------
    listed
        The groups in the order in which they were told; empty when nobody knows the order.
    extra
        What else is known, such as which credential told who it is.
    """

    name: str
    groups: frozenset[str] = frozenset()
    uid: str = ""
    listed: tuple[str, ...] = field(default=(), compare=False)
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict, compare=False)

    @classmethod
    def of(
        cls,
        name: str,
        groups: Iterable[str],
        uid: str = "",
        extra: Mapping[str, Sequence[str]] | None = None,
    ) -> User:
        """Return a user whose groups have an order."""
        listed = tuple(dict.fromkeys(groups))
        return cls(name, frozenset(listed), uid, listed, extra or {})

    @property
    def group_list(self) -> list[str]:
        """The groups, as answers list them."""
        return list(self.listed or sorted(self.groups))


ANONYMOUS = User("system:anonymous", frozenset((UNAUTHENTICATED,)))


class CertificateUsers(Protocol):
    """Knows whose a chain of certificates is; see `certificates.ClientCertificates`."""

    def user_of(self, chain: tuple[bytes, ...], now: float) -> User | None:
        """Return the user, None for nobody; raise UnauthorizedError for a bad chain."""


class InvalidTokenError(Exception):
    """A token that this server has issued and that does not count; the text says why."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose a token is, and for which audiences."""

    user: User
    audiences: tuple[str, ...]


class IssuedTokens(Protocol):
    """Knows whose the tokens are that the server issues; see `service_accounts`."""

    audiences: tuple[str, ...]

    def holder(self, token: str, now: float, audiences: Sequence[str] = ()) -> Holder | None:
        """Return the holder, None for tokens of others; raise InvalidTokenError for a bad one."""


class InvitedUsers(Protocol):
    """Knows whose bootstrap tokens are; see `bootstrap_tokens`."""

    def user_of(self, token: str, now: float) -> User | None:
        """Return the user, None for tokens that are none or do not count."""


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
    address
        Where the request comes from; tells nothing of who asks.
    """

    user: User | None = None
    certificates: tuple[bytes, ...] = ()
    authorization: str = ""
    address: str = ""

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

    Attributes
    ----------
    issued
        The tokens that the server itself issues; None when it issues none.
    invited
        Bootstrap tokens; None when they do not count.
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
        self.issued: IssuedTokens | None = None
        self.invited: InvitedUsers | None = None

    def trust(self, certificates: CertificateUsers) -> None:
        """Verify client certificates by others from now on."""
        self._certificates = certificates

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
            try:
                return self._of_token(shown.authorization, now)
            except InvalidTokenError:
                refused = UnauthorizedError()
        if refused is not None or not self._allow_anonymous:
            raise refused or UnauthorizedError
        return ANONYMOUS

    def holder(self, token: str, now: float, audiences: Sequence[str] = ()) -> Holder:
        """Return whose a bearer token is.

        Parameters
        ----------
        audiences
            For whom it must be; the server's own when there are none.

        Raises
        ------
        InvalidTokenError
            It is nobody's, or does not count; the text is what a TokenReview tells.
        """
        own = self.issued.audiences if self.issued is not None else ()
        user = self._tokens.get(token)
        if user is None and self.invited is not None:
            user = self.invited.user_of(token, now)
        if user is not None:
            shared = tuple(a for a in own if a in audiences) if audiences else own
            if shared or not audiences:
                return Holder(user, shared)
        found = None
        if self.issued is not None:
            try:
                found = self.issued.holder(token, now, audiences)
            except InvalidTokenError as error:
                raise InvalidTokenError(f"[invalid bearer token, {error}]") from error
        if found is None:
            raise InvalidTokenError("invalid bearer token")
        return found

    def _of_certificates(self, chain: tuple[bytes, ...], now: float) -> User | None:
        if self._certificates is None:
            raise UnauthorizedError
        return self._certificates.user_of(chain, now)

    def _of_token(self, authorization: str, now: float) -> User:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise InvalidTokenError(f"{scheme} is no scheme that is known here")
        return self.holder(token.strip(), now).user
