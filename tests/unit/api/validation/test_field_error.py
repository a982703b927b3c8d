from kubeberth.api.scheme import DEPLOYMENTS
from kubeberth.api.validation import invalid_error
from kubeberth.api.validation.field_error import (
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)


def test_one_error_stands_alone_in_the_message():
    error = invalid_error(DEPLOYMENTS, "d", [required("spec.selector")])
    assert error.message == 'Deployment.apps "d" is invalid: spec.selector: Required value'
    assert error.status["details"] == {
        "name": "d",
        "group": "apps",
        "kind": "Deployment",
        "causes": [
            {
                "reason": "FieldValueRequired",
                "message": "Required value",
                "field": "spec.selector",
            }
        ],
    }
    assert error.code == 422


def test_several_errors_are_listed_and_each_is_told_once():
    errors = [required("a"), forbidden("b", "no"), required("a")]
    error = invalid_error("Pod", "p", errors)
    assert error.message == 'Pod "p" is invalid: [a: Required value, b: Forbidden: no]'
    assert len(error.details["causes"]) == 3


def test_values_are_shown_as_go_shows_them():
    assert invalid("f", 'a"b\n', "bad").body == r'Invalid value: "a\"b\n": bad'
    assert invalid("f", None, "bad").body == "Invalid value: null: bad"
    assert duplicate("f", {"a": ["b"]}).body == 'Duplicate value: {"a":["b"]}'
    assert not_supported("f", "x", ("A", "B")).body == (
        'Unsupported value: "x": supported values: "A", "B"'
    )
