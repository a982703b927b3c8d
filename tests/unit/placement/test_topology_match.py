"""NodeResourceTopologyMatch: the scheduler asks what the node's kubelet would say."""

import json

import pytest
from tests.replay.kubelet_objects import to_pod

from kubeberth import Cluster
from kubeberth.topology.layout import layout_from
from kubeberth.topology.managers import Allocations
from kubeberth.topology.names import ALLOCATIONS_ANNOTATION, LAYOUT_ANNOTATION
from kubeberth.topology.publication import to_text
from kubeberth.topology.requests import pod_request

ENABLED = {
    "apiVersion": "kubescheduler.config.k8s.io/v1",
    "kind": "KubeSchedulerConfiguration",
    "profiles": [{"plugins": {"multiPoint": {"enabled": [{"name": "NodeResourceTopologyMatch"}]}}}],
}
LAYOUT = {
    "numaNodes": [
        {"id": 0, "memory": "8Gi", "cpus": "0-3"},
        {"id": 1, "memory": "8Gi", "cpus": "4-7", "socket": 1},
    ],
    "kubeletConfiguration": {
        "topologyManagerPolicy": "single-numa-node",
        "cpuManagerPolicy": "static",
        "reservedSystemCPUs": "0",
    },
}
UNALIGNED = "node(s) would reject the pod with TopologyAffinityError"


def node(name, **annotations):
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": annotations},
        "status": {"allocatable": {"cpu": "7", "memory": "15Gi", "pods": "110"}},
    }


def machine(name, layout=LAYOUT, **annotations):
    return node(name, **{LAYOUT_ANNOTATION: json.dumps(layout), **annotations})


def pod(name, cpus, node_name="", **resources):
    limits = {"cpu": str(cpus), "memory": "1Gi", **resources}
    spec = {"containers": [{"name": "c", "image": "app", "resources": {"limits": limits}}]}
    if node_name:
        spec["nodeName"] = node_name
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def decide(*documents, config=ENABLED):
    """Return what becomes of the last of some objects, a pod."""
    *there, asked = documents
    return Cluster(there, config=config).place(asked)


def test_it_is_off_unless_a_configuration_enables_it():
    assert decide(machine("n"), pod("wide", 5), config=None).node == "n"
    assert decide(machine("n"), pod("wide", 5)).node is None


def test_a_pod_that_the_kubelet_would_refuse_is_told_the_kubelets_reason():
    decision = decide(machine("n"), pod("wide", 5))
    assert decision.failure.message.startswith(f"0/1 nodes are available: 1 {UNALIGNED}.")


def test_a_node_that_describes_no_machine_takes_the_pod():
    assert decide(machine("n"), node("plain"), pod("wide", 5)).node == "plain"


def test_an_annotation_that_cannot_be_read_says_nothing():
    assert decide(node("n", **{LAYOUT_ANNOTATION: "{"}), pod("wide", 5)).node == "n"


def test_pods_that_are_on_their_way_count():
    there = [pod("a", 2, "n"), pod("b", 2, "n")]
    assert decide(machine("n"), *there, pod("c", 3)).node is None
    assert decide(machine("n"), *there, pod("c", 2)).node == "n"


def test_what_the_node_published_counts_for_the_pods_that_are_there():
    """The CPUs that are taken are not those that the pods would be given by their order."""
    layout = layout_from(LAYOUT)
    managers, allocations = layout.start()
    names = {}
    for name, cpus in (("gone", 3), ("b", 2)):
        allocations = admitted(managers, allocations, name, cpus)
        names[name] = f"default/{name}"
    published = {ALLOCATIONS_ANNOTATION: to_text(layout.kept(allocations), names)}
    # As published, b has CPUs of NUMA node 1, and three of NUMA node 0 are free again.
    there = machine("n", **published), pod("b", 2, "n")
    assert decide(*there, pod("c", 3)).node == "n"
    assert decide(*there, pod("c", 4)).node is None
    # Without what was published, b would have had CPUs of NUMA node 0.
    assert decide(machine("n"), pod("b", 2, "n"), pod("c", 4)).node == "n"


def admitted(managers, allocations, name, cpus) -> Allocations:
    request = pod_request(to_pod(pod(name, cpus)), pools=False)
    return managers.admit(allocations, request).allocations


@pytest.mark.parametrize("asked", ["500m", "1500m"])
def test_a_pod_without_cpus_of_its_own_goes_anywhere(asked):
    assert decide(machine("n"), pod("shared", asked)).node == "n"


def test_answers_that_are_kept_follow_what_a_kubelet_publishes_and_which_pods_are_there():
    cluster = Cluster([machine("n")], config=ENABLED)
    cluster.put(pod("probe", 4))
    assert cluster.fork().place("default/probe").node == "n"
    full = cluster.fork()
    full.put(pod("first", 4, node_name="n"))
    full.put(pod("wide", 4))
    assert full.place("default/wide").node is None
    full.remove(pod("first", 4, node_name="n"))
    assert full.place("default/wide").node == "n"
