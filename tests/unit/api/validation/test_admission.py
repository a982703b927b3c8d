"""Webhook configurations and admission policies: what is refused, in upstream's words."""

import pytest

from kubeberth.api import codec, defaults
from kubeberth.api.scheme import (
    MUTATING_ADMISSION_POLICIES,
    MUTATING_WEBHOOK_CONFIGURATIONS,
    VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
    VALIDATING_WEBHOOK_CONFIGURATIONS,
)
from kubeberth.api.validation import validate, validate_update

RULE = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
WEBHOOK = {
    "name": "hook.example.com",
    "clientConfig": {"url": "https://hook.example.com/x"},
    "rules": [RULE],
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}
POLICY = {
    "matchConstraints": {"resourceRules": [RULE]},
    "validations": [{"expression": "true"}],
}


def document(resource, **fields):
    metadata = {"name": "x", "uid": "u", "resourceVersion": "1"}
    made = codec.decode_document({"metadata": metadata, **fields}, resource).document
    defaults.apply_defaults(resource, made)
    return made


def faults(resource, **fields):
    return [str(error) for error in validate(resource, document(resource, **fields))]


def webhook_faults(resource=VALIDATING_WEBHOOK_CONFIGURATIONS, **changes):
    return faults(resource, webhooks=[WEBHOOK | changes])


def rule_faults(**changes):
    found = webhook_faults(rules=[RULE | changes])
    return [fault.removeprefix("webhooks[0].rules[0].") for fault in found]


def test_a_webhook_without_anything_lacks_what_is_required():
    assert faults(VALIDATING_WEBHOOK_CONFIGURATIONS, webhooks=[{}]) == [
        "webhooks[0].name: Required value",
        "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun",
        "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
        "webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1",
    ]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param(
            {"name": "short.name"},
            'name: Invalid value: "short.name": should be a domain with at least three segments '
            "separated by dots",
            id="short name",
        ),
        pytest.param(
            {"sideEffects": "Some"},
            'sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"',
            id="side effects",
        ),
        pytest.param(
            {"timeoutSeconds": 31},
            "timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
            id="timeout",
        ),
        pytest.param(
            {"failurePolicy": "Maybe"},
            'failurePolicy: Unsupported value: "Maybe": supported values: "Fail", "Ignore"',
            id="failure policy",
        ),
        pytest.param(
            {"admissionReviewVersions": ["v2"]},
            'admissionReviewVersions: Invalid value: ["v2"]: must include at least one of v1, '
            "v1beta1",
            id="unknown review version",
        ),
        pytest.param(
            {"admissionReviewVersions": ["v1", "v1"]},
            'admissionReviewVersions[1]: Invalid value: "v1": duplicate version',
            id="version twice",
        ),
        pytest.param(
            {"clientConfig": {"url": "http://x/"}},
            "clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; "
            "desired format: https://host[/path]",
            id="plain http",
        ),
        pytest.param(
            {"clientConfig": {"url": "https://u@x/?a=b"}},
            'clientConfig.url: Invalid value: "u": user information is not permitted in the URL',
            id="user information",
        ),
        pytest.param(
            {"clientConfig": {"service": {"name": "s", "namespace": "n", "path": "x"}}},
            "clientConfig.service.path: Invalid value: \"x\": must start with a '/'",
            id="path of a service",
        ),
        pytest.param(
            {"matchConditions": [{"name": "a", "expression": "objekt.x"}]},
            'matchConditions[0].expression: Invalid value: "objekt.x": compilation failed: ERROR: '
            "<input>: undeclared reference to 'objekt' (in container '')",
            id="unknown variable",
        ),
        pytest.param(
            {"matchConditions": [{"name": "a", "expression": "(true"}]},
            'matchConditions[0].expression: Invalid value: "(true": compilation failed: ERROR: '
            "<input>: Syntax error: mismatched input '<EOF>' expecting ')'",
            id="no expression",
        ),
        pytest.param(
            {"matchConditions": [{"name": "a", "expression": "true"}] * 2},
            'matchConditions[1].name: Duplicate value: "a"',
            id="condition twice",
        ),
    ],
)
def test_what_a_webhook_may_not_say(changes, fault):
    assert webhook_faults(**changes)[0] == f"webhooks[0].{fault}"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"operations": []}, ["operations: Required value"]),
        (
            {"operations": ["*", "CREATE"]},
            [
                'operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify '
                "other operations"
            ],
        ),
        (
            {"operations": ["PATCH"]},
            [
                'operations[0]: Unsupported value: "PATCH": supported values: "*", "CONNECT", '
                '"CREATE", "DELETE", "UPDATE"'
            ],
        ),
        ({"apiVersions": [""]}, ["apiVersions[0]: Required value"]),
        (
            {"apiGroups": ["*", "apps"]},
            [
                'apiGroups: Invalid value: ["*","apps"]: if \'*\' is present, must not specify '
                "other API groups"
            ],
        ),
        (
            {"resources": ["*/*", "pods"]},
            [
                'resources: Invalid value: ["*/*","pods"]: if \'*/*\' is present, must not specify '
                "other resources"
            ],
        ),
        (
            {"resources": ["pods/*", "pods/status"]},
            [
                "resources[1]: Invalid value: \"pods/status\": if 'pods/*' is present, must not "
                "specify pods/status"
            ],
        ),
        (
            {"scope": "Anywhere"},
            [
                'scope: Unsupported value: "Anywhere": supported values: "*", "Cluster", '
                '"Namespaced"'
            ],
        ),
    ],
)
def test_what_a_rule_may_not_say(changes, found):
    assert rule_faults(**changes) == found


