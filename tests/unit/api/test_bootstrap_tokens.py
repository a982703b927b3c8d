"""Bootstrap tokens as secrets hold them."""

from __future__ import annotations

import base64

import pytest

from kubeberth.api.bootstrap_tokens import (
    TYPE,
    BootstrapToken,
    expiration_of,
    is_extra_group,
    split_token,
    token_of,
)

ID, SECRET = "abc123", "0123456789abcdef"


def secret(name=f"bootstrap-token-{ID}", type=TYPE, **data):
    values = {"token-id": ID, "token-secret": SECRET, **data}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"type": type, "metadata": {"name": name}, "data": encoded}


def test_a_token_is_written_and_read_again():
    token = BootstrapToken(
        ID, SECRET, 1_800_000_000.0, groups=("system:bootstrappers:lab",), description="the lab"
    )
    manifest = token.manifest("2027-01-15T08:00:00Z")
    assert manifest["metadata"] == {"name": "bootstrap-token-abc123", "namespace": "kube-system"}
    assert token_of(secret(**manifest["stringData"])) == token


@pytest.mark.parametrize(
    "malformed",
    [
        secret(type="Opaque"),
        secret(name="bootstrap-token-zzzzzz"),
        secret(**{"token-id": "ABC123"}),
        secret(**{"token-secret": "short"}),
        secret(**{"token-secret": ""}),
        secret(**{"auth-extra-groups": "system:masters"}),
        secret(**{"auth-extra-groups": "system:bootstrappers:a,system:nodes"}),
        {"type": TYPE, "metadata": {"name": f"bootstrap-token-{ID}"}, "data": {"token-id": "=="}},
        {"type": TYPE, "metadata": {"name": f"bootstrap-token-{ID}"}},
    ],
)
def test_what_is_malformed_is_no_token(malformed):
    assert token_of(malformed) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc123",
        f"{ID}.{SECRET}x",
        f"x{ID}.{SECRET}",
        f"{ID}.{SECRET.upper()}",
        f"{ID}.{SECRET}\n",
    ],
)
def test_texts_that_are_no_bootstrap_tokens(text):
    assert split_token(text) is None


def test_what_cannot_be_read_has_expired():
    assert expiration_of("") is None
    assert expiration_of("2027-01-15T08:00:00Z") == 1_800_000_000.0
    assert expiration_of("tomorrow") == 0.0
    assert expiration_of("2027-01-15T08:00:00") == 0.0


@pytest.mark.parametrize(
    ("group", "is_good"),
    [
        ("system:bootstrappers:a", True),
        ("system:bootstrappers:kubeadm:default-node-token", True),
        ("system:bootstrappers:", False),
        ("system:bootstrappers:a-", False),
        ("system:bootstrappers:A", False),
        ("system:bootstrappers", False),
        ("system:masters", False),
        ("system:bootstrappers:a\nsystem:masters", False),
    ],
)
def test_groups_that_a_token_may_bring(group, is_good):
    assert is_extra_group(group) is is_good
