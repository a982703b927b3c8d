"""What is wrong with a configuration, in the words of the real server."""

import pytest

from kubeberth.apiserver.managed_fields.check import problems_of
from kubeberth.apiserver.managed_fields.shape import shape_of

POD = shape_of("v1", "Pod")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        pytest.param({"hostNetwork": True, "containers": [{"name": "c"}]}, "", id="nothing"),
        pytest.param({"bogus": 1}, ".spec.bogus: field not declared in schema", id="unknown field"),
        pytest.param(
            {"tolerations": [{"key": "a"}, {"bogus": 1}]},
            ".spec.tolerations[1].bogus: field not declared in schema",
            id="unknown field within an atomic list",
        ),
        pytest.param(
            {"hostname": 1},
            ".spec.hostname: expected string, got &value.valueUnstructured{Value:1}",
            id="number for a text",
        ),
        pytest.param(
            {"hostname": {"a": ["b", None, True]}},
            ".spec.hostname: expected string, got &value.valueUnstructured{Value:"
            'map[string]interface {}{"a":[]interface {}{"b", interface {}(nil), true}}}',
            id="object for a text",
        ),
        pytest.param(
            {"priority": "high"},
            ".spec.priority: expected numeric (int or float), got string",
            id="text for a number",
        ),
        pytest.param(
            {"hostNetwork": "yes"},
            ".spec.hostNetwork: expected boolean, got &{yes}",
            id="text for a truth value",
        ),
        pytest.param({"containers": {}}, ".spec.containers: expected list, got &{map[]}", id="map"),
        pytest.param(
            {"securityContext": []}, ".spec.securityContext: expected map, got &{[]}", id="list"
        ),
        pytest.param(
            {"containers": [{"name": "c"}, {"name": "c"}]},
            '.spec.containers: duplicate entries for key [name="c"]',
            id="two of a name",
        ),
        pytest.param(
            {"containers": [None]},
            ".spec.containers: element 0: associative list with keys may not have a null element",
            id="null element",
        ),
        pytest.param(
            {"containers": ["c"]},
            ".spec.containers: element 0: associative list with keys may not have non-map elements",
            id="text element",
        ),
        pytest.param(
            {"overhead": {"cpu": {}}},
            ".spec.overhead.cpu: expected any scalar, got &{map[]}",
            id="object for a quantity",
        ),
    ],
)
def test_problems_of_a_pod(spec, problem):
    assert problems_of(POD, {"spec": spec}) == problem


@pytest.mark.parametrize(
    ("finalizers", "problem"),
    [
        ([{}], "associative list without keys has an element that's a map type"),
        ([[]], "not supported: associative list with lists as elements"),
        ([None], "associative list without keys has an element that's an explicit null"),
    ],
)
def test_only_plain_values_can_be_in_a_set(finalizers, problem):
    found = problems_of(POD, {"metadata": {"finalizers": finalizers}})
    assert found == f".metadata.finalizers: element 0: {problem}"


def test_several_problems_are_told_in_a_list():
    found = problems_of(POD, {"spec": {"hostname": 1, "subdomain": 2}})
    assert found == (
        "errors:\n"
        "  .spec.hostname: expected string, got &value.valueUnstructured{Value:1}\n"
        "  .spec.subdomain: expected string, got &value.valueUnstructured{Value:2}"
    )
