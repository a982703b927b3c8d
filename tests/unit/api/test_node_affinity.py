import pytest
from tests.objects import node, pod

from kubeberth.api.node_affinity import matches_node

NODE = node("n1", labels={"disk": "ssd", "cpus": "8"})


def required(*terms):
    required = {"nodeSelectorTerms": list(terms)}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return {"affinity": affinity}


def expression(key, operator, *values):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def name(operator, value):
    field = {"key": "metadata.name", "operator": operator, "values": [value]}
    return {"matchFields": [field]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({}, True, id="nothing is asked"),
        pytest.param({"nodeSelector": {"disk": "ssd"}}, True, id="the selector is met"),
        pytest.param({"nodeSelector": {"disk": "hdd"}}, False, id="it is not"),
        pytest.param(required(expression("cpus", "Gt", "4")), True, id="an expression is met"),
        pytest.param(
            required(expression("disk", "In", "hdd"), expression("gpu", "DoesNotExist")),
            True,
            id="one of several terms is met",
        ),
        pytest.param(
            {"nodeSelector": {"disk": "ssd"}, **required(expression("gpu", "Exists"))},
            False,
            id="selector and affinity must both be met",
        ),
        pytest.param(required(name("In", "n1")), True, id="the name is asked for"),
        pytest.param(required(name("NotIn", "n1")), False, id="another name is"),
        pytest.param(required({}), False, id="an empty term is met by nobody"),
    ],
)
def test_a_node_meets_the_selector_and_one_term_of_the_required_affinity(spec, expected):
    assert matches_node(pod(spec=spec).spec, NODE) is expected
