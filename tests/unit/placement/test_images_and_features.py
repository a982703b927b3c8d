from __future__ import annotations

from typing import Any

import msgspec
from tests.unit.placement.builders import Cluster, make_node, make_pod

from kubeberth.api.core import ContainerImage, Node, Pod
from kubeberth.placement.explain import explain
from kubeberth.placement.profile import default_profile

MIB = 2**20


def holding(name: str, images: dict[str, int], **more: Any) -> Node:
    """Return a node that holds images of so many MiB."""
    node = make_node(name, **more)
    held = tuple(
        ContainerImage(names=(image,), size_bytes=size * MIB) for image, size in images.items()
    )
    status = msgspec.structs.replace(node.status, images=held)
    return msgspec.structs.replace(node, status=status)


def running(*images: str) -> Pod:
    pod = make_pod("web")
    containers = tuple(msgspec.structs.replace(pod.spec.containers[0], image=i) for i in images)
    return msgspec.structs.replace(
        pod, spec=msgspec.structs.replace(pod.spec, containers=containers)
    )


def locality(cluster: Cluster, pod: Pod) -> dict[str, int]:
    return dict(explain(cluster.state, pod, default_profile()).scores["ImageLocality"])


def test_image_counts_by_the_share_of_nodes_that_hold_it() -> None:
    cluster = Cluster(holding("a", {"app:1": 500}), make_node("b"))
    assert locality(cluster, running("app:1")) == {"a": 23, "b": 0}
    cluster.put(holding("b", {"app:1": 500}))
    assert locality(cluster, running("app:1")) == {"a": 48, "b": 48}


def test_image_of_two_containers_counts_twice() -> None:
    cluster = Cluster(holding("a", {"app:1": 500}), make_node("b"))
    assert locality(cluster, running("app:1", "app:1")) == {"a": 24, "b": 0}
    assert locality(cluster, running("app:1", "other")) == {"a": 11, "b": 0}


def test_image_without_a_tag_is_the_latest() -> None:
    cluster = Cluster(holding("a", {"reg:5000/app:latest": 2000}), make_node("b"))
    assert locality(cluster, running("reg:5000/app"))["a"] == 100
    assert locality(cluster, running("app"))["a"] == 0


def test_image_volume_counts_and_tells_pods_apart() -> None:
    cluster = Cluster(holding("a", {"data:1": 500}), make_node("b"))
    volumes = [{"name": "data", "image": {"reference": "data:1"}}]
    assert locality(cluster, make_pod("plain"))["a"] == 0
    assert locality(cluster, make_pod("reader", volumes=volumes))["a"] == 23


def test_decision_follows_images_that_nodes_pull_and_drop() -> None:
    cluster = Cluster(make_node("a"), make_node("b"), make_node("c"))
    assert cluster.decide(running("app:1")).node == "a"
    cluster.put(holding("b", {"app:1": 3000}))
    assert cluster.decide(running("app:1")).node == "b"
    # On c as well it is worth twice as much there, and more room makes c the better one.
    cluster.put(holding("c", {"app:1": 3000}, cpu="64"))
    cluster.bind(make_pod("load", requests={"cpu": "2"}), "b")
    assert cluster.decide(running("app:1")).node == "c"
    cluster.put(make_node("c", cpu="64"), make_node("b"))
    assert cluster.decide(running("app:1")).node == "c"
    assert locality(cluster, running("app:1")) == {"a": 0, "b": 0, "c": 0}


def declaring(name: str, *features: str) -> Node:
    node = make_node(name)
    return msgspec.structs.replace(
        node, status=msgspec.structs.replace(node.status, declared_features=features)
    )


def test_pod_that_restarts_all_containers_goes_where_that_is_known() -> None:
    pod = msgspec.convert(
        {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"containers": [{"restartPolicyRules": [{"action": "RestartAllContainers"}]}]},
        },
        Pod,
    )
    cluster = Cluster(declaring("a"), declaring("b", "SomethingElse"))
    reason = "0/2 nodes are available: 2 node(s) didn't match Pod's required features"
    assert cluster.why_not(pod) == reason
    cluster.put(declaring("b", "RestartAllContainersOnContainerExits"))
    assert cluster.place(pod) == "b"


def test_user_namespace_on_the_host_network_is_a_feature() -> None:
    cluster = Cluster(declaring("a"), declaring("b", "UserNamespacesHostNetworkSupport"))
    assert cluster.place(make_pod("plain", hostNetwork=True)) == "a"
    assert cluster.place(make_pod("new", hostNetwork=True, hostUsers=False)) == "b"
