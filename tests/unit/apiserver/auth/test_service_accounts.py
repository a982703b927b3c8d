"""Whether what a token claims still holds."""

import pytest

from kubeberth.api.scheme import NODES, PODS, SECRETS, SERVICE_ACCOUNTS
from kubeberth.apiserver.auth.authn import InvalidTokenError
from kubeberth.apiserver.auth.service_accounts import ISSUER, ServiceAccountTokens, Wish
from kubeberth.apiserver.auth.signing_key import SigningKey, claims_of
from kubeberth.clock import rfc3339

NOW = 1_800_000_000.0


class Objects:
    """What there is."""

    def __init__(self):
        self.found = {}

    def add(self, resource, name, uid, **metadata):
        namespace = "n" if resource.namespaced else ""
        document = {"metadata": {"name": name, "namespace": namespace, "uid": uid, **metadata}}
        self.found[resource, namespace, name] = document
        return document

    def find(self, resource, namespace, name):
        key = resource, namespace if resource.namespaced else "", name
        return self.found.get(key)


@pytest.fixture
def objects():
    return Objects()


@pytest.fixture
def tokens(objects):
    return ServiceAccountTokens(SigningKey.generate(), objects)


def issue(tokens, objects, seconds=3600, audiences=(ISSUER,), **bound_to):
    account = objects.add(SERVICE_ACCOUNTS, "robot", "u1")
    return tokens.issue(Wish(account, audiences, seconds, bound_to), NOW)


def refusal(tokens, token, now=NOW, audiences=()):
    with pytest.raises(InvalidTokenError) as error:
        tokens.holder(token, now, audiences)
    return str(error.value)


def test_a_token_tells_whose_it_is(tokens, objects):
    token = issue(tokens, objects)
    holder = tokens.holder(token, NOW)
    assert holder.audiences == (ISSUER,)
    assert holder.user.name == "system:serviceaccount:n:robot"
    assert holder.user.uid == "u1"
    assert holder.user.group_list == [
        "system:serviceaccounts",
        "system:serviceaccounts:n",
        "system:authenticated",
    ]
    jti = claims_of(token)["jti"]
    assert holder.user.extra == {"authentication.kubernetes.io/credential-id": (f"JTI={jti}",)}


def test_a_token_ends_when_it_says_and_a_minute_for_late_clocks(tokens, objects):
    token = issue(tokens, objects, 600)
    assert tokens.holder(token, NOW + 659)
    assert refusal(tokens, token, NOW + 661) == "service account token has expired"
    assert refusal(tokens, token, NOW - 61) == "service account token is not valid yet"


def test_a_token_is_for_its_audiences_alone(tokens, objects):
    token = issue(tokens, objects, audiences=("vault", "mail"))
    assert tokens.holder(token, NOW, ("mail", "other")).audiences == ("mail",)
    assert refusal(tokens, token) == (
        'token audiences ["vault" "mail"] is invalid for the target audiences '
        f'["{ISSUER}"]'
    )  # fmt: skip


def test_tokens_of_others_are_nobodys_here(tokens, objects):
    assert tokens.holder("nonsense", NOW) is None
    foreign = ServiceAccountTokens(SigningKey.generate(), objects, "https://elsewhere")
    assert tokens.holder(issue(foreign, objects), NOW) is None


def test_a_token_that_somebody_else_signed_in_our_name_is_refused(tokens, objects):
    forged = issue(ServiceAccountTokens(SigningKey.generate(), objects), objects)
    assert refusal(tokens, forged) == "go-jose/go-jose: error in cryptographic primitive"


def test_a_token_ends_with_its_account(tokens, objects):
    token = issue(tokens, objects)
    objects.add(SERVICE_ACCOUNTS, "robot", "u2")
    assert refusal(tokens, token) == "service account UID (u2) does not match claim (u1)"
    stamp = rfc3339(NOW)
    objects.add(SERVICE_ACCOUNTS, "robot", "u1", deletionTimestamp=stamp)
    assert tokens.holder(token, NOW + 59)
    assert refusal(tokens, token, NOW + 62) == "service account n/robot has been deleted"
    objects.found.clear()
    assert refusal(tokens, token) == 'serviceaccounts "robot" not found'


@pytest.mark.parametrize(
    ("kind", "resource"), [("pod", PODS), ("secret", SECRETS), ("node", NODES)]
)
def test_a_token_ends_with_what_it_is_bound_to(tokens, objects, kind, resource):
    bound = objects.add(resource, "b", "u5")
    token = issue(tokens, objects, **{kind: bound})
    assert tokens.holder(token, NOW)
    objects.add(resource, "b", "u6")
    assert refusal(tokens, token) == (
        f"{kind} UID (u6) does not match service account {kind} ref claim (u5)"
    )
    objects.add(resource, "b", "u5", deletionTimestamp=rfc3339(NOW))
    assert refusal(tokens, token, NOW + 62) == "service account token has been invalidated"
    del objects.found[resource, "n" if resource.namespaced else "", "b"]
    assert refusal(tokens, token) == "service account token has been invalidated"


def test_a_pods_token_tells_pod_and_node_and_does_not_end_with_the_node(tokens, objects):
    pod, node = objects.add(PODS, "p", "u5"), objects.add(NODES, "n1", "u7")
    token = issue(tokens, objects, pod=pod, node=node)
    objects.found.pop((NODES, "", "n1"))
    extra = tokens.holder(token, NOW).user.extra
    domain = "authentication.kubernetes.io"
    told = {name: extra[f"{domain}/{name}"] for name in ("pod-name", "pod-uid", "node-name")}
    assert told == {"pod-name": ("p",), "pod-uid": ("u5",), "node-name": ("n1",)}
    assert extra[f"{domain}/node-uid"] == ("u7",)


def test_a_pod_that_asked_for_nothing_keeps_its_token_for_a_year(tokens, objects):
    pod = objects.add(PODS, "p", "u5")
    claims = claims_of(issue(tokens, objects, 3607, pod=pod))
    assert claims["exp"] == NOW + 365 * 24 * 3600
    assert claims["kubernetes.io"]["warnafter"] == NOW + 3607
    claims = claims_of(issue(tokens, objects, 3607, audiences=("vault",), pod=pod))
    assert claims["exp"] == NOW + 3607
