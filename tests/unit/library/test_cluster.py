from __future__ import annotations

from typing import Any

import pytest
from tests.unit.library.builders import ZONE, any_object, node, pod, priority_class

from kubeberth import Cluster, InvalidObjectError, NoSuchObjectError
from kubeberth.placement.profile import default_profile


def placed(cluster: Cluster) -> dict[str, str]:
    return {p.metadata.name: p.spec.node_name for p in cluster.pods if p.spec.node_name}


def names(pods: list[Any]) -> list[str]:
    return [entry.metadata.name for entry in pods]


class TestLooking:
    def test_objects_come_in_any_order(self) -> None:
        cluster = Cluster(
            [pod("web", priorityClassName="high"), node("a"), priority_class("high", 7)]
        )
        [web] = cluster.pending
        assert web.priority == 7

    def test_pods_are_where_they_are_bound_or_placed_or_pending(self) -> None:
        cluster = Cluster([node("a"), pod("bound", nodeName="a"), pod("waiting")])
        assert placed(cluster) == {"bound": "a"}
        assert names(cluster.pending) == ["waiting"]
        assert cluster.node_of("bound") == "a"
        assert cluster.node_of("waiting") is None
        cluster.place("waiting")
        assert names(cluster.pods_on("a")) == ["bound", "waiting"]
        assert repr(cluster) == "<Cluster: 1 nodes, 2 pods placed, 0 pending>"

    def test_ended_pods_count_nothing(self) -> None:
        done = pod("done", cpu="4", nodeName="a") | {"status": {"phase": "Succeeded"}}
        cluster = Cluster([node("a"), done])
        assert cluster.pods == []
        assert cluster.place(pod("web", cpu="4")).node == "a"

    def test_pod_that_ends_leaves_its_room(self) -> None:
        cluster = Cluster([node("a"), pod("job", cpu="4", nodeName="a")])
        cluster.put(pod("job", cpu="4", nodeName="a") | {"status": {"phase": "Failed"}})
        assert cluster.place(pod("web", cpu="4")).node == "a"

    def test_pending_pods_come_by_priority_then_by_age(self) -> None:
        old = {"creationTimestamp": "2026-01-01T00:00:00Z"}
        older = {"creationTimestamp": "2025-01-01T00:00:00Z"}
        cluster = Cluster(
            [
                priority_class("high", 10),
                pod("new"),
                pod("old", meta=old),
                pod("older", meta=older),
                pod("urgent", priorityClassName="high"),
            ]
        )
        assert names(cluster.pending) == ["urgent", "older", "old", "new"]

    def test_what_is_not_there_is_named(self) -> None:
        cluster = Cluster([node("a")])
        with pytest.raises(NoSuchObjectError, match='no Pod "default/web"'):
            cluster.node_of("web")
        with pytest.raises(NoSuchObjectError, match='no Node "b"'):
            cluster.drain("b")
        with pytest.raises(NoSuchObjectError, match='no Service "default/web"'):
            cluster.remove("service/web")
        with pytest.raises(NoSuchObjectError, match='no thing "x"'):
            cluster.remove("thing/x")


