"""Audit policies: which rule covers a request, and which texts are none."""

from __future__ import annotations

import pytest

from kubeberth.apiserver.audit.policy import (
    DEFAULT_POLICY,
    STAGES,
    GroupResources,
    Level,
    Policy,
    Rule,
    parse_policy,
)
from kubeberth.apiserver.auth.authn import User
from kubeberth.apiserver.route import parse_request
from kubeberth.errors import UsageError

ALICE = User("alice", frozenset(("devs",)))
POD = "/api/v1/namespaces/lab/pods/web"


def covers(rule, path, *, method="GET", user=ALICE, query=""):
    return rule.covers(user, parse_request(method, path, query))


def resources(group, *names, of=()):
    return Rule(resources=(GroupResources(group, names, of),))


@pytest.mark.parametrize(
    ("rule", "is_covered"),
    [
        (Rule(), True),
        (Rule(users=("alice", "bob")), True),
        (Rule(users=("bob",)), False),
        (Rule(user_groups=("devs",)), True),
        (Rule(user_groups=("ops",)), False),
        (Rule(users=("alice",), user_groups=("ops",)), False),
        (Rule(verbs=("get", "list")), True),
        (Rule(verbs=("create",)), False),
        (Rule(namespaces=("lab",)), True),
        (Rule(namespaces=("", "default")), False),
        (resources("", "pods"), True),
        (resources(""), True),
        (resources("", "*"), True),
        (resources("", "pods/*"), True),
        (resources("", "pods/log"), False),
        (resources("", "*/log"), False),
        (resources("apps", "pods"), False),
        (resources("", "pods", of=("web",)), True),
        (resources("", "pods", of=("db",)), False),
        (Rule(non_resource_urls=("*",)), False),
    ],
)
def test_a_rule_covers_requests_by_every_one_of_its_lists(rule, is_covered):
    assert covers(rule, POD) is is_covered


@pytest.mark.parametrize(
    ("names", "is_covered"),
    [
        (("pods",), False),
        (("pods/log",), True),
        (("pods/*",), True),
        (("*/log",), True),
        (("*",), True),
        (("*/status",), False),
    ],
)
def test_parts_of_objects_are_covered_by_their_own_names(names, is_covered):
    assert covers(resources("", *names), f"{POD}/log") is is_covered


@pytest.mark.parametrize(
    ("urls", "is_covered"),
    [(("/healthz",), False), (("/healthz*",), True), (("/healthz/etcd",), True), (("*",), True)],
)
def test_paths_that_are_no_resources_are_covered_by_urls(urls, is_covered):
    assert covers(Rule(non_resource_urls=urls), "/healthz/etcd") is is_covered
    assert not covers(Rule(namespaces=("lab",)), "/healthz/etcd")


def test_whom_nobody_knows_is_covered_by_rules_without_users_alone():
    assert covers(Rule(), POD, user=None)
    assert not covers(Rule(users=("alice",)), POD, user=None)
    assert not covers(Rule(user_groups=("devs",)), POD, user=None)


def test_the_first_rule_that_covers_a_request_counts():
    policy = Policy(rules=(Rule(level="Request", verbs=("get",)), Rule(level="Metadata")))
    assert policy.measure(ALICE, parse_request("GET", POD, "")).level is Level.Request
    assert policy.measure(ALICE, parse_request("PUT", POD, "")).level is Level.Metadata
    nothing = Policy(rules=(Rule(level="Request", verbs=("list",)),))
    assert nothing.measure(ALICE, parse_request("GET", POD, "")).level is Level.None_


def test_stages_are_left_out_by_the_policy_and_by_the_rule():
    rule = Rule(level="Metadata", omit_stages=("Panic",), omit_managed_fields=False)
    policy = Policy(rules=(rule,), omit_stages=("RequestReceived",), omit_managed_fields=True)
    measure = policy.measure(ALICE, parse_request("GET", POD, ""))
    assert measure.stages == set(STAGES) - {"Panic", "RequestReceived"}
    assert measure.omits_managed_fields is False


