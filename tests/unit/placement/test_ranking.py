"""What a template's ranking keeps is dropped when it ceases to hold."""

from __future__ import annotations

from tests.unit.placement.builders import PREFERRED, Cluster, make_node, make_pod, term


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
