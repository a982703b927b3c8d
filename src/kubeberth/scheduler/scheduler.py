"""Scheduler: pop, place, assume, bind; and what the watches bring.

Input: watches of nodes, namespaces and pods; of services and controllers, which say what pods
belong together; of disruption budgets; of claims, volumes and what provides them. Output:
bindings, events and conditions. Everything decided is decided in `queue`, `cache` and the placement
engine; this is the loop around them.
Deciding is serial and runs on what is known at the moment; binding is concurrent. Pods of one
template that are next to each other in the queue are decided together, as many as there is room for
among the bindings under way: whoever is more important and comes later waits for no more than
these. A watch event sets the loop going at once, nothing is polled.

Of several schedulers that share a mandate one decides; the others follow the cluster, so that they
can go on at once, and decide nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from kubeberth.api.core import Node, Pod
from kubeberth.api.meta import ObjectMeta
from kubeberth.api.scheme import PODS
from kubeberth.api.storage import PersistentVolumeClaim
from kubeberth.client.client import Client
from kubeberth.client.informer import Change, Informer
from kubeberth.client.mandate import Alone, LeadershipLostError, Mandate
from kubeberth.clock import Clock, SystemClock
from kubeberth.errors import BerthError, InvalidObjectError, NotFoundError
from kubeberth.placement.decision import Decision, Failure, Nomination
from kubeberth.placement.engine import Engine
from kubeberth.placement.observed import OBSERVED, Observed
from kubeberth.placement.plugins.node_affinity import NodeAffinity
from kubeberth.placement.podterm import NamespaceLabels
from kubeberth.placement.profile import Profile
from kubeberth.placement.request import NodeRules
from kubeberth.placement.ties import Shuffled
from kubeberth.scheduler.binder import Binder, PreBindError
from kubeberth.scheduler.cache import Cache, occupies_node
from kubeberth.scheduler.comparer import drift
from kubeberth.scheduler.config import Settings
from kubeberth.scheduler.decisions import Attempt, Decisions
from kubeberth.scheduler.evictor import Evictor
from kubeberth.scheduler.hints import ClusterEvent, PlacedPodEvent, Waiting, news_of
from kubeberth.scheduler.intake import PodIntake
from kubeberth.scheduler.metrics import ERROR, SCHEDULED, UNSCHEDULABLE
from kubeberth.scheduler.pages import Pages, Parts
from kubeberth.scheduler.queue import QueuedPod, SchedulingQueue
from kubeberth.scheduler.recorder import Recorder
from kubeberth.scheduler.scores import Scores
from kubeberth.scheduler.serving import Door, serving
from kubeberth.scheduler.volumes import Volumes

logger = logging.getLogger(__name__)
# One line each, so that they can be turned off by themselves.
decisions = logger.getChild("decisions")

# Pods that have ended occupy nothing, so as upstream they are not even watched.
_LIVE_PODS = "status.phase!=Succeeded,status.phase!=Failed"
# After so long without a pause, watches and bindings get their turn.
_TURN_S = 0.002
COMPARE_INTERVAL_S = 30.0


def _nothing() -> None:
    """Do nothing."""


async def run(
    client: Client,
    settings: Settings,
    *,
    clock: Clock | None = None,
    ready: Callable[[], None] = _nothing,
    mandate: Mandate | None = None,
    doors: Sequence[Door] = (),
    dump_on: Callable[[Callable[[], None]], None] = lambda _: None,
) -> None:
    """Schedule pods until cancelled.

    Parameters
    ----------
    ready
        Called once, when the cluster is known and pods are placed as soon as the mandate holds.
    mandate
        Without one, there are no other schedulers to take turns with.
    doors
        Where it can be looked at.
    dump_on
        Called once with what writes the books to the log, to be called on whatever occasion.

    Raises
    ------
    LeadershipLostError
        Somebody else may be scheduling now.
    """
    clock, mandate = clock or SystemClock(), mandate or Alone()
    try:
        async with asyncio.TaskGroup() as tasks:
            scheduler = Scheduler(client.under(mandate), settings, clock, tasks, mandate)
            dump_on(scheduler.dump)
            async with serving(scheduler.pages, doors):
                await scheduler.run(ready)
    finally:
        # All that was under way has ended: whoever comes next finds things as they are.
        await mandate.release()


class Scheduler:
    """One scheduler at work."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        clock: Clock,
        tasks: asyncio.TaskGroup,
        mandate: Mandate,
    ) -> None:
        self._clock = clock
        self._tasks = tasks
        self._mandate = mandate
        self._cache = Cache()
        self._profiles = {profile.name: profile for profile in settings.profiles}
        self._engines = {
            name: Engine(self._cache.state, profile, Shuffled(settings.seed))
            for name, profile in self._profiles.items()
        }
        self._added = {name: _added_rules(profile) for name, profile in self._profiles.items()}
        self._queue = SchedulingQueue(self._is_gated, settings.backoff, self._to_waiting)
        self._evictor = Evictor(client, clock, tasks, self._on_evicted, self._on_room_made)
        self._recorder = Recorder(client, settings, clock)
        self._news = asyncio.Event()
        self._observed: dict[type[Observed], Informer[Any]] = {
            kind: Informer(client, resource, msgspec.json.Decoder(kind).decode)
            for kind, resource in OBSERVED.items()
        }
        self._claims: dict[str, PersistentVolumeClaim] = {}
        self._volumes = Volumes(client, self._claims)
        self._pods = Informer(client, PODS, PodIntake().decode, field_selector=_LIVE_PODS)
        self._decisions = Decisions()
        self._scores = Scores(self._cache.state, self._profiles, clock)
        self.pages = Pages(
            Parts(
                self._cache,
                self._queue,
                self._decisions,
                self._profiles,
                self._pods.store,
                mandate,
                client,
                clock,
                self._unsynced,
            )
        )
        self._counts = self.pages.counts
        self._binder = Binder(
            client, self._volumes, tasks, self._clock, self._counts.acted, self._on_bound
        )

    async def run(self, ready: Callable[[], None]) -> None:
        """Follow the cluster and place pods until cancelled."""
        for kind, informer in self._observed.items():
            informer.subscribe(partial(self._on_observed, kind))
        self._pods.subscribe(self._on_pod)
        for followed in self._informers:
            self._tasks.create_task(followed.run())
        self._tasks.create_task(self._recorder.run())
        if logger.isEnabledFor(logging.DEBUG):
            self._tasks.create_task(self._compare_ever_again())
        for followed in self._informers:
            await followed.synced.wait()
        ready()
        await self._mandate.win()
        self._tasks.create_task(self._mandate.keep())
        while True:
            await self._place_all()
            await self._wait()

    @property
    def _informers(self) -> tuple[Informer[Any], ...]:
        return (*self._observed.values(), self._pods)

    def _unsynced(self) -> list[str]:
        """Return the names of the resources of which nothing is known yet."""
        return [i.resource.group_resource for i in self._informers if not i.synced.is_set()]

    # Looking after the books

    def compare(self) -> list[str]:
        """Return where the books differ from what the watches have told; log each."""
        nodes: dict[str, Node] = self._observed[Node].store
        found = drift(self._cache, self._queue, nodes, self._pods.store, self._is_ours)
        for line in found:
            logger.error("cache mismatch: %s", line)
        return found

    def dump(self) -> None:
        """Compare the books, and log them: what is on each node, and who waits."""
        n_found = len(self.compare())
        logger.info("cache comparer finished", extra={"mismatches": n_found})
        logger.info("dump of cached nodes", extra=self.pages.cache())
        logger.info("dump of scheduling queue", extra=self.pages.queue())

    async def _compare_ever_again(self) -> None:
        while True:
            await asyncio.sleep(COMPARE_INTERVAL_S)
            self.compare()

    def _is_ours(self, pod: Pod) -> bool:
        return pod.spec.scheduler_name in self._engines

    # Deciding

    async def _place_all(self) -> None:
        """Place pods until none is ready, or enough bindings are under way."""
        pause_at = self._clock.monotonic() + _TURN_S
        while room := self._binder.room:
            if not self._mandate.holds:
                raise LeadershipLostError("leaderelection lost")
            now = self._clock.monotonic()
            batch = self._queue.pop_alike(now, room, self._template_of)
            if not batch:
                return
            self._attempt(batch, now)
            if self._clock.monotonic() > pause_at:
                await asyncio.sleep(0)
                pause_at = self._clock.monotonic() + _TURN_S

    async def _wait(self) -> None:
        """Sleep until something happens, or time alone makes a pod ready."""
        at = self._queue.next_change_at()
        timeout_s = None if at is None else max(0.0, at - self._clock.monotonic())
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        self._news.clear()

    def _attempt(self, batch: Sequence[QueuedPod], now: float) -> None:
        """Place pods of one template, and set going what follows."""
        if batch[0].pod.is_terminating:
            for entry in batch:
                self._recorder.skipped(entry.pod)
                self._queue.remove(entry.pod.metadata.key)
            return
        began_at = now
        for entry, decision in zip(batch, self._decide(batch), strict=True):
            self._keep(entry, decision, began_at)
            self._carry_out(entry, decision, now)
            began_at = self._clock.monotonic()

    def _carry_out(self, entry: QueuedPod, decision: Decision, now: float) -> None:
        pod = entry.pod
        if decision.node is not None:
            self._cache.assume(pod, decision.node, decision.reservations)
            self._queue.settle(entry)
            self._recorder.withdraw(pod)
            self._binder.start(entry, decision.node, decision.reservations)
        elif decision.failure is not None:
            if decision.nomination is not None:
                self._preempt(entry, decision.nomination)
            self._park(entry, decision.failure, now, decision.nomination)

    def _keep(self, entry: QueuedPod, decision: Decision, began_at: float) -> None:
        """Remember a decision."""
        pod, counts = entry.pod, self._counts
        decided_at = self._clock.monotonic()
        counts.algorithm_s.observe(decided_at - began_at)
        attempt = Attempt(pod.metadata.uid, self._clock.now(), entry.tries, decision)
        self._decisions.keep(attempt)
        failure = decision.failure
        if decisions.isEnabledFor(logging.INFO):
            _tell(entry, decision, decided_at - began_at)
        if failure is None:
            self._scores.note(pod, attempt)
            return
        result = ERROR if failure.is_error else UNSCHEDULABLE
        counts.attempted(pod.spec.scheduler_name, result, decided_at - began_at)
        if failure.rejected_by:
            counts.preemption_attempts.add()
        if decision.nomination is not None:
            counts.victims.observe(len(decision.nomination.victims))

    def _decide(self, batch: Sequence[QueuedPod]) -> Iterator[Decision]:
        """Yield where pods of one template go; one that cannot be made sense of goes nowhere."""
        pod = batch[0].pod
        try:
            request = self._cache.state.request(pod)
        except InvalidObjectError as error:
            logger.error("cannot place: %s", error)
            failure = Failure(str(error), is_error=True)
            yield Decision(pod.metadata.key, None, self._cache.state.n_nodes, failure=failure)
        else:
            engine = self._engines[pod.spec.scheduler_name]
            yield from engine.place_alike(request, [entry.pod.metadata.key for entry in batch])

    def _template_of(self, pod: Pod) -> Hashable:
        """Return what pods have in common that are placed alike."""
        try:
            return pod.spec.scheduler_name, self._cache.state.request(pod)
        except InvalidObjectError:
            return pod.metadata.key

    def _preempt(self, entry: QueuedPod, nomination: Nomination) -> None:
        """Have the victims go; whoever waits for the same room, and matters less, waits no more."""
        pod, state = entry.pod, self._cache.state
        for other in list(state.nominations.on(nomination.node)):
            waiting = self._queue.get(other.key)
            if other.priority < pod.priority:
                self._cache.clear_nomination(other.key)
                if waiting is not None:
                    self._recorder.lost_nomination(waiting.pod)
        victims = (self._pods.store.get(key) for key in nomination.victims)
        self._queue.hold(entry)
        self._evictor.start(entry, [victim.metadata for victim in victims if victim is not None])

    def _park(
        self,
        entry: QueuedPod,
        failure: Failure,
        now: float,
        nomination: Nomination | None = None,
    ) -> None:
        pod = entry.pod
        node_name = None if failure.keeps_nomination else ""
        if nomination is not None:
            node_name = nomination.node
            self._cache.nominate(pod, node_name)
        elif not failure.keeps_nomination:
            self._cache.clear_nomination(pod.metadata.key)
        self._queue.park(entry, failure.rejected_by, now, self._namespace_labels)
        self._recorder.failed(pod, failure, node_name)

    def _on_evicted(self, entry: QueuedPod, victim: ObjectMeta) -> None:
        """Take note that a victim has been asked to go."""
        nominated = self._cache.state.nominations.pods.get(entry.pod.metadata.key)
        node_name = "" if nominated is None else nominated.node_name
        self._recorder.preempted(victim, entry.pod, node_name)

    def _on_room_made(self, entry: QueuedPod, is_complete: bool) -> None:
        """Take note that all victims of a pod have been asked to go, or that this failed."""
        now = self._clock.monotonic()
        self._queue.release(entry, now, is_woken=not is_complete)
        self._news.set()

    def _on_bound(self, entry: QueuedPod, node_name: str, error: BerthError | None) -> None:
        """Take note of how a binding ended."""
        pod = entry.pod
        self._news.set()
        now, profile = self._clock.monotonic(), pod.spec.scheduler_name
        self._counts.attempted(profile, ERROR if error else SCHEDULED, now - entry.tried_at)
        if error is None:
            self._counts.scheduled(now - entry.first_tried_at, entry.tries)
            self._recorder.scheduled(pod, node_name)
            return
        attempt = self._decisions.get(pod.metadata.key, pod.metadata.uid)
        if attempt is not None:
            attempt.trouble = str(error)
        logger.info("could not bind: %s", error, extra={"pod": pod.metadata.key})
        if self._cache.forget(pod):
            self._wake(PlacedPodEvent(pod, None))
        if isinstance(error, NotFoundError):
            self._queue.remove(pod.metadata.key)  # gone; its deletion is on its way
            return
        is_early = isinstance(error, PreBindError)
        step = 'PreBind plugin "VolumeBinding"' if is_early else 'Bind plugin "DefaultBinder"'
        failure = Failure(f"binding rejected: running {step}: {error}", is_error=True)
        if self._queue.get(pod.metadata.key) is entry:
            self._park(entry, failure, now)

    # What the watches bring

    def _on_observed(self, kind: type[Observed], change: Change[Any]) -> None:
        """Take in what placing goes by, and wake the pods that may have waited for it."""
        if change.new is not None:
            self._cache.put(change.new)
        else:
            self._cache.remove(kind, change.key)
        if kind is PersistentVolumeClaim:
            self._follow_claim(change)
        event = news_of(change.old, change.new)
        if event is not None:
            self._wake(event)

    def _follow_claim(self, change: Change[PersistentVolumeClaim]) -> None:
        if change.new is not None:
            self._claims[change.key] = change.new
        else:
            self._claims.pop(change.key, None)
        self._volumes.claim_changed()

    def _on_pod(self, change: Change[Pod]) -> None:
        old, new = change.old, change.new
        occupied = old if occupies_node(old) else None
        if new is not None and occupies_node(new):
            self._queue.remove(change.key)
            is_foreign = occupied is None and not self._cache.is_assumed(change.key)
            self._cache.put_pod(new)
            if is_foreign and self._pods.synced.is_set():
                self._look_for_overcommit(new)
            if _differs(occupied, new):
                self._wake(PlacedPodEvent(occupied, new))
            return
        if occupied is not None or self._is_gone(old, new):
            self._cache.remove_pod(change.key)
            self._wake(PlacedPodEvent(occupied or old, None))
        if new is None or new.is_terminal or new.spec.scheduler_name not in self._engines:
            self._queue.remove(change.key)
            if old is not None and self._cache.clear_nomination(change.key):
                self._wake(PlacedPodEvent(old, None))
            return
        self._follow_nomination(old, new)
        self._queue.put(new, self._clock.monotonic(), self._namespace_labels)
        self._news.set()

    def _look_for_overcommit(self, pod: Pod) -> None:
        """Take note when somebody else has put a pod where there is no room left.

        Its kubelet will refuse one of them, which is then no longer on the node.
        """
        node_name = pod.spec.node_name
        if self._cache.is_overcommitted(node_name):
            self._counts.overcommits.add()
            logger.warning(
                "somebody else has put a pod on a node that is full",
                extra={"pod": pod.metadata.key, "node": node_name},
            )

    def _follow_nomination(self, old: Pod | None, new: Pod) -> None:
        """Take in which node a pending pod is nominated to; what is decided here comes first."""
        before = "" if old is None else old.status.nominated_node_name
        after = new.status.nominated_node_name
        if before == after:
            return
        if after:
            self._cache.nominate(new, after)
        else:
            self._cache.clear_nomination(new.metadata.key)
        if old is not None and before:
            self._wake(PlacedPodEvent(old, None))

    def _is_gone(self, old: Pod | None, new: Pod | None) -> bool:
        """Return whether a pod went away, or was replaced, while it was assumed."""
        if old is None or not self._cache.is_assumed(old.metadata.key):
            return False
        return new is None or new.is_terminal or new.metadata.uid != old.metadata.uid

    def _is_gated(self, pod: Pod) -> bool:
        """Return whether a plugin of the pod's profile keeps it from being tried."""
        rules = self._profiles[pod.spec.scheduler_name].pre_enqueue
        return any(rule.pre_enqueue(pod) is not None for rule in rules)

    def _to_waiting(self, pod: Pod) -> Waiting:
        return Waiting(pod, self._added[pod.spec.scheduler_name])

    def _wake(self, event: ClusterEvent) -> None:
        self._queue.wake(event, self._clock.monotonic(), self._namespace_labels)
        self._news.set()

    @property
    def _namespace_labels(self) -> NamespaceLabels:
        return self._cache.state.namespaces


def _added_rules(profile: Profile) -> NodeRules:
    """Return what a profile requires of nodes for every pod."""
    rules = (rule.added for rule in profile.filters if isinstance(rule, NodeAffinity))
    return next(rules, NodeRules())


def _tell(entry: QueuedPod, decision: Decision, took_s: float) -> None:
    """Write a decision to the log, in one line."""
    facts: dict[str, object] = {
        "pod": decision.pod_key,
        "attempt": entry.tries,
        "nodes": decision.n_nodes,
        "feasible": decision.n_feasible,
        "took_ms": round(took_s * 1000, 3),
    }
    if decision.node is not None:
        facts |= {"node": decision.node, "score": decision.score}
    if decision.failure is not None:
        facts |= {"reason": decision.failure.message}
    if decision.nomination is not None:
        facts |= {"nominated": decision.nomination.node, "victims": decision.nomination.victims}
    decisions.info("placed" if decision.node is not None else "not placed", extra=facts)


def _differs(old: Pod | None, new: Pod) -> bool:
    """Return whether a pod on a node changed in what others may be waiting for."""
    return (
        old is None
        or old.metadata.labels != new.metadata.labels
        or old.spec != new.spec
        or old.status.container_statuses != new.status.container_statuses
    )
