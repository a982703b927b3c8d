"""Planning in a cluster that is in memory."""

from __future__ import annotations

import pytest
from tests.unit.planner.clusters import as_file, deployment, pod, priority_class, zones

from kubeberth import Cluster, Plan
from kubeberth.errors import UsageError


def cluster_of(*documents):
    return Cluster.load(as_file(*documents))


def test_a_plan_in_a_cluster_leaves_it_as_it_is():
    cluster = cluster_of(*zones(3), pod("there", node_name="n1"))
    before = repr(cluster), cluster.pods
    plan = cluster.plan(as_file(deployment("web", 3)))
    assert isinstance(plan, Plan)
    assert plan.n_placed == 3
    assert (repr(cluster), cluster.pods) == before


def test_workloads_that_the_cluster_was_loaded_with_act_in_the_plan():
    cluster = cluster_of(*zones(3), deployment("web", 2))
    (web,) = cluster.plan(scale={"web": 6}).workloads
    assert web.placed == 6


def test_what_was_done_to_the_cluster_counts():
    cluster = cluster_of(*zones(3), priority_class("high", 7))
    cluster.cordon("n1")
    cluster.add_node(like="n2", name="n4")
    plan = cluster.plan(as_file(pod("web", priorityClassName="high"), deployment("cache", 3)))
    assert {pod.node for pod in plan.pods} == {"n2", "n3", "n4"}
    assert plan.pods[0].priority == 7


def test_a_fork_plans_for_itself():
    cluster = cluster_of(*zones(1, cpu="1"))
    with cluster.fork() as trial:
        trial.remove("Node/n1")
        assert trial.plan(as_file(pod("web"))).n_pending == 1
    assert cluster.plan(as_file(pod("web"))).n_pending == 0


def test_nodes_come_and_zones_go():
    cluster = cluster_of(*zones(3))
    plan = cluster.plan(as_file(deployment("web", 4)), add_nodes={"n2": 1}, without=["a"])
    assert plan.workloads[0].placed == 4
    assert set(plan.workloads[0].zones) == {"b", "c"}
    with pytest.raises(UsageError, match='no node is in the zone "q"'):
        cluster.plan(without=["q"])
