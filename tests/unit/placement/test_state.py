from __future__ import annotations

import msgspec
from tests.unit.placement.builders import ZONE, Cluster, far, make_node, make_pod, near, term

from kubeberth.api.core import Pod, PodStatus
from kubeberth.placement.delta import NamespacePut, NodeRemoved, PodRemoved


def test_room_of_a_removed_pod_is_free_again() -> None:
    cluster = Cluster(make_node("a", cpu="1"))
    cluster.bind(make_pod("old", requests={"cpu": "1"}), "a")
    assert cluster.place(make_pod("new", requests={"cpu": "1"})) is None
    cluster.state.apply(PodRemoved("default/old"))
    assert cluster.place(make_pod("new", requests={"cpu": "1"})) == "a"


def test_pod_on_an_unknown_node_counts_once_the_node_appears() -> None:
    cluster = Cluster(make_node("a", cpu="1"))
    cluster.bind(make_pod("early", requests={"cpu": "1"}), "b")
    cluster.put(make_node("b", cpu="1"))
    assert cluster.place(make_pod("one", requests={"cpu": "1"})) == "a"
    assert cluster.place(make_pod("two", requests={"cpu": "1"})) is None


def test_node_that_goes_and_comes_back_still_has_its_pods() -> None:
    cluster = Cluster(make_node("a", cpu="1"))
    cluster.bind(make_pod("old", requests={"cpu": "1"}), "a")
    cluster.state.apply(NodeRemoved("a"))
    cluster.put(make_node("b"), make_node("a", cpu="1"))
    assert cluster.place(make_pod("new", requests={"cpu": "1"})) == "b"


def test_pods_move_to_another_domain_with_their_node() -> None:
    cluster = Cluster(make_node("a", labels={ZONE: "1"}), make_node("b", labels={ZONE: "2"}))
    cluster.bind(make_pod("cache", labels={"app": "cache"}), "a")
    web = make_pod("web", affinity=far(term(ZONE, "cache")))
    assert cluster.decide(web).node == "b"
    cluster.put(make_node("a", labels={ZONE: "2"}), make_node("b", labels={ZONE: "1"}))
    assert cluster.decide(web).node == "b"
    cluster.put(make_node("b", labels={ZONE: "2"}))
    assert cluster.decide(web).node is None


def test_namespace_that_gets_a_label_brings_its_pods_into_a_term() -> None:
    cluster = Cluster(make_node("a", labels={ZONE: "1"}))
    cluster.bind(make_pod("cache", namespace="team", labels={"app": "cache"}), "a")
    prod = {"matchLabels": {"env": "prod"}}
    web = make_pod("web", affinity=near(term(ZONE, "cache", namespaceSelector=prod)))
    assert cluster.decide(web).node is None
    cluster.state.apply(NamespacePut("team", {"env": "prod"}))
    assert cluster.decide(web).node == "a"
    cluster.state.apply(NamespacePut("team", {"env": "dev"}))
    assert cluster.decide(web).node is None


def test_namespace_that_gets_a_label_comes_under_the_terms_of_others() -> None:
    cluster = Cluster(make_node("a", labels={ZONE: "1"}))
    prod = {"matchLabels": {"env": "prod"}}
    loner = make_pod("loner", affinity=far(term(ZONE, "web", namespaceSelector=prod)))
    cluster.bind(loner, "a")
    web = make_pod("web", namespace="team", labels={"app": "web"})
    assert cluster.decide(web).node == "a"
    cluster.state.apply(NamespacePut("team", {"env": "prod"}))
    assert cluster.why_not(web) == (
        "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules"
    )


def test_what_the_kubelet_reports_of_one_pod_says_nothing_about_its_sisters() -> None:
    cluster = Cluster(make_node("a", cpu="1"))
    grown = make_pod("grown", requests={"cpu": "100m"})
    bigger = {"requests": {"cpu": "500m"}}
    status = {"containerStatuses": [{"name": "main", "resources": bigger}]}
    grown = Pod(metadata=grown.metadata, spec=grown.spec, status=msgspec.convert(status, PodStatus))
    cluster.bind(grown, "a")
    for index in range(5):
        assert cluster.place(make_pod(f"small-{index}", requests={"cpu": "100m"})) == "a"
    assert cluster.place(make_pod("small-5", requests={"cpu": "100m"})) is None


def test_templates_that_nobody_uses_are_dropped_with_their_counters() -> None:
    cluster = Cluster(make_node("a"))
    for index in range(5000):
        cluster.decide(make_pod("web", affinity=far(term(ZONE, f"app-{index}"))))
    assert len(cluster.state._templates) < 4200
    assert len(cluster.state.census._matching) == len(cluster.state._templates)
    assert cluster.place(make_pod("web", affinity=far(term(ZONE, "app-0")))) == "a"


def test_more_nodes_than_columns_had_room_for() -> None:
    cluster = Cluster(*(make_node(f"n{index}", pods="1") for index in range(100)))
    placed = {cluster.place(make_pod(f"pod-{index}")) for index in range(100)}
    assert len(placed) == 100
    assert cluster.why_not(make_pod("last")) == "0/100 nodes are available: 100 Too many pods"
