"""Recorder: what the scheduler lets users see: events, and the PodScheduled condition.

Texts match kube-scheduler 1.36 (schedule_one.go), repeats are handled as by its event recorder
(client-go tools/events): the second event of a kind makes a series of the first, the following ones
are counted here and written when the series rests.

`EventBook` decides what is to be written, `Recorder` writes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kubeberth.api.core import Pod
from kubeberth.api.meta import ObjectMeta
from kubeberth.api.scheme import NEW_EVENTS, PODS
from kubeberth.client.client import Client
from kubeberth.clock import Clock, rfc3339, rfc3339_micro
from kubeberth.errors import BerthError, TransportError
from kubeberth.placement.decision import Failure
from kubeberth.scheduler.config import Settings

logger = logging.getLogger(__name__)

Document = dict[str, Any]

# As client-go: a series that has rested for so long is written and closed.
SERIES_REST_S = 360.0
SWEEP_INTERVAL_S = 60.0
# As upstream: what an event's note may hold.
MAX_NOTE_BYTES = 1024
# Writing is slower than deciding when a great many pods fail at once: the oldest news goes first.
MAX_PENDING = 20_000
N_WRITERS = 4
RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be created."""

    document: Document


@dataclass(frozen=True, slots=True)
class EventSeries:
    """A series to be noted on an event that was created before."""

    namespace: str
    name: str
    series: Document


@dataclass(frozen=True, slots=True)
class PodCondition:
    """What a failed attempt leaves in a pod's status.

    Parameters
    ----------
    condition
        Left as it is where this is None.
    nominated_node
        Name of the node that the pod waits for, empty for none; left as it is where this is None.
    """

    pod: Pod
    condition: Document | None
    nominated_node: str | None = None

    @property
    def status(self) -> Document:
        """The part of the status that is to be changed."""
        status: Document = {}
        if self.condition is not None:
            status["conditions"] = [self.condition]
        if self.nominated_node is not None:
            status["nominatedNodeName"] = self.nominated_node or None
        return status


Write = NewEvent | EventSeries | PodCondition


@dataclass(slots=True)
class _Entry:
    namespace: str
    name: str
    last_seen: float
    count: int = 1


class EventBook:
    """Remembers recent events, to tell news from repeats."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._entries: dict[tuple[str, ...], _Entry] = {}

    def note(
        self, pod: Pod, kind: str, reason: str, action: str, note: str, now: float
    ) -> Write | None:
        """Return what to write about an event, or None when it is only counted."""
        meta = pod.metadata
        key = (kind, reason, action, meta.namespace, meta.name, meta.uid)
        entry = self._entries.get(key)
        if entry is None:
            name = f"{meta.name}.{int(now * 1e9):x}"
            self._entries[key] = _Entry(meta.namespace, name, now)
            return NewEvent(self._document(pod, name, kind, reason, action, note, now))
        entry.count += 1
        entry.last_seen = now
        return _series(entry) if entry.count == 2 else None

    def sweep(self, now: float) -> Iterator[Write]:
        """Yield the ends of series that have rested, and forget them."""
        rested = [
            key for key, entry in self._entries.items() if now - entry.last_seen > SERIES_REST_S
        ]
        for key in rested:
            entry = self._entries.pop(key)
            if entry.count > 2:
                yield _series(entry)

    def _document(
        self, pod: Pod, name: str, kind: str, reason: str, action: str, note: str, now: float
    ) -> Document:
        meta = pod.metadata
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": meta.namespace},
            "eventTime": rfc3339_micro(now),
            "reportingController": pod.spec.scheduler_name,
            "reportingInstance": self._settings.instance or pod.spec.scheduler_name,
            "action": action,
            "reason": reason,
            "regarding": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": meta.namespace,
                "name": meta.name,
                "uid": meta.uid,
                "resourceVersion": meta.resource_version,
            },
            "note": to_note(note),
            "type": kind,
        }


def _series(entry: _Entry) -> EventSeries:
    series = {"count": entry.count, "lastObservedTime": rfc3339_micro(entry.last_seen)}
    return EventSeries(entry.namespace, entry.name, series)


def to_note(text: str) -> str:
    """Return a text as an event's note: cut where it is longer than the API allows."""
    encoded = text.encode()
    if len(encoded) <= MAX_NOTE_BYTES:
        return text
    return encoded[: MAX_NOTE_BYTES - 4].decode(errors="ignore") + " ..."


def to_condition(pod: Pod, failure: Failure, now: float) -> Document | None:
    """Return the PodScheduled condition of a failed attempt, or None when it is there already."""
    reason = "SchedulerError" if failure.is_error else "Unschedulable"
    known = pod.condition("PodScheduled")
    if known is not None and (known.status, known.reason, known.message) == (
        "False",
        reason,
        failure.message,
    ):
        return None
    flips = known is None or known.status != "False"
    since = rfc3339(now) if flips or known is None else known.last_transition_time
    return {
        "type": "PodScheduled",
        "status": "False",
        "observedGeneration": pod.metadata.generation,
        "lastProbeTime": None,
        "lastTransitionTime": since,
        "reason": reason,
        "message": failure.message,
    }


