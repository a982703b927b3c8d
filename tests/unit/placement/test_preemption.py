"""Who has to go for whom; the numbered cases are those of kube-scheduler's own tests."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.placement.builders import HOST, ZONE, Cluster, far, make_node, make_pod, near, term

from kubeberth.api.core import Pod
from kubeberth.api.meta import Condition
from kubeberth.api.policy import PodDisruptionBudget
from kubeberth.placement.decision import Nomination
from kubeberth.placement.delta import Nominated, NominationCleared, PdbPut, PdbRemoved
from kubeberth.placement.explain import explain


def sized(name: str, cpu: str, priority: int = 0, start: str | None = None, **more: Any) -> Pod:
    pod = make_pod(name, requests={"cpu": cpu}, priority=priority, **more)
    return msgspec.structs.replace(
        pod, status=msgspec.structs.replace(pod.status, start_time=start)
    )


def going(pod: Pod) -> Pod:
    """Return a pod that the scheduler has preempted."""
    condition = Condition(type="DisruptionTarget", status="True", reason="PreemptionByScheduler")
    return msgspec.structs.replace(
        pod,
        metadata=msgspec.structs.replace(pod.metadata, deletion_timestamp="2026-01-01T00:00:00Z"),
        status=msgspec.structs.replace(pod.status, conditions=(condition,)),
    )


def budget(allowed: int, *, disrupted: tuple[str, ...] = (), **labels: str) -> PodDisruptionBudget:
    document = {
        "metadata": {"name": "budget", "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}},
        "status": {
            "disruptionsAllowed": allowed,
            "disruptedPods": dict.fromkeys(disrupted, "2026-01-01T00:00:00Z"),
        },
    }
    return msgspec.convert(document, PodDisruptionBudget)


def nomination(cluster: Cluster, pod: Pod) -> Nomination | None:
    return cluster.decide(pod).nomination


def victims(cluster: Cluster, pod: Pod) -> set[str]:
    found = nomination(cluster, pod)
    return set() if found is None else {key.removeprefix("default/") for key in found.victims}


def two_full_nodes(on_a: list[Pod], on_b: list[Pod]) -> Cluster:
    cluster = Cluster(make_node("a"), make_node("b"))
    for node, pods in (("a", on_a), ("b", on_b)):
        for pod in pods:
            cluster.bind(pod, node)
    return cluster


def test_equal_priority_is_never_preempted() -> None:
    cluster = Cluster(make_node("a"))
    cluster.bind(sized("old", "4", 5), "a")
    assert nomination(cluster, sized("new", "4", 5)) is None
    assert victims(cluster, sized("new", "4", 6)) == {"old"}


def test_pod_that_never_preempts_says_so_and_keeps_its_nomination() -> None:
    cluster = Cluster(make_node("a"))
    cluster.bind(sized("old", "4"), "a")
    failure = cluster.decide(sized("new", "4", 5, preemptionPolicy="Never")).failure
    assert failure is not None
    assert failure.message.endswith("preemption: not eligible due to preemptionPolicy=Never.")
    assert failure.keeps_nomination


def test_two_lesser_victims_are_less_harm_than_a_greater_one() -> None:
    cluster = two_full_nodes([sized("ten", "4", 10)], [sized("x", "2", 5), sized("y", "2", 5)])
    assert victims(cluster, sized("new", "4", 20)) == {"x", "y"}


def test_fewer_victims_of_the_same_priority_are_less_harm() -> None:
    cluster = two_full_nodes([sized("x", "2", 5), sized("y", "2", 5)], [sized("z", "4", 5)])
    assert victims(cluster, sized("new", "4", 20)) == {"z"}


def test_keeping_a_budget_counts_more_than_anything() -> None:
    pods = [sized("x", "2", 5), sized("y", "2", 5)]
    cluster = two_full_nodes(pods, [sized("z", "4", 5, labels={"app": "db"})])
    cluster.state.apply(PdbPut(budget(0, app="db")))
    assert victims(cluster, sized("new", "4", 20)) == {"x", "y"}
    cluster.state.apply(PdbRemoved("default/budget"))
    assert victims(cluster, sized("new", "4", 20)) == {"z"}


def test_pod_that_started_last_loses_among_equals() -> None:
    old, young = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
    cluster = two_full_nodes([sized("old", "4", 5, old)], [sized("young", "4", 5, young)])
    assert victims(cluster, sized("new", "4", 20)) == {"young"}


def test_pod_that_has_not_started_counts_as_started_just_now() -> None:
    cluster = two_full_nodes(
        [sized("waiting", "4", 5)], [sized("young", "4", 5, "2026-01-02T00:00:00Z")]
    )
    assert victims(cluster, sized("new", "4", 20)) == {"waiting"}


def test_more_important_pods_are_spared_where_room_allows() -> None:
    cluster = Cluster(make_node("a"))
    cluster.bind(sized("one", "2", 1), "a")
    cluster.bind(sized("two", "2", 2), "a")
    assert victims(cluster, sized("new", "2", 20)) == {"one"}


def test_pods_that_a_budget_keeps_are_spared_before_more_important_ones() -> None:
    cluster = Cluster(make_node("a"))
    cluster.bind(sized("kept", "2", 1, labels={"app": "db"}), "a")
    cluster.bind(sized("two", "2", 2), "a")
    cluster.state.apply(PdbPut(budget(0, app="db")))
    assert victims(cluster, sized("new", "2", 20)) == {"two"}


def test_budget_is_broken_when_nothing_else_makes_room() -> None:
    cluster = Cluster(make_node("a"))
    cluster.bind(sized("kept", "4", 1, labels={"app": "db"}), "a")
    cluster.state.apply(PdbPut(budget(0, app="db")))
    assert nomination(cluster, sized("new", "4", 20)) == Nomination("a", ("default/kept",), 1)


def test_pod_that_its_budget_has_let_go_is_charged_no_more() -> None:
    cluster = Cluster(make_node("a"))
    cluster.bind(sized("kept", "4", 1, labels={"app": "db"}), "a")
    cluster.state.apply(PdbPut(budget(0, disrupted=("kept",), app="db")))
    assert nomination(cluster, sized("new", "4", 20)) == Nomination("a", ("default/kept",), 0)


def test_empty_selector_of_a_budget_keeps_nobody() -> None:
    cluster = Cluster(make_node("a"))
    cluster.bind(sized("old", "4", 1, labels={"app": "db"}), "a")
    cluster.state.apply(PdbPut(budget(0)))
    assert nomination(cluster, sized("new", "4", 20)) == Nomination("a", ("default/old",), 0)


def test_victims_do_not_help_against_missing_affinity() -> None:
    cluster = Cluster(make_node("a", labels={ZONE: "z"}))
    cluster.bind(sized("old", "1"), "a")
    pod = sized("new", "1", 20, affinity=near(term(ZONE, "web")))
    assert nomination(cluster, pod) is None


@pytest.mark.parametrize("key", [HOST, ZONE])
def test_victims_help_against_anti_affinity(key: str) -> None:
    cluster = Cluster(make_node("a", labels={ZONE: "z"}))
    cluster.bind(sized("web", "1", labels={"app": "web"}), "a")
    cluster.bind(sized("other", "1"), "a")
    assert victims(cluster, sized("new", "1", 20, affinity=far(term(key, "web")))) == {"web"}


def test_pod_that_shuns_the_new_one_has_to_go() -> None:
    cluster = Cluster(make_node("a"))
    cluster.bind(sized("shy", "1", affinity=far(term(HOST, "web"))), "a")
    assert victims(cluster, sized("new", "1", 20, labels={"app": "web"})) == {"shy"}


def test_pod_that_shuns_the_new_one_twice_over_has_to_go_just_the_same() -> None:
    cluster = Cluster(make_node("a", labels={ZONE: "z"}))
    twice = far(term(ZONE, "web"), term(ZONE, "web"))
    cluster.bind(sized("shy", "1", affinity=twice), "a")
    assert victims(cluster, sized("new", "1", 20, labels={"app": "web"})) == {"shy"}


def test_victims_on_one_node_do_not_help_against_pods_on_another() -> None:
    nodes = [make_node(name, labels={ZONE: "z"}) for name in "ab"]
    cluster = Cluster(*nodes)
    for name in "ab":
        cluster.bind(sized(f"web-{name}", "1", labels={"app": "web"}), name)
    assert nomination(cluster, sized("new", "1", 20, affinity=far(term(ZONE, "web")))) is None


def test_host_port_is_taken_from_a_lesser_pod() -> None:
    ports = [{"containerPort": 80, "hostPort": 80}]
    cluster = Cluster(make_node("a"))
    cluster.bind(sized("other", "1"), "a")
    cluster.bind(make_pod("web", containers=[{"name": "main", "ports": ports}]), "a")
    pod = make_pod("new", containers=[{"name": "main", "ports": ports}], priority=20)
    assert victims(cluster, pod) == {"web"}
    assert cluster.place(make_pod("later", containers=[{"name": "main", "ports": ports}])) is None


def test_all_candidates_are_explained() -> None:
    cluster = two_full_nodes([sized("x", "4", 5)], [sized("y", "4", 6)])
    story = explain(cluster.state, sized("new", "4", 20), cluster.engine.profile)
    assert story.candidates == (
        Nomination("a", ("default/x",)),
        Nomination("b", ("default/y",)),
    )
    assert story.nominated == ("a",)


class TestNominatedPods:
    """Pods wait for room; who is less important must not take it."""

    def nominate(self, cluster: Cluster, pod: Pod, node: str) -> None:
        cluster.state.apply(Nominated(pod, node))

    def test_room_is_held_against_lesser_and_equal_pods_only(self) -> None:
        cluster = Cluster(make_node("a"))
        self.nominate(cluster, sized("waiting", "3", 10), "a")
        assert cluster.decide(sized("lesser", "2", 5)).node is None
        assert cluster.decide(sized("equal", "2", 10)).node is None
        assert cluster.decide(sized("greater", "2", 20)).node == "a"
        assert cluster.decide(sized("small", "1", 5)).node == "a"

    def test_room_is_free_again_once_the_nomination_is_cleared(self) -> None:
        cluster = Cluster(make_node("a"))
        self.nominate(cluster, sized("waiting", "3", 10), "a")
        assert cluster.decide(sized("lesser", "2", 5)).node is None
        cluster.state.apply(NominationCleared("default/waiting"))
        assert cluster.decide(sized("lesser", "2", 5)).node == "a"

    def test_nomination_ends_when_the_pod_is_placed(self) -> None:
        cluster = Cluster(make_node("a"), make_node("b"))
        waiting = sized("waiting", "3", 10)
        self.nominate(cluster, waiting, "a")
        cluster.bind(waiting, "b")
        assert cluster.decide(sized("lesser", "4", 5)).node == "a"

    def test_own_nominated_node_is_tried_first(self) -> None:
        cluster = Cluster(make_node("small", cpu="2"), make_node("large", cpu="100"))
        waiting = sized("waiting", "1", 10)
        assert cluster.decide(waiting).node == "large"
        self.nominate(cluster, waiting, "small")
        decision = cluster.decide(waiting)
        assert (decision.node, decision.n_feasible) == ("small", 1)

    def test_pod_may_go_elsewhere_when_its_nominated_node_does_not_fit(self) -> None:
        cluster = Cluster(make_node("a"), make_node("b"))
        cluster.bind(sized("old", "4", 10), "a")
        waiting = sized("waiting", "1", 10)
        self.nominate(cluster, waiting, "a")
        assert cluster.decide(waiting).node == "b"

    def test_pod_must_fit_without_the_nominated_ones_as_well(self) -> None:
        cluster = Cluster(make_node("a", labels={ZONE: "z"}))
        self.nominate(cluster, sized("friend", "1", 10, labels={"app": "web"}), "a")
        assert cluster.decide(sized("new", "1", affinity=near(term(ZONE, "web")))).node is None

    def test_anti_affinity_of_a_nominated_pod_counts_on_its_node_alone(self) -> None:
        cluster = Cluster(*(make_node(name, labels={ZONE: "z"}) for name in "ab"))
        shy = sized("shy", "1", 10, affinity=far(term(ZONE, "web")))
        self.nominate(cluster, shy, "a")
        assert cluster.decide(sized("web", "1", labels={"app": "web"})).node == "b"

    def test_nobody_else_goes_while_victims_are_on_their_way_out(self) -> None:
        cluster = Cluster(make_node("a"), make_node("b"))
        cluster.bind(going(sized("leaving", "4")), "a")
        cluster.bind(sized("staying", "4"), "b")
        waiting = sized("waiting", "4", 10)
        self.nominate(cluster, waiting, "a")
        decision = cluster.decide(waiting)
        assert decision.nomination is None
        assert decision.failure is not None
        assert decision.failure.keeps_nomination
        assert decision.failure.message.endswith(
            "preemption: not eligible due to a terminating pod on the nominated node."
        )

    def test_others_go_when_the_nominated_node_cannot_do_any_more(self) -> None:
        cluster = Cluster(make_node("a"), make_node("b"))
        cluster.bind(going(sized("leaving", "4")), "a")
        cluster.bind(sized("staying", "4"), "b")
        waiting = sized("waiting", "4", 10)
        self.nominate(cluster, waiting, "a")
        cluster.put(make_node("a", unschedulable=True))
        assert victims(cluster, waiting) == {"staying"}

    def test_nomination_to_a_node_that_does_not_exist_holds_nothing(self) -> None:
        cluster = Cluster(make_node("a"))
        self.nominate(cluster, sized("waiting", "3", 10), "ghost")
        assert cluster.decide(sized("lesser", "4", 5)).node == "a"
        cluster.put(make_node("ghost"))
        assert cluster.decide(sized("lesser", "4", 5)).node == "a"
        assert cluster.decide(sized("late", "2", 5)).n_feasible == 1

    def test_fork_holds_the_same_room_and_goes_its_own_way(self) -> None:
        cluster = Cluster(make_node("a"))
        self.nominate(cluster, sized("waiting", "3", 10), "a")
        fork = cluster.state.fork()
        cluster.state.apply(NominationCleared("default/waiting"))
        assert list(fork.nominations.pods) == ["default/waiting"]
