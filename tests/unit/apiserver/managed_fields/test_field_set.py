"""Sets of field paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeberth.apiserver.managed_fields.field_set import (
    FieldSetError,
    difference,
    from_paths,
    has,
    intersection,
    parse,
    paths_of,
    recursive_difference,
    text_of,
    union,
)

STEPS = ["f:spec", "f:a", "f:b", 'k:{"name":"c"}', 'v:"x"']
paths = st.lists(st.sampled_from(STEPS), min_size=1, max_size=4).map(tuple)
path_sets = st.frozensets(paths, max_size=8)


def members(fields):
    found = list(paths_of(fields))
    assert len(found) == len(set(found))
    return set(found)


@given(path_sets)
def test_a_set_holds_the_paths_that_it_is_made_from(some):
    fields = from_paths(some)
    assert members(fields) == some
    assert all(has(fields, path) for path in some)
    assert parse(fields) == fields


@given(path_sets, path_sets)
def test_the_algebra_is_that_of_sets(left, right):
    a, b = from_paths(left), from_paths(right)
    assert members(union(a, b)) == left | right
    assert members(intersection(a, b)) == left & right
    assert members(difference(a, b)) == left - right
    assert union(a, b) == union(b, a) == from_paths(left | right)
    assert difference(a, b) == from_paths(left - right)
    assert intersection(a, b) == from_paths(left & right)
    assert (a, b) == (from_paths(left), from_paths(right))


@given(path_sets, path_sets)
def test_a_recursive_difference_also_drops_what_lies_below(left, right):
    kept = {path for path in left if not any(path[: n + 1] in right for n in range(len(path)))}
    assert recursive_difference(from_paths(left), from_paths(right)) == from_paths(kept)


@given(path_sets)
def test_what_changes_nothing_returns_the_same_set(some):
    fields = from_paths(some)
    assert union(fields, from_paths(some)) is fields
    assert difference(fields, {}) is fields
    assert difference(fields, {"f:other": {}}) is fields


def test_members_are_told_level_by_level_in_order():
    fields = from_paths(
        [
            ("f:b", "f:x"),
            ("f:b",),
            ("f:a", "f:x"),
            ("f:l", 'k:{"port":443}'),
            ("f:l", 'k:{"port":80}'),
            ("f:l", "i:10"),
            ("f:l", "i:9"),
        ]
    )
    assert [text_of(path) for path in paths_of(fields)] == [
        ".b",
        ".a.x",
        ".b.x",
        ".l[port=80]",
        ".l[port=443]",
        ".l[9]",
        ".l[10]",
    ]


def test_a_set_element_is_shown_with_its_value():
    assert text_of(("f:finalizers", 'v:"a/b"')) == '.finalizers[="a/b"]'


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([], id="a list"),
        pytest.param({"f:a": 1}, id="a number where a set should be"),
        pytest.param({"x:a": {}}, id="an unknown kind of step"),
        pytest.param({"f": {}}, id="a step without a name"),
        pytest.param({"k:[1]": {}}, id="keys that are no object"),
        pytest.param({"k:{": {}}, id="keys that are no JSON"),
        pytest.param({"i:x": {}}, id="an index that is no number"),
    ],
)
def test_from_outside_comes_what_is_no_set(value):
    with pytest.raises(FieldSetError):
        parse(value)


def test_a_set_from_outside_gets_our_form():
    sent = {'k:{"b": 1, "a":"x"}': {".": {}}, ".": {}, "f:x": {".": {}, "f:y": {}}}
    assert parse(sent) == {'k:{"a":"x","b":1}': {}, "f:x": {".": {}, "f:y": {}}}
    assert parse(None) == {}