class TestDeciding:
    def test_decide_changes_nothing_and_place_does(self) -> None:
        cluster = Cluster([node("a", cpu="1")])
        assert cluster.decide(pod("web")).node == "a"
        assert cluster.pods == []
        assert cluster.place(pod("web")).node == "a"
        assert cluster.decide(pod("other")).node is None

    def test_pod_that_fits_nowhere_stays_pending_until_there_is_room(self) -> None:
        cluster = Cluster([node("a", cpu="1")])
        decision = cluster.place(pod("web", cpu="2"))
        assert decision.failure is not None
        assert str(decision).startswith("default/web: 0/1 nodes are available: 1 Insufficient cpu.")
        cluster.put(node("b", cpu="2"))
        assert [str(entry) for entry in cluster.place_all()] == [
            "default/web -> b (the only node that fits)"
        ]

    def test_decisions_come_one_at_a_time(self) -> None:
        cluster = Cluster([node("a"), pod("one"), pod("two")])
        decisions = cluster.place_all()
        assert next(decisions).pod_key == "default/one"
        assert names(cluster.pending) == ["two"]
        assert next(decisions).pod_key == "default/two"

    def test_pods_that_went_meanwhile_are_not_tried(self) -> None:
        cluster = Cluster([node("a"), pod("one"), pod("two"), pod("three")])
        decisions = cluster.place_all()
        next(decisions)
        cluster.remove("pod/two")
        assert [decision.pod_key for decision in decisions] == ["default/three"]

    def test_given_pods_are_placed_in_the_order_given(self) -> None:
        cluster = Cluster([node("a"), pod("one"), pod("two")])
        assert [d.pod_key for d in cluster.place_all(["two", pod("three")])] == [
            "default/two",
            "default/three",
        ]
        assert names(cluster.pending) == ["one"]

    def test_placed_pod_is_asked_about_as_if_it_came_anew(self) -> None:
        cluster = Cluster([node("a", cpu="1"), node("b", cpu="1"), pod("web", nodeName="a")])
        assert cluster.decide("web").n_feasible == 2
        assert cluster.explain("web").feasible == ("a", "b")
        assert cluster.node_of("web") == "a"

    def test_placing_what_has_a_node_is_refused(self) -> None:
        cluster = Cluster([node("a"), pod("web", nodeName="a")])
        with pytest.raises(InvalidObjectError, match='this one is on "a"'):
            cluster.place("web")

    def test_pods_of_other_schedulers_are_left_alone(self) -> None:
        cluster = Cluster([node("a"), pod("web"), pod("theirs", schedulerName="volcano")])
        assert [d.pod_key for d in cluster.place_all()] == ["default/web"]
        with pytest.raises(InvalidObjectError, match=r"spec.schedulerName: .*volcano"):
            cluster.place("theirs")

    def test_gated_pods_wait(self) -> None:
        cluster = Cluster([node("a"), pod("web", schedulingGates=[{"name": "budget"}])])
        decision = cluster.place("web")
        assert decision.failure is not None
        assert decision.failure.message == "waiting for scheduling gates: [budget]"
        assert str(cluster.explain("web")) == "waiting for scheduling gates: [budget]"
        cluster.put(pod("web"))
        assert cluster.place("web").node == "a"

    def test_explanation_is_a_table(self) -> None:
        cluster = Cluster([node("a"), node("b", unschedulable=True), pod("web")])
        lines = str(cluster.explain("web")).splitlines()
        assert lines[0] == "1 of 2 nodes fit; best: a"
        assert lines[2].split()[:2] == ["NODE", "TOTAL"]
        assert lines[3].startswith("a ")
        assert lines[-1] == "refused b: NodeUnschedulable: node(s) were unschedulable"

    def test_defaults_and_label_keys_take_part(self) -> None:
        constraint = {
            "maxSkew": 1,
            "topologyKey": ZONE,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}},
            "matchLabelKeys": ["rev"],
        }
        cluster = Cluster([node("a", zone="1"), node("b", zone="2", cpu="1")])
        cluster.put(pod("old", meta={"labels": {"app": "web", "rev": "1"}}, nodeName="a"))
        meta = {"labels": {"app": "web", "rev": "2"}}
        one = pod("one", meta=meta, topologySpreadConstraints=[constraint])
        assert cluster.decide(one).n_feasible == 2


class TestTies:
    def test_the_first_node_wins_without_a_seed(self) -> None:
        cluster = Cluster([node(f"n{index}") for index in range(9)])
        assert cluster.decide(pod("web")).node == "n0"

    def test_the_same_seed_gives_the_same_choice(self) -> None:
        nodes = [node(f"n{index}") for index in range(9)]
        chosen = [Cluster(nodes, seed=seed).decide(pod("web")).node for seed in range(20)]
        again = [Cluster(nodes, seed=seed).decide(pod("web")).node for seed in range(20)]
        assert chosen == again
        assert len(set(chosen)) > 3


