import pytest
from tests.objects import NOW, condition, node, pod

from kubeberth.api.scheme import NODES
from kubeberth.api.workloads import Lease, LeaseSpec
from kubeberth.controllers.action import Failure, PatchObject, RecordEvent
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.nodes.node_lifecycle import (
    NodeLifecycleReconciler,
    View,
    reconcile,
    wanted_taints,
)


def taints(n, *, evict=True):
    return [(taint.key, taint.effect) for taint in wanted_taints(n, NOW, evict=evict)]


@pytest.mark.parametrize(
    ("case", "key"),
    [
        (node(ready="False"), "not-ready"),
        (node(ready="Unknown"), "unreachable"),
        (node(conditions=[condition("MemoryPressure")]), "memory-pressure"),
        (node(conditions=[condition("DiskPressure")]), "disk-pressure"),
        (node(conditions=[condition("PIDPressure")]), "pid-pressure"),
        (node(conditions=[condition("NetworkUnavailable")]), "network-unavailable"),
        (node(unschedulable=True), "unschedulable"),
    ],
)
def test_conditions_and_cordons_become_noschedule_taints(case, key):
    assert (f"node.kubernetes.io/{key}", "NoSchedule") in taints(case)


def test_a_node_that_is_well_has_no_taints():
    assert taints(node()) == []


def test_taints_of_others_stay_and_ours_go_when_their_cause_does():
    foreign = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
    ours = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    by_hand = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    assert taints(node(taints=[foreign, ours, by_hand])) == [("dedicated", "NoSchedule")]


def test_a_node_that_is_down_repels_its_pods_unless_all_are_down():
    down = node(ready="Unknown")
    key = ("node.kubernetes.io/unreachable", "NoExecute")
    assert key in taints(down)
    assert key not in taints(down, evict=False)


def test_silence_of_50_seconds_makes_a_node_unknown_and_its_pods_not_ready():
    ready, unready = pod("ready"), pod("unready", ready=False)
    outcome = reconcile(View(node(), (ready, unready), silent_for_s=51), NOW)
    patches = [action for action in outcome.actions if isinstance(action, PatchObject)]
    by_type = {entry["type"]: entry for entry in patches[0].patch["status"]["conditions"]}
    assert by_type["Ready"]["status"] == "Unknown"
    assert by_type["Ready"]["reason"] == "NodeStatusUnknown"
    assert by_type["Ready"]["message"] == "Kubelet stopped posting node status."
    assert by_type["DiskPressure"]["reason"] == "NodeStatusNeverUpdated"
    assert [patch.target.name for patch in patches[1:]] == ["ready"]
    assert patches[1].patch["status"]["conditions"][0]["status"] == "False"
    reasons = [event.message for event in outcome.actions if isinstance(event, RecordEvent)]
    assert reasons == ["Node node-1 status is now: NodeNotReady", "Node is not ready"]


def test_a_kubelet_that_was_just_heard_of_is_not_silent():
    assert reconcile(View(node(), (), silent_for_s=49), NOW).actions == ()


def lease(renewed):
    return Lease(spec=LeaseSpec(renew_time=renewed))


def test_a_renewed_lease_alone_is_a_sign_of_life():
    cache, reconciler = Cache(), NodeLifecycleReconciler()
    cache.apply(NODES, None, node())
    assert reconciler._last_heard(node(), lease("t1"), NOW) == NOW
    assert reconciler._last_heard(node(), lease("t1"), NOW + 40) == NOW
    assert reconciler._last_heard(node(), lease("t2"), NOW + 45) == NOW + 45


def test_a_silent_node_is_found_by_the_controllers_own_clock():
    cache, reconciler = Cache(), NodeLifecycleReconciler()
    cache.apply(NODES, None, node())
    assert reconciler.reconcile(cache, "node-1", NOW, None).actions == ()
    assert reconciler.reconcile(cache, "node-1", NOW + 50, None).actions == ()
    assert reconciler.reconcile(cache, "node-1", NOW + 55, None).actions != ()


def test_a_server_that_was_away_is_not_taken_for_a_silence_of_the_nodes():
    cache, reconciler = Cache(), NodeLifecycleReconciler()
    cache.apply(NODES, None, node())
    away = Failure("TransportError", "no answer")
    assert reconciler.reconcile(cache, "node-1", NOW, None).actions == ()
    assert reconciler.reconcile(cache, "node-1", NOW + 55, None).actions != ()
    assert reconciler.reconcile(cache, "node-1", NOW + 56, away).actions == ()
    assert reconciler.reconcile(cache, "node-1", NOW + 100, None).actions == ()
    assert reconciler.reconcile(cache, "node-1", NOW + 107, None).actions != ()
