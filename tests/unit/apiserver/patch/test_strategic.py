import contextlib
import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeberth.api import schema
from kubeberth.apiserver.patch.strategic import StrategicPatchError, apply_strategic_patch, is_plain

POD_SPEC = schema.definition("io.k8s.api.core.v1.PodSpec")
META = schema.definition("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")


def named(*names):
    return [{"name": name} for name in names]


def names_of(spec):
    return [element["name"] for element in spec["containers"]]


def patched(document, patch, definition=POD_SPEC):
    return apply_strategic_patch(document, patch, definition)


def test_list_elements_merge_by_their_key():
    spec = {"containers": [{"name": "a", "image": "1", "tty": True}, {"name": "b"}]}
    patch = {"containers": [{"name": "a", "image": "2"}]}
    assert patched(spec, patch)["containers"] == [
        {"name": "a", "image": "2", "tty": True},
        {"name": "b"},
    ]


def test_lists_without_a_strategy_are_replaced():
    spec = {"tolerations": [{"key": "a"}]}
    assert patched(spec, {"tolerations": [{"key": "b"}]})["tolerations"] == [{"key": "b"}]


def test_null_deletes_and_what_is_not_there_is_ignored():
    assert patched({"nodeSelector": {"a": "1"}}, {"nodeSelector": {"a": None, "b": None}}) == {
        "nodeSelector": {}
    }
    assert patched({}, {"affinity": {"nodeAffinity": None}}) == {"affinity": {}}


def test_an_element_is_deleted_by_its_key():
    patch = {"containers": [{"$patch": "delete", "name": "a"}]}
    assert names_of(patched({"containers": named("a", "b")}, patch)) == ["b"]


def test_a_list_is_replaced_by_directive():
    patch = {"containers": [{"$patch": "replace"}, {"name": "c"}]}
    assert names_of(patched({"containers": named("a", "b")}, patch)) == ["c"]


@pytest.mark.parametrize(("directive", "result"), [("replace", {"b": "2"}), ("delete", {})])
def test_an_object_is_replaced_or_emptied_by_directive(directive, result):
    patch = {"nodeSelector": {"$patch": directive, "b": "2"}}
    assert patched({"nodeSelector": {"a": "1"}}, patch)["nodeSelector"] == result


