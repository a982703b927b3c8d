import pytest

from kubeberth.api.node_labels import ZONE
from kubeberth.errors import UsageError
from kubeberth.kubelet.specs import (
    default_allocatable,
    node_ip,
    node_specs,
    pod_cidr,
    specs_from_manifests,
    zone_letters,
)


def manifest(name="worker", **fields):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, **fields}


def test_nodes_are_dealt_out_to_zones_and_carry_the_well_known_labels():
    specs = node_specs(5, 3)
    assert [spec.name for spec in specs] == ["node-1", "node-2", "node-3", "node-4", "node-5"]
    zones = [spec.labels[ZONE] for spec in specs]
    assert zones == ["zone-a", "zone-b", "zone-c", "zone-a", "zone-b"]
    assert specs[0].labels == {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": "node-1",
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "sim.xlarge",
        "topology.kubernetes.io/region": "local",
        "topology.kubernetes.io/zone": "zone-a",
    }


def test_allocatable_loses_what_a_kubelet_keeps_free():
    """N8: 16 Gi, 4 CPU, no reservations."""
    allocatable = default_allocatable({"cpu": "4", "memory": "16Gi", "pods": "110"})
    assert allocatable == {"cpu": "4", "memory": "16284Mi", "pods": "110"}
    assert default_allocatable({"ephemeral-storage": "100"})["ephemeral-storage"] == "90"
    with_pages = default_allocatable({"memory": "4Gi", "hugepages-2Mi": "1Gi"})
    assert with_pages == {"memory": "2972Mi", "hugepages-2Mi": "1Gi"}
    assert default_allocatable({"memory": "1Mi"})["memory"] == "0"


def test_every_node_and_its_pods_have_addresses_of_their_own():
    specs = node_specs(600)
    assert len({spec.internal_ip for spec in specs}) == 600
    assert len({spec.pod_cidr for spec in specs}) == 600
    assert (node_ip(1), node_ip(254), node_ip(255)) == (
        "192.168.0.1",
        "192.168.0.254",
        "192.168.1.1",
    )
    assert (pod_cidr(1), pod_cidr(256)) == ("10.244.1.0/24", "10.245.0.0/24")


def test_zones_do_not_end_at_z():
    assert [zone_letters(index) for index in (0, 25, 26, 701, 702)] == ["a", "z", "aa", "zz", "aaa"]


def test_a_manifest_of_a_spec_is_read_as_that_spec():
    specs = node_specs(2, 2)
    assert specs_from_manifests(spec.manifest() for spec in specs) == specs


def test_what_kubectl_printed_of_a_real_cluster_can_be_read():
    document = manifest(
        metadata={
            "name": "ip-10-0-0-1",
            "uid": "u",
            "resourceVersion": "77",
            "managedFields": [{}],
            "labels": {ZONE: "eu-1a", "team": "x", "kubernetes.io/arch": "arm64"},
        },
        spec={
            "podCIDR": "10.1.2.0/24",
            "providerID": "aws:///x",
            "taints": [
                {"key": "dedicated", "value": "db", "effect": "NoSchedule"},
                {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"},
            ],
        },
        status={
            "capacity": {"cpu": "8", "memory": "32Gi", "pods": "58", "nvidia.com/gpu": "2"},
            "allocatable": {"cpu": "7910m", "memory": "30Gi", "pods": "58", "nvidia.com/gpu": "1"},
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "conditions": [{"type": "Ready", "status": "Unknown"}],
            "nodeInfo": {"kernelVersion": "6.1"},
        },
    )
    [spec] = specs_from_manifests([{"kind": "List", "items": [document]}])
    assert spec.labels[ZONE] == "eu-1a"
    assert spec.labels["kubernetes.io/arch"] == "arm64"
    assert spec.labels["kubernetes.io/hostname"] == "ip-10-0-0-1"
    assert spec.taints == ({"key": "dedicated", "value": "db", "effect": "NoSchedule"},)
    assert spec.capacity["nvidia.com/gpu"] == "2"
    assert spec.allocatable == document["status"]["allocatable"]
    assert (spec.internal_ip, spec.pod_cidr) == ("10.0.0.1", "10.1.2.0/24")
    kept = spec.manifest()
    assert set(kept["metadata"]) == {"name", "labels"}
    assert "conditions" not in kept["status"]


def test_the_items_of_a_node_list_need_no_kind():
    [spec] = specs_from_manifests([{"kind": "NodeList", "items": [{"metadata": {"name": "a"}}]}])
    assert spec.name == "a"


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], "the manifests describe no Node"),
        (["text"], "document 1 must be an object with a kind: Node, NodeList, List or Machine"),
        ([None, manifest("a"), {"kind": "Pod"}], "document 3: a Pod is not a node"),
        ([{"kind": "List", "items": [manifest("a"), 7]}], r"document 1: items\[1\] must be an obj"),
        ([manifest("a"), manifest(name="")], "node 2 has no metadata.name"),
        ([manifest(apiVersion="v2")], 'node "worker": apiVersion must be v1'),
        ([manifest(spec={"taint": []})], 'node "worker": spec.taint: unknown field'),
        (
            [manifest(spec={"providerID": 7})],
            'node "worker": spec.providerID: json: cannot unmarshal number',
        ),
        (
            [manifest(status={"images": [{"names": "nginx"}]})],
            r'node "worker": status.images\[0\].names: json: cannot unmarshal string',
        ),
        (
            [manifest(status={"addresses": [{"type": "InternalIP", "address": "here"}]})],
            "node \"worker\": status.addresses: 'here' is no address",
        ),
        ([manifest(spec={"taints": [{"key": 7, "effect": "NoSchedule"}]})], "has no key"),
        (
            [manifest(spec={"taints": [{"key": "a b", "effect": "NoSchedule"}]})],
            'node "worker": spec.taints: a b: name part',
        ),
        (
            [manifest(metadata={"name": "a", "annotations": {"a b": "c"}})],
            'node "a": annotations: a b: name part',
        ),
        ([manifest("a")] * 10_000, 'node "a" is described twice'),
        ([manifest(name="")], "node 1 has no metadata.name"),
        ([manifest(name="Bad_Name")], 'node "Bad_Name": metadata.name:'),
        ([manifest("a"), manifest("a")], 'node "a" is described twice'),
        ([manifest(metadata=[])], "node 1: metadata must be an object"),
        (
            [manifest(metadata={"name": "a", "labels": {"x": 1}})],
            r'node "a": labels: x: 1 must be a string',
        ),
        (
            [manifest(metadata={"name": "a", "labels": {"-x": "1"}})],
            'node "a": labels: -x=1:',
        ),
        (
            [manifest(status={"capacity": {"cpu": "many"}})],
            "node \"worker\": status.capacity.cpu: 'many' is no quantity",
        ),
        (
            [manifest(status={"capacity": {"cpu": "-1"}})],
            'node "worker": status.capacity.cpu: -1 is below zero',
        ),
        ([manifest(spec={"taints": [{"effect": "NoSchedule"}]})], "has no key"),
        (
            [manifest(spec={"taints": [{"key": "a", "effect": "Never"}]})],
            "effect of a must be one of NoSchedule, PreferNoSchedule, NoExecute",
        ),
        ([manifest(spec={"podCIDR": "x"})], "spec.podCIDR: 'x' is no address range"),
        ([{"kind": "List", "items": {}}], "List: items must be a list"),
    ],
)
def test_bad_manifests_get_one_line_that_says_what_is_wrong(documents, message):
    with pytest.raises(UsageError, match=message) as caught:
        specs_from_manifests(documents)
    assert "\n" not in str(caught.value)
