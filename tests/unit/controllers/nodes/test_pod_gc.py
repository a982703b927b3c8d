from tests.objects import NOW, node, pod

from kubeberth.api.scheme import NODES, PODS
from kubeberth.controllers.action import ConfirmAbsent, DeleteObject, PatchObject
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.nodes.pod_gc import (
    PERIOD_S,
    PodGCReconciler,
    reconcile_missing,
    reconcile_pass,
)


def deleted(outcome):
    return [a.target.name for a in outcome.actions if isinstance(a, DeleteObject)]


def test_a_pod_of_a_missing_node_is_let_be_for_40_seconds():
    outcome = reconcile_missing("ghost", [pod(node="ghost")], 15, NOW)
    assert outcome.actions == ()
    assert outcome.requeue_after_s == 25


def test_then_it_fails_and_goes_once_the_api_says_that_the_node_is_gone():
    outcome = reconcile_missing("ghost", [pod(node="ghost", phase="Pending")], 40, NOW)
    confirmation, patch, deletion = outcome.actions
    assert isinstance(confirmation, ConfirmAbsent)
    assert confirmation.target.name == "ghost"
    assert isinstance(patch, PatchObject)
    assert patch.patch["status"]["phase"] == "Failed"
    [condition] = patch.patch["status"]["conditions"]
    assert condition["type"] == "DisruptionTarget"
    assert condition["reason"] == "DeletionByPodGC"
    assert condition["message"] == "PodGC: node no longer exists"
    assert deletion == DeleteObject(patch.target, grace_period_s=0)


def test_a_node_that_appears_in_time_saves_its_pods():
    cache, reconciler = Cache(), PodGCReconciler()
    cache.apply(PODS, None, pod(node="ghost"))
    assert reconciler.reconcile(cache, "ghost", NOW, None).requeue_after_s == 40
    cache.apply(NODES, None, node("ghost"))
    assert reconciler.reconcile(cache, "ghost", NOW + 40, None).actions == ()
    cache.apply(NODES, node("ghost"), None)
    again = reconciler.reconcile(cache, "ghost", NOW + 50, None)
    assert again.requeue_after_s == 40, "the next absence counts from its own beginning"


def test_too_many_ended_pods_go_evicted_and_old_ones_first():
    pods = [
        pod("young", phase="Succeeded", created=NOW - 1),
        pod("old", phase="Failed", created=NOW - 500),
        pod("evicted", phase="Failed", created=NOW, status={"reason": "Evicted"}),
        pod("running"),
    ]
    outcome = reconcile_pass(pods, {"node-1": node()}, threshold=1)
    assert deleted(outcome) == ["evicted", "old"]
    assert outcome.requeue_after_s == PERIOD_S
    assert deleted(reconcile_pass(pods, {}, threshold=0)) == [], "0 keeps all"


def test_terminating_pods_that_no_kubelet_will_end_are_removed():
    out_of_service = [{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]
    dead = node("dead", ready="Unknown", taints=out_of_service)
    alive = node("alive", taints=out_of_service)
    pods = [
        pod("unscheduled", node="", deleting=True),
        pod("on-dead", node="dead", deleting=True),
        pod("on-alive", node="alive", deleting=True),
        pod("staying", node="dead"),
    ]
    outcome = reconcile_pass(pods, {"dead": dead, "alive": alive})
    assert deleted(outcome) == ["unscheduled", "on-dead"]
