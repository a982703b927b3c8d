"""Assigning pods to nodes: concepts/scheduling-eviction/assign-pod-node, sentence by sentence."""

from __future__ import annotations

import pytest
from tests.unit.placement.builders import (
    HOST,
    PREFERRED,
    ZONE,
    Cluster,
    expression,
    far,
    make_node,
    make_pod,
    near,
    node_terms,
    term,
)

MISMATCH = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector"


class TestNodeSelector:
    """For the pod to be eligible to run on a node, the node must have each of the pairs."""

    pod = make_pod("nginx", nodeSelector={"disktype": "ssd", "gpu": "yes"})

    def test_node_must_have_each_of_the_indicated_key_value_pairs_as_labels(self) -> None:
        cluster = Cluster(make_node("a", labels={"disktype": "ssd"}))
        assert cluster.why_not(self.pod) == MISMATCH

    def test_it_can_have_additional_labels_as_well(self) -> None:
        cluster = Cluster(make_node("a", labels={"disktype": "ssd", "gpu": "yes", "x": "y"}))
        assert cluster.place(self.pod) == "a"

    def test_empty_value_is_not_the_same_as_no_label(self) -> None:
        pod = make_pod("web", nodeSelector={"a": ""})
        assert Cluster(make_node("n")).place(pod) is None
        assert Cluster(make_node("n", labels={"a": ""})).place(pod) == "n"


class TestNodeAffinity:
    def test_nodes_with_either_value_are_eligible_and_the_preferred_label_wins(self) -> None:
        """Among nodes that meet that criteria, nodes with the other label should be preferred."""
        preference = {"matchExpressions": [expression("another", "In", "value")]}
        affinity = node_terms([expression("az", "In", "e2e-az1", "e2e-az2")])
        affinity["nodeAffinity"][PREFERRED] = [{"weight": 1, "preference": preference}]
        cluster = Cluster(
            make_node("one", labels={"az": "e2e-az1"}),
            make_node("two", labels={"az": "e2e-az2", "another": "value"}),
            make_node("three", labels={"az": "e2e-az3", "another": "value"}),
        )
        assert cluster.place(make_pod("with-node-affinity", affinity=affinity)) == "two"

    @pytest.mark.parametrize(
        ("operator", "values", "labels", "fits"),
        [
            pytest.param("In", ["a"], {"k": "a"}, True, id="In, listed"),
            pytest.param("In", ["a"], {}, False, id="In, absent"),
            pytest.param("NotIn", ["a"], {"k": "a"}, False, id="NotIn, listed"),
            pytest.param("NotIn", ["a"], {}, True, id="NotIn, absent"),
            pytest.param("Exists", [], {"k": ""}, True, id="Exists, empty value"),
            pytest.param("DoesNotExist", [], {"k": ""}, False, id="DoesNotExist, empty value"),
            pytest.param("Gt", ["5"], {"k": "10"}, True, id="Gt compares numbers"),
            pytest.param("Gt", ["5"], {"k": "5"}, False, id="Gt is strict"),
            pytest.param("Lt", ["5"], {"k": "abc"}, False, id="Lt, no number"),
            pytest.param("Lt", ["8"], {"k": "007"}, True, id="Lt, leading zeros"),
            pytest.param("Gt", ["abc"], {"k": "7"}, False, id="Gt, operand is no number"),
        ],
    )
    def test_operators(
        self, operator: str, values: list[str], labels: dict[str, str], fits: bool
    ) -> None:
        """The new node affinity syntax supports: In, NotIn, Exists, DoesNotExist, Gt, Lt."""
        pod = make_pod("web", affinity=node_terms([expression("k", operator, *values)]))
        assert (Cluster(make_node("n", labels=labels)).place(pod) == "n") is fits

    def test_if_you_specify_both_both_must_be_satisfied(self) -> None:
        affinity = node_terms([expression("disk", "Exists")])
        pod = make_pod("web", nodeSelector={"zone": "a"}, affinity=affinity)
        assert Cluster(make_node("n", labels={"zone": "a"})).place(pod) is None
        assert Cluster(make_node("n", labels={"zone": "a", "disk": "x"})).place(pod) == "n"

    def test_one_of_the_node_selector_terms_is_enough(self) -> None:
        pod = make_pod(
            "web", affinity=node_terms([expression("a", "Exists")], [expression("b", "Exists")])
        )
        assert Cluster(make_node("n", labels={"b": "1"})).place(pod) == "n"

    def test_all_match_expressions_of_a_term_are_needed(self) -> None:
        pod = make_pod(
            "web", affinity=node_terms([expression("a", "Exists"), expression("b", "Exists")])
        )
        assert Cluster(make_node("n", labels={"b": "1"})).place(pod) is None

    def test_empty_term_matches_nothing(self) -> None:
        assert Cluster(make_node("n")).place(make_pod("web", affinity=node_terms([]))) is None

    def test_pod_stays_when_the_label_of_its_node_changes(self) -> None:
        """The affinity selection works only at the time of scheduling the pod."""
        cluster = Cluster(make_node("n", labels={"disktype": "ssd"}))
        cluster.place(make_pod("web", nodeSelector={"disktype": "ssd"}))
        cluster.put(make_node("n", labels={"disktype": "hdd"}))
        assert cluster.state.node_of("default/web") == "n"

    def test_weights_of_the_terms_that_match_are_added_up(self) -> None:
        def preferred(weight: int, key: str) -> dict[str, object]:
            return {
                "weight": weight,
                "preference": {"matchExpressions": [expression(key, "Exists")]},
            }

        terms = [preferred(10, "a"), preferred(20, "b"), preferred(25, "c")]
        pod = make_pod("web", affinity={"nodeAffinity": {PREFERRED: terms}})
        cluster = Cluster(
            make_node("both", labels={"a": "", "b": ""}), make_node("one", labels={"c": ""})
        )
        assert cluster.place(pod) == "both"


