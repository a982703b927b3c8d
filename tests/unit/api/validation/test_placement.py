"""Rules about placement, each by the smallest document that breaks it."""

import pytest

from kubeberth.api.validation.affinity import validate_affinity, validate_topology_spread
from kubeberth.api.validation.resources import validate_container_resources
from kubeberth.api.validation.taints import validate_taints, validate_tolerations

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def texts(errors):
    return [str(error) for error in errors]


def node_rule(**requirement):
    terms = {"nodeSelectorTerms": [{"matchExpressions": [requirement]}]}
    return texts(validate_affinity({"nodeAffinity": {REQUIRED: terms}}, "a"))


PATH = f"a.nodeAffinity.{REQUIRED}.nodeSelectorTerms[0].matchExpressions[0]"


@pytest.mark.parametrize(
    ("operator", "values", "fault"),
    [
        ("In", [], ".values: Required value: must be specified when `operator` is 'In' or 'NotIn'"),
        (
            "Exists",
            ["x"],
            ".values: Forbidden: may not be specified when `operator` is 'Exists' or "
            "'DoesNotExist'",
        ),
        (
            "Gt",
            ["1", "2"],
            ".values: Required value: must be specified single value when `operator` is 'Lt' or "
            "'Gt'",
        ),
        ("Equals", ["x"], '.operator: Invalid value: "Equals": not a valid selector operator'),
    ],
)
def test_values_have_to_fit_the_operator(operator, values, fault):
    assert node_rule(key="k", operator=operator, values=values) == [PATH + fault]


def test_gt_takes_any_single_value_because_the_scheduler_decides_what_is_a_number():
    assert node_rule(key="k", operator="Gt", values=["many"]) == []


