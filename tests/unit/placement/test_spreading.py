"""Topology spread: the cases that are easy to get wrong."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.placement.builders import HOST, ZONE, Cluster, make_node, make_pod

from kubeberth.api.core import Pod
from kubeberth.api.meta import LabelSelector
from kubeberth.placement.delta import (
    ControllerPut,
    ControllerRemoved,
    NodeRemoved,
    PodPut,
    PodRemoved,
    ServicePut,
    ServiceRemoved,
)
from kubeberth.placement.explain import explain
from kubeberth.placement.trial import Trial

WEB = {"app": "web"}
SKEWED = "node(s) didn't match pod topology spread constraints"
NO_LABEL = f"{SKEWED} (missing required label)"


def constraint(
    key: str = ZONE, *, soft: bool = False, skew: int = 1, **more: Any
) -> dict[str, Any]:
    """Return a constraint over the pods of one app."""
    return {
        "topologyKey": key,
        "maxSkew": skew,
        "whenUnsatisfiable": "ScheduleAnyway" if soft else "DoNotSchedule",
        "labelSelector": {"matchLabels": WEB},
        **more,
    }


def web(name: str, *constraints: dict[str, Any], **spec: Any) -> Pod:
    """Return a pod of the app."""
    spec.setdefault("labels", WEB)
    return make_pod(name, topologySpreadConstraints=list(constraints), **spec)


def zones(**numbers: int) -> Cluster:
    """Return a cluster of one node per zone, with so many pods of the app in each."""
    cluster = Cluster(*(make_node(name, labels={ZONE: name}) for name in numbers))
    for name, number in numbers.items():
        for index in range(number):
            cluster.bind(web(f"{name}-{index}"), name)
    return cluster


def feasible(cluster: Cluster, pod: Pod) -> set[str]:
    """Return the nodes that a pod may go to, as engine and explanation agree."""
    story = explain(cluster.state, pod, cluster.engine.profile)
    decision = cluster.decide(pod)
    assert decision.n_feasible == len(story.feasible)
    assert decision.node in {None, *story.best}
    return set(story.feasible)


def passing(cluster: Cluster, pod: Pod) -> set[str]:
    """Return the nodes that a pod may go to at this moment of a trial."""
    return set(explain(cluster.state, pod, cluster.engine.profile).feasible)


def spread_scores(cluster: Cluster, pod: Pod) -> dict[str, int]:
    """Return what the rule gives each node, before its weight."""
    feasible(cluster, pod)
    scores = explain(cluster.state, pod, cluster.engine.profile).scores["PodTopologySpread"]
    return {name: score // 2 for name, score in scores.items()}


def terminating(pod: Pod) -> Pod:
    """Return a pod that has been told to end."""
    meta = msgspec.structs.replace(pod.metadata, deletion_timestamp="2026-01-01T00:00:00Z")
    return msgspec.structs.replace(pod, metadata=meta)


# Hard constraints


def test_only_the_emptiest_zone_takes_a_pod_when_the_others_are_full() -> None:
    assert feasible(zones(a=2, b=1, c=0), web("new", constraint())) == {"c"}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        pytest.param("Honor", {"b"}, id="an excluded node is no domain"),
        pytest.param("Ignore", set(), id="an excluded node is a domain all the same"),
    ],
)
def test_node_affinity_decides_which_zones_count(policy: str, expected: set[str]) -> None:
    cluster = zones(a=2, b=1, c=0)
    cluster.put(
        make_node("a", labels={ZONE: "a", "disk": "ssd"}),
        make_node("b", labels={ZONE: "b", "disk": "ssd"}),
    )
    pod = web("new", constraint(nodeAffinityPolicy=policy), nodeSelector={"disk": "ssd"})
    assert feasible(cluster, pod) == expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        pytest.param("Ignore", set(), id="a tainted node is a domain by default"),
        pytest.param("Honor", {"b"}, id="a tainted node is no domain"),
    ],
)
def test_taints_decide_which_zones_count_when_asked_to(policy: str, expected: set[str]) -> None:
    cluster = zones(a=2, b=1, c=0)
    pod = web("new", constraint(nodeTaintsPolicy=policy))
    assert feasible(cluster, pod) == {"c"}
    cluster.put(make_node("c", labels={ZONE: "c"}, taints=[{"key": "gpu", "effect": "NoSchedule"}]))
    assert feasible(cluster, pod) == expected


def test_too_few_domains_make_the_minimum_zero() -> None:
    cluster = zones(a=1, b=1)
    assert feasible(cluster, web("two", constraint(minDomains=2))) == {"a", "b"}
    pod = web("three", constraint(minDomains=3))
    assert cluster.why_not(pod) == f"0/2 nodes are available: 2 {SKEWED}"
    cluster.put(make_node("c", labels={ZONE: "c"}))
    assert feasible(cluster, pod) == {"c"}


def test_a_node_without_the_key_is_refused_and_its_pods_do_not_count() -> None:
    cluster = zones(a=0)
    cluster.put(make_node("bare"))
    for index in range(5):
        cluster.bind(web(f"stray-{index}"), "bare")
    assert feasible(cluster, web("new", constraint())) == {"a"}
    cluster.bind(web("first"), "a")
    cluster.put(make_node("b", labels={ZONE: "b"}, unschedulable=True))
    assert cluster.why_not(web("new", constraint())) == (
        f"0/3 nodes are available: 1 {SKEWED}, 1 {NO_LABEL}, 1 node(s) were unschedulable"
    )


def test_a_node_that_lacks_one_key_is_not_counted_for_the_others() -> None:
    cluster = zones(a=1, b=1)
    cluster.put(make_node("b", labels={ZONE: "b", "rack": "1"}))
    cluster.put(make_node("c", labels={ZONE: "c", "rack": "1"}))
    # Zone a is not counted since its node has no rack.
    pod = web("new", constraint(), constraint("rack", skew=5))
    assert feasible(cluster, pod) == {"c"}
    cluster.bind(web("c-0"), "c")
    assert feasible(cluster, pod) == {"b", "c"}


def test_a_pod_that_does_not_match_its_own_selector_adds_nothing() -> None:
    cluster = zones(a=1, b=0)
    assert feasible(cluster, web("new", constraint(), labels={"app": "other"})) == {"a", "b"}


def test_pods_of_other_namespaces_do_not_count() -> None:
    cluster = zones(a=0, b=0)
    cluster.bind(web("guest", namespace="other"), "a")
    assert feasible(cluster, web("new", constraint())) == {"a", "b"}


def test_terminating_pods_do_not_count_from_the_moment_they_terminate() -> None:
    cluster = zones(a=1, b=0)
    pod = web("new", constraint())
    assert feasible(cluster, pod) == {"b"}
    cluster.bind(terminating(web("a-0")), "a")
    assert feasible(cluster, pod) == {"a", "b"}


@pytest.mark.parametrize("selector", [{}, None], ids=["empty", "missing"])
def test_an_empty_selector_counts_nobody(selector: dict[str, Any] | None) -> None:
    cluster = zones(a=5, b=0)
    assert feasible(cluster, web("new", constraint(labelSelector=selector))) == {"a", "b"}


def test_match_label_keys_narrow_the_selector_to_the_pods_own_revision() -> None:
    cluster = zones(a=0, b=0)
    cluster.bind(web("old", labels={**WEB, "revision": "1"}), "a")
    by_revision = constraint(matchLabelKeys=["revision"])
    new = web("new", by_revision, labels={**WEB, "revision": "2"})
    assert feasible(cluster, new) == {"a", "b"}
    second = web("second", by_revision, labels={**WEB, "revision": "1"})
    assert feasible(cluster, second) == {"b"}
    assert feasible(cluster, web("no-revision", by_revision)) == {"b"}


def test_host_names_open_again_when_every_node_has_its_pod() -> None:
    cluster = Cluster(*(make_node(name) for name in "abc"))
    placed = [cluster.place(web(f"web-{n}", constraint(HOST))) for n in range(6)]
    assert sorted(map(str, placed[:3])) == sorted(map(str, placed[3:])) == ["a", "b", "c"]


def test_a_zone_that_goes_no_longer_holds_the_others_back() -> None:
    cluster = zones(a=1, b=1, c=0)
    pod = web("new", constraint())
    assert feasible(cluster, pod) == {"c"}
    cluster.state.apply(NodeRemoved("c"))
    assert feasible(cluster, pod) == {"a", "b"}
    cluster.put(make_node("c", labels={ZONE: "c"}))
    assert feasible(cluster, pod) == {"c"}


def test_a_pod_that_ends_makes_room_in_its_zone() -> None:
    cluster = zones(a=1, b=0)
    pod = web("new", constraint())
    assert feasible(cluster, pod) == {"b"}
    cluster.state.apply(PodRemoved("default/a-0"))
    assert feasible(cluster, pod) == {"a", "b"}


# Soft constraints


def test_crowded_zones_score_less() -> None:
    cluster = zones(a=3, b=1)
    cluster.put(make_node("bare"))
    scores = spread_scores(cluster, web("new", constraint(soft=True)))
    assert scores == {"a": 25, "b": 100, "bare": 0}


def test_empty_domains_score_in_full() -> None:
    cluster = zones(a=0, b=0)
    assert spread_scores(cluster, web("new", constraint(soft=True))) == {"a": 100, "b": 100}


def test_all_nodes_lack_the_key_of_a_soft_constraint() -> None:
    cluster = Cluster(make_node("a"), make_node("b"))
    assert spread_scores(cluster, web("new", constraint(soft=True))) == {"a": 0, "b": 0}


def test_shared_host_names_are_scored_node_by_node() -> None:
    cluster = Cluster(make_node("a", labels={HOST: "x"}), make_node("b", labels={HOST: "x"}))
    cluster.bind(web("first"), "a")
    scores = spread_scores(cluster, web("new", constraint(HOST, soft=True)))
    assert scores == {"a": 0, "b": 100}


# Default constraints


def replica_set(name: str = "web") -> list[dict[str, Any]]:
    return [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "controller": True}]


def owned(name: str, owners: list[dict[str, Any]]) -> Pod:
    pod = make_pod(name, labels=WEB)
    meta = msgspec.to_builtins(pod.metadata)
    typed = msgspec.convert({**meta, "ownerReferences": owners}, type(pod.metadata))
    return msgspec.structs.replace(pod, metadata=typed)


def has_defaults(cluster: Cluster, pod: Pod) -> bool:
    cluster.decide(pod)
    return "PodTopologySpread" in explain(cluster.state, pod, cluster.engine.profile).scores


def test_a_service_brings_the_default_constraints() -> None:
    cluster = Cluster(*(make_node(name) for name in "abc"))
    for name, number in (("b", 1), ("c", 2)):
        for index in range(number):
            cluster.bind(web(f"{name}-{index}"), name)
    pod = make_pod("new", labels=WEB)
    assert not has_defaults(cluster, pod)
    cluster.state.apply(ServicePut("default", "web", WEB))
    assert spread_scores(cluster, pod) == {"a": 100, "b": 60, "c": 40}
    cluster.state.apply(ServiceRemoved("default", "web"))
    assert not has_defaults(cluster, pod)


def test_default_constraints_weigh_zones_and_host_names_together() -> None:
    cluster = Cluster(
        *(make_node(f"{zone}{n}", labels={ZONE: zone}) for zone in "ab" for n in "12")
    )
    cluster.state.apply(ServicePut("default", "web", WEB))
    cluster.bind(web("first"), "a1")
    scores = spread_scores(cluster, make_pod("new", labels=WEB))
    assert scores == {"a1": 66, "a2": 88, "b1": 100, "b2": 100}


@pytest.mark.parametrize(
    "selector", [{}, None, {"app": "other"}], ids=["empty", "missing", "of other pods"]
)
def test_a_service_that_does_not_select_the_pod_brings_nothing(
    selector: dict[str, str] | None,
) -> None:
    cluster = Cluster(make_node("a"))
    cluster.state.apply(ServicePut("default", "web", selector))
    assert not has_defaults(cluster, make_pod("new", labels=WEB))


def test_a_replica_set_brings_the_default_constraints_without_a_service() -> None:
    cluster = Cluster(make_node("a"), make_node("b"))
    pod = owned("new", replica_set())
    assert not has_defaults(cluster, pod)
    selector = LabelSelector(match_labels=WEB)
    cluster.state.apply(ControllerPut("ReplicaSet", "default", "web", selector))
    assert has_defaults(cluster, pod)
    assert not has_defaults(cluster, make_pod("bare", labels=WEB))
    assert not has_defaults(cluster, owned("other", replica_set("other")))
    cluster.state.apply(ControllerRemoved("ReplicaSet", "default", "web"))
    assert not has_defaults(cluster, pod)


def test_somebody_elses_replica_set_brings_nothing() -> None:
    cluster = Cluster(make_node("a"))
    selector = LabelSelector(match_labels=WEB)
    cluster.state.apply(ControllerPut("ReplicaSet", "default", "web", selector))
    foreign = [{**replica_set()[0], "apiVersion": "example.com/v1"}]
    assert not has_defaults(cluster, owned("new", foreign))


def test_own_constraints_be_they_soft_replace_the_defaults() -> None:
    cluster = zones(a=3, b=1)
    cluster.state.apply(ServicePut("default", "web", WEB))
    scores = spread_scores(cluster, web("new", constraint(soft=True)))
    assert scores == {"a": 25, "b": 100}


# Trying without pods


def test_a_trial_without_a_pod_that_was_never_counted_leaves_less_than_none() -> None:
    """As upstream, a terminating pod is subtracted all the same."""
    cluster = zones(a=0, b=0)
    cluster.bind(terminating(web("dying")), "a")
    cluster.bind(web("living"), "b")
    pod = web("new", constraint())
    assert feasible(cluster, pod) == {"a"}
    with Trial(cluster.state) as trial:
        for placed in cluster.state.pods_on("a"):
            trial.remove(placed)
        # The minimum is -1 now: zone a would be one above it with the pod, zone b three.
        assert passing(cluster, pod) == {"a"}
    with Trial(cluster.state) as trial:
        for placed in cluster.state.pods_on("b"):
            trial.remove(placed)
        assert passing(cluster, pod) == {"a", "b"}
    assert feasible(cluster, pod) == {"a"}


def test_a_fork_counts_on_its_own() -> None:
    cluster = zones(a=1, b=0)
    pod = web("new", constraint())
    assert feasible(cluster, pod) == {"b"}
    fork = cluster.state.fork()
    fork.apply(PodPut(web("b-0"), "b"))
    assert set(explain(fork, pod, cluster.engine.profile).feasible) == {"a", "b"}
    assert feasible(cluster, pod) == {"b"}
