"""Configurations merged into objects, and paths taken out."""

import pytest

from kubeberth.apiserver.managed_fields.field_set import from_paths
from kubeberth.apiserver.managed_fields.merge import merge, with_named, without
from kubeberth.apiserver.managed_fields.shape import shape_of

POD = shape_of("v1", "Pod")


def order_after(live, config):
    """Return the names of merged containers."""
    pods = [{"spec": {"containers": [{"name": n} for n in names]}} for names in (live, config)]
    return "".join(c["name"] for c in merge(POD, *pods)["spec"]["containers"])


@pytest.mark.parametrize(
    ("live", "config", "merged"),
    [
        pytest.param("abc", "", "abc", id="nothing applied"),
        pytest.param("", "abc", "abc", id="nothing there"),
        pytest.param("abc", "cd", "abcd", id="new ones come behind"),
        pytest.param("abc", "cba", "cba", id="the configuration's order wins"),
        pytest.param("axbyc", "cba", "xycba", id="others stay before what they stood before"),
        pytest.param("axb", "ab", "axb", id="others stay in between"),
        pytest.param("xab", "dab", "xdab", id="both have one of their own first"),
    ],
)
def test_the_order_of_merged_elements(live, config, merged):
    assert order_after(live, config) == merged


def test_structures_merge_and_atomic_values_are_replaced():
    live = {
        "metadata": {"labels": {"a": "1", "b": "1"}},
        "spec": {"nodeSelector": {"a": "1"}, "tolerations": [{"key": "a"}], "hostNetwork": True},
    }
    config = {
        "metadata": {"labels": {"a": "2"}},
        "spec": {"nodeSelector": {"b": "1"}, "tolerations": [{"key": "b"}]},
    }
    assert merge(POD, live, config) == {
        "metadata": {"labels": {"a": "2", "b": "1"}},
        "spec": {"nodeSelector": {"b": "1"}, "tolerations": [{"key": "b"}], "hostNetwork": True},
    }
    assert live["metadata"]["labels"] == {"a": "1", "b": "1"}


def test_a_null_in_a_configuration_leaves_maps_and_lists_as_they_are():
    live = {"metadata": {"labels": {"a": "1"}}, "spec": {"containers": [{"name": "c"}]}}
    config = {"metadata": {"labels": None}, "spec": {"containers": None}}
    assert merge(POD, live, config) == live


def test_what_is_taken_out_leaves_its_siblings():
    pod = {
        "metadata": {"labels": {"a": "1", "b": "1"}, "finalizers": ["x", "y"]},
        "spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d"}]},
    }
    fields = from_paths(
        [
            ("f:metadata", "f:labels", "f:a"),
            ("f:metadata", "f:finalizers", 'v:"x"'),
            ("f:spec", "f:containers", 'k:{"name":"d"}'),
            ("f:spec", "f:containers", 'k:{"name":"c"}', "f:image"),
        ]
    )
    assert without(POD, pod, fields) == {
        "metadata": {"labels": {"b": "1"}, "finalizers": ["y"]},
        "spec": {"containers": [{"name": "c"}]},
    }


def test_of_what_nothing_is_left_there_is_null():
    fields = from_paths([("f:metadata", "f:labels", "f:a")])
    assert without(POD, {"metadata": {"labels": {"a": "1"}}}, fields) == {
        "metadata": {"labels": None}
    }


def test_the_declared_fields_on_the_way_belong_to_a_claim():
    fields = from_paths(
        [("f:metadata", "f:labels", "f:a"), ("f:spec", "f:containers", 'k:{"name":"c"}', "f:image")]
    )
    assert with_named(POD, fields) == {
        "f:metadata": {".": {}, "f:labels": {".": {}, "f:a": {}}},
        "f:spec": {".": {}, "f:containers": {".": {}, 'k:{"name":"c"}': {"f:image": {}}}},
    }