def test_two_webhooks_have_two_names():
    found = faults(MUTATING_WEBHOOK_CONFIGURATIONS, webhooks=[WEBHOOK, WEBHOOK])
    assert found == ['webhooks[1].name: Duplicate value: "hook.example.com"']


def test_side_effects_that_were_there_before_may_stay():
    resource = VALIDATING_WEBHOOK_CONFIGURATIONS
    some = document(resource, webhooks=[WEBHOOK | {"sideEffects": "Some"}])
    none = document(resource, webhooks=[WEBHOOK])
    assert validate_update(resource, some, some) == []
    assert len(validate_update(resource, some, none)) == 1


def policy_faults(**changes):
    return faults(VALIDATING_ADMISSION_POLICIES, spec=POLICY | changes)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param(
            {"validations": []},
            "validations: Required value: validations or auditAnnotations must contain at least "
            "one item",
            id="nothing",
        ),
        pytest.param(
            {"matchConstraints": None}, "matchConstraints: Required value", id="no constraints"
        ),
        pytest.param(
            {"validations": [{"expression": " "}]},
            "validations[0].expression: Required value: expression is not specified",
            id="no expression",
        ),
        pytest.param(
            {"validations": [{"expression": "params.x"}]},
            'validations[0].expression: Invalid value: "params.x": compilation failed: ERROR: '
            "<input>: undeclared reference to 'params' (in container '')",
            id="parameters without a kind",
        ),
        pytest.param(
            {"validations": [{"expression": "true", "reason": "Because"}]},
            'validations[0].reason: Unsupported value: "Because": supported values: "Forbidden", '
            '"Invalid", "RequestEntityTooLarge", "Unauthorized"',
            id="reason",
        ),
        pytest.param(
            {"validations": [{"expression": "true", "message": "a\nb"}]},
            'validations[0].message: Invalid value: "a\\nb": message must not contain line breaks',
            id="lines",
        ),
        pytest.param(
            {"variables": [{"name": "namespace", "expression": "1"}]},
            'variables[0].name: Invalid value: "namespace": name is not a valid CEL identifier',
            id="reserved name",
        ),
        pytest.param(
            {"paramKind": {"apiVersion": "v1"}}, "paramKind.kind: Required value", id="no kind"
        ),
    ],
)
def test_what_a_validating_policy_may_not_say(changes, fault):
    assert policy_faults(**changes)[0] == f"spec.{fault}"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"policyName": ""}, "policyName: Required value", id="no policy"),
        pytest.param(
            {"validationActions": []},
            "validationActions: Required value: at least one validation action is required",
            id="no action",
        ),
        pytest.param(
            {"validationActions": ["Deny", "Warn"]},
            'validationActions: Invalid value: ["Deny","Warn"]: must not contain both Deny and '
            "Warn (repeating the same validation failure information in the API response and "
            "headers serves no purpose)",
            id="deny and warn",
        ),
        pytest.param(
            {"paramRef": {}},
            "paramRef: Required value: one of name or selector must be specified",
            id="no parameters",
        ),
        pytest.param(
            {"paramRef": {"name": "a", "selector": {}}},
            "paramRef.name: Forbidden: name and selector are mutually exclusive",
            id="two ways",
        ),
    ],
)
def test_what_a_binding_may_not_say(changes, fault):
    spec = {"policyName": "p", "validationActions": ["Deny"], **changes}
    assert faults(VALIDATING_ADMISSION_POLICY_BINDINGS, spec=spec)[0] == f"spec.{fault}"


@pytest.mark.parametrize(
    ("mutation", "fault"),
    [
        ({}, "mutations[0].patchType: Required value: patchType is not specified"),
        (
            {"patchType": "Merge"},
            'mutations[0].patchType: Unsupported value: "Merge": supported values: '
            '"ApplyConfiguration", "JSONPatch"',
        ),
        (
            {"patchType": "JSONPatch"},
            "mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch",
        ),
    ],
)
def test_what_a_mutating_policy_may_not_say(mutation, fault):
    spec = {
        "matchConstraints": {"resourceRules": [RULE]},
        "mutations": [mutation],
        "reinvocationPolicy": "Never",
    }
    assert faults(MUTATING_ADMISSION_POLICIES, spec=spec) == [f"spec.{fault}"]
