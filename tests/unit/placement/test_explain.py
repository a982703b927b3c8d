from __future__ import annotations

from tests.unit.placement.builders import REQUIRED, Cluster, make_node, make_pod

from kubeberth.placement.explain import explain
from kubeberth.placement.profile import default_profile


def message(cluster: Cluster, pod: object) -> str:
    failure = cluster.decide(pod).failure  # type: ignore[arg-type]
    assert failure is not None
    return failure.message


def test_counts_are_sorted_as_text() -> None:
    tainted = [{"key": "dedicated", "effect": "NoSchedule"}]
    nodes = [make_node(f"t{index}", taints=tainted) for index in range(10)]
    cluster = Cluster(*nodes, make_node("a", cpu="1"), make_node("b", cpu="1"))
    assert message(cluster, make_pod("big", requests={"cpu": "2"})) == (
        "0/12 nodes are available: 10 node(s) had untolerated taint(s), 2 Insufficient cpu. "
        "no new claims to deallocate, preemption: 0/12 nodes are available: "
        "12 Preemption is not helpful for scheduling."
    )


def test_a_node_counts_for_each_of_its_reasons() -> None:
    cluster = Cluster(make_node("a", cpu="1", memory="1Gi"), make_node("b", cpu="1"))
    pod = make_pod("big", requests={"cpu": "2", "memory": "2Gi"})
    assert message(cluster, pod).startswith(
        "0/2 nodes are available: 1 Insufficient memory, 2 Insufficient cpu. "
    )


def test_no_nodes_at_all() -> None:
    failure = Cluster().decide(make_pod("web")).failure
    assert failure is not None
    assert failure.message == "no nodes available to schedule pods"
    assert failure.rejected_by == frozenset()


def test_full_node_without_lesser_pods_has_no_victims() -> None:
    cluster = Cluster(make_node("a", cpu="1"))
    cluster.bind(make_pod("old", requests={"cpu": "1"}), "a")
    assert message(cluster, make_pod("new", requests={"cpu": "1"})).endswith(
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )


def test_pod_that_may_not_preempt() -> None:
    cluster = Cluster(make_node("a", cpu="1"))
    cluster.bind(make_pod("old", requests={"cpu": "1"}), "a")
    pod = make_pod("new", requests={"cpu": "1"}, priority=10, preemptionPolicy="Never")
    assert message(cluster, pod).endswith("preemption: not eligible due to preemptionPolicy=Never.")


def test_asking_what_victims_would_bring_leaves_them_where_they_are() -> None:
    cluster = Cluster(make_node("a", cpu="1"))
    cluster.bind(make_pod("old", requests={"cpu": "500m"}), "a")
    cluster.bind(make_pod("mine", requests={"cpu": "500m"}, priority=10), "a")
    pod = make_pod("new", requests={"cpu": "1"}, priority=10)
    expected = "preemption: 0/1 nodes are available: 1 Insufficient cpu."
    assert message(cluster, pod).endswith(expected)
    assert message(cluster, pod).endswith(expected)
    assert cluster.place(make_pod("tiny", requests={"cpu": "1m"})) is None


def test_terms_that_name_two_nodes_at_once_are_refused_before_any_node() -> None:
    fields = [{"key": "metadata.name", "operator": "In", "values": [name]} for name in ("a", "b")]
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": fields}]}}}
    cluster = Cluster(make_node("a"), make_node("b"))
    assert message(cluster, make_pod("web", affinity=affinity)) == (
        "0/2 nodes are available: pod affinity terms conflict. not found"
    )


def test_term_that_names_a_node_that_does_not_exist() -> None:
    fields = [{"key": "metadata.name", "operator": "In", "values": ["ghost"]}]
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": fields}]}}}
    cluster = Cluster(make_node("a"), make_node("b"), make_node("c"))
    assert message(cluster, make_pod("web", affinity=affinity)).startswith(
        "0/3 nodes are available: 3 node(s) didn't satisfy plugin(s) [NodeAffinity]. "
    )


def test_rejected_by_names_every_rule_that_said_no() -> None:
    tainted = [{"key": "dedicated", "effect": "NoSchedule"}]
    cluster = Cluster(make_node("a", taints=tainted), make_node("b", cpu="1"))
    failure = cluster.decide(make_pod("big", requests={"cpu": "2"})).failure
    assert failure is not None
    assert failure.rejected_by == {"TaintToleration", "NodeResourcesFit"}


def test_a_decision_can_be_told_in_full() -> None:
    cluster = Cluster(make_node("a"), make_node("b", cpu="8"), make_node("c", unschedulable=True))
    story = explain(cluster.state, make_pod("web", requests={"cpu": "1"}), default_profile())
    assert story.feasible == ("a", "b")
    assert story.rejected["c"].plugin == "NodeUnschedulable"
    assert story.scores["TaintToleration"] == {"a": 300, "b": 300}
    assert story.best == ("b",)
    assert story.totals["b"] == sum(row["b"] for row in story.scores.values())