class TestConfiguration:
    CONFIG = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "profiles": [
            {"schedulerName": "default-scheduler"},
            {
                "schedulerName": "packing",
                "pluginConfig": [
                    {
                        "name": "NodeResourcesFit",
                        "args": {"scoringStrategy": {"type": "MostAllocated"}},
                    }
                ],
            },
        ],
    }

    def test_each_pod_goes_by_the_profile_that_it_names(self) -> None:
        nodes = [node("full"), node("empty"), pod("x", nodeName="full")]
        cluster = Cluster(nodes, config=self.CONFIG)
        assert cluster.decide(pod("spread")).node == "empty"
        assert cluster.decide(pod("pack", schedulerName="packing")).node == "full"

    def test_one_profile_may_be_given(self) -> None:
        cluster = Cluster([node("a")], profile=default_profile("mine"))
        assert cluster.decide(pod("web", schedulerName="mine")).node == "a"
        with pytest.raises(TypeError, match="not both"):
            Cluster(profile=default_profile(), config=self.CONFIG)


class TestChanging:
    def test_drained_node_keeps_what_is_there_for_its_sake(self) -> None:
        owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": "u"}
        agent = pod("agent", meta={"ownerReferences": [owner | {"controller": True}]}, nodeName="a")
        mirror = {"annotations": {"kubernetes.io/config.mirror": "x"}}
        static = pod("static", meta=mirror | {"resourceVersion": "1"}, nodeName="a")
        cluster = Cluster([node("a", cpu="9"), node("b"), agent, static, pod("web", nodeName="a")])
        assert names(cluster.drain("a")) == ["web"]
        assert names(cluster.pods_on("a")) == ["agent", "static"]
        assert [d.node for d in cluster.place_all()] == ["b"]

    def test_uncordoned_node_takes_pods_again(self) -> None:
        taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
        cluster = Cluster([node("a", unschedulable=True, taints=[taint])])
        assert cluster.decide(pod("web")).node is None
        cluster.uncordon("a")
        assert cluster.decide(pod("web")).node == "a"
        cluster.cordon("a")
        assert cluster.decide(pod("web")).node is None

    def test_new_nodes_are_of_the_same_make(self) -> None:
        csi = {"spec": {"drivers": [{"name": "ebs", "nodeID": "i", "allocatable": {"count": 7}}]}}
        model = node("a", zone="1", taints=[{"key": "gpu", "effect": "NoSchedule"}])
        cluster = Cluster([model, any_object("CSINode", "a", "storage.k8s.io/v1", **csi)])
        added = cluster.add_node(like="a", count=2)
        assert [entry.name for entry in added] == ["a-1", "a-2"]
        labels = {ZONE: "1", "kubernetes.io/hostname": "a-2"}
        assert added[1].metadata.labels == labels
        assert [taint.key for taint in added[1].spec.taints] == ["gpu"]
        assert added[1].status.allocatable == cluster.nodes[0].status.allocatable
        [named] = cluster.add_node(like=added[0], name="b")
        assert named.name == "b"
        cluster.remove("csinode/a-2")
        with pytest.raises(NoSuchObjectError):
            cluster.remove("csinode/a-2")

    def test_removed_objects_are_gone(self) -> None:
        cluster = Cluster([node("a"), priority_class("high", 5), pod("web", nodeName="a")])
        cluster.remove("Pod/web")
        assert cluster.pods == []
        cluster.remove(priority_class("high", 5))
        with pytest.raises(InvalidObjectError, match="no PriorityClass with name high"):
            cluster.put(pod("web", priorityClassName="high"))
        cluster.remove("node/a")
        assert cluster.nodes == []

    def test_preemption_is_carried_out(self) -> None:
        cluster = Cluster([node("a", cpu="1"), priority_class("high", 5), pod("low", nodeName="a")])
        decision = cluster.place(pod("urgent", priorityClassName="high"))
        assert names(cluster.preempt(decision)) == ["low"]
        assert cluster.decide(pod("thief")).node is None
        assert {d.pod_key: d.node for d in cluster.place_all()} == {
            "default/urgent": "a",
            "default/low": None,
        }
        with pytest.raises(ValueError, match="no node can be made free"):
            cluster.preempt(cluster.decide(pod("other")))

    def test_room_is_held_no_longer_for_a_pod_that_no_longer_fits_there(self) -> None:
        cluster = Cluster([node("a", cpu="1"), priority_class("high", 5), pod("low", nodeName="a")])
        cluster.preempt(cluster.place(pod("urgent", priorityClassName="high")))
        cluster.cordon("a")
        assert cluster.place("urgent").node is None
        cluster.uncordon("a")
        assert cluster.place("low").node == "a"

    def test_preemption_whose_victim_is_gone_changes_nothing(self) -> None:
        low = [pod(f"low-{index}", nodeName="a") for index in range(2)]
        cluster = Cluster([node("a", cpu="2"), priority_class("high", 5), *low])
        decision = cluster.place(pod("urgent", cpu="2", priorityClassName="high"))
        cluster.remove("pod/low-1")
        with pytest.raises(NoSuchObjectError, match="default/low-1"):
            cluster.preempt(decision)
        assert placed(cluster) == {"low-0": "a"}

    def test_nomination_that_a_pod_comes_with_counts(self) -> None:
        nominated = pod("urgent", priorityClassName="high")
        nominated["status"] = {"nominatedNodeName": "a"}
        cluster = Cluster([node("a", cpu="1"), priority_class("high", 5), nominated])
        assert cluster.place(pod("thief")).node is None
        cluster.remove("pod/urgent")
        assert cluster.place("thief").node == "a"

    def test_fork_leaves_the_original_alone(self) -> None:
        cluster = Cluster([node("a"), node("b"), pod("web", nodeName="a")])
        with cluster.fork() as trial:
            trial.drain("a")
            assert [d.node for d in trial.place_all()] == ["b"]
        assert placed(cluster) == {"web": "a"}
        assert cluster.decide(pod("web-2")).n_feasible == 2

    def test_pods_of_a_namespace_that_nobody_described_are_found_by_its_name(self) -> None:
        selector = {"matchLabels": {"kubernetes.io/metadata.name": "team"}}
        term = {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": {"app": "web"}},
            "namespaceSelector": selector,
        }
        rule = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        cluster = Cluster([node("a"), node("b")])
        cluster.put(pod("web", meta={"namespace": "team"}, nodeName="b"))
        assert cluster.decide(pod("near", affinity=rule, meta={"labels": {}})).node == "b"

    def test_volume_that_says_nothing_of_itself_is_available(self) -> None:
        volume = any_object(
            "PersistentVolume",
            "disk",
            spec={
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "local",
                "hostPath": {"path": "/x"},
            },
        )
        claim = any_object(
            "PersistentVolumeClaim",
            "data",
            spec={
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "local",
                "resources": {"requests": {"storage": "1Gi"}},
            },
        )
        storage_class = any_object(
            "StorageClass",
            "local",
            "storage.k8s.io/v1",
            provisioner="kubernetes.io/no-provisioner",
            volumeBindingMode="WaitForFirstConsumer",
        )
        uses = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        cluster = Cluster([node("a"), volume, claim, storage_class])
        assert cluster.place(pod("db", volumes=uses)).node == "a"


def test_everything_that_is_promised_by_the_package_is_there() -> None:
    import kubeberth

    assert {name: getattr(kubeberth, name) for name in kubeberth.__all__}
    with pytest.raises(AttributeError, match="no attribute 'Custer'"):
        kubeberth.Custer  # noqa: B018