def test_an_empty_term_is_allowed_and_no_term_is_not():
    def rule(terms):
        return validate_affinity({"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}, "a")

    assert rule([{}]) == []
    assert len(rule([])) == 1


def test_preferred_terms_may_have_any_values():
    term = {"weight": 1, "preference": {"matchExpressions": [{"key": "k", "operator": "In"}]}}
    term["preference"]["matchExpressions"][0]["values"] = ["not a label"]
    assert validate_affinity({"nodeAffinity": {PREFERRED: [term]}}, "a") == []


@pytest.mark.parametrize("weight", [0, 101])
def test_weights_are_between_1_and_100(weight):
    term = {"weight": weight, "preference": {}}
    found = texts(validate_affinity({"nodeAffinity": {PREFERRED: [term]}}, "a"))
    assert found == [
        f"a.nodeAffinity.{PREFERRED}[0].weight: Invalid value: {weight}: must be in the range 1-100"
    ]


def test_a_pod_affinity_term_needs_a_topology_key():
    found = validate_affinity({"podAffinity": {REQUIRED: [{"labelSelector": {}}]}}, "a")
    assert [error.type for error in found] == [
        "FieldValueRequired",
        "FieldValueInvalid",
        "FieldValueInvalid",
    ]


def test_bad_namespaces_are_reported_where_upstream_reports_them():
    term = {"topologyKey": "zone", "namespaces": ["Bad_NS"]}
    found = validate_affinity({"podAntiAffinity": {REQUIRED: [term]}}, "a")
    assert [error.field for error in found] == [f"a.podAntiAffinity.{REQUIRED}[0].namespace"]


def test_a_label_key_may_be_taken_from_the_pod_or_stand_in_the_selector_but_not_both():
    merged = {"key": "app", "operator": "In", "values": ["w"]}
    term = {
        "topologyKey": "zone",
        "labelSelector": {"matchLabels": {"app": "w"}, "matchExpressions": [merged]},
        "matchLabelKeys": ["app"],
    }
    assert texts(validate_affinity({"podAffinity": {REQUIRED: [term]}}, "a")) == [
        f'a.podAffinity.{REQUIRED}[0][0]: Invalid value: "app": '
        "exists in both matchLabelKeys and labelSelector"
    ]


def constraint(**fields):
    return {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", **fields}


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"maxSkew": 0}, ".maxSkew: Invalid value: 0: must be greater than zero"),
        ({"topologyKey": ""}, ".topologyKey: Required value: can not be empty"),
        (
            {"whenUnsatisfiable": "x"},
            '.whenUnsatisfiable: Unsupported value: "x": supported values: "DoNotSchedule", '
            '"ScheduleAnyway"',
        ),
        (
            {"minDomains": 2, "whenUnsatisfiable": "ScheduleAnyway"},
            ".minDomains: Invalid value: 2: can only use minDomains if "
            "whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
        ),
        (
            {"nodeTaintsPolicy": "x"},
            '.nodeTaintsPolicy: Unsupported value: "x": supported values: "Honor", "Ignore"',
        ),
        (
            {"matchLabelKeys": ["a"]},
            ".matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_spread_constraints_are_checked_field_by_field(fields, fault):
    assert texts(validate_topology_spread([constraint(**fields)], "s")) == [f"s[0]{fault}"]


def test_a_repeated_constraint_is_reported_where_it_stands_first():
    assert texts(validate_topology_spread([constraint(), constraint(maxSkew=2)], "s")) == [
        's[0].{topologyKey, whenUnsatisfiable}: Duplicate value: "{zone, DoNotSchedule}"'
    ]


@pytest.mark.parametrize(
    ("toleration", "field"),
    [
        ({"operator": "Equal"}, "operator"),
        ({"key": "k", "operator": "Exists", "value": "v"}, "operator"),
        ({"key": "k", "value": "a b"}, "operator"),
        ({"key": "k", "operator": "Gt", "value": "1"}, "operator"),
        ({"key": "k", "operator": "Exists", "tolerationSeconds": 1}, "effect"),
        ({"key": "k", "operator": "Exists", "effect": "NoRun"}, "effect"),
        ({"key": "a b", "operator": "Exists"}, "key"),
    ],
    ids=str,
)
def test_tolerations_are_checked_field_by_field(toleration, field):
    assert [e.field for e in validate_tolerations([toleration], "t")] == [f"t[0].{field}"]


@pytest.mark.parametrize(
    "toleration",
    [
        {"operator": "Exists"},
        {"key": "k"},
        {"key": "k", "effect": "NoExecute", "tolerationSeconds": 0},
    ],
    ids=str,
)
def test_tolerations_may_be_short(toleration):
    assert validate_tolerations([toleration, toleration], "t") == []


def test_taints_are_unique_by_key_and_effect():
    taints = [
        {"key": "k", "value": v, "effect": e}
        for v, e in (("a", "NoSchedule"), ("b", "NoExecute"), ("b", "NoSchedule"))
    ]
    assert [error.field for error in validate_taints(taints, "t")] == ["t[2]"]


@pytest.mark.parametrize(
    ("resources", "faults"),
    [
        pytest.param(
            {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
            ['r.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
            id="more than the limit",
        ),
        pytest.param(
            {"requests": {"example.com/gpu": "1"}},
            ["r.limits: Required value: Limit must be set for non overcommitable resources"],
            id="extended without limit",
        ),
        pytest.param(
            {"requests": {"example.com/gpu": "500m"}, "limits": {"example.com/gpu": "500m"}},
            [
                'r.limits[example.com/gpu]: Invalid value: "500m": must be an integer',
                'r.requests[example.com/gpu]: Invalid value: "500m": must be an integer',
            ],
            id="half a card",
        ),
        pytest.param(
            {"requests": {"cpu": "-1"}},
            ['r.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0'],
            id="negative",
        ),
        pytest.param(
            {"requests": {"hugepages-2Mi": "4Mi"}, "limits": {"hugepages-2Mi": "4Mi"}},
            ["r: Forbidden: HugePages require cpu or memory"],
            id="pages alone",
        ),
        pytest.param({"limits": {"cpu": "1"}, "requests": {"memory": "1Gi"}}, [], id="fine"),
    ],
)
def test_amounts_are_checked_against_each_other(resources, faults):
    assert texts(validate_container_resources(resources, set(), "r")) == faults
