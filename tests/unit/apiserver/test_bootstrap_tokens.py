"""Who shows a bootstrap token, to a whole server."""

from __future__ import annotations

import pytest

from kubeberth.api.bootstrap_tokens import BootstrapToken
from kubeberth.apiserver.auth.bootstrap_tokens import BootstrapTokens

SECRETS = "/api/v1/namespaces/kube-system/secrets"
WHO_AM_I = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
TOKEN = BootstrapToken("abc123", "0123456789abcdef", groups=("system:bootstrappers:lab",))


@pytest.fixture
def invited(run):
    """Run a scenario with a server that takes bootstrap tokens, and one of them."""

    def invited(scenario, expiration="", **data):
        async def main(api):
            api.app._authenticator.invited = BootstrapTokens(api.app.registry)
            manifest = TOKEN.manifest(expiration)
            manifest["stringData"] |= data
            answer = await api.post(SECRETS, manifest)
            assert answer.code == 201, answer.message
            return await scenario(api)

        return run(main)

    return invited


async def shown(api, token=TOKEN.text):
    return await api.post(WHO_AM_I, {}, user=None, authorization=f"Bearer {token}")


def test_a_token_makes_a_user_in_the_groups_that_it_brings(invited):
    async def scenario(api):
        who = (await shown(api)).json["status"]["userInfo"]
        assert who["username"] == "system:bootstrap:abc123"
        assert who["groups"] == [
            "system:bootstrappers",
            "system:bootstrappers:lab",
            "system:authenticated",
        ]

    invited(scenario)


def test_it_brings_no_rights_before_somebody_gives_them(invited):
    async def scenario(api):
        header = {"user": None, "authorization": f"Bearer {TOKEN.text}"}
        for path in (REQUESTS, SECRETS, "/api/v1/nodes"):
            assert (await api.get(path, **header)).code == 403

    invited(scenario)


@pytest.mark.parametrize(
    "token",
    ["abc123.0123456789abcdee", "abc124.0123456789abcdef", "abc123.", "abc123.0123456789abcdef "],
)
def test_a_wrong_token_lets_nobody_in(invited, token):
    async def scenario(api):
        expected = 201 if token.strip() == TOKEN.text else 401
        assert (await shown(api, token)).code == expected

    invited(scenario)


@pytest.mark.parametrize(
    ("expiration", "data"),
    [
        ("2020-01-01T00:00:00Z", {}),
        ("", {"usage-bootstrap-authentication": "false"}),
        ("", {"auth-extra-groups": "system:masters"}),
        ("", {"token-secret": "fedcba9876543210"}),
    ],
)
def test_a_secret_that_does_not_count_lets_nobody_in(invited, expiration, data):
    async def scenario(api):
        assert (await shown(api)).code == 401

    invited(scenario, expiration, **data)


def test_a_token_ends_with_its_secret(invited):
    async def scenario(api):
        assert (await shown(api)).code == 201
        await api.delete(f"{SECRETS}/bootstrap-token-abc123")
        assert (await shown(api)).code == 401

    invited(scenario)


def test_a_server_that_takes_none_lets_nobody_in_by_one(run):
    async def scenario(api):
        await api.post(SECRETS, TOKEN.manifest(""))
        assert (await shown(api)).code == 401

    run(scenario)