class Recorder:
    """Writes events and conditions, without keeping the scheduler waiting."""

    def __init__(self, client: Client, settings: Settings, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._book = EventBook(settings)
        self._pending: deque[Write] = deque()
        # The newest condition of each pod, by uid, while it is not written.
        self._conditions: dict[str, PodCondition] = {}
        self._news = asyncio.Semaphore(0)

    def scheduled(self, pod: Pod, node_name: str) -> None:
        """Record that a pod was bound."""
        note = f"Successfully assigned {pod.metadata.key} to {node_name}"
        self._note(pod, "Normal", "Scheduled", "Binding", note)

    def failed(self, pod: Pod, failure: Failure, nominated_node: str | None) -> None:
        """Record that an attempt has failed.

        Parameters
        ----------
        nominated_node
            The node that the pod waits for from now on; empty for none, None for the same as ever.
        """
        self._note(pod, "Warning", "FailedScheduling", "Scheduling", failure.message)
        condition = to_condition(pod, failure, self._clock.now())
        unwritten = self._conditions.get(pod.metadata.uid)
        if unwritten is not None and nominated_node is None:
            nominated_node = unwritten.nominated_node
        elif unwritten is None and nominated_node == pod.status.nominated_node_name:
            nominated_node = None
        if condition is not None or nominated_node is not None:
            self._set(PodCondition(pod, condition, nominated_node))

    def lost_nomination(self, pod: Pod) -> None:
        """Record that the room that a pod waited for goes to a more important one."""
        unwritten = self._conditions.get(pod.metadata.uid)
        condition = None if unwritten is None else unwritten.condition
        self._set(PodCondition(pod, condition, ""))

    def _set(self, write: PodCondition) -> None:
        self._conditions[write.pod.metadata.uid] = write
        self._add(write)

    def preempted(self, victim: ObjectMeta, preemptor: Pod, node_name: str) -> None:
        """Record that a pod was asked to go."""
        note = f"Preempted by pod {preemptor.metadata.uid} on node {node_name}"
        self._note(Pod(metadata=victim), "Normal", "Preempted", "Preempting", note)

    def withdraw(self, pod: Pod) -> None:
        """Write no more why a pod has no node: it is getting one."""
        self._conditions.pop(pod.metadata.uid, None)

    def skipped(self, pod: Pod) -> None:
        """Record that a pod was not tried because it is being deleted."""
        note = f"skip schedule deleting pod: {pod.metadata.key}"
        self._note(pod, "Warning", "FailedScheduling", "Scheduling", note)

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sweep())
            for _ in range(N_WRITERS):
                tasks.create_task(self._write_all())

    def _note(self, pod: Pod, kind: str, reason: str, action: str, note: str) -> None:
        write = self._book.note(pod, kind, reason, action, note, self._clock.now())
        if write is not None:
            self._add(write)

    def _add(self, write: Write) -> None:
        if len(self._pending) == MAX_PENDING:
            self._close(self._pending.popleft())
        self._pending.append(write)
        self._news.release()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            for write in self._book.sweep(self._clock.now()):
                self._add(write)

    async def _write_all(self) -> None:
        while True:
            await self._news.acquire()
            if not self._pending:
                continue  # it was pushed out
            write = self._pending.popleft()
            if self._is_void(write):
                continue
            try:
                await self._write(write)
            except TransportError as error:
                logger.info("could not record: %s", error)
                if isinstance(write, PodCondition):
                    await asyncio.sleep(RETRY_S)
                    self._add(write)
                    continue
            except BerthError as error:
                logger.info("could not record: %s", error)
            self._close(write)

    def _is_void(self, write: Write) -> bool:
        """Return whether a condition is out of date: there is a newer one, or the pod has a node.

        Events are news and what is lost of them stays lost, but a condition is what a pending pod
        shows until its next attempt, minutes later: it is written as soon as the server is there.
        """
        if not isinstance(write, PodCondition):
            return False
        return self._conditions.get(write.pod.metadata.uid) is not write

    def _close(self, write: Write) -> None:
        """Forget a write that was done, or never will be."""
        if isinstance(write, PodCondition) and not self._is_void(write):
            del self._conditions[write.pod.metadata.uid]

    async def _write(self, write: Write) -> None:
        match write:
            case NewEvent(document):
                namespace = document["metadata"]["namespace"]
                await self._client.create(NEW_EVENTS, document, namespace)
            case EventSeries(namespace, name, series):
                await self._client.patch(NEW_EVENTS, name, {"series": series}, namespace)
            case PodCondition(pod):
                meta = pod.metadata
                change = {"metadata": {"uid": meta.uid}, "status": write.status}
                await self._client.patch(
                    PODS, meta.name, change, meta.namespace, kind="strategic", sub="status"
                )
