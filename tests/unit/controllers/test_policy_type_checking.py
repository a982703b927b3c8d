"""The status of a validating policy: which fields its expressions read in vain."""

import pytest

from kubeberth.api.meta import ObjectMeta
from kubeberth.controllers.action import PatchObject
from kubeberth.controllers.policy_type_checking import (
    MAX_KINDS,
    ValidatingPolicy,
    decode_validating_policy,
    reconcile_policy,
    warnings_of,
)

DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}


def spec(*expressions, rules=(DEPLOYMENTS,)):
    validations = [{"expression": expression} for expression in expressions]
    return {"matchConstraints": {"resourceRules": [*rules]}, "validations": validations}


def told(expression, **options):
    return [warning["warning"] for warning in warnings_of(spec(expression, **options))]


def test_a_field_that_is_not_there_is_told_with_its_place():
    assert list(warnings_of(spec("true", "object.replicas > 1"))) == [
        {
            "fieldRef": "spec.validations[1].expression",
            "warning": "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'\n"
            " | object.replicas > 1\n"
            " | ......^",
        }
    ]


def test_each_kind_that_lacks_the_field_is_told():
    rule = {**DEPLOYMENTS, "resources": ["deployments", "daemonsets", "replicasets"]}
    (warning,) = told("object.spec.replicas > 1", rules=[rule])
    assert warning == (
        "apps/v1, Kind=DaemonSet: ERROR: <input>:1:12: undefined field 'replicas'\n"
        " | object.spec.replicas > 1\n"
        " | ...........^"
    )


@pytest.mark.parametrize(
    "expression",
    [
        "object.spec.replicas > 1",
        "object.metadata.labels.anything == 'x'",
        "object.metadata.labels['a'].size() > 1",
        "has(object.spec.strategy.rollingUpdate)",
        "object.spec.template.spec.containers.all(c, c.image != '')",
        "object.spec.template.spec.containers.map(c, c.name).exists(n, n == 'a')",
        "object.spec.template.spec.containers[0].resources.limits['cpu'] == '1'",
        "variables.whatever.is == params.there",
        "object.?spec.?replicas.orValue(1) > 1",
        "oldObject.spec.strategy.rollingUpdate.maxSurge == 1",
        "[object].all(o, o.anything)",
        "object.metadata.annotations.all(key, key.startsWith('a'))",
    ],
)
def test_what_is_there_or_may_be_is_not_told(expression):
    assert told(expression) == []


@pytest.mark.parametrize(
    ("expression", "field"),
    [
        ("has(object.spec.nope)", "nope"),
        ("object.spec.template.spec.containers.all(c, c.imag != '')", "imag"),
        ("object.spec.template.spec.containers[0].imag != ''", "imag"),
        ("oldObject.spek.replicas == 1", "spek"),
        ("object.?spek.?replicas.orValue(1) > 1", "spek"),
        ("true ||\n  object.spek.replicas == 1", "spek"),
    ],
)
def test_fields_are_looked_for_in_whatever_way_they_are_read(expression, field):
    (warning,) = told(expression)
    assert f"undefined field '{field}'" in warning


def test_the_place_is_told_by_line():
    (warning,) = told("true ||\n  object.spek == 1")
    assert warning.endswith(
        "ERROR: <input>:2:9: undefined field 'spek'\n |   object.spek == 1\n | ........^"
    )


def test_messages_are_looked_at_too():
    document = spec("true")
    document["validations"][0]["messageExpression"] = "object.nope"
    (warning,) = warnings_of(document)
    assert warning["fieldRef"] == "spec.validations[0].messageExpression"


@pytest.mark.parametrize("field", ["apiGroups", "apiVersions", "resources"])
def test_rules_for_everything_are_about_no_kind(field):
    assert told("object.nope", rules=[{**DEPLOYMENTS, field: ["*"]}]) == []


def test_kinds_that_definitions_make_are_not_known():
    rule = {"apiGroups": ["example.com"], "apiVersions": ["v1"], "resources": ["boats"]}
    assert told("object.nope", rules=[rule]) == []


def test_at_most_ten_kinds_are_looked_at():
    plurals = ["pods", "nodes", "services", "secrets", "configmaps", "events", "endpoints"]
    plurals += ["namespaces", "limitranges", "resourcequotas", "serviceaccounts", "podtemplates"]
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": plurals}
    (warning,) = told("object.nope", rules=[rule])
    assert warning.count("undefined field") == MAX_KINDS


def policy(generation, status=None, **options):
    metadata = ObjectMeta(name="p", uid="u", generation=generation)
    return ValidatingPolicy(metadata, spec("object.nope", **options), status or {})


def test_each_generation_is_looked_at_once():
    (patch,) = reconcile_policy(policy(2, {"observedGeneration": 1})).actions
    assert isinstance(patch, PatchObject)
    assert patch.sub == "status"
    status = patch.patch["status"]
    assert status["observedGeneration"] == 2
    assert len(status["typeChecking"]["expressionWarnings"]) == 1
    assert reconcile_policy(policy(2, {"observedGeneration": 2})).actions == ()


def test_warnings_go_with_what_they_were_about():
    (patch,) = reconcile_policy(policy(3, {"observedGeneration": 2}, rules=[])).actions
    assert patch.patch["status"]["typeChecking"] == {"expressionWarnings": None}


def test_a_policy_is_read_as_it_is_stored():
    raw = b'{"metadata":{"name":"p","generation":4},"spec":{"validations":[]},"status":{}}'
    assert decode_validating_policy(raw).metadata.generation == 4
