import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeberth.api.json_syntax import parse_json
from kubeberth.apiserver.patch.json_patch import JSONPatchError, apply_json_patch

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def patched(document, **operation):
    return apply_json_patch(document, [operation])


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        pytest.param({"op": "add", "path": "/b", "value": 2}, {"a": [1], "b": 2}, id="member"),
        pytest.param({"op": "add", "path": "/a/0", "value": 0}, {"a": [0, 1]}, id="element"),
        pytest.param({"op": "add", "path": "/a/-", "value": 2}, {"a": [1, 2]}, id="append"),
        pytest.param({"op": "add", "path": "/b"}, {"a": [1], "b": None}, id="without value"),
        pytest.param({"op": "remove", "path": "/a/0"}, {"a": []}, id="remove"),
        pytest.param({"op": "replace", "path": "/a/0", "value": 5}, {"a": [5]}, id="replace"),
        pytest.param({"op": "replace", "path": "/x", "value": 5}, {"a": [1], "x": 5}, id="new"),
        pytest.param({"op": "move", "from": "/a", "path": "/b"}, {"b": [1]}, id="move"),
        pytest.param({"op": "copy", "from": "/a", "path": "/b"}, {"a": [1], "b": [1]}, id="copy"),
        pytest.param({"op": "test", "path": "/a/0", "value": 1}, {"a": [1]}, id="test"),
        pytest.param({"op": "test", "path": "/x", "value": None}, {"a": [1]}, id="absent is null"),
        pytest.param({"op": "replace", "path": "", "value": 7}, 7, id="everything"),
    ],
)
def test_every_operation_does_what_rfc_6902_says(operation, result):
    assert apply_json_patch({"a": [1]}, [operation]) == result


def test_slashes_and_tildes_in_names_are_escaped():
    assert patched({}, op="add", path="/a~1b~0c", value=1) == {"a/b~c": 1}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/x"},
        {"op": "remove", "path": "/a/9"},
        {"op": "add", "path": "/x/y", "value": 1},
        {"op": "add", "path": "/a/9", "value": 1},
        {"op": "add", "path": "/a/01", "value": 1},
        {"op": "add", "path": "a", "value": 1},
        {"op": "add", "value": 1},
        {"op": "test", "path": "/a/0", "value": True},
        {"op": "move", "from": "/x", "path": "/y"},
        {"op": "frobnicate", "path": "/a"},
        "add",
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused(operation):
    with pytest.raises(JSONPatchError):
        apply_json_patch({"a": [1]}, [operation])


@pytest.mark.parametrize("operation", ["remove", "move"])
def test_the_whole_document_cannot_be_taken_away(operation):
    with pytest.raises(JSONPatchError):
        patched({"a": 1}, op=operation, path="" if operation == "remove" else "/b", **{"from": ""})


def test_copies_that_double_the_document_again_and_again_are_refused():
    doubling = [{"op": "copy", "from": "", "path": f"/{number}"} for number in range(60)]
    with pytest.raises(JSONPatchError, match="copies more than 3145728 bytes"):
        apply_json_patch({"a": "x" * 100}, doubling)


def test_a_copy_is_independent_of_its_origin():
    operations = [
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/b/-", "value": 2},
    ]
    assert apply_json_patch({"a": [1]}, operations) == {"a": [1], "b": [1, 2]}


@given(JSON, JSON)
def test_replacing_everything_gives_the_value_and_keeps_the_original(document, value):
    assert patched(document, op="replace", path="", value=value) == value


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4), st.text(max_size=3), JSON)
def test_adding_a_member_and_removing_it_again_is_nothing(document, name, value):
    document.pop(name, None)
    path = "/" + name.replace("~", "~0").replace("/", "~1")
    operations = [{"op": "add", "path": path, "value": value}, {"op": "remove", "path": path}]
    assert apply_json_patch(document, operations) == document


def test_a_number_with_a_fraction_may_be_copied():
    operations = parse_json(
        b'[{"op": "add", "path": "/a", "value": 1.5}, {"op": "copy", "from": "/a", "path": "/b"}]'
    )
    assert apply_json_patch({}, operations) == {"a": "1.5", "b": "1.5"}
