"""Acting as somebody else: the `Impersonate-*` headers, for those who may.

Matches `k8s.io/apiserver/pkg/endpoints/filters/impersonation` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from msgspec.structs import replace

from kubeberth.apiserver.auth.authn import (
    ANONYMOUS,
    AUTHENTICATED,
    SERVICE_ACCOUNT,
    UNAUTHENTICATED,
    User,
    account_groups,
)
from kubeberth.apiserver.auth.rbac import Authorizer, forbidden
from kubeberth.apiserver.route import Query, RequestInfo
from kubeberth.errors import BadRequestError

PREFIX = "impersonate-"
EXTRA = "impersonate-extra-"
AUTHENTICATION = "authentication.k8s.io"


def acting_user(
    user: User, asked: Sequence[tuple[str, str]], info: RequestInfo, authorizer: Authorizer
) -> User:
    """Return the user as whom a request acts.

    Parameters
    ----------
    user
        Who sends it.
    asked
        The headers whose names begin with `PREFIX`.

    Raises
    ------
    BadRequestError
        Groups or the like are given, but no user.
    ForbiddenError
        The sender may not act as that user.
    """
    name = next((value for key, value in asked if key == "impersonate-user"), "")
    groups = [value for key, value in asked if key == "impersonate-group"]
    uid = next((value for key, value in asked if key == "impersonate-uid"), "")
    if not name:
        raise _without_user(groups, uid)
    if not all(authorizer.allows(user, needed) for needed in _permissions(name, asked)):
        raise forbidden(user, replace(info, verb=f"impersonate-on:user-info:{info.verb}"))
    own = groups or _own_groups(name)
    return User.of(name, (*own, _authentication(name)), uid, _extra(asked))


def _without_user(groups: list[str], uid: str) -> BadRequestError:
    """Return the refusal, which prints a Go value."""
    listed = ", ".join(f'"{group}"' for group in groups)
    shown = f"[]string{{{listed}}}" if groups else "[]string(nil)"
    return BadRequestError(
        f'requested &user.DefaultInfo{{Name:"", UID:"{uid}", Groups:{shown}, '
        "Extra:map[string][]string(nil)} without impersonating a user name"
    )


def _permissions(name: str, asked: Sequence[tuple[str, str]]) -> Iterator[RequestInfo]:
    """Yield what the sender must be allowed to do."""
    if name.startswith(SERVICE_ACCOUNT):
        namespace, _, account = name.removeprefix(SERVICE_ACCOUNT).partition(":")
        yield _permission("serviceaccounts", account, namespace=namespace)
    else:
        yield _permission("users", name)
    for key, value in asked:
        if key == "impersonate-group":
            yield _permission("groups", value)
        elif key == "impersonate-uid":
            yield _permission("uids", value, group=AUTHENTICATION)
        elif key.startswith(EXTRA):
            extra = unquote(key.removeprefix(EXTRA))
            yield _permission("userextras", value, group=AUTHENTICATION, subresource=extra)


def _extra(asked: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    extra: dict[str, list[str]] = {}
    for key, value in asked:
        if key.startswith(EXTRA):
            extra.setdefault(unquote(key.removeprefix(EXTRA)), []).append(value)
    return extra


def _permission(
    plural: str, name: str, *, namespace: str = "", group: str = "", subresource: str = ""
) -> RequestInfo:
    return RequestInfo(
        method="",
        path="",
        query=Query(""),
        verb="impersonate",
        group=group,
        version="v1",
        plural=plural,
        namespace=namespace,
        name=name,
        subresource=subresource,
    )


def _own_groups(name: str) -> list[str]:
    """Return the groups that a service account is in by itself."""
    if not name.startswith(SERVICE_ACCOUNT):
        return []
    namespace = name.removeprefix(SERVICE_ACCOUNT).partition(":")[0]
    return list(account_groups(namespace))


def _authentication(name: str) -> str:
    return UNAUTHENTICATED if name == ANONYMOUS.name else AUTHENTICATED
