import itertools

import pytest

from kubeberth.lint.field import Field
from kubeberth.lint.requirements import conflict, expressions


def asked(*parts):
    return tuple(
        expressions(Field([{"key": key, "operator": op, "values": v} for key, op, v in parts]))
    )


@pytest.mark.parametrize(
    ("parts", "n_in_conflict"),
    [
        pytest.param([("a", "In", ["x"]), ("a", "In", ["y"])], 2, id="two values"),
        pytest.param([("a", "In", ["x"]), ("b", "In", ["y"])], 0, id="two labels"),
        pytest.param([("a", "Exists", []), ("a", "DoesNotExist", [])], 2, id="there and not there"),
        pytest.param([("a", "NotIn", ["x"]), ("a", "DoesNotExist", [])], 0, id="absent is not in"),
        pytest.param([("a", "Gt", ["4"]), ("a", "Lt", ["5"])], 2, id="no number between"),
        pytest.param([("a", "Gt", ["4"]), ("a", "Lt", ["6"])], 0, id="one number between"),
        pytest.param(
            [("a", "Gt", ["4"]), ("a", "Lt", ["6"]), ("a", "NotIn", ["5"])], 3, id="three together"
        ),
        pytest.param(
            [("a", "Gt", ["4"]), ("a", "NotIn", ["5", "6", "7"])], 0, id="beyond what is forbidden"
        ),
        pytest.param([("a", "Gt", ["x"])], 1, id="no number at all"),
        pytest.param([("a", "In", [])], 1, id="no value at all"),
        pytest.param([("a", "Exists", []), ("a", "NotIn", ["x"])], 0, id="any other value"),
    ],
)
def test_the_fewest_requirements_that_no_label_meets_are_found(parts, n_in_conflict):
    assert len(conflict(asked(*parts))) == n_in_conflict


def test_a_conflict_is_found_exactly_when_no_value_of_many_meets_all():
    possible = [
        ("a", "In", ["1", "2"]),
        ("a", "In", ["2", "x"]),
        ("a", "NotIn", ["2"]),
        ("a", "Exists", []),
        ("a", "DoesNotExist", []),
        ("a", "Gt", ["1"]),
        ("a", "Lt", ["3"]),
    ]
    for count in (1, 2, 3, 4):
        for parts in itertools.combinations(possible, count):
            every = asked(*parts)
            worlds = [{}, *({"a": value} for value in ("", "x", "y", *map(str, range(-9, 9))))]
            is_met = any(all(one.requirement.matches(w) for one in every) for w in worlds)
            assert bool(conflict(every)) is not is_met, parts
