"""A pod that matters more than others gets their room, in the end."""

from __future__ import annotations

from typing import Any

from tests.unit.scheduler.fake_api import FakeApi, node, pod
from tests.unit.scheduler.test_scheduler import with_scheduler

from kubeberth.api.scheme import PODS
from kubeberth.errors import TransportError

Document = dict[str, Any]

BIG = "default/big"


def condition(document: Document, kind: str) -> Document | None:
    conditions = document["status"].get("conditions", ())
    return next((c for c in conditions if c["type"] == kind), None)


def running(name: str, on: str, *, cpu: str = "600m", priority: int = 0) -> Document:
    return pod(name, cpu=cpu, priority=priority, nodeName=on)


def nominated(api: FakeApi, name: str) -> str:
    return str(api.pod(f"default/{name}")["status"].get("nominatedNodeName") or "")


def is_leaving(api: FakeApi, name: str) -> bool:
    return "deletionTimestamp" in api.pod(f"default/{name}")["metadata"]


def test_victim_is_told_why_and_the_pod_gets_its_room() -> None:
    async def story(api: FakeApi) -> None:
        api.put(PODS, pod("big", cpu="600m", priority=10))
        await api.until(lambda: is_leaving(api, "small") and nominated(api, "big") == "a")
        told = condition(api.pod("default/small"), "DisruptionTarget")
        assert told is not None
        assert (told["status"], told["reason"]) == ("True", "PreemptionByScheduler")
        assert told["message"] == (
            "default-scheduler: preempting to accommodate a higher priority pod"
        )
        why = condition(api.pod("default/big"), "PodScheduled")
        assert why is not None
        assert why["message"] == "0/1 nodes are available: 1 Insufficient cpu."
        assert not api.bindings
        api.remove(PODS, "default/small")
        await api.until(lambda: api.bindings == [("default/big", "a")])

    written = with_scheduler(story, node("a"), running("small", "a")).written
    [preempted] = [event for event in written if event["reason"] == "Preempted"]
    assert (preempted["type"], preempted["action"]) == ("Normal", "Preempting")
    assert preempted["regarding"]["name"] == "small"
    assert preempted["note"].startswith("Preempted by pod uid-")
    assert preempted["note"].endswith(" on node a")


def test_nobody_else_takes_the_room_that_was_made() -> None:
    async def story(api: FakeApi) -> None:
        api.put(PODS, pod("big", cpu="600m", priority=10))
        await api.until(lambda: nominated(api, "big") == "a")
        api.put(PODS, pod("late", cpu="600m", priority=5))
        await api.until(lambda: condition(api.pod("default/late"), "PodScheduled"))
        api.remove(PODS, "default/small")
        await api.until(lambda: api.bindings)
        assert api.bindings == [("default/big", "a")]

    with_scheduler(story, node("a"), running("small", "a"))


def test_more_important_pod_takes_over_a_nomination() -> None:
    async def story(api: FakeApi) -> None:
        api.put(PODS, pod("big", cpu="600m", priority=10))
        await api.until(lambda: nominated(api, "big") == "a")
        api.put(PODS, pod("bigger", cpu="600m", priority=20))
        await api.until(lambda: nominated(api, "bigger") == "a" and not nominated(api, "big"))
        api.remove(PODS, "default/small")
        await api.until(lambda: api.bindings == [("default/bigger", "a")])

    with_scheduler(story, node("a"), running("small", "a"))


def test_pod_waits_for_all_its_victims_and_asks_nobody_else() -> None:
    async def story(api: FakeApi) -> None:
        api.put(PODS, pod("big", cpu="900m", priority=10))
        await api.until(lambda: is_leaving(api, "one") and is_leaving(api, "two"))
        api.remove(PODS, "default/one")
        await api.until(lambda: "terminating pod on the nominated node" in str(api.pod(BIG)))
        assert nominated(api, "big") == "a"
        assert not is_leaving(api, "three")
        api.remove(PODS, "default/two")
        await api.until(lambda: api.bindings == [("default/big", "a")])

    victims = [running("one", "a", cpu="500m"), running("two", "a", cpu="500m")]
    others = running("three", "b", cpu="1", priority=5)
    with_scheduler(story, node("a"), node("b"), *victims, others)


def test_pod_is_tried_again_when_a_victim_could_not_be_asked_to_go() -> None:
    async def story(api: FakeApi) -> None:
        refusals = [TransportError("no answer")]
        api.refuse_delete = lambda _: refusals.pop() if refusals else None
        api.put(PODS, pod("big", cpu="600m", priority=10))
        await api.until(lambda: is_leaving(api, "small"))

    with_scheduler(story, node("a"), running("small", "a"))


def test_nomination_is_cleared_when_it_leads_nowhere() -> None:
    async def story(api: FakeApi) -> None:
        waiting = pod("big", cpu="600m", priority=10)
        waiting["status"]["nominatedNodeName"] = "a"
        api.put(PODS, waiting)
        await api.until(lambda: condition(api.pod(BIG), "PodScheduled"))
        assert not nominated(api, "big")

    with_scheduler(story, node("a"), running("peer", "a", priority=10))


def test_room_of_a_nominated_pod_that_is_deleted_goes_to_the_next() -> None:
    async def story(api: FakeApi) -> None:
        api.put(PODS, pod("big", cpu="600m", priority=10))
        await api.until(lambda: nominated(api, "big") == "a")
        api.put(PODS, pod("late", cpu="300m", priority=5))
        await api.until(lambda: condition(api.pod("default/late"), "PodScheduled"))
        assert not api.bindings
        api.remove(PODS, BIG)
        await api.until(lambda: api.bindings == [("default/late", "a")])

    with_scheduler(story, node("a"), running("small", "a"))
