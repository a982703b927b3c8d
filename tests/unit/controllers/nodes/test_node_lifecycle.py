import msgspec
import pytest
from tests.objects import NOW, condition, node, pod

from kubeberth.api.core import Taint
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


class Cluster:
    """Nodes that come and go, and what the controller makes of them as time passes."""

    def __init__(self, n_nodes, **labels):
        self.cache, self.reconciler = Cache(), NodeLifecycleReconciler()
        self.labels = labels
        for number in range(n_nodes):
            self.set(f"n{number}", "True")

    def set(self, name, ready, **labels):
        old = self.cache.node(name)
        labels = {**self.labels, **labels} if old is None else old.metadata.labels
        pressure = "Unknown" if ready == "Unknown" else "False"
        pressures = [
            condition(type_, pressure)
            for type_ in ("MemoryPressure", "DiskPressure", "PIDPressure")
        ]
        self.put(node(name, ready=ready, labels=labels, conditions=pressures))

    def put(self, new):
        self.cache.apply(NODES, self.cache.node(new.metadata.name), new)

    def evicting(self, since, until):
        """Return since when which nodes have evicted their pods, looking second by second."""
        first = {}
        for now in range(since, until):
            self.reconciler.reconcile(self.cache, "", NOW + now, None)
            for name in list(self.cache.nodes()):
                outcome = self.reconciler.reconcile(self.cache, name, NOW + now, None)
                for action in outcome.actions:
                    if isinstance(action, PatchObject) and "spec" in action.patch:
                        self.taint(name, action.patch["spec"]["taints"] or [])
            for name, each in self.cache.nodes().items():
                if any(taint.effect == "NoExecute" for taint in each.spec.taints):
                    first.setdefault(name, now)
                else:
                    first.pop(name, None)
        return first

    def taint(self, name, taints):
        old = self.cache.node(name)
        spec = msgspec.structs.replace(old.spec, taints=msgspec.convert(taints, tuple[Taint, ...]))
        self.put(msgspec.structs.replace(old, spec=spec))


def test_one_node_after_the_other_evicts_its_pods():
    """N119: two of three nodes are no disruption."""
    cluster = Cluster(3)
    for name in ("n0", "n1"):
        cluster.set(name, "Unknown")
    assert cluster.evicting(0, 30) == {"n0": 0, "n1": 10}


def test_a_small_zone_of_which_most_is_down_evicts_nobody():
    """N117."""
    cluster = Cluster(5)
    for name in ("n0", "n1", "n2"):
        cluster.set(name, "Unknown")
    assert cluster.evicting(0, 30) == {}
    cluster.set("n2", "True")
    assert cluster.evicting(30, 60) == {"n0": 40, "n1": 50}


def test_a_large_zone_of_which_most_is_down_evicts_seldom():
    """N118."""
    cluster = Cluster(60)
    for number in range(34):
        cluster.set(f"n{number}", "Unknown")
    assert cluster.evicting(0, 205) == {"n0": 0, "n1": 100, "n2": 200}


def test_when_all_is_down_nobody_is_evicted_and_what_was_begun_is_taken_back():
    """N120."""
    cluster = Cluster(4)
    cluster.set("n0", "Unknown")
    assert cluster.evicting(0, 5) == {"n0": 0}
    for number in range(1, 4):
        cluster.set(f"n{number}", "False")
    assert cluster.evicting(5, 30) == {}
    cluster.set("n2", "True")
    cluster.set("n3", "True")
    assert cluster.evicting(30, 55) == {"n0": 40, "n1": 50}


def test_after_all_were_down_each_kubelet_has_its_time_again():
    """N120."""
    cluster = Cluster(2)
    cluster.evicting(0, 1)
    for name in ("n0", "n1"):
        cluster.set(name, "Unknown")
    cluster.evicting(1, 100)
    cluster.set("n0", "True")
    cluster.evicting(100, 101)
    assert cluster.reconciler.reconcile(cluster.cache, "n0", NOW + 149, None).actions == ()
    assert cluster.reconciler.reconcile(cluster.cache, "n0", NOW + 152, None).actions != ()


def test_a_zone_that_is_down_as_a_whole_is_evicted_as_long_as_another_is_not():
    """N121."""
    cluster = Cluster(0)
    for name, zone in (("a1", "a"), ("a2", "a"), ("b1", "b")):
        cluster.set(name, "True", **{"topology.kubernetes.io/zone": zone})
    for name in ("a1", "a2"):
        cluster.set(name, "Unknown")
    assert cluster.evicting(0, 30) == {"a1": 0, "a2": 10}


def test_a_zone_does_not_wait_for_another():
    cluster = Cluster(0)
    for name, zone in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b")):
        cluster.set(name, "True", **{"topology.kubernetes.io/zone": zone})
    for name in ("a1", "b1"):
        cluster.set(name, "Unknown")
    assert cluster.evicting(0, 30) == {"a1": 0, "b1": 0}


def test_excluded_nodes_do_not_count():
    cluster = Cluster(2)
    for number in range(2, 5):
        cluster.set(f"n{number}", "True", **{"node.kubernetes.io/exclude-disruption": ""})
        cluster.set(f"n{number}", "Unknown")
    assert cluster.evicting(0, 15) == {"n2": 0, "n3": 10}, "five of which three are down would not"


def test_a_node_that_comes_back_in_another_state_swaps_its_taint_at_once():
    """N111."""
    cluster = Cluster(3)
    cluster.set("n0", "Unknown")
    assert cluster.evicting(0, 5) == {"n0": 0}
    taints = [
        {"key": taint.key, "effect": taint.effect} for taint in cluster.cache.node("n0").spec.taints
    ]
    cluster.put(node("n0", ready="False", taints=taints))
    cluster.evicting(5, 6)
    keys = {(taint.key, taint.effect) for taint in cluster.cache.node("n0").spec.taints}
    assert keys == {
        ("node.kubernetes.io/not-ready", "NoSchedule"),
        ("node.kubernetes.io/not-ready", "NoExecute"),
    }


def test_a_controller_that_starts_lets_nodes_earn_their_eviction_again():
    cluster = Cluster(3)
    cluster.put(
        node(
            "n0",
            ready="Unknown",
            taints=[{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}],
        )
    )
    (patch,) = cluster.reconciler.reconcile(cluster.cache, "n0", NOW, None).actions
    assert [(t["key"], t["effect"]) for t in patch.patch["spec"]["taints"]] == [
        ("node.kubernetes.io/unreachable", "NoSchedule")
    ]


def test_a_node_that_is_down_wakes_the_pass_over_all():
    reconciler, cache = NodeLifecycleReconciler(), Cache()
    assert list(reconciler.keys(cache, NODES, node(), node(ready="False"))) == ["", "node-1"]
    assert list(reconciler.keys(cache, NODES, node(), node())) == ["node-1"]


def test_a_server_that_was_away_is_not_taken_for_a_silence_of_the_nodes():
    cache, reconciler = Cache(), NodeLifecycleReconciler()
    cache.apply(NODES, None, node())
    away = Failure("TransportError", "no answer")
    assert reconciler.reconcile(cache, "node-1", NOW, None).actions == ()
    assert reconciler.reconcile(cache, "node-1", NOW + 55, None).actions != ()
    assert reconciler.reconcile(cache, "node-1", NOW + 56, away).actions == ()
    assert reconciler.reconcile(cache, "node-1", NOW + 100, None).actions == ()
    assert reconciler.reconcile(cache, "node-1", NOW + 107, None).actions != ()
