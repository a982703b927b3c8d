"""Nodes that die, flap and come back, with all controllers that have a say, in virtual time.

Times are upstream's: 50 s of silence, one eviction in 10 s and zone, 300 s of toleration, a pass of
the pod collector each 20 s and 40 s of quarantine.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from tests.objects import NOW
from tests.world import World

from kubeberth.api.scheme import LEASES, NODES, PODS
from kubeberth.clock import rfc3339, rfc3339_micro
from kubeberth.controllers.nodes.node_lifecycle import NodeLifecycleReconciler
from kubeberth.controllers.nodes.pod_gc import PodGCReconciler
from kubeberth.controllers.nodes.taint_eviction import TaintEvictionReconciler

RENEW_S = 10
LEASE_NAMESPACE = "kube-node-lease"
EVERYTHING = ("unreachable:NoExecute", "unreachable:NoSchedule")


class Simulation:
    """Nodes of some zones with a pod each, and the controllers, a second at a time."""

    def __init__(self, zones: dict[str, int], *, tolerates_s: int | None = 300) -> None:
        self.lifecycle = World(NodeLifecycleReconciler())
        self.eviction = World(TaintEvictionReconciler())
        self.collector = World(PodGCReconciler())
        self.api, self.clock = self.lifecycle.api, self.lifecycle.clock
        for world in (self.eviction, self.collector):
            world.api, world.clock = self.api, self.clock
        self.silent: set[str] = set()
        self.evicted_at: dict[str, float] = {}
        self.tainted_at: dict[str, float] = {}
        self.nodes: list[str] = []
        for zone, count in zones.items():
            for number in range(count):
                self._add(f"{zone}-{number}", zone, tolerates_s)
        self.run(3 * RENEW_S)

    def _add(self, name: str, zone: str, tolerates_s: int | None) -> None:
        self.nodes.append(name)
        labels = {"topology.kubernetes.io/zone": zone}
        condition = {"status": "True", "lastHeartbeatTime": rfc3339(NOW)}
        kinds = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
        conditions = [{"type": kind, **condition} for kind in kinds]
        for entry in conditions[:-1]:
            entry["status"] = "False"
        metadata = {"name": name, "labels": labels}
        self.api.put(NODES, {"metadata": metadata, "status": {"conditions": conditions}})
        lease = {"metadata": {"name": name, "namespace": LEASE_NAMESPACE}, "spec": {}}
        self.api.put(LEASES, lease)
        toleration = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
        toleration |= {"operator": "Exists"}
        if tolerates_s is not None:
            toleration["tolerationSeconds"] = tolerates_s
        spec = {"nodeName": name, "containers": [{"name": "c"}], "tolerations": [toleration]}
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        self.api.put(PODS, {"metadata": {"name": name}, "spec": spec, "status": status})

    # What happens to nodes.

    def fail(self, *names: str) -> None:
        """Have kubelets fall silent."""
        self.silent |= set(names)

    def heal(self, *names: str) -> None:
        """Have kubelets speak again: a new status first, as a kubelet that was away posts one."""
        self.silent -= set(names)
        for name in names:
            self._renew(name)
            stamp = rfc3339(self.clock.time)
            ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": stamp}
            self.api.change(NODES, name, {"status": {"conditions": [ready]}})

    def zone(self, zone: str) -> list[str]:
        return [name for name in self.nodes if name.startswith(f"{zone}-")]

    def _renew(self, name: str) -> None:
        change = {"spec": {"renewTime": rfc3339_micro(self.clock.time)}}
        self.api.change(LEASES, f"{LEASE_NAMESPACE}/{name}", change)

    # Time.

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds)):
            self.clock.time += 1
            for name in self.nodes:
                if name not in self.silent and not self.elapsed % RENEW_S:
                    self._renew(name)
            for _ in range(2):  # what one controller does, another sees in the same second
                self._turn(self.lifecycle, ["", *sorted(self.api.objects[NODES])])
                self._turn(self.eviction, sorted(self.api.objects[PODS]))
            if not self.elapsed % 20:
                self._turn(self.collector, ["", *self.nodes])
            self._note()

    @property
    def elapsed(self) -> int:
        return round(self.clock.time - NOW)

    def _turn(self, world: World, keys: list[str]) -> None:
        cache = world.cache
        for key in keys:
            outcome = world.reconciler.reconcile(cache, key, self.clock.now(), None)
            if outcome.actions:
                world.carry_out(outcome.actions)

    def _note(self) -> None:
        for name in self.nodes:
            if "unreachable:NoExecute" in self.taints(name):
                self.tainted_at.setdefault(name, self.clock.time)
            pod = self.api.objects[PODS].get(f"default/{name}")
            if pod is None or "deletionTimestamp" in pod["metadata"]:
                self.evicted_at.setdefault(name, self.clock.time)

    # What is to be seen.

    def taints(self, name: str) -> tuple[str, ...]:
        node = self.api.objects[NODES].get(name, {})
        taints = node.get("spec", {}).get("taints") or ()
        shown = (f"{taint['key'].rpartition('/')[2]}:{taint['effect']}" for taint in taints)
        return tuple(sorted(shown))

    def is_pod_ready(self, name: str) -> bool:
        conditions = self.api.objects[PODS][f"default/{name}"]["status"]["conditions"]
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def test_one_dead_node_is_tainted_after_its_grace_and_evicted_after_the_toleration():
    world = Simulation({"a": 3})
    world.fail("a-0")
    died_at = world.clock.time
    world.run(45)
    assert world.taints("a-0") == ()
    world.run(20)
    assert world.taints("a-0") == EVERYTHING
    assert not world.is_pod_ready("a-0")
    assert 40 <= world.tainted_at["a-0"] - died_at <= 56
    world.run(299 - (world.clock.time - world.tainted_at["a-0"]))
    assert world.evicted_at == {}
    world.run(2)
    assert list(world.evicted_at) == ["a-0"]
    assert world.evicted_at["a-0"] - world.tainted_at["a-0"] == 300
    assert world.taints("a-1") == world.taints("a-2") == ()


def test_a_node_that_is_back_in_time_keeps_its_pod():
    world = Simulation({"a": 3})
    world.fail("a-0")
    world.run(200)
    assert world.taints("a-0") == EVERYTHING
    world.heal("a-0")
    world.run(2)
    assert world.taints("a-0") == ()
    world.run(400)
    assert world.evicted_at == {}


def test_a_node_that_flaps_gets_its_toleration_anew_each_time():
    world = Simulation({"a": 3})
    for _ in range(3):
        world.fail("a-0")
        world.run(250)
        assert world.taints("a-0") == EVERYTHING
        world.heal("a-0")
        world.run(30)
    assert world.evicted_at == {}


def test_a_node_that_flaps_faster_than_its_grace_is_never_noticed():
    world = Simulation({"a": 3})
    for _ in range(5):
        world.fail("a-0")
        world.run(30)
        world.heal("a-0")
        world.run(10)
        assert world.taints("a-0") == ()
    assert world.tainted_at == {}


def test_pods_that_tolerate_it_for_ever_stay():
    world = Simulation({"a": 3}, tolerates_s=None)
    world.fail("a-0")
    world.run(500)
    assert world.taints("a-0") == EVERYTHING
    assert world.evicted_at == {}


def test_two_nodes_of_a_zone_are_evicted_ten_seconds_apart():
    world = Simulation({"a": 4})
    world.fail("a-0", "a-1")
    world.run(90)
    first, second = sorted(world.tainted_at.values())
    assert second - first == 10


def test_a_whole_zone_is_evicted_one_node_in_ten_seconds_while_another_lives():
    world = Simulation({"a": 3, "b": 3})
    world.fail(*world.zone("a"))
    world.run(100)
    times = sorted(world.tainted_at.values())
    assert [later - sooner for sooner, later in pairwise(times)] == [10, 10]
    assert set(world.tainted_at) == set(world.zone("a"))


def test_most_of_a_small_zone_down_evicts_nobody():
    world = Simulation({"a": 5, "b": 1})
    world.fail("a-0", "a-1", "a-2")
    world.run(120)
    assert world.taints("a-0") == ("unreachable:NoSchedule",)
    assert world.tainted_at == {}
    world.heal("a-2")
    world.run(30)
    assert set(world.tainted_at) == {"a-0", "a-1"}, "with two down the zone is normal again"


@pytest.mark.parametrize("zones", [{"a": 3}, {"a": 2, "b": 2}])
def test_when_everything_falls_silent_nobody_is_evicted_and_all_get_a_new_grace(zones):
    world = Simulation(zones)
    world.fail(*world.nodes)
    world.run(400)
    assert world.evicted_at == {}
    assert all("unreachable:NoExecute" not in world.taints(name) for name in world.nodes)
    back = world.nodes[0]
    world.heal(back)
    world.run(45)
    assert world.evicted_at == {}
    world.heal(*world.nodes)
    world.run(30)
    assert {world.taints(name) for name in world.nodes} == {()}


def test_the_pods_of_a_deleted_node_are_collected_after_the_quarantine():
    world = Simulation({"a": 2})
    world.api.remove(NODES, "a-0")
    deleted_at = world.clock.time
    world.run(90)
    assert "default/a-0" not in world.api.objects[PODS]
    assert 40 <= world.evicted_at["a-0"] - deleted_at <= 80
    assert "default/a-1" in world.api.objects[PODS]


def test_a_terminating_pod_of_a_dead_node_stays_until_the_node_is_out_of_service():
    world = Simulation({"a": 3}, tolerates_s=0)
    world.fail("a-0")
    world.run(100)
    assert "deletionTimestamp" in world.api.objects[PODS]["default/a-0"]["metadata"]
    taint = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}
    spec = {"taints": [*world.api.objects[NODES]["a-0"]["spec"]["taints"], taint]}
    world.api.change(NODES, "a-0", {"spec": spec})
    world.run(41)
    assert "default/a-0" not in world.api.objects[PODS]
