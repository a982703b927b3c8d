from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from tests.unit.library.builders import Document, node, pod

from kubeberth import Cluster
from kubeberth.api.core import Node, Pod
from kubeberth.library.documents import to_document


class Model:
    """As the models of the official client: Python's names, and a map to those of JSON."""

    attribute_map: dict[str, str] = {}

    def __init__(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self, name, value)

    def to_dict(self) -> Document:
        raise AssertionError("has the names of Python")


class V1ObjectMeta(Model):
    attribute_map = {"name": "name", "creation_timestamp": "creationTimestamp", "labels": "labels"}


class V1ResourceRequirements(Model):
    attribute_map = {"requests": "requests"}


class V1Container(Model):
    attribute_map = {"name": "name", "image": "image", "resources": "resources"}


class V1PodSpec(Model):
    attribute_map = {"containers": "containers", "node_name": "nodeName"}


class V1Pod(Model):
    attribute_map = {
        "api_version": "apiVersion",
        "kind": "kind",
        "metadata": "metadata",
        "spec": "spec",
    }


def model(name: str) -> V1Pod:
    # As in the items of a list: kind and version are not set.
    resources = V1ResourceRequirements(requests={"cpu": "1"})
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return V1Pod(
        api_version=None,
        kind=None,
        metadata=V1ObjectMeta(name=name, creation_timestamp=created, labels=None),
        spec=V1PodSpec(
            containers=[V1Container(name="main", image="nginx", resources=resources)],
            node_name=None,
        ),
    )


def test_models_of_the_official_client_are_understood() -> None:
    cluster = Cluster([node("a", cpu="1"), model("web")])
    [web] = cluster.pending
    assert web.metadata.creation_timestamp == "2026-01-01T00:00:00Z"
    assert [d.node for d in cluster.place_all()] == ["a"]
    assert cluster.place(model("other")).node is None
    cluster.remove(model("other"))
    assert cluster.pending == []


def test_structs_of_the_package_are_understood() -> None:
    typed_node = msgspec.convert(node("a"), Node)
    typed_pod = msgspec.convert(pod("web"), Pod)
    assert Cluster([typed_node]).place(typed_pod).node == "a"


def test_what_structs_take_for_granted_is_spelt_out() -> None:
    constraint = {"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1}
    typed = msgspec.convert(pod("web", topologySpreadConstraints=[constraint]), Pod)
    document = to_document(typed)
    assert document["spec"]["topologySpreadConstraints"] == [constraint]
    assert msgspec.convert(document, Pod) == typed


def test_objects_that_turn_into_manifests_are_understood() -> None:
    class Wrapped:
        def __init__(self, raw: Document) -> None:
            self._raw = raw

        def to_dict(self) -> Document:
            return self._raw

    assert Cluster([Wrapped(node("a"))]).place(Wrapped(pod("web"))).node == "a"


def test_given_documents_are_left_as_they_are() -> None:
    given = pod("web")
    cluster = Cluster([node("a"), given])
    cluster.place("web")
    assert given == pod("web")
    document = to_document(given)
    document["metadata"]["labels"]["app"] = "other"
    assert given == pod("web")
