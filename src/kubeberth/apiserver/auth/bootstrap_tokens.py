"""Whoever shows a bootstrap token: a user of its own, in the groups that the token brings.

Matches `plugin/pkg/auth/authenticator/token/bootstrap` of Kubernetes 1.36.
"""

from __future__ import annotations

import hmac
from typing import Any, Protocol

from kubeberth.api import bootstrap_tokens
from kubeberth.api.scheme import SECRETS, Resource
from kubeberth.apiserver.auth.authn import AUTHENTICATED, User


class Reader(Protocol):
    """Where secrets are looked up."""

    def find(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        """Return an object, or None."""


class BootstrapTokens:
    """Finds the users of bootstrap tokens, by the secrets that there are now."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def user_of(self, token: str, now: float) -> User | None:
        """Return whose a token is; None when it is no bootstrap token that counts."""
        pair = bootstrap_tokens.split_token(token)
        if pair is None:
            return None
        token_id, shown = pair
        name = bootstrap_tokens.NAME_PREFIX + token_id
        secret = self._reader.find(SECRETS, bootstrap_tokens.NAMESPACE, name)
        if secret is None or "deletionTimestamp" in secret["metadata"]:
            return None
        kept = bootstrap_tokens.token_of(secret)
        # The comparison takes as long for every secret that is wrong.
        if kept is None or not hmac.compare_digest(kept.secret, shown):
            return None
        if kept.is_expired(now) or bootstrap_tokens.AUTHENTICATION not in kept.usages:
            return None
        groups = (bootstrap_tokens.GROUP, *kept.groups, AUTHENTICATED)
        return User.of(bootstrap_tokens.USER_PREFIX + token_id, groups)
