"""Objects of which no account can be kept are refused before anything changes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.placement.builders import Cluster, make_node, make_pod

from kubeberth.api.core import Node, Pod
from kubeberth.api.meta import ObjectMeta
from kubeberth.api.storage import CSIStorageCapacity, PersistentVolume, PersistentVolumeClaim
from kubeberth.errors import InvalidObjectError
from kubeberth.placement.delta import Delta, NodePut, Nominated, PodPut, StoragePut

NEGATIVE = "must be greater than or equal to 0"


def pod(**parts: Any) -> Pod:
    return msgspec.convert({"metadata": {"name": "x", "namespace": "default"}, **parts}, Pod)


def container(**requests: str) -> dict[str, Any]:
    return {"name": "main", "resources": {"requests": requests}}


def node(**allocatable: str) -> Node:
    return msgspec.convert(
        {"metadata": {"name": "a"}, "status": {"allocatable": allocatable}}, Node
    )


SPREAD = {"topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
META = ObjectMeta(name="x")
GROWN = {"containerStatuses": [{"name": "main", "allocatedResources": {"cpu": "-1"}}]}
CASES = [
    pytest.param(
        NodePut(node(cpu="-1")),
        f'Node "a": status.allocatable[cpu]: Invalid value: "-1": {NEGATIVE}',
        id="node with less than nothing",
    ),
    pytest.param(
        NodePut(node(cpu="4", memory="much")),
        'Node "a": status.allocatable[memory]: Invalid value: "much": quantities must match',
        id="node with an amount that is none",
    ),
    pytest.param(
        PodPut(pod(spec={"containers": [container(), container(cpu="1x")]}), "a"),
        'Pod "default/x": spec.containers[1].resources.requests[cpu]: Invalid value: "1x"',
        id="pod that asks for an amount that is none",
    ),
    pytest.param(
        PodPut(pod(spec={"initContainers": [container(memory="-1Gi")]}), "a"),
        'Pod "default/x": spec.initContainers[0].resources.requests[memory]: Invalid value: "-1Gi"',
        id="init container that asks for less than nothing",
    ),
    pytest.param(
        PodPut(pod(spec={"containers": [container()], "overhead": {"cpu": "-1"}}), "a"),
        'Pod "default/x": spec.overhead[cpu]',
        id="negative overhead",
    ),
    pytest.param(
        PodPut(pod(spec={"resources": {"requests": {"cpu": "one"}}}), "a"),
        'Pod "default/x": spec.resources.requests[cpu]',
        id="pod level",
    ),
    pytest.param(
        PodPut(
            pod(
                spec={"containers": [container(cpu="1")]},
                status={"containerStatuses": [{"name": "main", "resources": container(cpu="x")}]},
            ),
            "a",
        ),
        None,
        id="status with a field that nobody reads",
    ),
    pytest.param(
        PodPut(
            pod(
                spec={"containers": [container(cpu="1")]},
                status={
                    "containerStatuses": [{"name": "main", "resources": {"requests": {"cpu": "x"}}}]
                },
            ),
            "a",
        ),
        'Pod "default/x": status.containerStatuses[0].resources.requests[cpu]',
        id="size that the kubelet reports",
    ),
    pytest.param(
        PodPut(pod(spec={"topologySpreadConstraints": [SPREAD, SPREAD]}), "a"),
        'Pod "default/x": spec.topologySpreadConstraints[1].{topologyKey, whenUnsatisfiable}: '
        'Duplicate value: "{kubernetes.io/hostname, ScheduleAnyway}"',
        id="two constraints over one topology key",
    ),
    pytest.param(
        PodPut(
            pod(spec={"topologySpreadConstraints": [SPREAD | {"whenUnsatisfiable": "Cry"}]}), "a"
        ),
        'Pod "default/x": spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value',
        id="constraint of neither kind",
    ),
    pytest.param(
        Nominated(pod(spec={"containers": [container(cpu="x")]}), "a"),
        'Pod "default/x": spec.containers[0].resources.requests[cpu]',
        id="nominated pod",
    ),
    pytest.param(
        StoragePut(
            msgspec.convert(
                {"metadata": META, "spec": {"capacity": {"storage": "x"}}},
                PersistentVolume,
                from_attributes=True,
            )
        ),
        'PersistentVolume "x": spec.capacity[storage]',
        id="volume",
    ),
    pytest.param(
        StoragePut(
            msgspec.convert(
                {"metadata": META, "spec": {"resources": {"requests": {"storage": "-1"}}}},
                PersistentVolumeClaim,
                from_attributes=True,
            )
        ),
        'PersistentVolumeClaim "x": spec.resources.requests[storage]',
        id="claim",
    ),
    pytest.param(
        StoragePut(CSIStorageCapacity(metadata=META, capacity="x")),
        'CSIStorageCapacity "x": capacity',
        id="capacity",
    ),
]


@pytest.mark.parametrize(("delta", "message"), CASES)
def test_amount_that_cannot_be_counted_is_named_and_changes_nothing(
    delta: Delta, message: str | None
) -> None:
    cluster = Cluster(make_node("a", cpu="2"))
    cluster.bind(make_pod("x", requests={"cpu": "500m"}), "a")
    before = cluster.state.requested.copy()
    if message is None:
        cluster.state.apply(delta)
        return
    with pytest.raises(InvalidObjectError) as refusal:
        cluster.state.apply(delta)
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)
    assert cluster.state.n_nodes == 1
    assert (cluster.state.requested == before).all()
    assert not cluster.state.nominations.pods
    assert cluster.place(make_pod("large", requests={"cpu": "1500m"})) == "a"
    assert cluster.place(make_pod("more", requests={"cpu": "1m"})) is None


def test_pod_to_be_placed_that_asks_for_less_than_nothing_is_refused() -> None:
    cluster = Cluster(make_node("a"))
    with pytest.raises(InvalidObjectError, match=NEGATIVE):
        cluster.decide(make_pod("web", requests={"cpu": "-1"}))
    assert cluster.place(make_pod("web", requests={"cpu": "4"})) == "a"


def test_absurd_amounts_are_held_to_what_can_be_counted() -> None:
    cluster = Cluster(make_node("a", cpu="1e900", memory="9Ei"))
    assert cluster.place(make_pod("web", requests={"cpu": "1000000"})) == "a"
    assert cluster.place(make_pod("more", requests={"cpu": "1e900"})) is None
