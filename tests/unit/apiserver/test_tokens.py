"""Tokens of service accounts through the API: asked for, shown, reviewed."""

import base64
import json

import pytest

from kubeberth.apiserver.auth.service_accounts import ISSUER

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
WHO_AM_I = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


async def token_of(api, name="default", **spec):
    answer = await api.post(f"{ACCOUNTS}/{name}/token", {"spec": spec})
    assert answer.code == 201, answer.message
    return answer.json["status"]["token"]


async def shown(api, token):
    return await api.post(WHO_AM_I, {}, user=None, authorization=f"Bearer {token}")


async def reviewed(api, token, **spec):
    answer = await api.post(REVIEWS, {"spec": {"token": token, **spec}})
    assert answer.code == 201
    return answer.json["status"]


def bound(kind, name, uid=""):
    return {"kind": kind, "apiVersion": "v1", "name": name, **({"uid": uid} if uid else {})}


def test_a_token_is_issued_for_an_hour_and_for_this_server(run):
    async def scenario(api):
        answer = await api.post(f"{ACCOUNTS}/default/token", {})
        assert answer.code == 201
        request = answer.json
        account = (await api.get(f"{ACCOUNTS}/default")).json["metadata"]
        assert request["kind"] == "TokenRequest"
        assert (request["metadata"]["name"], request["metadata"]["uid"]) == (
            "default",
            account["uid"],
        )
        spec = {"audiences": [ISSUER], "expirationSeconds": 3600, "boundObjectRef": None}
        assert request["spec"] == spec
        token = request["status"]["token"]
        who = (await shown(api, token)).json["status"]["userInfo"]
        assert who["username"] == "system:serviceaccount:default:default"
        assert who["uid"] == account["uid"]

    run(scenario)


def test_a_token_has_the_rights_of_its_account(run):
    async def scenario(api):
        header = {"user": None, "authorization": f"Bearer {await token_of(api)}"}
        answer = await api.get("/api/v1/namespaces/default/pods", **header)
        assert answer.code == 403
        assert 'User "system:serviceaccount:default:default" cannot list' in answer.message
        subject = {"kind": "ServiceAccount", "name": "default", "namespace": "default"}
        role = {"kind": "ClusterRole", "name": "cluster-admin"}
        binding = {"metadata": {"name": "b"}, "subjects": [subject], "roleRef": role}
        bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
        role["apiGroup"] = "rbac.authorization.k8s.io"
        assert (await api.post(bindings, binding)).code == 201
        assert (await api.get("/api/v1/namespaces/default/pods", **header)).code == 200

    run(scenario)


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        pytest.param(
            {"spec": {"expirationSeconds": 599}},
            422,
            'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid '
            "value: 599: may not specify a duration less than 10 minutes",
            id="too short",
        ),
        pytest.param(
            {"spec": {"expirationSeconds": 2**32 + 1}},
            422,
            "may not specify a duration larger than 2^32 seconds",
            id="too long",
        ),
        pytest.param(
            {"metadata": {"name": "other"}},
            422,
            'metadata.name: Invalid value: "other": must match the service account name if '
            "specified",
            id="for another account",
        ),
        pytest.param(
            {"spec": {"boundObjectRef": bound("Pod", "absent")}},
            404,
            'pods "absent" not found',
            id="bound to nothing",
        ),
        pytest.param(
            {"spec": {"boundObjectRef": bound("ConfigMap", "c")}},
            400,
            "cannot bind token to object of type /v1, Kind=ConfigMap",
            id="bound to what is not watched",
        ),
        pytest.param(
            {"spec": {"boundObjectRef": bound("Pod", "p", "other")}},
            409,
            'Operation cannot be fulfilled on Pod "p": the UID in the bound object reference '
            "(other) does not match the UID in record. The object might have been deleted and "
            "then recreated",
            id="bound to an earlier pod",
        ),
        pytest.param(
            {"spec": {"boundObjectRef": bound("Pod", "q")}},
            400,
            'cannot bind token for serviceaccount "default" to pod running with different '
            "serviceaccount name.",
            id="bound to the pod of another account",
        ),
    ],
)
def test_not_every_token_can_be_had(run, body, code, text):
    async def scenario(api):
        await api.pod("p")
        account = {"metadata": {"name": "other"}, "automountServiceAccountToken": False}
        await api.post(ACCOUNTS, account)
        await api.pod("q", serviceAccountName="other")
        answer = await api.post(f"{ACCOUNTS}/default/token", body)
        assert answer.code == code
        assert text in answer.message

    run(scenario)


def test_an_account_that_is_not_there_gets_no_token(run):
    async def scenario(api):
        answer = await api.post(f"{ACCOUNTS}/absent/token", {})
        assert (answer.code, answer.message) == (404, 'serviceaccounts "absent" not found')

    run(scenario)


def test_a_token_ends_with_its_pod_even_if_another_takes_the_name(run):
    async def scenario(api):
        await api.pod("p")
        token = await token_of(api, boundObjectRef=bound("Pod", "p"))
        assert (await shown(api, token)).code == 201
        await api.delete("/api/v1/namespaces/default/pods/p")
        assert (await shown(api, token)).code == 401
        error = "[invalid bearer token, service account token has been invalidated]"
        assert await reviewed(api, token) == {"user": {}, "error": error}
        await api.pod("p")
        assert (await shown(api, token)).code == 401

    run(scenario)


def test_a_review_tells_whose_a_token_is_and_for_whom(run):
    async def scenario(api):
        token = await token_of(api, audiences=["vault"])
        assert (await shown(api, token)).code == 401
        status = await reviewed(api, token, audiences=["vault", "other"])
        assert status["authenticated"] is True
        assert status["audiences"] == ["vault"]
        assert status["user"]["username"] == "system:serviceaccount:default:default"
        assert await reviewed(api, token) == {
            "user": {},
            "error": '[invalid bearer token, token audiences ["vault"] is invalid for the target '
            f'audiences ["{ISSUER}"]]',
        }
        assert await reviewed(api, "x.y.z") == {"user": {}, "error": "invalid bearer token"}

    run(scenario)


def test_everybody_can_verify_tokens_with_what_is_published(run):
    async def scenario(api):
        configuration = await api.get("/.well-known/openid-configuration")
        assert configuration.json["issuer"] == ISSUER
        assert configuration.json["jwks_uri"].endswith("/openid/v1/jwks")
        keys = await api.get("/openid/v1/jwks")
        assert keys.headers["content-type"] == "application/jwk-set+json"
        (key,) = keys.json["keys"]
        token = await token_of(api)
        head = token.partition(".")[0]
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        assert header == {"alg": key["alg"], "kid": key["kid"]}
        mine = {"user": None, "authorization": f"Bearer {token}"}
        assert (await api.get("/openid/v1/jwks", **mine)).code == 200

    run(scenario)
