"""What a template's ranking keeps is dropped when it ceases to hold."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.placement.builders import HOST, PREFERRED, ZONE, Cluster, make_node, make_pod, term

from kubeberth.placement.delta import NodeRemoved, Nominated


def test_a_label_that_was_every_nodes_own_may_come_to_be_shared() -> None:
    cluster = Cluster(make_node("a", labels={"disk": "1"}), make_node("b"))
    cluster.bind(make_pod("heavy", requests={"cpu": "2"}), "b")
    preferred = [{"weight": 1, "podAffinityTerm": term("disk", "web")}]
    affinity = {"podAntiAffinity": {PREFERRED: preferred}}
    pod = make_pod("second", labels={"app": "web"}, affinity=affinity)
    assert cluster.decide(pod).node == "a"

    cluster.put(make_node("c", labels={"disk": "1"}))
    cluster.bind(make_pod("first", labels={"app": "web"}), "c")
    assert cluster.decide(pod).node == "b"


def evenly_over(key: str) -> dict[str, Any]:
    """Return the fields of pods that are spread over places, each with one more than another."""
    constraint = {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    return {"labels": {"app": "web"}, "topologySpreadConstraints": [constraint]}


@pytest.mark.parametrize("key", [HOST, ZONE])
def test_a_node_with_nominated_pods_opens_when_the_emptiest_other_place_goes(key: str) -> None:
    """Without the nominated pods nothing has changed: the emptiest place has one pod, as before."""
    spread = evenly_over(key)
    cluster = Cluster(*(make_node(name, labels={ZONE: name}) for name in ("a", "b")))
    for node in ("a", "b"):
        cluster.bind(make_pod(f"on-{node}", **spread), node)
    for index in range(2):
        cluster.state.apply(Nominated(make_pod(f"guest-{index}", priority=10, **spread), "a"))
    assert cluster.decide(make_pod("first", **spread)).node == "b"

    cluster.state.apply(NodeRemoved("b"))
    assert cluster.decide(make_pod("second", **spread)).node == "a"


@pytest.mark.parametrize("key", [HOST, ZONE])
def test_a_node_with_nominated_pods_opens_when_the_emptiest_other_place_fills(key: str) -> None:
    """Without the nominated pods their own place is the emptiest, before and after."""
    spread = evenly_over(key)
    cluster = Cluster(*(make_node(name, labels={ZONE: name}) for name in ("a", "b")))
    cluster.bind(make_pod("on-b", **spread), "b")
    for index in range(2):
        cluster.state.apply(Nominated(make_pod(f"guest-{index}", priority=10, **spread), "a"))
    assert cluster.decide(make_pod("first", **spread)).node is None

    cluster.bind(make_pod("also-on-b", **spread), "b")
    assert cluster.decide(make_pod("second", **spread)).node == "a"
