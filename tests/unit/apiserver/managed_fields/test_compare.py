"""Which paths objects differ in."""

from hypothesis import given
from hypothesis import strategies as st

from kubeberth.apiserver.managed_fields.compare import compare, fields_of
from kubeberth.apiserver.managed_fields.field_set import paths_of, text_of
from kubeberth.apiserver.managed_fields.shape import shape_of

POD = shape_of("v1", "Pod")


def texts(fields):
    return [text_of(path) for path in paths_of(fields)]


def test_equal_objects_do_not_differ():
    assert compare(POD, {"spec": {"a": [1]}}, {"spec": {"a": [1]}}) == ({}, {})


def test_a_new_object_is_there_with_all_its_parts():
    new = {"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}]}}
    assert texts(compare(POD, {}, new).changed) == [
        ".spec",
        ".spec.containers",
        '.spec.containers[name="c"]',
        '.spec.containers[name="c"].name',
        '.spec.containers[name="c"].ports',
        '.spec.containers[name="c"].ports[containerPort=80,protocol="TCP"]',
        '.spec.containers[name="c"].ports[containerPort=80,protocol="TCP"].containerPort',
    ]


def test_what_was_null_is_no_part_that_is_new():
    found = compare(POD, {"spec": {"containers": None}}, {"spec": {"containers": [{"name": "c"}]}})
    assert texts(found.changed) == ['.spec.containers[name="c"]', '.spec.containers[name="c"].name']


def test_atomic_lists_and_maps_differ_as_a_whole():
    old = {"spec": {"tolerations": [{"key": "a"}], "nodeSelector": {"a": "1"}}}
    new = {"spec": {"tolerations": [{"key": "a"}, {"key": "b"}], "nodeSelector": {"b": "1"}}}
    found = compare(POD, old, new)
    assert texts(found.changed) == [".spec.nodeSelector", ".spec.tolerations"]
    assert found.removed == {}


def test_elements_of_sets_and_entries_of_maps_come_and_go_one_by_one():
    old = {"metadata": {"finalizers": ["a", "b"], "labels": {"x": "1", "y": "1"}}}
    new = {"metadata": {"finalizers": ["b", "c"], "labels": {"x": "2"}}}
    found = compare(POD, old, new)
    assert texts(found.changed) == ['.metadata.finalizers[="c"]', ".metadata.labels.x"]
    assert texts(found.removed) == ['.metadata.finalizers[="a"]', ".metadata.labels.y"]


def test_elements_with_the_same_keys_are_compared_together():
    old = {"spec": {"containers": [{"name": "c", "env": [{"name": "A"}, {"name": "A"}]}]}}
    new = {"spec": {"containers": [{"name": "c", "env": [{"name": "A"}]}]}}
    assert texts(compare(POD, old, new).changed) == ['.spec.containers[name="c"].env[name="A"]']


def test_free_form_values_merge_as_maps_and_replace_as_lists():
    shape = shape_of("example.com/v1", "Unknown")
    found = compare(shape, {"a": {"b": 1, "l": [1]}}, {"a": {"b": 2, "l": [1, 2]}})
    assert texts(found.changed) == [".a.b", ".a.l"]
    assert texts(compare(shape, {"a": {"b": 1}}, {"a": [1]}).changed) == [".a"]


def test_a_configuration_claims_leaves_elements_and_entries_but_no_structures():
    config = {
        "metadata": {"name": "p", "labels": {"a": "1"}, "annotations": {}},
        "spec": {"containers": [{"name": "c", "resources": {}, "tty": None}], "volumes": []},
    }
    assert texts(fields_of(POD, config)) == [
        ".metadata.annotations",
        ".metadata.name",
        ".metadata.labels.a",
        '.spec.containers[name="c"]',
        '.spec.containers[name="c"].name',
        '.spec.containers[name="c"].resources',
        '.spec.containers[name="c"].tty',
    ]


names = st.sampled_from(["a", "b", "c"])
containers = st.lists(
    st.fixed_dictionaries({"name": names}, optional={"image": names}),
    unique_by=lambda c: c["name"],
    max_size=3,
)
pods = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries(
            {}, optional={"labels": st.dictionaries(names, names), "finalizers": st.just(["a"])}
        ),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "containers": containers,
                "nodeSelector": st.dictionaries(names, names),
                "hostNetwork": st.booleans(),
            },
        ),
    },
)


@given(pods, pods)
def test_what_is_new_one_way_is_gone_the_other_way(old, new):
    there, back = compare(POD, old, new), compare(POD, new, old)
    assert set(paths_of(there.removed)) <= set(paths_of(back.changed))
    assert set(paths_of(back.removed)) <= set(paths_of(there.changed))
    assert (there == ({}, {})) == (old == new) or _differ_in_order(old, new)


def _differ_in_order(old, new):
    """Return whether lists that merge hold the same elements, which ownership does not tell."""
    return compare(POD, old, new) == ({}, {}) and old != new
