"""Bootstrap tokens go when they have expired."""

import base64
import json

from kubeberth.api.bootstrap_tokens import TYPE
from kubeberth.api.scheme import CONFIG_MAPS, SECRETS
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.trust.token_cleaner import (
    TokenCleanerReconciler,
    decode_secret,
    reconcile_token,
)

EXPIRES = 1_800_000_000.0


def secret(expiration="2027-01-15T08:00:00Z", type=TYPE, namespace="kube-system"):
    data = {"token-id": "abc123", "token-secret": "0123456789abcdef", "expiration": expiration}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    metadata = {"name": "bootstrap-token-abc123", "namespace": namespace, "uid": "u"}
    return decode_secret(json.dumps({"type": type, "metadata": metadata, "data": encoded}).encode())


def test_a_token_is_looked_at_again_when_it_expires():
    assert reconcile_token(secret(), EXPIRES - 60).requeue_after_s == 60
    assert reconcile_token(secret(), EXPIRES - 60).actions == ()


def test_an_expired_token_is_removed():
    [action] = reconcile_token(secret(), EXPIRES).actions
    assert (action.target.name, action.target.uid) == ("bootstrap-token-abc123", "u")


def test_a_token_for_ever_and_other_secrets_stay():
    assert reconcile_token(secret(expiration=""), EXPIRES).actions == ()
    assert reconcile_token(secret(type="Opaque"), EXPIRES).actions == ()


def test_nothing_is_kept_of_the_content_of_other_secrets():
    assert decode_secret(b'{"type": "Opaque", "data": {"password": "aHVudGVy"}}').data == {}


def test_only_tokens_of_kube_system_are_looked_at():
    reconciler, cache = TokenCleanerReconciler(), Cache()
    for item, keys in (
        (secret(), ["kube-system/bootstrap-token-abc123"]),
        (secret(namespace="default"), []),
        (secret(type="Opaque"), []),
    ):
        cache.apply(SECRETS, None, item)
        assert list(reconciler.keys(cache, SECRETS, None, item)) == keys
        assert list(reconciler.keys(cache, CONFIG_MAPS, None, item)) == []
    assert list(reconciler.keys(cache, SECRETS, secret(), None)) == []
    assert reconciler.reconcile(cache, "kube-system/gone", EXPIRES, None).actions == ()
    cache.apply(SECRETS, None, secret())
    [action] = reconciler.reconcile(
        cache, "kube-system/bootstrap-token-abc123", EXPIRES, None
    ).actions
    assert action.target.namespace == "kube-system"
