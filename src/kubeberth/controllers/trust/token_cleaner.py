"""Removes bootstrap tokens that have expired.

Matches `pkg/controller/bootstrap/tokencleaner.go` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from kubeberth.api import bootstrap_tokens
from kubeberth.api.meta import ApiStruct, HasMetadata, ObjectMeta
from kubeberth.api.scheme import SECRETS, Resource
from kubeberth.controllers.action import DeleteObject, Failure, Outcome
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.reconciler import Reconciler


class TokenSecret(ApiStruct, frozen=True):
    """A secret; its data only if it holds a bootstrap token."""

    metadata: ObjectMeta = ObjectMeta()
    type: str = ""
    data: dict[str, str] = {}

    @property
    def expires_at(self) -> float | None:
        """When the token expires; None for never, and for what is no token."""
        document = {
            "type": self.type,
            "metadata": {"name": self.metadata.name},
            "data": self.data,
        }
        token = bootstrap_tokens.token_of(document)
        return None if token is None else token.expires_at


_decode = msgspec.json.Decoder(TokenSecret).decode


def decode_secret(raw: bytes) -> TokenSecret:
    """Return a secret without its content, unless that is a bootstrap token."""
    secret = _decode(raw)
    is_token = secret.type == bootstrap_tokens.TYPE
    return secret if is_token else TokenSecret(metadata=secret.metadata, type=secret.type)


def reconcile_token(secret: TokenSecret, now: float) -> Outcome:
    """Return the removal of a token that has expired, or when to look again."""
    expires_at = secret.expires_at
    if expires_at is None or secret.metadata.deletion_timestamp is not None:
        return Outcome()
    if now < expires_at:
        return Outcome(requeue_after_s=expires_at - now)
    return Outcome((DeleteObject(ref_of(SECRETS, secret)),))


class TokenCleanerReconciler(Reconciler):
    """Feeds `reconcile_token` from the cache; keys are secrets."""

    name = "token-cleaner"
    account = "token-cleaner"
    resource = SECRETS

    def keys(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the token that has changed."""
        if resource != SECRETS or not isinstance(new, TokenSecret):
            return []
        is_token = new.type == bootstrap_tokens.TYPE
        return [new.metadata.key] if is_token and new.metadata.namespace == "kube-system" else []

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what becomes of a token."""
        secret = cache.get(SECRETS, key)
        return Outcome() if secret is None else reconcile_token(secret, now)
