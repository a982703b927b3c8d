from msgspec.structs import replace
from tests.objects import NOW

from kubeberth.api.events import (
    BURST,
    REFILL_S,
    CountedEvent,
    EventCorrelator,
    EventMemory,
    NewEvent,
)
from kubeberth.api.meta import ObjectReference

POD = ObjectReference(api_version="v1", kind="Pod", name="web", namespace="team", uid="u")


def observe(correlator, message="m", *, about=POD, now=NOW, reason="Created"):
    return correlator.observe(about, "Normal", reason, message, now)


def test_a_new_event_says_who_saw_what_when():
    event = observe(EventCorrelator("kubelet", "node-1"), "Container created")
    assert isinstance(event, NewEvent)
    assert event.namespace == "team"
    body = event.body
    assert body["metadata"]["name"].startswith("web.")
    assert body["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "web",
        "namespace": "team",
        "uid": "u",
    }
    assert (body["type"], body["reason"]) == ("Normal", "Created")
    assert body["message"] == "Container created"
    assert body["source"] == {"component": "kubelet", "host": "node-1"}
    assert body["firstTimestamp"] == body["lastTimestamp"] == "2027-01-15T08:00:00Z"
    assert body["count"] == 1


def test_events_about_what_has_no_namespace_go_to_default():
    node = ObjectReference(kind="Node", name="node-1")
    event = observe(EventCorrelator("node-controller"), about=node)
    assert event.namespace == event.body["metadata"]["namespace"] == "default"


def test_the_same_event_again_raises_the_count_of_the_first():
    correlator = EventCorrelator("kubelet")
    first = observe(correlator)
    again = observe(correlator, now=NOW + 60)
    assert isinstance(again, CountedEvent)
    assert again.name == first.body["metadata"]["name"]
    assert again.patch == {"count": 2, "lastTimestamp": "2027-01-15T08:01:00Z", "message": "m"}


def test_from_the_tenth_similar_message_on_they_are_one_event():
    correlator = EventCorrelator("replicaset-controller")
    events = [observe(correlator, f"Created pod: web-{n}") for n in range(12)]
    assert [type(event) for event in events[:10]] == [NewEvent] * 10
    combined = "(combined from similar events): Created pod: web-"
    assert events[9].body["message"] == f"{combined}9"
    assert isinstance(events[10], CountedEvent)
    assert events[10].patch["message"] == f"{combined}10"


def test_messages_of_long_ago_are_not_similar_any_more():
    correlator = EventCorrelator("replicaset-controller")
    for n in range(9):
        observe(correlator, f"m{n}")
    event = observe(correlator, "m9", now=NOW + 601)
    assert event.body["message"] == "m9"


def test_an_object_gets_25_events_at_once_and_then_one_in_five_minutes():
    correlator = EventCorrelator("kubelet")
    written = [observe(correlator) for _ in range(BURST + 5)]
    assert [event is None for event in written] == [False] * BURST + [True] * 5
    assert observe(correlator, now=NOW + REFILL_S - 1) is None
    assert observe(correlator, now=NOW + REFILL_S) is not None
    other = replace(POD, name="other")
    assert observe(correlator, about=other) is not None


def test_two_events_of_one_moment_have_different_names():
    correlator = EventCorrelator("kubelet")
    names = {observe(correlator, f"m{n}").body["metadata"]["name"] for n in range(5)}
    assert len(names) == 5


def test_components_that_share_a_memory_do_not_count_for_each_other():
    memory = EventMemory()
    for host in ("node-1", "node-2"):
        correlator = EventCorrelator("kubelet", host, memory)
        assert isinstance(observe(correlator), NewEvent)
        assert isinstance(observe(correlator), CountedEvent)


def test_a_memory_forgets_what_is_oldest_when_it_is_full():
    correlator = EventCorrelator("kubelet", "node-1", EventMemory(max_entries=2))
    things = [replace(POD, name=name) for name in ("a", "b", "c")]
    for thing in things:
        observe(correlator, about=thing)
    assert isinstance(observe(correlator, about=things[2]), CountedEvent)
    assert isinstance(observe(correlator, about=things[0]), NewEvent)