@pytest.mark.parametrize(
    ("method", "path", "level"),
    [
        ("POST", "/api/v1/namespaces/lab/secrets", Level.Metadata),
        ("GET", "/api/v1/secrets", Level.Metadata),
        ("PATCH", "/api/v1/namespaces/lab/secrets/a", Level.Metadata),
        ("PUT", "/api/v1/namespaces/lab/configmaps/a", Level.Metadata),
        ("POST", "/api/v1/namespaces/lab/serviceaccounts/a/token", Level.Metadata),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", Level.Metadata),
        ("POST", "/api/v1/namespaces/lab/pods/web/proxy", Level.Metadata),
        ("POST", "/api/v1/namespaces/lab/pods", Level.Request),
        ("DELETE", POD, Level.Request),
        ("GET", POD, Level.Metadata),
        ("PATCH", "/apis/coordination.k8s.io/v1/namespaces/a/leases/b", Level.None_),
        ("POST", "/api/v1/namespaces/lab/events", Level.None_),
        ("GET", "/readyz", Level.None_),
        ("GET", "/apis", Level.Metadata),
    ],
)
def test_our_own_policy_tells_of_writes_and_of_nothing_secret(method, path, level):
    assert DEFAULT_POLICY.measure(ALICE, parse_request(method, path, "")).level is level


GOOD = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: RequestResponse
  userGroups: [system:masters]
  resources:
  - group: ""
    resources: [pods/log]
    resourceNames: [web]
- level: None
  nonResourceURLs: ["/healthz*"]
"""


def test_a_policy_is_read_from_yaml():
    policy = parse_policy(GOOD, "policy.yaml")
    assert policy.omit_stages == ("RequestReceived",)
    first, second = policy.rules
    assert first.resources == (GroupResources("", ("pods/log",), ("web",)),)
    assert (second.level, second.non_resource_urls) == ("None", ("/healthz*",))


HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "p.yaml is no audit policy: yaml: line 1: did not find expected node content"),
        ("", "p.yaml is no audit policy: Expected `object`, got `null`"),
        ("rulez: []", "Object contains unknown field `rulez`"),
        (
            "kind: Policy\napiVersion: v1\nrules: [{level: None}]",
            'an audit policy is a "Policy" of "audit.k8s.io/v1", this is "Policy" of "v1"',
        ),
        (HEAD + "  []", "p.yaml: rules: Required value: a policy without rules writes nothing"),
        (HEAD + "- {users: [a]}", "p.yaml: rules[0].level: Required value"),
        (
            HEAD + "- {level: All}",
            'rules[0].level: Unsupported value: "All": supported: "None", "Metadata", "Request", ',
        ),
        (
            HEAD + "- {level: None, omitStages: [End]}",
            'rules[0].omitStages[0]: Unsupported value: "End": supported: "RequestReceived", ',
        ),
        (
            HEAD + "- {level: None, nonResourceURLs: [/a], namespaces: [b]}",
            "rules cannot apply to both regular resources and non-resource URLs",
        ),
        (HEAD + "- {level: None, nonResourceURLs: [a]}", "must begin with a '/' character"),
        (HEAD + "- {level: None, nonResourceURLs: [/a*b]}", "must be the final character of the"),
        (
            HEAD + "- {level: None, resources: [{resourceNames: [a]}]}",
            "rules[0].resources[0].resourceNames: Invalid value: using resourceNames requires at",
        ),
    ],
)
def test_what_is_no_policy_is_refused_with_the_reason(text, why):
    with pytest.raises(UsageError) as refused:
        parse_policy(text, "p.yaml")
    assert why in str(refused.value)


def test_each_fault_has_a_line():
    with pytest.raises(UsageError) as refused:
        parse_policy(HEAD + "- {level: A}\n- {level: B}", "p.yaml")
    assert len(str(refused.value).splitlines()) == 2
