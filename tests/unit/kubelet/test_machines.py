"""Machine manifests, and Nodes that carry one."""

import json

import msgspec
import pytest

from kubeberth.api.core import Node
from kubeberth.errors import UsageError
from kubeberth.kubelet.node_object import status_patch
from kubeberth.kubelet.specs import NodeSpec, specs_from_manifests
from kubeberth.topology.names import ALLOCATIONS_ANNOTATION, LAYOUT_ANNOTATION


def machine(name="m", **fields):
    return {
        "apiVersion": "kubeberth.io/v1",
        "kind": "Machine",
        "metadata": {"name": name},
        "numaNodes": [{"id": 0, "memory": "8Gi", "cpus": "0-3"}],
        **fields,
    }


def node(name, **status):
    return {"kind": "Node", "metadata": {"name": name, "labels": {"a": "b"}}, "status": status}


def test_a_machine_belongs_to_the_nodes_that_it_names():
    specs = specs_from_manifests([node("n1"), machine(nodes=["n1", "n2"]), node("n3")])
    by_name = {spec.name: spec for spec in specs}
    assert sorted(by_name) == ["n1", "n2", "n3"]
    assert [by_name[name].layout is not None for name in ("n1", "n2", "n3")] == [True, True, False]
    assert by_name["n1"].labels["a"] == "b"
    assert by_name["n1"].capacity["memory"] == "8Gi"
    assert by_name["n1"].allocatable["memory"] == "8092Mi"
    assert by_name["n1"].capacity["pods"] == "110"


def test_a_machine_that_names_no_node_makes_one_of_its_own_name():
    [spec] = specs_from_manifests([machine("lonely", kubeletConfiguration={"maxPods": 5})])
    assert (spec.name, spec.capacity["pods"], spec.allocatable["pods"]) == ("lonely", "5", "5")


def test_a_copied_node_brings_its_machine_but_not_what_its_pods_had():
    [spec] = specs_from_manifests([machine("n")])
    copied = spec.manifest()
    copied["metadata"]["annotations"][ALLOCATIONS_ANNOTATION] = "of another cluster"
    [again] = specs_from_manifests([copied])
    assert again == spec


def test_a_node_that_has_lost_its_machine_says_nothing_of_it_any_more():
    [spec] = specs_from_manifests([machine("n")])
    existing = published(spec)
    bare = NodeSpec(name="n")
    annotations = status_patch(bare, existing, 0.0)["metadata"]["annotations"]
    assert annotations[LAYOUT_ANNOTATION] is None
    assert annotations[ALLOCATIONS_ANNOTATION] is None


def published(spec):
    """Return the Node of a spec, once its kubelet has published who has what."""

    manifest = spec.manifest()
    manifest["metadata"]["annotations"][ALLOCATIONS_ANNOTATION] = "something"
    return msgspec.convert(manifest, Node)


@pytest.mark.parametrize(
    ("documents", "line"),
    [
        pytest.param(
            [machine("a", nodes=["n"]), machine("b", nodes=["n"])],
            'node "n" has two machines',
            id="two machines for a node",
        ),
        pytest.param(
            [machine(nodes=[])], 'machine "m": nodes must be a list of names', id="for no node"
        ),
        pytest.param(
            [machine(numaNodes=[{"id": 0, "memory": "8Gi", "cpus": "0-3", "socket": -1}])],
            'machine "m": numaNodes: the number of a socket is below zero',
            id="socket below zero",
        ),
        pytest.param(
            [machine(devices=[{"resource": "a.com/gpu", "devices": [{"id": ""}]}])],
            'machine "m": devices[0].devices: one has no id',
            id="device without an id",
        ),
        pytest.param(
            [machine(apiVersion="v1")],
            'machine "m": apiVersion must be kubeberth.io/v1',
            id="another version",
        ),
        pytest.param(
            [machine(numanodes=[])], 'machine "m": there is no field numanodes', id="unknown field"
        ),
        pytest.param(
            [machine(nodes="n")],
            'machine "m": nodes must be a list of names',
            id="nodes that are no list",
        ),
        pytest.param(
            [{**machine(), "metadata": {}}], "a Machine has no metadata.name", id="no name"
        ),
        pytest.param(
            [machine(numaNodes=[])],
            'machine "m": numaNodes: a machine has at least one NUMA node',
            id="a machine that cannot be",
        ),
        pytest.param(
            [machine(nodes=["n"]), node("n", capacity={"cpu": "8"})],
            'node "n": status.capacity.cpu: 8, but its machine has 4',
            id="a capacity that is not the machine's",
        ),
        pytest.param(
            [{"kind": "Node", "metadata": {"name": "n", "annotations": {LAYOUT_ANNOTATION: "x"}}}],
            f'node "n": annotation {LAYOUT_ANNOTATION}: no JSON: Expecting value: line 1 column 1 '
            "(char 0)",
            id="an annotation that is no machine",
        ),
    ],
)
def test_machines_that_cannot_be_are_told_in_one_line(documents, line):
    with pytest.raises(UsageError) as caught:
        specs_from_manifests(documents)
    assert str(caught.value) == line


def test_the_annotation_is_the_description():
    [spec] = specs_from_manifests([machine("n")])
    assert json.loads(spec.annotations[LAYOUT_ANNOTATION]) == {"numaNodes": machine()["numaNodes"]}
