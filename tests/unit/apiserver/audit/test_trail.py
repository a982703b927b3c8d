"""What the audit log says of requests to a server."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.unit.apiserver.conftest import ADMIN, Api

from kubeberth.apiserver.audit.auditor import Auditor
from kubeberth.apiserver.audit.log import AuditLog, LogSettings
from kubeberth.apiserver.audit.policy import DEFAULT_POLICY, Policy, Rule
from kubeberth.apiserver.auth.authn import AUTHENTICATED, User
from kubeberth.clock import SystemClock

PODS = "/api/v1/namespaces/default/pods"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
ALL = Policy(rules=(Rule(level="RequestResponse"),))
METADATA = Policy(rules=(Rule(level="Metadata"),))
BOB = User("bob", frozenset((AUTHENTICATED,)), "7", extra={"scopes": ("a", "b")})


@pytest.fixture
def audited(tmp_path):
    """Run a scenario, and return all events."""

    def audited(scenario, policy=ALL, **settings):
        path = tmp_path / "audit.log"
        auditor = Auditor(policy, AuditLog(LogSettings(str(path)), SystemClock()), SystemClock())

        async def main():
            api = await Api(auditor=auditor, **settings).start()
            await scenario(api)

        asyncio.run(main())
        auditor.close()
        return [json.loads(line) for line in path.read_text().splitlines()]

    return audited


def test_a_write_is_told_when_it_comes_and_when_it_is_answered(audited):
    async def scenario(api):
        answer = await api.pod("web")
        assert answer.code == 201

    received, complete = audited(scenario)[-2:]
    assert (received["stage"], complete["stage"]) == ("RequestReceived", "ResponseComplete")
    assert received["auditID"] == complete["auditID"]
    assert "responseStatus" not in received
    assert (complete["kind"], complete["apiVersion"]) == ("Event", "audit.k8s.io/v1")
    assert complete["verb"] == "create"
    assert complete["requestURI"] == PODS
    assert complete["user"]["username"] == "admin"
    assert complete["objectRef"] == {
        "resource": "pods",
        "namespace": "default",
        "name": "web",
        "apiVersion": "v1",
    }
    assert complete["responseStatus"] == {"metadata": {}, "code": 201}
    assert complete["requestObject"]["metadata"]["name"] == "web"
    assert complete["responseObject"]["status"]["phase"] == "Pending"
    assert complete["requestReceivedTimestamp"] <= complete["stageTimestamp"]
    assert complete["annotations"]["authorization.k8s.io/decision"] == "allow"


def test_metadata_has_no_objects(audited):
    async def scenario(api):
        await api.pod("web")

    complete = audited(scenario, METADATA)[-1]
    assert complete["level"] == "Metadata"
    assert complete["objectRef"]["name"] == "web"
    assert "requestObject" not in complete
    assert "responseObject" not in complete


def test_a_patch_is_told_as_it_was_sent(audited):
    async def scenario(api):
        await api.config_map("a", b="c")
        await api.patch("/api/v1/namespaces/default/configmaps/a", {"data": {"b": "d"}})

    complete = audited(scenario)[-1]
    assert complete["verb"] == "patch"
    assert complete["requestObject"] == {"data": {"b": "d"}}


def test_a_refusal_says_who_may_not_and_why(audited):
    async def scenario(api):
        assert (await api.get(f"{PODS}?limit=5", user=BOB)).code == 403

    complete = audited(scenario)[-1]
    assert complete["requestURI"] == f"{PODS}?limit=5"
    assert complete["user"] == {
        "username": "bob",
        "uid": "7",
        "groups": [AUTHENTICATED],
        "extra": {"scopes": ["a", "b"]},
    }
    status = complete["responseStatus"]
    assert (status["code"], status["reason"], status["status"]) == (403, "Forbidden", "Failure")
    assert 'User "bob" cannot list resource "pods"' in status["message"]
    assert complete["annotations"] == {
        "authorization.k8s.io/decision": "forbid",
        "authorization.k8s.io/reason": "",
    }


def test_whoever_is_not_let_in_is_told_without_the_credential(audited):
    async def scenario(api):
        answer = await api.get(PODS, user=None, authorization="Bearer very-secret")
        assert answer.code == 401
        assert (await api.get(PODS, user=None)).code == 401

    first, second = audited(scenario)[-2:]
    assert first["stage"] == "ResponseStarted"
    assert first["user"] == {}
    assert first["responseStatus"]["code"] == 401
    assert first["responseStatus"]["message"] == "Authentication failed, attempted: bearer"
    assert second["responseStatus"]["message"] == ("Authentication failed, no credentials provided")
    assert "very-secret" not in json.dumps([first, second])


def test_who_acts_as_somebody_else_is_told_with_both(audited):
    async def scenario(api):
        await api.get(PODS, impersonate_user="carol", impersonate_group="devs")

    complete = audited(scenario)[-1]
    assert complete["user"]["username"] == ADMIN.name
    assert complete["impersonatedUser"]["username"] == "carol"
    assert complete["impersonatedUser"]["groups"] == ["devs", AUTHENTICATED]


def test_a_watch_is_told_when_it_starts_and_when_it_ends(audited):
    async def scenario(api):
        async with api.watch(f"{PODS}?watch=1") as next_event:
            await api.pod("web")
            await next_event()

    stages = [event["stage"] for event in audited(scenario) if event["verb"] == "watch"]
    assert stages == ["RequestReceived", "ResponseStarted", "ResponseComplete"]


def test_a_large_list_is_told_whole(audited):
    async def scenario(api):
        for number in range(40):
            await api.config_map(f"c{number}", text="x" * 3000)
        await api.get("/api/v1/configmaps")

    complete = audited(scenario)[-1]
    assert len(complete["responseObject"]["items"]) == 40


def test_our_mistakes_are_told_as_panic(audited, monkeypatch):
    async def scenario(api):
        monkeypatch.setattr(api.app, "_verb", None)
        assert (await api.get(PODS)).code == 500

    assert audited(scenario)[-1]["stage"] == "Panic"


def test_the_answer_carries_the_id_under_which_it_is_told(audited):
    found = []

    async def scenario(api):
        answer = await api.get(PODS, audit_id="mine", user_agent="kubectl")
        found.append(answer.headers["audit-id"])

    complete = audited(scenario)[-1]
    assert complete["auditID"] == found[0] == "mine"
    assert complete["userAgent"] == "kubectl"


def test_what_admission_notes_is_in_the_event(audited):
    async def scenario(api):
        policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
        spec = {
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["configmaps"],
                    }
                ]
            },
            "auditAnnotations": [{"key": "name", "valueExpression": "object.metadata.name"}],
        }
        answer = await api.post(policies, {"metadata": {"name": "p"}, "spec": spec})
        assert answer.code == 201, answer.message
        binding = {"policyName": "p", "validationActions": ["Audit"]}
        await api.post(f"{policies[:-3]}ybindings", {"metadata": {"name": "b"}, "spec": binding})
        await api.config_map("noted")

    assert audited(scenario)[-1]["annotations"]["p/name"] == "noted"


def test_tokens_are_in_no_event_whatever_the_policy_says(audited):
    tokens = []

    async def scenario(api):
        token = (await api.post(f"{ACCOUNTS}/default/token", {})).json["status"]["token"]
        tokens.append(token)
        review = {"spec": {"token": token}}
        await api.post("/apis/authentication.k8s.io/v1/tokenreviews", review)
        await api.get(PODS, user=None, authorization=f"Bearer {token}")

    events = audited(scenario)
    assert any(event["level"] == "RequestResponse" for event in events)
    assert tokens[0] not in json.dumps(events)


def test_secrets_are_in_no_event_of_our_own_policy(audited):
    async def scenario(api):
        secret = {"metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
        secrets = "/api/v1/namespaces/default/secrets"
        assert (await api.post(secrets, secret)).code == 201
        await api.patch(f"{secrets}/s", {"stringData": {"password": "hunter2"}})
        await api.get(secrets)

    events = [e for e in audited(scenario, DEFAULT_POLICY) if e["objectRef"].get("name") == "s"]
    assert [event["verb"] for event in events] == ["create", "patch"]
    assert "hunter2" not in json.dumps(events)


def test_managed_fields_are_left_out_on_demand(audited):
    async def scenario(api):
        await api.pod("web")
        await api.get(PODS)

    lean = Policy(rules=(Rule(level="RequestResponse"),), omit_managed_fields=True)
    assert "managedFields" in json.dumps(audited(scenario))
    assert "managedFields" not in json.dumps(audited(scenario, lean)[-4:])
