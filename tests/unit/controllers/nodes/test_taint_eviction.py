import pytest
from tests.objects import NOW, node, pod

from kubeberth.api.core import Taint, Toleration
from kubeberth.api.scheme import NODES, PODS
from kubeberth.controllers.action import DeleteObject, PatchObject, RecordEvent
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.nodes.taint_eviction import (
    TaintEvictionReconciler,
    decide,
    no_execute,
    tolerated_for_s,
)

UNREACHABLE = Taint(key="node.kubernetes.io/unreachable", effect="NoExecute")
DEDICATED = Taint(key="dedicated", value="db", effect="NoExecute")


def tolerating(seconds=None, key="node.kubernetes.io/unreachable"):
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}


def tolerations(*seconds):
    return [
        Toleration(key=UNREACHABLE.key, operator="Exists", toleration_seconds=each)
        for each in seconds
    ]


@pytest.mark.parametrize(
    ("given", "taints", "allowed"),
    [
        pytest.param([], [], None, id="no taints"),
        pytest.param([], [UNREACHABLE], 0, id="not tolerated"),
        pytest.param([None], [UNREACHABLE], None, id="tolerated for ever"),
        pytest.param([300], [UNREACHABLE], 300, id="tolerated for a while"),
        pytest.param([-5], [UNREACHABLE], 0, id="below zero means not at all"),
        pytest.param([300, 10], [UNREACHABLE], 300, id="the first that matches counts"),
        pytest.param([300], [UNREACHABLE, DEDICATED], 0, id="every taint must be tolerated"),
    ],
)
def test_taints_are_tolerated_for_the_shortest_of_the_used_tolerations(given, taints, allowed):
    assert tolerated_for_s(tolerations(*given), taints) == allowed


def test_an_untolerated_taint_evicts_at_once_and_says_so():
    event, patch, deletion = decide(pod(), [DEDICATED], None, NOW).outcome.actions
    assert isinstance(event, RecordEvent)
    assert (event.reason, event.message) == (
        "TaintManagerEviction",
        "Marking for deletion Pod default/web-1",
    )
    assert isinstance(patch, PatchObject)
    [condition] = patch.patch["status"]["conditions"]
    assert condition["reason"] == "DeletionByTaintManager"
    assert condition["message"] == "Taint manager: deleting due to NoExecute taint"
    assert isinstance(deletion, DeleteObject)
    assert deletion.grace_period_s is None, "with the pod's own grace period"


def test_a_pod_that_is_leaving_is_let_be():
    assert decide(pod(deleting=True), [DEDICATED], None, NOW).outcome.actions == ()


class World:
    """A node, a pod on it, and the controller over time."""

    def __init__(self, *given):
        self.cache, self.reconciler = Cache(), TaintEvictionReconciler()
        self.node = self.pod = None
        self.set(NODES, node())
        self.set(PODS, pod(spec={"tolerations": list(given)}))

    def set(self, resource, new):
        old = self.cache.get(resource, new.metadata.key)
        self.cache.apply(resource, old, new)
        return list(self.reconciler.keys(self.cache, resource, old, new))

    def taint(self, *keys):
        taints = [{"key": key, "effect": "NoExecute"} for key in keys]
        return self.set(NODES, node(taints=taints))

    def at(self, seconds):
        return self.reconciler.reconcile(self.cache, "default/web-1", NOW + seconds, None)

    def is_evicted_at(self, seconds):
        return any(isinstance(action, DeleteObject) for action in self.at(seconds).actions)


def test_a_change_of_taints_concerns_the_pods_of_the_node():
    world = World()
    assert world.taint(UNREACHABLE.key) == ["default/web-1"]
    assert world.taint(UNREACHABLE.key) == []
    assert [taint.key for taint in no_execute(world.cache.node("node-1"))] == [UNREACHABLE.key]


def test_a_pod_made_anew_while_the_watch_was_away_is_looked_at_like_any_new_one():
    world = World(tolerating(300))
    world.taint(UNREACHABLE.key)
    world.at(0)
    new = pod(uid="another", spec={"tolerations": [tolerating(300)]})
    assert world.set(PODS, new) == ["default/web-1"]
    assert not world.is_evicted_at(299)
    assert world.reconciler.timers == 1


def test_a_pod_goes_when_its_time_is_over():
    """N112."""
    world = World(tolerating(300))
    world.taint(UNREACHABLE.key)
    assert world.at(0).requeue_after_s == 300
    assert not world.is_evicted_at(299)
    assert world.is_evicted_at(300)


def test_a_node_that_is_back_in_time_keeps_its_pods():
    """N113."""
    world = World(tolerating(300))
    world.taint(UNREACHABLE.key)
    world.at(0)
    world.taint()
    assert [a.message for a in world.at(100).actions] == [
        "Cancelling deletion of Pod default/web-1"
    ]
    world.taint(UNREACHABLE.key)
    assert world.at(400).requeue_after_s == 300, "the next absence counts from its own beginning"


@pytest.mark.parametrize("seconds", [10, 3000])
def test_a_running_timer_is_not_moved(seconds):
    """N114."""
    world = World(tolerating(300))
    world.taint(UNREACHABLE.key)
    world.at(0)
    world.set(PODS, pod(spec={"tolerations": [tolerating(seconds)]}))
    assert not world.is_evicted_at(200)
    assert world.is_evicted_at(300)


def test_tolerating_for_ever_cancels_the_timer():
    """N115."""
    world = World(tolerating(300))
    world.taint(UNREACHABLE.key)
    world.at(0)
    assert world.set(PODS, pod(spec={"tolerations": [tolerating(None)]})) == ["default/web-1"]
    assert not world.is_evicted_at(400)


def test_a_further_taint_that_is_not_tolerated_evicts_at_once():
    """N116."""
    world = World(tolerating(300))
    world.taint(UNREACHABLE.key)
    world.at(0)
    world.taint(UNREACHABLE.key, "dedicated")
    assert world.is_evicted_at(1)