class TestInterPodAffinity:
    def zones(self) -> Cluster:
        return Cluster(
            make_node("a1", labels={ZONE: "a"}),
            make_node("a2", labels={ZONE: "a"}),
            make_node("b1", labels={ZONE: "b"}),
        )

    def test_the_node_is_in_the_same_zone_as_a_running_pod_with_the_label(self) -> None:
        cluster = self.zones()
        cluster.bind(make_pod("s1", labels={"app": "S1"}), "a1")
        assert cluster.place(make_pod("web", affinity=near(term(ZONE, "S1")))) in ("a1", "a2")

    def test_the_pod_cannot_be_scheduled_into_the_zone_of_the_other(self) -> None:
        cluster = self.zones()
        cluster.bind(make_pod("s2", labels={"app": "S2"}), "a1")
        assert cluster.place(make_pod("web", affinity=far(term(ZONE, "S2")))) == "b1"

    def test_preferred_anti_affinity_is_a_wish_only(self) -> None:
        wish = {"weight": 100, "podAffinityTerm": term(ZONE, "S2")}
        pod = make_pod("web", affinity={"podAntiAffinity": {PREFERRED: [wish]}})
        cluster = self.zones()
        cluster.bind(make_pod("s2", labels={"app": "S2"}), "a1")
        assert cluster.place(pod) == "b1"
        only = Cluster(make_node("a1", labels={ZONE: "a"}))
        only.bind(make_pod("s2", labels={"app": "S2"}), "a1")
        assert only.place(pod) == "a1"

    def test_namespaces_default_to_the_namespace_of_the_pod(self) -> None:
        """If omitted or empty, it defaults to the namespace of the pod with the definition."""
        cluster = self.zones()
        cluster.bind(make_pod("s1", namespace="other", labels={"app": "S1"}), "b1")
        here = make_pod("here", affinity=near(term(ZONE, "S1")))
        there = make_pod("there", affinity=near(term(ZONE, "S1", namespaces=["other"])))
        assert cluster.place(here) is None
        assert cluster.place(there) == "b1"

    def test_all_terms_must_be_satisfied_by_one_pod(self) -> None:
        """All matchExpressions associated with required affinity must be satisfied."""
        cluster = Cluster(make_node("n", labels={ZONE: "a"}))
        cluster.bind(make_pod("x", labels={"app": "x"}), "n")
        cluster.bind(make_pod("y", labels={"app": "y"}), "n")
        assert (
            cluster.place(make_pod("web", affinity=near(term(ZONE, "x"), term(HOST, "y")))) is None
        )

    def test_existing_anti_affinity_keeps_away_pods_without_any_rule(self) -> None:
        cluster = Cluster(make_node("n"))
        cluster.bind(make_pod("loner", affinity=far(term(HOST, "web"))), "n")
        assert cluster.why_not(make_pod("web", labels={"app": "web"})) == (
            "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules"
        )

    def test_first_pod_of_a_group_may_be_near_to_itself(self) -> None:
        affinity = near(term(ZONE, "web"))
        web = make_pod("web", labels={"app": "web"}, affinity=affinity)
        stranger = make_pod("stranger", labels={"app": "x"}, affinity=affinity)
        assert Cluster(make_node("n")).place(web) is None
        cluster = Cluster(make_node("n", labels={ZONE: "a"}))
        assert cluster.place(stranger) is None
        assert cluster.place(web) == "n"
        assert cluster.place(stranger) == "n"


class TestAlwaysCoLocated:
    """Three nodes: each gets one cache and one web server, as the page's table shows."""

    def test_caches_and_web_servers_pair_up_and_a_fourth_web_server_waits(self) -> None:
        cluster = Cluster(*(make_node(f"node-{index}") for index in (1, 2, 3)))
        store, web = {"app": "store"}, {"app": "web-store"}
        both = {**far(term(HOST, "web-store")), **near(term(HOST, "store"))}
        caches = [
            cluster.place(make_pod(f"cache-{n}", labels=store, affinity=far(term(HOST, "store"))))
            for n in range(3)
        ]
        servers = [cluster.place(make_pod(f"web-{n}", labels=web, affinity=both)) for n in range(3)]
        assert (
            sorted(map(str, caches)) == sorted(map(str, servers)) == ["node-1", "node-2", "node-3"]
        )
        assert cluster.why_not(make_pod("web-4", labels=web, affinity=both)) == (
            "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules"
        )
