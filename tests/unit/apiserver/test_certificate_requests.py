"""Requests for certificates through the API: made, decided, signed."""

import base64

import pytest
from tests.certificate_requests import encoded_request

from kubeberth.apiserver.auth.authn import AUTHENTICATED, User

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
SIGNER = "kubernetes.io/kube-apiserver-client"
JANE = User("jane", frozenset(("dev", AUTHENTICATED)), "u1")
APPROVED = {"type": "Approved", "status": "True", "reason": "KubectlApprove"}
DENIED = {"type": "Denied", "status": "True", "reason": "KubectlDeny"}
CERTIFICATE = base64.b64encode(
    b"-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n"
).decode()


def request(name="r", **spec):
    asked = {"request": encoded_request("jane"), "signerName": SIGNER}
    asked["usages"] = ["client auth"]
    return {"metadata": {"name": name}, "spec": {**asked, **spec}}


async def decide(api, *conditions, name="r", **options):
    found = (await api.get(f"{CSRS}/{name}")).json
    found["status"] = {"conditions": list(conditions)}
    return await api.put(f"{CSRS}/{name}/approval", found, **options)


async def may(api, user, verbs, resource, *names):
    rule = {"verbs": verbs, "apiGroups": ["certificates.k8s.io"], "resources": [resource]}
    if names:
        rule["resourceNames"] = list(names)
    name = f"{user}-{resource.replace('/', '-')}"
    group = {"apiGroup": "rbac.authorization.k8s.io"}
    await api.post(f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": [rule]})
    binding = {
        "metadata": {"name": name},
        "roleRef": {**group, "kind": "ClusterRole", "name": name},
        "subjects": [{**group, "kind": "User", "name": user}],
    }
    assert (await api.post(f"{RBAC}/clusterrolebindings", binding)).code == 201


def test_a_request_tells_who_made_it_whatever_it_says_itself(run):
    async def scenario(api):
        await may(api, "jane", ["create"], "certificatesigningrequests")
        pretending = request(username="admin", groups=["system:masters"], extra={"a": ["b"]})
        pretending["status"] = {"conditions": [APPROVED]}
        answer = await api.post(CSRS, pretending, user=JANE)
        assert answer.code == 201, answer.message
        spec = answer.json["spec"]
        assert (spec["username"], spec["uid"], spec["groups"]) == (
            "jane",
            "u1",
            ["dev", "system:authenticated"],
        )
        assert "extra" not in spec
        assert answer.json["status"] == {}

    run(scenario)


def test_an_approval_is_stamped_and_stays(run):
    async def scenario(api):
        await api.post(CSRS, request())
        answer = await decide(api, APPROVED)
        assert answer.code == 200, answer.message
        (condition,) = answer.json["status"]["conditions"]
        assert condition["lastUpdateTime"] == condition["lastTransitionTime"] is not None
        answer = await decide(api)
        assert (
            'status.conditions: Forbidden: updates may not remove a condition of type "Approved"'
            in answer.message
        )
        answer = await decide(api, APPROVED, DENIED)
        assert "Approved and Denied conditions are mutually exclusive" in answer.message

    run(scenario)


def test_what_was_asked_for_does_not_change(run):
    async def scenario(api):
        await api.post(CSRS, request())
        before = (await api.get(f"{CSRS}/r")).json
        for path in (f"{CSRS}/r", f"{CSRS}/r/status", f"{CSRS}/r/approval"):
            changed = {**before, "spec": {**before["spec"], "request": encoded_request("root")}}
            assert (await api.put(path, changed)).code == 200
        assert (await api.get(f"{CSRS}/r")).json["spec"] == before["spec"]

    run(scenario)


def test_who_decides_issues_nothing_and_who_issues_decides_nothing(run):
    async def scenario(api):
        await api.post(CSRS, request())
        change = {"status": {"certificate": CERTIFICATE}}
        answer = await api.patch(f"{CSRS}/r/approval", change)
        assert "certificate" not in answer.json["status"]
        change = {"status": {"conditions": [APPROVED]}}
        answer = await api.patch(f"{CSRS}/r/status", change)
        assert 'updates may not add a condition of type "Approved"' in answer.message
        change = {"status": {"certificate": CERTIFICATE}}
        assert (await api.patch(f"{CSRS}/r/status", change)).code == 200
        other = base64.b64encode(base64.b64decode(CERTIFICATE) + b"\n").decode()
        answer = await api.patch(f"{CSRS}/r/status", {"status": {"certificate": other}})
        assert "updates may not modify existing certificate content" in answer.message

    run(scenario)


@pytest.mark.parametrize("allowed", [(SIGNER,), ("kubernetes.io/*",), ()])
def test_deciding_takes_a_right_to_the_signer_besides_that_to_the_request(run, allowed):
    async def scenario(api):
        await api.post(CSRS, request())
        await may(api, "jane", ["update", "get"], "certificatesigningrequests/approval")
        if allowed:
            await may(api, "jane", ["approve"], "signers", *allowed)
        answer = await decide(api, APPROVED, user=JANE)
        if allowed:
            assert answer.code == 200
        else:
            assert answer.code == 403
            assert f'user not permitted to approve requests with signerName "{SIGNER}"' in (
                answer.message
            )

    run(scenario)


def test_signing_takes_a_right_to_the_signer(run):
    async def scenario(api):
        await api.post(CSRS, request())
        await may(api, "jane", ["patch"], "certificatesigningrequests/status")
        change = {"status": {"certificate": CERTIFICATE}}
        answer = await api.patch(f"{CSRS}/r/status", change, user=JANE)
        assert f'user not permitted to sign requests with signerName "{SIGNER}"' in answer.message

    run(scenario)


@pytest.mark.parametrize(
    ("spec", "code", "text"),
    [
        pytest.param(
            {"request": "YQ=="},
            422,
            'spec.request: Invalid value: "YQ==": PEM block type must be CERTIFICATE REQUEST',
            id="no request",
        ),
        pytest.param({"usages": []}, 422, "spec.usages: Required value", id="for nothing"),
        pytest.param(
            {"usages": ["magic"]}, 422, 'spec.usages[0]: Unsupported value: "magic"', id="magic"
        ),
        pytest.param(
            {"expirationSeconds": 599},
            422,
            "may not specify a duration less than 600 seconds (10 minutes)",
            id="too short",
        ),
        pytest.param(
            {"signerName": "kubernetes.io/legacy-unknown"},
            422,
            "the legacy signerName is not allowed via this API version",
            id="the old signer",
        ),
        pytest.param(
            {"request": encoded_request("root", ("system:masters",))},
            403,
            "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not "
            "allowed",
            id="for all power",
        ),
    ],
)
def test_not_every_request_is_taken(run, spec, code, text):
    async def scenario(api):
        answer = await api.post(CSRS, request(**spec))
        assert answer.code == code
        assert text in answer.message

    run(scenario)
