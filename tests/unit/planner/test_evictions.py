"""Pods of a cluster leave nodes for their NoExecute taints, as the plan says and in time."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.planner.clusters import as_file, deployment, node, plan, pod, workload

from kubeberth.api.scheme import PODS
from kubeberth.planner.assertions import parse_assertion
from kubeberth.planner.manifests import read
from kubeberth.planner.planning import Task, carry_out
from kubeberth.planner.reports import render
from kubeberth.planner.why import why_in_plan

Document = dict[str, Any]

GONE = {"key": "gone", "value": "x", "effect": "NoExecute"}


def tainted(name: str, *taints: Document, **more: Any) -> Document:
    made = node(name, **more)
    made["spec"] = {"taints": list(taints or (GONE,))}
    return made


def replica(name: str, node_name: str, **spec: Any) -> Document:
    """Return a pod of a controller that is not here."""
    made = pod(name, node_name=node_name, **spec)
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1"}
    made["metadata"] |= {"ownerReferences": [{**owner, "controller": True}], "generateName": "web-"}
    return made


def tolerating(**more: Any) -> list[Document]:
    return [{"key": "gone", "operator": "Exists", **more}]


def test_who_does_not_tolerate_a_taint_goes_and_comes_again_elsewhere():
    found = plan([tainted("n1"), node("n2"), replica("web-1", "n1")])
    (gone,) = found.removed
    assert (gone.pod, gone.node, gone.why) == ("default/web-1", "n1", "evicted")
    assert (gone.by, gone.returns) == ("taint gone=x:NoExecute", True)
    assert {each.name: each.pods_after for each in found.nodes} == {"n1": 0, "n2": 1}
    text = render("text", found, [])
    assert "0 pods placed, 0 pending, 1 evicted" in text
    assert "EVICTED default/web-1 (priority 0) on n1, by taint gone=x:NoExecute" in text


def test_who_tolerates_it_for_ever_stays():
    cluster = [tainted("n1"), node("n2"), replica("web-1", "n1", tolerations=tolerating())]
    assert plan(cluster).removed == ()


def test_a_daemon_stays_on_a_node_that_is_lost_for_a_while():
    unreachable = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
    cluster = [tainted("n1", unreachable), workload("DaemonSet", "agent")]
    found = plan(cluster)
    assert found.removed == ()
    assert found.n_pending == 0


def test_who_tolerates_it_for_a_time_keeps_its_room_as_long():
    """What comes to the cluster meanwhile finds the room taken, and waits."""
    brief = tolerating(effect="NoExecute", tolerationSeconds=600)
    old = replica("web-1", "n1", cpu="3", tolerations=brief, terminationGracePeriodSeconds=5)
    new = pod(
        "new", cpu="3", tolerations=tolerating(), nodeSelector={"kubernetes.io/hostname": "n1"}
    )
    task = Task([tainted("n1"), node("n2"), old], read([as_file(new)]))
    world, _ = carry_out(task)
    there = {p.metadata.name: p for p in world.objects.all(PODS)}
    assert there["new"].spec.node_name == "n1"
    assert there["new"].status.start_time > "2026-01-01T00:10:00Z"


def test_whom_a_plan_places_for_a_time_stays():
    brief = tolerating(effect="NoExecute", tolerationSeconds=1)
    found = plan([tainted("n1")], deployment("web", 2, tolerations=brief))
    assert found.workloads[0].nodes == {"n1": 2}
    assert found.removed == ()


def test_a_pod_that_goes_keeps_its_room_where_no_kubelet_tells_that_it_has_ended():
    lost = tainted("n1")
    lost["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    here = {"nodeSelector": {"kubernetes.io/hostname": "n1"}, "tolerations": tolerating()}
    found = plan([lost, replica("web-1", "n1", cpu="3")], pod("new", cpu="3", **here))
    assert {each.pod: each.node for each in found.pods}["default/new"] is None


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (None, "it does not tolerate its node's taint gone=x:NoExecute"),
        (30, "it tolerates its node's taint gone=x:NoExecute for no more than 30 s"),
    ],
)
def test_why_of_a_pod_that_is_evicted_names_the_taint(seconds, message):
    brief = [] if seconds is None else tolerating(effect="NoExecute", tolerationSeconds=seconds)
    cluster = [tainted("n1"), node("n2"), replica("web-1", "n1", tolerations=brief)]
    world, _ = carry_out(Task(cluster))
    said = str(why_in_plan(world, "default", "web-1")).splitlines()
    assert said == ["default/web-1: evicted on n1", f"  {message}"]


def test_an_assertion_may_demand_that_nobody_is_evicted():
    cluster = [tainted("n1"), node("n2"), replica("web-1", "n1")]
    checked = parse_assertion("no pod evicted").check(plan(cluster))
    assert not checked.holds
    assert parse_assertion("no evictions").check(plan([node("n1")])).holds
