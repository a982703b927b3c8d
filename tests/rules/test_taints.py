"""https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/."""

from __future__ import annotations

from tests.unit.placement.builders import Cluster, make_node, make_pod

TAINTED = "0/1 nodes are available: 1 node(s) had untolerated taint(s)"


def taint(key: str, effect: str, value: str = "") -> dict[str, str]:
    return {"key": key, "value": value, "effect": effect}


class TestTaints:
    def test_no_pod_is_scheduled_unless_it_has_a_matching_toleration(self) -> None:
        cluster = Cluster(make_node("n", taints=[taint("key1", "NoSchedule", "value1")]))
        tolerations = [
            {"key": "key1", "operator": "Equal", "value": "value1", "effect": "NoSchedule"}
        ]
        assert cluster.why_not(make_pod("web")) == TAINTED
        assert cluster.place(make_pod("ok", tolerations=tolerations)) == "n"

    def test_empty_key_with_exists_tolerates_everything_even_a_cordon(self) -> None:
        node = make_node("n", taints=[taint("key1", "NoExecute")], unschedulable=True)
        assert Cluster(node).place(make_pod("web", tolerations=[{"operator": "Exists"}])) == "n"

    def test_empty_effect_matches_all_effects(self) -> None:
        node = make_node("n", taints=[taint("k", "NoSchedule"), taint("k", "NoExecute")])
        tolerations = [{"key": "k", "operator": "Exists"}]
        assert Cluster(node).place(make_pod("web", tolerations=tolerations)) == "n"

    def test_one_taint_that_is_not_tolerated_is_enough(self) -> None:
        node = make_node("n", taints=[taint("k", "NoSchedule"), taint("other", "NoSchedule")])
        tolerations = [{"key": "k", "operator": "Exists"}]
        assert Cluster(node).why_not(make_pod("web", tolerations=tolerations)) == TAINTED

    def test_prefer_no_schedule_is_tried_to_be_avoided_but_not_required(self) -> None:
        soft = make_node("soft", taints=[taint("k", "PreferNoSchedule")])
        assert Cluster(soft, make_node("free")).place(make_pod("web")) == "free"
        assert Cluster(soft).place(make_pod("web")) == "soft"

    def test_cordoned_node_says_so_and_not_that_it_is_tainted(self) -> None:
        cordon = taint("node.kubernetes.io/unschedulable", "NoSchedule")
        cluster = Cluster(make_node("n", taints=[cordon], unschedulable=True))
        assert cluster.why_not(make_pod("web")) == (
            "0/1 nodes are available: 1 node(s) were unschedulable"
        )