def test_keys_that_are_not_retained_go():
    volume = {"name": "v", "emptyDir": {}}
    patch = {"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}
    assert patched({"volumes": [volume]}, {"volumes": [patch]})["volumes"] == [
        {"name": "v", "hostPath": {"path": "/x"}}
    ]


def test_scalars_merge_as_a_set_and_are_deleted_by_value():
    meta = {"finalizers": ["a", "b"]}
    assert patched(meta, {"finalizers": ["b", "c"]}, META)["finalizers"] == ["a", "b", "c"]
    patch = {"$deleteFromPrimitiveList/finalizers": ["a"]}
    assert patched(meta, patch, META) == {"finalizers": ["b"]}


def test_the_order_list_decides_and_strangers_stay_beside_their_neighbours():
    spec = {"containers": named("a", "x", "b")}
    patch = {
        "$setElementOrder/containers": named("b", "new", "a"),
        "containers": [{"name": "new"}],
    }
    assert names_of(patched(spec, patch)) == ["x", "b", "new", "a"]


def test_an_order_alone_changes_nothing_but_the_order():
    patch = {"$setElementOrder/containers": named("b", "a")}
    assert names_of(patched({"containers": named("a", "b")}, patch)) == ["b", "a"]


def test_directives_never_stay_in_what_is_new():
    patch = {
        "$setElementOrder/containers": named("a"),
        "containers": [{"name": "a", "$setElementOrder/env": [], "env": named("E")}],
        "volumes": [{"$patch": "delete", "name": "gone"}, {"name": "v", "$retainKeys": ["name"]}],
    }
    assert patched({}, patch) == {
        "containers": [{"name": "a", "env": [{"name": "E"}]}],
        "volumes": [{"name": "v"}],
    }


@pytest.mark.parametrize(
    ("patch", "code", "message"),
    [
        pytest.param(
            {"containers": [{"image": "x"}]},
            500,
            "map: map[image:x] does not contain declared merge key: name",
            id="no merge key",
        ),
        pytest.param(
            {"$patch": {"a": ["b", 1, None, True]}},
            500,
            "unknown patch type: map[a:[b %!s(int64=1) %!s(<nil>) %!s(bool=true)]] in map: "
            "map[$patch:map[a:[b 1 <nil> true]]]",
            id="a directive that is no text",
        ),
        pytest.param(
            {"containers": [{"name": "a", "$patch": "explode"}]},
            500,
            "unknown patch type: explode in map: map[$patch:explode name:a]",
            id="unknown directive",
        ),
        pytest.param(
            {"volumes": [{"name": "v", "$retainKeys": ["name"], "emptyDir": {}}]},
            400,
            "invalid patch format of retainKeys",
            id="not retained",
        ),
        pytest.param(
            {"$setElementOrder/containers": named("b"), "containers": named("a")},
            500,
            "The order in patch list:\n[map[name:a]]\n doesn't match $setElementOrder list:\n"
            "[map[name:b]]\n",
            id="not in the order list",
        ),
        pytest.param(
            {"containers": {"name": "a"}}, 422, "cannot restore slice from map", id="wrong shape"
        ),
    ],
)
def test_a_bad_patch_is_refused_in_upstreams_words(patch, code, message):
    spec = {"containers": named("a", "b"), "volumes": named("v")}
    with pytest.raises(StrategicPatchError) as error:
        patched(spec, patch)
    assert (error.value.code, str(error.value)) == (code, message)


CONTAINERS = st.lists(st.sampled_from("abcdef"), unique=True).map(lambda names: named(*names))


@given(CONTAINERS, CONTAINERS)
def test_merging_twice_is_merging_once_and_leaves_the_arguments_alone(old, new):
    document, patch = {"containers": old}, {"containers": new}
    before = copy.deepcopy((document, patch))
    once = patched(document, patch)
    assert patched(once, patch) == once
    assert (document, patch) == before


@given(CONTAINERS, CONTAINERS)
def test_a_merge_loses_nothing_and_keeps_both_orders(old, new):
    merged = names_of(patched({"containers": old}, {"containers": new}))
    old_names, new_names = ([element["name"] for element in part] for part in (old, new))
    assert sorted(merged) == sorted({*old_names, *new_names})
    assert [name for name in merged if name in new_names] == new_names
    untouched = [name for name in old_names if name not in new_names]
    assert [name for name in merged if name in untouched] == untouched


@given(CONTAINERS)
def test_the_empty_patch_changes_nothing(containers):
    assert patched({"containers": containers}, {}) == {"containers": containers}


@pytest.mark.parametrize("element", [0, None, "a", True])
def test_elements_of_a_list_have_one_type(element):
    with pytest.raises(StrategicPatchError, match="list element types are not identical: "):
        patched({"containers": named("a")}, {"containers": [element]})


@pytest.mark.parametrize("value", [[], [[]], {}, {"a": [None]}])
def test_a_merge_key_may_be_anything_that_is_refused_later(value):
    element = {"name": value, "image": "x"}
    merged = patched({"containers": named("a")}, {"containers": [element]})["containers"]
    assert sorted(merged, key=str) == sorted([element, {"name": "a"}], key=str)


MEMBERS = ["containers", "name", "env", "ports", "containerPort", "$patch", "$retainKeys"]
MEMBERS += ["$setElementOrder/containers", "$deleteFromPrimitiveList/containers"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from("ab"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(MEMBERS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
patches = st.dictionaries(
    st.sampled_from(["containers", "$patch", "$setElementOrder/containers", "tolerations"]),
    json_values,
    max_size=3,
)
specs = st.fixed_dictionaries(
    {},
    optional={"containers": st.lists(st.sampled_from(named("a", "b")), max_size=2)},
)


@given(specs, patches)
def test_whatever_is_merged_comes_to_a_result_or_is_refused(document, patch):
    with contextlib.suppress(StrategicPatchError):
        assert isinstance(patched(document, patch), dict)


scalars = st.sampled_from(("a", "b", 1, True))
elements = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abc")}, optional={"image": scalars}), max_size=4
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "containers": elements,
        "tolerations": st.lists(st.fixed_dictionaries({"key": scalars}), max_size=2),
        "nodeSelector": st.dictionaries(st.sampled_from("ab"), scalars, max_size=2),
        "hostname": scalars,
    },
)


@given(specs, specs)
def test_a_patch_without_directives_and_nulls_needs_no_search_for_them(spec, patch):
    before = copy.deepcopy((spec, patch))
    outcomes = []
    for plain in (True, False):
        try:
            merged = apply_strategic_patch(spec, patch, POD_SPEC, plain=plain)
            outcomes.append(list(merged.items()))
        except StrategicPatchError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
    assert (spec, patch) == before


@pytest.mark.parametrize("text", [b'{"a":null}', b'{"$patch":"delete"}', b'{"\\u0024patch":"x"}'])
def test_a_text_that_may_have_directives_or_nulls_is_not_plain(text):
    assert not is_plain(text)
    assert is_plain(b'{"a":1}')
