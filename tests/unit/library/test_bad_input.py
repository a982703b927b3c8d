"""Bad input is a typed error that names object and field, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.library.builders import Document, any_object, node, pod, priority_class

from kubeberth import Cluster, InvalidObjectError, NoSuchObjectError

NEGATIVE = "must be greater than or equal to 0"
ENDLESS: Document = pod("web")
ENDLESS["spec"]["again"] = ENDLESS


def term(**selector: Any) -> Document:
    rule = {"topologyKey": "zone", "labelSelector": selector}
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}}


CASES = [
    pytest.param(5, "int", "", "must be a mapping", id="a number"),
    pytest.param("pod", "str", "", "must be a mapping", id="a text"),
    pytest.param({}, "object", "kind", "Required value", id="nothing"),
    pytest.param({"kind": "Pod"}, "Pod", "apiVersion", "Required value", id="no apiVersion"),
    pytest.param(
        any_object("PodDisruptionBudget", "x", "policy/v1beta1"),
        "PodDisruptionBudget",
        "apiVersion",
        'Unsupported value: "policy/v1beta1": supported values: "policy/v1"',
        id="a version that is gone",
    ),
    pytest.param(
        any_object("Deployment", "x", "apps/v1"),
        "Deployment",
        "kind",
        "does not matter for placing pods",
        id="another kind",
    ),
    pytest.param(
        node("a", cpu="-1"),
        "Node",
        "status.capacity.cpu",
        f'Invalid value: "-1": {NEGATIVE}',
        id="negative capacity",
    ),
    pytest.param(
        node("a", cpu="four"),
        "Node",
        "status.capacity[cpu]",
        "quantities must match",
        id="capacity that is no quantity",
    ),
    pytest.param(
        pod("web", cpu="-500m"),
        "Pod",
        "spec.containers[0].resources.requests[cpu]",
        f'Invalid value: "-500m": {NEGATIVE}',
        id="negative request",
    ),
    pytest.param(
        pod("web", cpu="1e99999"),
        "Pod",
        "spec.containers[0].resources.requests[cpu]",
        "unable to parse quantity's suffix",
        id="absurd request",
    ),
    pytest.param(
        pod("web", nodeSelectr={"disk": "ssd"}),
        "Pod",
        "spec.nodeSelectr",
        "unknown field",
        id="a field that is misspelt",
    ),
    pytest.param(
        pod("web", nodeSelector=["disk"]),
        "Pod",
        "spec.nodeSelector",
        "json: cannot unmarshal array",
        id="a list in the place of a map",
    ),
    pytest.param(
        any_object("Node", "a") | {"metadata": "a"},
        "Node",
        "metadata",
        "json: cannot unmarshal string",
        id="metadata of the wrong type",
    ),
    pytest.param(
        pod("web", meta={"labels": {"a b": "x"}}),
        "Pod",
        "metadata.labels",
        'Invalid value: "a b"',
        id="a label key that is none",
    ),
    pytest.param(
        node("UPPER"), "Node", "metadata.name", 'Invalid value: "UPPER"', id="name that is none"
    ),
    pytest.param(
        pod("web", meta={"annotations": {"a": "x" * 300_000}}),
        "Pod",
        "metadata.annotations",
        "Too long",
        id="annotations of absurd size",
    ),
    pytest.param(
        pod("web", meta={"labels": {f"k{n}": "v" * 60 for n in range(30_000)}}),
        "Pod",
        "",
        "Too long: may not be more than 1572864 bytes",
        id="labels of absurd number",
    ),
    pytest.param(
        pod("web", affinity=term(matchExpressions=[{"key": "a", "operator": "Like"}])),
        "Pod",
        "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]"
        ".labelSelector.matchExpressions[0].operator",
        'Invalid value: "Like"',
        id="selector that does not parse",
    ),
    pytest.param(
        pod("web", volumes=[{"name": "v"}, {"name": "v"}]),
        "Pod",
        "spec.volumes[1].name",
        'Duplicate value: "v"',
        id="the same volume twice",
    ),
    pytest.param(ENDLESS, "Pod", "", "", id="an object that contains itself"),
    pytest.param(
        pod("web", nodeName=object()), "Pod", "", "must be a mapping", id="a foreign value"
    ),
    pytest.param(
        pod("web", priorityClassName="vip"),
        "Pod",
        "",
        "no PriorityClass with name vip was found",
        id="unknown priority class",
    ),
    pytest.param(
        priority_class("vip", 2_000_000_000), "PriorityClass", "value", "", id="absurd priority"
    ),
    pytest.param(
        any_object(
            "PersistentVolumeClaim",
            "data",
            spec={
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "-1Gi"}},
            },
        ),
        "PersistentVolumeClaim",
        "spec.resources[storage]",
        "must be greater than zero",
        id="claim of negative size",
    ),
    pytest.param(
        any_object(
            "PersistentVolume",
            "disk",
            spec={
                "capacity": {"storage": "1Gi"},
                "accessModes": ["Sometimes"],
            },
        ),
        "PersistentVolume",
        "spec.accessModes",
        'Unsupported value: "Sometimes"',
        id="unknown access mode",
    ),
    pytest.param(
        any_object(
            "StorageClass", "fast", "storage.k8s.io/v1", provisioner="p", volumeBindingMode="Later"
        ),
        "StorageClass",
        "volumeBindingMode",
        'Unsupported value: "Later"',
        id="binding mode",
    ),
    pytest.param(
        any_object(
            "CSINode",
            "a",
            "storage.k8s.io/v1",
            spec={"drivers": [{"name": "ebs", "nodeID": "i", "allocatable": {"count": -1}}]},
        ),
        "CSINode",
        "spec.drivers[0].allocatable.count",
        NEGATIVE,
        id="negative volume limit",
    ),
    pytest.param(
        any_object(
            "PodDisruptionBudget",
            "keep",
            "policy/v1",
            spec={"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
        ),
        "PodDisruptionBudget",
        "spec.selector.matchExpressions[0].values",
        "Required value",
        id="budget whose selector does not parse",
    ),
]


@pytest.mark.parametrize(("item", "kind", "field", "reason"), CASES)
def test_bad_input_names_object_and_field_and_changes_nothing(
    item: Any, kind: str, field: str, reason: str
) -> None:
    cluster = Cluster([node("a"), node("b"), pod("web", cpu="3", nodeName="a"), pod("next")])
    before = str(cluster.explain("next")), repr(cluster), cluster.pods
    for act in (cluster.put, cluster.place):
        with pytest.raises(InvalidObjectError) as refusal:
            act(item)
        if act == cluster.put:
            error = refusal.value
            assert (error.kind, error.field) == (kind, field)
            assert reason in error.reason
            assert "\n" not in str(error)
        assert (str(cluster.explain("next")), repr(cluster), cluster.pods) == before
        if isinstance(item, str):
            break  # a text names a pod of the cluster


def test_node_without_allocatable_is_there_and_nothing_fits() -> None:
    cluster = Cluster([any_object("Node", "bare")])
    assert str(cluster.decide(pod("web"))).startswith(
        "default/web: 0/1 nodes are available: 1 Insufficient cpu, 1 Too many pods."
    )


def test_dangling_and_circular_references_to_volumes_end_in_an_answer() -> None:
    def claim(name: str, volume: str) -> Document:
        bound = {"pv.kubernetes.io/bind-completed": "yes"}
        return any_object(
            "PersistentVolumeClaim",
            name,
            spec={
                "accessModes": ["ReadWriteOnce"],
                "volumeName": volume,
                "resources": {"requests": {"storage": "1Gi"}},
            },
        ) | {"metadata": {"name": name, "annotations": bound}}

    def volume(name: str, claim: str) -> Document:
        return any_object(
            "PersistentVolume",
            name,
            spec={
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/x"},
                "claimRef": {"namespace": "default", "name": claim},
            },
        )

    cluster = Cluster(
        [
            node("a"),
            claim("one", "v2"),
            claim("two", "v1"),
            claim("gone", "v9"),
            volume("v1", "one"),
            volume("v2", "two"),
        ]
    )

    def using(name: str) -> Document:
        return pod("web", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": name}}])

    found = {name: cluster.decide(using(name)) for name in ("one", "gone", "none")}
    assert found["none"].failure is not None
    assert 'persistentvolumeclaim "none" not found' in found["none"].failure.message
    assert found["gone"].failure is not None
    assert found["one"].pod_key == "default/web"


def test_what_is_no_object_cannot_be_removed() -> None:
    cluster = Cluster([node("a")])
    with pytest.raises(InvalidObjectError):
        cluster.remove(5)
    with pytest.raises(NoSuchObjectError, match='no Deployment "web"'):
        cluster.remove(any_object("Deployment", "web", "apps/v1"))
    with pytest.raises(NoSuchObjectError):
        cluster.remove({"kind": "Node", "metadata": 5})
    assert len(cluster.nodes) == 1


def test_error_tells_how_much_more_is_wrong() -> None:
    bad = pod("WEB", cpu="-1", meta={"labels": {"a b": "x"}})
    with pytest.raises(InvalidObjectError, match=r"\(and 2 more faults\)$") as refusal:
        Cluster([bad])
    assert [field for field, _ in refusal.value.faults] == [
        "metadata.name",
        "metadata.labels",
        "spec.containers[0].resources.requests[cpu]",
    ]
