from __future__ import annotations

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.unit.placement.builders import make_node, make_pod

from kubeberth.api.core import Node, Pod
from kubeberth.scheduler.config import Backoff
from kubeberth.scheduler.hints import NodeEvent
from kubeberth.scheduler.queue import Place, SchedulingQueue


def is_gated(pod: Pod) -> bool:
    return bool(pod.spec.scheduling_gates)


FIT = frozenset({"NodeResourcesFit"})
ROOMY = NodeEvent(None, make_node("roomy"))
TINY = NodeEvent(None, make_node("tiny", cpu="1m"))


def pod(name: str, version: int = 1, **spec: object) -> Pod:
    made = make_pod(name, requests={"cpu": "1"}, **spec)
    meta = msgspec.structs.replace(made.metadata, uid=f"uid-{name}", resource_version=str(version))
    return msgspec.structs.replace(made, metadata=meta)


def queue_of(*pods: Pod) -> SchedulingQueue:
    queue = SchedulingQueue(is_gated)
    for index, item in enumerate(pods):
        queue.put(item, index * 0.001, {})
    return queue


def names(queue: SchedulingQueue, now: float) -> list[str]:
    found = []
    while (entry := queue.pop(now)) is not None:
        found.append(entry.pod.metadata.name)
    return found


def refuse(queue: SchedulingQueue, now: float, by: frozenset[str] = FIT) -> None:
    entry = queue.pop(now)
    assert entry is not None
    queue.park(entry, by, now, {})


def test_higher_priority_first_then_older() -> None:
    queue = queue_of(pod("low"), pod("older", priority=10), pod("younger", priority=10))
    assert names(queue, 1.0) == ["older", "younger", "low"]


def test_a_pod_that_changes_keeps_its_place_among_those_that_came_at_the_same_moment() -> None:
    queue = SchedulingQueue(is_gated)
    for item in (pod("a"), pod("b"), pod("a", version=2)):
        queue.put(item, 0.0, {})
    assert names(queue, 1.0) == ["a", "b"]


def alike(queue: SchedulingQueue, most: int = 64) -> list[list[str]]:
    """Return the names of the pods that come out together, batch by batch."""
    found = []
    while batch := queue.pop_alike(1.0, most, lambda pod: (pod.priority, pod.spec.node_selector)):
        found.append([entry.pod.metadata.name for entry in batch])
    return found


def test_neighbours_of_one_template_come_out_together_and_overtake_nobody() -> None:
    ssd = {"nodeSelector": {"disk": "ssd"}}
    queue = queue_of(
        pod("a"), pod("b"), pod("c", **ssd), pod("d"), pod("urgent", priority=1), pod("e")
    )
    assert alike(queue) == [["urgent"], ["a", "b"], ["c"], ["d", "e"]]


def test_a_batch_is_no_larger_than_asked_for() -> None:
    queue = queue_of(*(pod(name) for name in "abcde"))
    assert alike(queue, most=2) == [["a", "b"], ["c", "d"], ["e"]]


def test_whoever_becomes_ready_early_comes_out_alone() -> None:
    queue = queue_of(pod("a"), pod("b"))
    for _ in range(2):
        refuse(queue, 1.0, by=FIT)
    queue.wake(ROOMY, 1.0, {})
    assert alike(queue) == [["a"], ["b"]], "their backoff is not over, but nobody else is there"


def test_backoff_doubles_up_to_ten_seconds() -> None:
    assert [Backoff().after(n) for n in range(7)] == [0, 1, 2, 4, 8, 10, 10]


def test_refused_pod_waits_for_an_event_that_may_help() -> None:
    queue = queue_of(pod("web"))
    refuse(queue, 1.0)
    queue.wake(TINY, 1.1, {})
    assert names(queue, 20.0) == []
    queue.wake(ROOMY, 20.1, {})
    assert names(queue, 20.1) == ["web"]


def test_woken_pod_sits_out_its_backoff_while_others_are_ready() -> None:
    queue = queue_of(pod("web"))
    refuse(queue, 1.0)
    queue.wake(ROOMY, 1.1, {})
    queue.put(pod("other"), 1.2, {})
    entry = queue.get("default/web")
    assert entry is not None
    assert entry.place is Place.BACKOFF
    assert names(queue, 1.2) == ["other", "web"]


def test_error_is_tried_again_after_its_backoff_and_not_before() -> None:
    queue = queue_of(pod("web"))
    refuse(queue, 1.0, by=frozenset())
    assert names(queue, 2.9) == []
    assert queue.next_change_at() == 3.0
    assert names(queue, 3.0) == ["web"]


def test_the_moment_that_is_waited_for_is_one_at_which_something_is_done() -> None:
    queue = queue_of(pod("web"))
    refuse(queue, 122.7)
    # In floats, 152.7 - 122.7 is less than 30.
    at = queue.next_change_at()
    assert at is not None
    assert queue.pop(at) is None
    later = queue.next_change_at()
    assert later is not None
    assert later > at


def test_event_during_the_attempt_is_held_against_the_refusal() -> None:
    queue = queue_of(pod("web"))
    entry = queue.pop(1.0)
    assert entry is not None
    queue.wake(ROOMY, 1.0, {})
    queue.park(entry, FIT, 1.0, {})
    assert entry.place is Place.BACKOFF


def test_event_before_the_attempt_is_not() -> None:
    queue = queue_of(pod("web"), pod("other"))
    first = queue.pop(1.0)
    queue.wake(ROOMY, 1.0, {})
    second = queue.pop(1.0)
    assert first is not None
    assert second is not None
    queue.park(second, FIT, 1.0, {})
    assert second.place is Place.WAITING


