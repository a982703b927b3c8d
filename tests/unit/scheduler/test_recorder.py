from __future__ import annotations

import msgspec
from tests.unit.placement.builders import make_pod

from kubeberth.api.core import Pod
from kubeberth.api.meta import Condition
from kubeberth.placement.decision import Failure
from kubeberth.scheduler.config import Settings
from kubeberth.scheduler.recorder import (
    SERIES_REST_S,
    EventBook,
    EventSeries,
    NewEvent,
    to_condition,
    to_note,
)

NOW = 1_800_000_000.25


def note(book: EventBook, now: float) -> object:
    return book.note(make_pod("web"), "Warning", "FailedScheduling", "Scheduling", "no", now)


def test_first_event_is_created_second_makes_a_series_third_is_counted() -> None:
    book = EventBook(Settings())
    first = note(book, NOW)
    assert isinstance(first, NewEvent)
    assert first.document["eventTime"] == "2027-01-15T08:00:00.250000Z"
    second = note(book, NOW + 1)
    assert isinstance(second, EventSeries)
    assert second.name == first.document["metadata"]["name"]
    assert second.series == {"count": 2, "lastObservedTime": "2027-01-15T08:00:01.250000Z"}
    assert note(book, NOW + 2) is None


def test_series_that_rests_is_written_and_begins_anew() -> None:
    book = EventBook(Settings())
    for second in range(5):
        note(book, NOW + second)
    assert list(book.sweep(NOW + 10)) == []
    [end] = book.sweep(NOW + 10 + SERIES_REST_S)
    assert isinstance(end, EventSeries)
    assert end.series["count"] == 5
    assert isinstance(note(book, NOW + 1000), NewEvent)


def test_note_is_cut_to_what_the_api_allows() -> None:
    assert to_note("x" * 1024) == "x" * 1024
    assert to_note("x" * 1025) == "x" * 1020 + " ..."
    assert len(to_note("ü" * 1000).encode()) <= 1024


def with_condition(condition: Condition) -> Pod:
    pod = make_pod("web")
    status = msgspec.structs.replace(pod.status, conditions=(condition,))
    return msgspec.structs.replace(pod, status=status)


def test_condition_that_is_there_already_is_not_written_again() -> None:
    failure = Failure("no room", frozenset({"NodeResourcesFit"}))
    written = to_condition(make_pod("web"), failure, NOW)
    assert written is not None
    known = msgspec.convert(written, Condition)
    assert to_condition(with_condition(known), failure, NOW + 1) is None


def test_new_message_keeps_the_time_of_the_transition() -> None:
    known = Condition(
        type="PodScheduled",
        status="False",
        reason="Unschedulable",
        message="no room",
        last_transition_time="2026-01-01T00:00:00Z",
    )
    written = to_condition(with_condition(known), Failure("still no room"), NOW)
    assert written is not None
    assert written["lastTransitionTime"] == "2026-01-01T00:00:00Z"


def test_error_has_its_own_reason() -> None:
    written = to_condition(make_pod("web"), Failure("oh", is_error=True), NOW)
    assert written is not None
    assert written["reason"] == "SchedulerError"
