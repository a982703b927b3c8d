"""The scheduling queue: which pod is tried next, and which ones wait for what.

Rule 1: a known pod is in exactly one place: active, backoff, waiting, gated, in flight or binding.
Rule 2: active pods come out by priority, then by age.
Rule 3: a pod that a rule refused waits until an event may help (`hints`), then sits out its
        backoff. When nothing is active, the one whose backoff ends first need not sit it out.
Rule 4: a pod that failed for no rule's fault (an error, no nodes) sits out its backoff, in full,
        and needs no event.
Rule 5: events that come while a pod is in flight are not lost: they are held against the refusal
        when it comes.
Rule 6: a gated pod is not tried; only a change of the pod itself opens the gate.
Rule 7: a pod for which victims are being asked to go is not tried until all of them have been; what
        would have woken it in between wakes it then.
Rule 8: no pod waits for longer than five minutes without another try.
Rule 9: active pods that come out one after the other and are of one template come out together, as
        many as are asked for at most; nobody is overtaken for that.

Numbers match kube-scheduler 1.36 (backend/queue). Pure: `now` is an argument, in seconds of a clock
that never goes back.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import count

from kubeberth.api.core import Pod
from kubeberth.placement.podterm import NamespaceLabels
from kubeberth.scheduler.config import Backoff
from kubeberth.scheduler.hints import ClusterEvent, OwnEvent, Waiting, label_of, may_help

# As upstream: how often it is looked after who has waited for an event for too long.
FLUSH_INTERVAL_S = 30.0

_BACKOFF = Backoff()


class Place(Enum):
    """Where a pod is."""

    ACTIVE = "active"
    BACKOFF = "backoff"
    ERROR_BACKOFF = "error backoff"
    WAITING = "waiting"
    GATED = "gated"
    IN_FLIGHT = "in flight"
    BINDING = "binding"


QUEUE_OF = {
    Place.ACTIVE: "active",
    Place.BACKOFF: "backoff",
    Place.ERROR_BACKOFF: "backoff",
    Place.WAITING: "unschedulable",
    Place.GATED: "gated",
}
"""What kube-scheduler calls the places where pods wait."""


@dataclass(slots=True, eq=False)
class QueuedPod:
    """A pod in the queue.

    Parameters
    ----------
    timestamp
        When it was put in the queue, or handed back after its last attempt.
    ticket
        Grows with every move; an entry of a heap with an older one is void.
    refusals, errors
        Attempts in a row that ended so.
    rejected_by
        The rules that refused it in its last attempt.
    first_event
        While in flight: number of the first event that it has not seen.
    is_preempting
        Whether victims are being asked to go for it.
    is_woken
        Whether something has happened meanwhile that may help.
    tries
        How many attempts have begun.
    first_tried_at, tried_at
        When the first and the last one of them began.
    """

    pod: Pod
    waiting: Waiting
    timestamp: float
    place: Place = Place.ACTIVE
    ticket: int = 0
    refusals: int = 0
    errors: int = 0
    backoff_until: float = 0.0
    rejected_by: frozenset[str] = field(default_factory=frozenset)
    first_event: int = 0
    is_preempting: bool = False
    is_woken: bool = False
    tries: int = 0
    first_tried_at: float = 0.0
    tried_at: float = 0.0

    @property
    def attempts(self) -> int:
        """How many attempts in a row have failed."""
        return self.errors or self.refusals


_HeapEntry = tuple[float, float, int, str]


class SchedulingQueue:
    """Pods of one scheduler that have no node.

    Parameters
    ----------
    is_gated
        Says whether a pod must not be tried yet.
    to_waiting
        Gives what hints look at of a pod.

    Attributes
    ----------
    incoming
        How many pods have come to each of kube-scheduler's queues, and by which event.
    """

    def __init__(
        self,
        is_gated: Callable[[Pod], bool],
        backoff: Backoff = _BACKOFF,
        to_waiting: Callable[[Pod], Waiting] = Waiting,
    ) -> None:
        self._is_gated = is_gated
        self._to_waiting = to_waiting
        self._backoff_after = backoff.after
        self._max_wait_s = backoff.max_wait_s
        self._pods: dict[str, QueuedPod] = {}
        self._waiting: dict[str, QueuedPod] = {}
        self._in_flight: dict[str, QueuedPod] = {}
        self._active: list[_HeapEntry] = []
        self._backoff: list[_HeapEntry] = []
        self._error_backoff: list[_HeapEntry] = []
        self._tickets = count(1)
        self._events: list[ClusterEvent] = []
        self._events_start = 0
        self._last_flush = -math.inf
        self.incoming: Counter[tuple[str, ...]] = Counter()

    def __len__(self) -> int:
        return len(self._pods)

    def __contains__(self, key: str) -> bool:
        return key in self._pods

    def __iter__(self) -> Iterator[QueuedPod]:
        return iter(self._pods.values())

    def get(self, key: str) -> QueuedPod | None:
        """Return the entry of a pod, or None."""
        return self._pods.get(key)

    def put(self, pod: Pod, now: float, namespaces: NamespaceLabels) -> None:
        """Take in a new pod, or a new version of a pod that is here."""
        entry = self._pods.get(pod.metadata.key)
        if entry is not None and entry.pod.metadata.uid == pod.metadata.uid:
            self._update(entry, pod, now, namespaces)
            return
        self.remove(pod.metadata.key)
        entry = QueuedPod(pod, self._to_waiting(pod), now)
        self._pods[pod.metadata.key] = entry
        self._enqueue(entry, Place.ACTIVE, "PodAdd")

    def remove(self, key: str) -> None:
        """Drop a pod: it has a node now, or is gone."""
        entry = self._pods.pop(key, None)
        if entry is not None:
            self._leave(entry)
            self._trim_events()

    def pop(self, now: float) -> QueuedPod | None:
        """Return the pod to try next, which is in flight from now on, or None."""
        self._tick(now)
        entry = self._head(self._active) or self._head(self._backoff)
        if entry is not None:
            self._take(entry, now)
        return entry

    def pop_alike(
        self, now: float, most: int, template_of: Callable[[Pod], Hashable]
    ) -> list[QueuedPod]:
        """Return the pods to try next, which are in flight from now on.

        Parameters
        ----------
        most
            How many there may be, at least one.
        template_of
            Returns what pods have in common that are placed alike, their priority included.
        """
        first = self.pop(now)
        if first is None:
            return []
        batch, following = [first], self._head(self._active)
        if following is None or most == 1:
            return batch
        template = template_of(first.pod)
        while following is not None and template_of(following.pod) == template:
            self._take(following, now)
            batch.append(following)
            following = self._head(self._active) if len(batch) < most else None
        return batch

    def _take(self, entry: QueuedPod, now: float) -> None:
        self._move(entry, Place.IN_FLIGHT)
        entry.first_event = self._events_end
        self._in_flight[entry.pod.metadata.key] = entry
        entry.tried_at = now
        if not entry.tries:
            entry.first_tried_at = now
        entry.tries += 1

    def settle(self, entry: QueuedPod) -> None:
        """Note that a node was chosen: the pod is being bound, and events mean nothing to it."""
        self._move(entry, Place.BINDING)
        self._trim_events()

    def park(
        self,
        entry: QueuedPod,
        rejected_by: frozenset[str],
        now: float,
        namespaces: NamespaceLabels,
    ) -> None:
        """Take back a pod whose attempt has failed.

        Parameters
        ----------
        rejected_by
            The rules that refused it; none of them means that it was no rule's fault.
        """
        key = entry.pod.metadata.key
        if self._pods.get(key) is not entry:
            return
        missed = []
        if entry.place is Place.IN_FLIGHT:
            missed = self._events[entry.first_event - self._events_start :]
        self._leave(entry)
        entry.rejected_by = rejected_by
        entry.timestamp = now
        if rejected_by:
            entry.refusals, entry.errors = entry.refusals + 1, 0
        else:
            entry.errors += 1
        entry.backoff_until = math.floor(now + self._backoff_after(entry.attempts))
        if not rejected_by:
            self._enqueue(entry, Place.ERROR_BACKOFF, "ScheduleAttemptFailure")
        else:
            is_woken = any(self._may_help(event, entry, namespaces) for event in missed)
            entry.is_woken = is_woken and entry.is_preempting
            is_waiting = entry.is_preempting or not is_woken
            place = Place.WAITING if is_waiting else Place.BACKOFF
            self._enqueue(entry, place, "ScheduleAttemptFailure")
        self._trim_events()

    def hold(self, entry: QueuedPod) -> None:
        """Note that victims are being asked to go for a pod in flight."""
        entry.is_preempting = True

    def release(self, entry: QueuedPod, now: float, *, is_woken: bool) -> None:
        """Note that all the victims of a pod have been asked to go.

        Parameters
        ----------
        is_woken
            Whether the pod is to be tried again whatever happens, because asking has failed.
        """
        entry.is_preempting = False
        is_woken |= entry.is_woken
        entry.is_woken = False
        is_here = self._pods.get(entry.pod.metadata.key) is entry
        if is_here and is_woken and entry.place is Place.WAITING:
            self._requeue(entry, now, "ForceActivate")

    def wake(self, event: ClusterEvent, now: float, namespaces: NamespaceLabels) -> None:
        """Let an event wake the pods that it may help."""
        if self._in_flight:
            self._events.append(event)
        woken = [e for e in self._waiting.values() if self._may_help(event, e, namespaces)]
        for entry in woken:
            self._requeue(entry, now, label_of(event))

    def next_change_at(self) -> float | None:
        """Return when time alone will make a pod active, or None."""
        ends = [
            heap[0][0] + 1  # a pod is held until the second in which its backoff ends is over
            for heap in (self._backoff, self._error_backoff)
            if self._head(heap) is not None
        ]
        if self._waiting:
            ends.append(self._last_flush + FLUSH_INTERVAL_S)
        return min(ends, default=None)

    def check_invariants(self) -> None:
        """Raise AssertionError when a rule of this module does not hold."""
        places = {key: entry.place for key, entry in self._pods.items()}
        assert {k for k, p in places.items() if p is Place.WAITING} == self._waiting.keys()
        assert {k for k, p in places.items() if p is Place.IN_FLIGHT} == self._in_flight.keys()
        heaps = (
            (Place.ACTIVE, self._active),
            (Place.BACKOFF, self._backoff),
            (Place.ERROR_BACKOFF, self._error_backoff),
        )
        for place, heap in heaps:
            valid = [item[3] for item in heap if self._is_valid(item)]
            assert sorted(valid) == sorted(k for k, p in places.items() if p is place), place
        assert self._events_start <= min(
            (entry.first_event for entry in self._in_flight.values()), default=self._events_start
        )

    @property
    def _events_end(self) -> int:
        return self._events_start + len(self._events)

    def _update(self, entry: QueuedPod, pod: Pod, now: float, namespaces: NamespaceLabels) -> None:
        event = OwnEvent(entry.pod, pod)
        if event.old.metadata.resource_version == pod.metadata.resource_version:
            return
        entry.pod, entry.waiting = pod, self._to_waiting(pod)
        match entry.place:
            case Place.GATED:
                if not self._is_gated(pod):
                    self._enqueue(entry, Place.ACTIVE, "PodUpdate")
            case Place.WAITING:
                if _concerns_scheduling(event) and self._may_help(event, entry, namespaces):
                    self._requeue(entry, now, "PodUpdate")
            case Place.IN_FLIGHT:
                if _concerns_scheduling(event):
                    self._events.append(event)
            case Place.BINDING:
                pass
            case place:
                # Who stands in a line keeps his place in it, unless he is other than he was.
                if self._is_gated(pod) or pod.priority != event.old.priority:
                    self._enqueue(entry, place, "PodUpdate")

    def _may_help(self, event: ClusterEvent, entry: QueuedPod, namespaces: NamespaceLabels) -> bool:
        if isinstance(event, OwnEvent) and event.new.metadata.uid != entry.pod.metadata.uid:
            return False
        return any(
            may_help(plugin, event, entry.waiting, namespaces) for plugin in entry.rejected_by
        )

    def _requeue(self, entry: QueuedPod, now: float, event: str) -> None:
        if entry.is_preempting:
            entry.is_woken = True
            return
        is_over = entry.backoff_until < math.floor(now)
        self._enqueue(entry, Place.ACTIVE if is_over else Place.BACKOFF, event)

    def _enqueue(self, entry: QueuedPod, place: Place, event: str) -> None:
        if place is not Place.WAITING and self._is_gated(entry.pod):
            place = Place.GATED
        self.incoming[QUEUE_OF[place], event] += 1
        self._move(entry, place)
        key = entry.pod.metadata.key
        order = (-float(entry.pod.priority), entry.timestamp)
        match place:
            case Place.ACTIVE:
                heapq.heappush(self._active, (*order, entry.ticket, key))
            case Place.BACKOFF:
                item = (entry.backoff_until, order[0], entry.ticket, key)
                heapq.heappush(self._backoff, item)
            case Place.ERROR_BACKOFF:
                item = (entry.backoff_until, 0.0, entry.ticket, key)
                heapq.heappush(self._error_backoff, item)
            case Place.WAITING:
                self._waiting[key] = entry

    def _move(self, entry: QueuedPod, place: Place) -> None:
        self._leave(entry)
        entry.place = place
        entry.ticket = next(self._tickets)

    def _leave(self, entry: QueuedPod) -> None:
        key = entry.pod.metadata.key
        if entry.place is Place.WAITING:
            self._waiting.pop(key, None)
        elif entry.place is Place.IN_FLIGHT:
            self._in_flight.pop(key, None)
        entry.ticket = 0

    def _head(self, heap: list[_HeapEntry]) -> QueuedPod | None:
        """Return the first pod of a heap, void entries dropped on the way."""
        while heap:
            if self._is_valid(heap[0]):
                return self._pods[heap[0][3]]
            heapq.heappop(heap)
        return None

    def _is_valid(self, item: _HeapEntry) -> bool:
        entry = self._pods.get(item[3])
        return entry is not None and entry.ticket == item[2]

    def _tick(self, now: float) -> None:
        """Do what time alone does."""
        for heap in (self._backoff, self._error_backoff):
            for entry in self._expired(heap, now):
                self._enqueue(entry, Place.ACTIVE, "BackoffComplete")
        if now >= self._last_flush + FLUSH_INTERVAL_S:
            self._last_flush = now
            stale = [e for e in self._waiting.values() if now - e.timestamp > self._max_wait_s]
            for entry in stale:
                self._requeue(entry, now, "UnschedulableTimeout")

    def _expired(self, heap: list[_HeapEntry], now: float) -> Iterator[QueuedPod]:
        while (entry := self._head(heap)) is not None and entry.backoff_until < math.floor(now):
            heapq.heappop(heap)
            yield entry

    def _trim_events(self) -> None:
        oldest = min((e.first_event for e in self._in_flight.values()), default=self._events_end)
        del self._events[: oldest - self._events_start]
        self._events_start = oldest


def _concerns_scheduling(event: OwnEvent) -> bool:
    """Return whether more of a pod has changed than its status and version."""
    old, new = event.old, event.new
    return old.spec != new.spec or old.metadata.labels != new.metadata.labels
