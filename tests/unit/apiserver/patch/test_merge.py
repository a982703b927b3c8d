import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeberth.apiserver.patch.merge import apply_merge_patch

SCALARS = st.booleans() | st.integers() | st.text(max_size=3)
NAMES = st.sampled_from("abc")
OBJECTS = st.recursive(
    st.dictionaries(NAMES, SCALARS | st.lists(SCALARS, max_size=2)),
    lambda inner: st.dictionaries(NAMES, inner | SCALARS, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_rfc_7386_come_out(document, patch, result):
    assert apply_merge_patch(document, patch) == result


@given(OBJECTS)
def test_the_empty_patch_changes_nothing(document):
    assert apply_merge_patch(document, {}) == document


@given(OBJECTS, OBJECTS)
def test_merging_twice_is_merging_once_and_leaves_the_arguments_alone(document, patch):
    before = copy.deepcopy((document, patch))
    once = apply_merge_patch(document, patch)
    assert apply_merge_patch(once, patch) == once
    assert (document, patch) == before


@given(OBJECTS)
def test_an_object_merged_into_itself_is_itself(document):
    assert apply_merge_patch(document, document) == document