def test_gated_pod_waits_for_its_gates_alone() -> None:
    gates = [{"name": "example.com/a"}, {"name": "example.com/b"}]
    queue = queue_of(pod("web", schedulingGates=gates))
    queue.wake(ROOMY, 1.0, {})
    assert names(queue, 400.0) == []
    queue.put(pod("web", 2, schedulingGates=gates[:1]), 401.0, {})
    assert names(queue, 401.0) == []
    queue.put(pod("web", 3), 402.0, {})
    assert names(queue, 402.0) == ["web"]


def test_change_of_status_alone_wakes_nobody() -> None:
    queue = queue_of(pod("web"))
    refuse(queue, 1.0)
    queue.put(pod("web", 2), 2.0, {})
    assert names(queue, 20.0) == []


def test_pod_is_not_tried_while_its_victims_are_being_asked_to_go() -> None:
    queue = queue_of(pod("web"))
    entry = queue.pop(1.0)
    assert entry is not None
    queue.hold(entry)
    queue.park(entry, FIT, 1.0, {})
    queue.wake(ROOMY, 1.1, {})
    assert names(queue, 30.0) == []
    queue.release(entry, 30.0, is_woken=False)
    assert names(queue, 30.0) == ["web"]


def test_event_missed_in_flight_counts_once_all_victims_are_asked() -> None:
    queue = queue_of(pod("web"))
    entry = queue.pop(1.0)
    assert entry is not None
    queue.wake(ROOMY, 1.1, {})
    queue.hold(entry)
    queue.park(entry, FIT, 1.2, {})
    assert names(queue, 30.0) == []
    queue.release(entry, 30.0, is_woken=False)
    assert names(queue, 30.0) == ["web"]


def test_pod_waits_on_when_its_victims_are_asked_and_nothing_has_happened() -> None:
    queue = queue_of(pod("web"))
    entry = queue.pop(1.0)
    assert entry is not None
    queue.hold(entry)
    queue.park(entry, FIT, 1.0, {})
    queue.release(entry, 30.0, is_woken=False)
    assert names(queue, 30.0) == []


def test_pod_of_the_same_name_is_another_pod() -> None:
    queue = queue_of(pod("web"))
    refuse(queue, 1.0)
    again = pod("web", 5)
    meta = msgspec.structs.replace(again.metadata, uid="another")
    queue.put(msgspec.structs.replace(again, metadata=meta), 2.0, {})
    assert names(queue, 2.0) == ["web"]


def test_nobody_waits_for_longer_than_five_minutes() -> None:
    queue = queue_of(pod("web"))
    refuse(queue, 1.0)
    assert names(queue, 290.0) == []
    assert names(queue, 335.0) == ["web"]


def test_success_of_another_binding_leaves_a_pod_in_binding_alone() -> None:
    queue = queue_of(pod("web"))
    entry = queue.pop(1.0)
    assert entry is not None
    queue.settle(entry)
    queue.wake(ROOMY, 1.0, {})
    assert names(queue, 50.0) == []
    queue.park(entry, frozenset(), 50.0, {})
    assert names(queue, 52.0) == ["web"]


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order, the rules of the queue hold and no pod is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = SchedulingQueue(is_gated)
        self.now = 0.0
        self.version = 0
        self.known: set[str] = set()
        self.in_flight: list[object] = []
        self.preempting: list[object] = []

    @rule(name=st.sampled_from("abcd"), gated=st.booleans(), priority=st.integers(0, 2))
    def put(self, name: str, gated: bool, priority: int) -> None:
        self.version += 1
        gates = [{"name": "wait"}] if gated else []
        self.queue.put(
            pod(name, self.version, priority=priority, schedulingGates=gates), self.now, {}
        )
        self.known.add(f"default/{name}")

    @rule(name=st.sampled_from("abcd"))
    def remove(self, name: str) -> None:
        self.queue.remove(f"default/{name}")
        self.known.discard(f"default/{name}")

    @rule()
    def pop(self) -> None:
        entry = self.queue.pop(self.now)
        if entry is not None:
            assert entry.place is Place.IN_FLIGHT
            assert entry not in self.preempting
            self.in_flight.append(entry)

    @rule(by=st.sampled_from([FIT, frozenset[str](), frozenset({"NodeName"})]))
    def park(self, by: frozenset[str]) -> None:
        if self.in_flight:
            self.queue.park(self.in_flight.pop(), by, self.now, {})  # type: ignore[arg-type]

    @rule(by=st.sampled_from([FIT, frozenset({"NodeName"})]))
    def preempt(self, by: frozenset[str]) -> None:
        if self.in_flight:
            entry = self.in_flight.pop()
            self.queue.hold(entry)  # type: ignore[arg-type]
            self.queue.park(entry, by, self.now, {})  # type: ignore[arg-type]
            self.preempting.append(entry)

    @rule(is_woken=st.booleans())
    def release(self, is_woken: bool) -> None:
        if self.preempting:
            entry = self.preempting.pop()
            self.queue.release(entry, self.now, is_woken=is_woken)  # type: ignore[arg-type]

    @rule()
    def settle(self) -> None:
        if self.in_flight:
            entry = self.in_flight.pop()
            if self.queue.get(entry.pod.metadata.key) is entry:  # type: ignore[attr-defined]
                self.queue.settle(entry)  # type: ignore[arg-type]

    @rule(node=st.sampled_from([make_node("roomy"), make_node("tiny", cpu="1m")]))
    def wake(self, node: Node) -> None:
        self.queue.wake(NodeEvent(None, node), self.now, {})

    @rule(seconds=st.sampled_from([0.1, 1.0, 30.0, 400.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def rules_hold(self) -> None:
        self.queue.check_invariants()
        assert {key for key in self.known if key in self.queue} == self.known
        assert len(self.queue) == len(self.known)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
