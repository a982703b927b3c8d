"""One simulated node: takes the pods that are assigned to it through their lives.

informer -> Kubelet.observe -> PodLife (pure) -> status to write, events, timers -> API
Whatever was going on when a kubelet died is read back from the pods' own status.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from kubeberth.api.core import Node
from kubeberth.api.events import EventMemory
from kubeberth.api.meta import ObjectReference
from kubeberth.api.scheme import PODS
from kubeberth.api.workloads import seconds_of
from kubeberth.client.client import Client
from kubeberth.client.informer import Change, Informer
from kubeberth.client.recorder import EventRecorder
from kubeberth.clock import Clock
from kubeberth.errors import BerthError, ConflictError, NotFoundError, UsageError
from kubeberth.kubelet.addresses import AddressPool
from kubeberth.kubelet.admission import Situation, Verdict, admit
from kubeberth.kubelet.allotment import Allotment
from kubeberth.kubelet.checkpoints import Checkpoints
from kubeberth.kubelet.heartbeat import Heartbeat
from kubeberth.kubelet.images import Images
from kubeberth.kubelet.pace import Pace
from kubeberth.kubelet.pod import KubeletPod
from kubeberth.kubelet.predicates import NODE_AFFINITY, TAINT_TOLERATION, with_own_os
from kubeberth.kubelet.scripts import NO_SCRIPTS, Scripts
from kubeberth.kubelet.sharing import remembered
from kubeberth.kubelet.specs import NodeSpec
from kubeberth.kubelet.stages import Dice
from kubeberth.kubelet.timers import Alarm, Timers
from kubeberth.kubelet.transitions import Effects, Stage, Stimulus, Timer
from kubeberth.kubelet.worker import Worker
from kubeberth.kubelet.writers import Writers

logger = logging.getLogger(__name__)

COMPONENT = "kubelet"
RETRY_S = 0.5
SANDBOX_RETRY_S = 5.0


class Kubelet:
    """Runs one node.

    Parameters
    ----------
    timers
        Shared by all nodes of the process; somebody else runs it.
    statuses, events
        Give turns to write a status or remove a pod, and to record an event; shared, too.
    pace
        How many of the first write at a time.
    beating
        Held while a sign of life is given; shared, too.
    told
        The events that the nodes of the process have told of late.
    checkpoints
        Where it keeps what its pods have of the machine; None to keep it in memory alone.
    scripts
        How pods live that do not say so themselves.
    with_events
        Whether the user is told of every container that is pulled, created, started, killed.
    """

    def __init__(
        self,
        spec: NodeSpec,
        client: Client,
        timers: Timers,
        clock: Clock,
        dice: Dice,
        *,
        statuses: Writers,
        pace: Pace,
        events: Writers,
        beating: asyncio.Semaphore,
        told: EventMemory,
        checkpoints: Checkpoints | None = None,
        scripts: Scripts = NO_SCRIPTS,
        with_events: bool = True,
    ) -> None:
        self._spec = spec
        self._client = client
        self._timers = timers
        self._clock = clock
        self._dice = dice
        self._scripts = scripts
        self._with_events = with_events
        self._heartbeat = Heartbeat(spec, client, clock, dice)
        self._statuses = statuses
        self._pace = pace
        self._events = events
        self._beating = beating
        self._recorder = EventRecorder(client, COMPONENT, clock, host=spec.name, memory=told)
        self._pool = AddressPool(spec.pod_cidr)
        self._images = Images(spec.image_names)
        self._allotment = Allotment(spec, client, checkpoints)
        self._workers: dict[str, Worker] = {}
        self._dirty: dict[str, None] = {}
        self._leftovers: dict[str, KubeletPod] = {}
        self._is_started = self._is_stopped = False
        self._tasks: asyncio.TaskGroup | None = None
        self._next_beat: Alarm | None = None
        self._informer: Informer[KubeletPod] = Informer(
            client, PODS, self._remembered, field_selector=f"spec.nodeName={spec.name}"
        )

    async def register(self) -> None:
        """Make the Node, or take over the one there is; returns when it is done."""
        await self._heartbeat.register()

    async def run(self) -> None:
        """Run the node, once it is registered, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._informer.subscribe(self._on_change)
                tasks.create_task(self._beat())
                tasks.create_task(self._start_synced(tasks))
                # Of what a node does all the time, this is done without a task of its own: there
                # are thousands of nodes.
                await self._informer.run()
        finally:
            self._is_stopped = True
            self._recorder.forget()
            if self._next_beat is not None:
                self._next_beat.cancel()
            for worker in self._workers.values():
                worker.cancel()

    async def _beat(self) -> None:
        """Show a sign of life, and ask to be woken for the next one."""
        async with self._beating:
            began_at = self._clock.monotonic()
            if await self._heartbeat.beat():
                self._pace.note(self._clock.monotonic() - began_at)
        self._next_beat = self._timers.call_in(self._heartbeat.next_beat_s(), self._beat_again)

    def _beat_again(self) -> None:
        assert self._tasks is not None
        self._tasks.create_task(self._beat())

    async def _start_synced(self, tasks: asyncio.TaskGroup) -> None:
        """Start once it is known what there is."""
        await self._informer.synced.wait()
        self._start()
        if self._allotment.is_described:
            tasks.create_task(self._allotment.publish())

    def _start(self) -> None:
        """Take in what is there already: in order of creation, as kubelets do."""
        self._is_started = True
        pods = self._informer.store.values()
        self._allotment.keep_only([pod.metadata.uid for pod in pods if not pod.is_terminal])
        for pod in sorted(
            pods,
            key=lambda pod: (pod.metadata.creation_timestamp or "", pod.metadata.key),
        ):
            self._observe(pod)
        self._statuses.ask(self)

    def _remembered(self, raw: bytes) -> KubeletPod:
        return remembered(raw, self._known)

    def _known(self, uid: str) -> KubeletPod | None:
        worker = self._workers.get(uid)
        return worker.pod if worker is not None else None

    def _on_change(self, change: Change[KubeletPod]) -> None:
        if not self._is_started:
            return
        old, new = change.old, change.new
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self._forget(old)
        if new is not None:
            self._observe(new)

    def _forget(self, pod: KubeletPod) -> None:
        """Drop a pod that is gone from the API."""
        worker = self._workers.pop(pod.metadata.uid, None)
        self._dirty.pop(pod.metadata.uid, None)
        self._allotment.release(pod.metadata.uid)
        self._statuses.ask(self)
        if worker is not None:
            self._pool.free(pod.metadata.uid, worker.ip)
            worker.cancel()

    def _observe(self, pod: KubeletPod) -> None:
        worker = self._workers.get(pod.metadata.uid)
        if worker is None:
            self._begin(pod)
            return
        before, worker.pod = worker.pod, pod
        now = self._clock.now()
        if pod.spec.ephemeral_containers != before.spec.ephemeral_containers:
            self._apply(worker, worker.life.joined(pod, now))
        if pod.metadata.annotations != before.metadata.annotations or pod.spec != before.spec:
            self._apply(worker, worker.life.rewritten(pod, now))
        if pod.spec.active_deadline_seconds != before.spec.active_deadline_seconds:
            self._limit(worker)
        if pod.is_terminating and _grace_s(before) != _grace_s(pod):
            self._end(worker)
        if (
            pod.metadata.generation != before.metadata.generation
            or pod.spec.readiness_gates
            or worker.was_overruled()
        ):
            self._mark(worker)

    def _begin(self, pod: KubeletPod) -> None:
        """Take in a pod that was not seen before."""
        self._pace.pod_came()
        worker = Worker.of(pod, self._scripts, self._images)
        if pod.is_terminal:
            # It ended before this kubelet started. What is left is to let it go.
            if pod.is_terminating:
                self._leftovers[pod.metadata.uid] = pod
                self._statuses.ask(self)
            return
        self._workers[pod.metadata.uid] = worker
        if pod.is_terminating:
            self._resume(worker)
            return
        node = self._heartbeat.node
        verdict = self._admit(worker, with_own_os(node) if node is not None else None)
        if verdict.refusal in (NODE_AFFINITY, TAINT_TOLERATION):
            assert self._tasks is not None
            self._tasks.create_task(self._admit_live(worker))
        else:
            self._judge(worker, verdict)

    def _admit(self, worker: Worker, node: Node | None) -> Verdict:
        pod = worker.pod
        situation = Situation(
            node,
            self._earlier_than(worker),
            allowed_unsafe_sysctls=self._allotment.allowed_unsafe_sysctls,
            declared_features=frozenset(node.status.declared_features if node else ()),
        )
        verdict = admit(pod, situation, self._allotment.holdings)
        self._allotment.take(pod, verdict)
        return verdict

    def _earlier_than(self, worker: Worker) -> list[KubeletPod]:
        """Return the pods that have their place before a pod: those let in, and those that wait."""
        others = []
        is_later = False
        for other in self._workers.values():
            if other is worker:
                is_later = True
            elif other.counts and not (is_later and other.life.stage is Stage.PENDING):
                others.append(other.pod)
        return others

    async def _admit_live(self, worker: Worker) -> None:
        """Ask the API how the Node is now, before a pod is refused for its labels or taints."""
        try:
            node = await self._heartbeat.fetch()
        except BerthError as error:
            logger.info("node %s cannot be read: %s", self._spec.name, error)
            node = self._heartbeat.node
        if worker.life.stage is Stage.PENDING and worker.pod.metadata.uid in self._workers:
            self._judge(worker, self._admit(worker, node))

    def _judge(self, worker: Worker, verdict: Verdict) -> None:
        for victim in verdict.victims:
            preempted = self._workers[victim.metadata.uid]
            self._apply(preempted, preempted.life.preempted(self._clock.now()))
        refusal = verdict.refusal
        if refusal is None:
            self._resume(worker)
            return
        effects = worker.life.rejected(refusal.reason, refusal.message, self._clock.now())
        self._pool.free(worker.life.uid, worker.ip)
        self._apply(worker, effects)

    def _resume(self, worker: Worker) -> None:
        """Start a pod, or go on with one that runs already."""
        pod, life = worker.pod, worker.life
        if worker.ip and not pod.spec.host_network:
            self._pool.keep(life.uid, worker.ip)
        now = self._clock.now()
        if pod.status.pod_ip or pod.status.phase == "Running":
            self._apply(worker, life.restored(pod.status, now))
        elif not pod.is_terminating:
            self._apply(worker, life.admitted(seconds_of(pod.status.start_time) or now))
        self._limit(worker)
        if pod.is_terminating:
            self._end(worker)

    def _limit(self, worker: Worker) -> None:
        """Have a pod end that is active for longer than it may."""
        active_s = worker.pod.spec.active_deadline_seconds
        for timer in worker.life.limited(active_s, self._clock.now()):
            self._schedule(worker, timer, timer.extra_s)

    def _end(self, worker: Worker) -> None:
        """Have a pod end, within the time it has left."""
        grace_s = _grace_s(worker.pod) or 0.0
        self._apply(worker, worker.life.deleted(grace_s, self._clock.now()))

    def _apply(self, worker: Worker, effects: Effects) -> None:
        """Do what a stimulus led to."""
        if worker.life.stage is Stage.ENDED:
            worker.cancel()
        for timer in effects.timers:
            self._schedule(worker, timer, timer.extra_s + self._step_s(worker, timer))
        if self._with_events:
            # Of thousands that start together, many wait to be told: what they share, they share.
            references: dict[str, ObjectReference] = {}
            for notice in effects.notices:
                if (about := references.get(notice.container)) is None:
                    about = worker.object_reference(notice.container)
                    references[notice.container] = about
                self._tell(about, notice.type, notice.reason, notice.message)
        if worker.life.stage is Stage.ENDED:
            self._pool.free(worker.life.uid, worker.ip)
            self._allotment.release(worker.life.uid)
        if effects.told_after_s:
            self._mark_later(worker, effects.told_after_s)
        else:
            self._mark(worker)

    def _step_s(self, worker: Worker, timer: Timer) -> float:
        if timer.step is None:
            return 0.0
        key = worker.life.key
        drawn_s = self._dice.delay_s(timer.step, key, timer.container, timer.attempt)
        return min(drawn_s, timer.at_most_s)

    def _schedule(self, worker: Worker, timer: Timer, delay_s: float) -> None:
        def due() -> None:
            worker.alarms = tuple(other for other in worker.alarms if other is not alarm)
            self._due(worker, timer)

        alarm = self._timers.call_in(delay_s, due)
        worker.alarms += (alarm,)

    def _due(self, worker: Worker, timer: Timer) -> None:
        if timer.stimulus is Stimulus.SANDBOX_READY and not self._give_address(worker):
            message = "Failed to create pod sandbox: no IP addresses available in range set"
            about = worker.object_reference()
            self._tell(about, "Warning", "FailedCreatePodSandBox", message)
            self._schedule(worker, timer, SANDBOX_RETRY_S)
            return
        if timer.stimulus is Stimulus.STARTED:
            self._allotment.note_started(worker.pod, timer.container)
        self._apply(worker, worker.life.tell(timer, self._clock.now()))

    def _give_address(self, worker: Worker) -> bool:
        if worker.pod.spec.host_network:
            worker.ip = self._spec.internal_ip
        elif not worker.ip:
            worker.ip = self._pool.take(worker.life.uid)
        return bool(worker.ip)

    def _tell(self, about: ObjectReference, type_: str, reason: str, message: str) -> None:
        """Record an event."""
        self._recorder.record(about, type_, reason, message)
        self._events.ask(self._recorder)

    def _mark(self, worker: Worker) -> None:
        """Have the pod's status compared with what the API has, and written if it differs."""
        self._dirty[worker.life.uid] = None
        self._statuses.ask(self)

    def _mark_later(self, worker: Worker, delay_s: float) -> None:
        """Have it written after a while, if the pod does not run by then."""

        def due() -> None:
            if worker.life.phase == "Pending":
                self._mark(worker)

        self._timers.call_in(delay_s, due)

    async def write_next(self) -> bool:
        """Write the status of one pod; return whether there are more."""
        if self._is_stopped:
            return False
        try:
            is_done = await self._write_one()
        except UsageError as error:
            assert self._tasks is not None
            self._tasks.create_task(_fail(error))
            return False
        if not is_done:
            self._timers.call_in(RETRY_S, self._write_again)
            return False
        return bool(self._dirty or self._leftovers)

    def _write_again(self) -> None:
        if not self._is_stopped:
            self._statuses.ask(self)

    async def _write_one(self) -> bool:
        """Write what is next; return whether the API was there to take it."""
        uid = next(iter(self._dirty), None)
        # What a pod was given is on disk before anybody hears that it runs.
        await self._allotment.keep()
        if uid is not None:
            self._dirty.pop(uid, None)
            if not self._dirty:
                self._dirty = {}  # as a dict stays as large as it was
            worker = self._workers.get(uid)
            return worker is None or await self._write(worker)
        if self._leftovers:
            return await self._remove_leftover(next(iter(self._leftovers)))
        return True

    async def _write(self, worker: Worker) -> bool:
        """Write a pod's status; return whether the API was there to take it."""
        pod = worker.pod
        try:
            # What makes room is in nobody's way.
            if worker.pod.is_terminating:
                await self._write_status(worker)
            else:
                async with self._pace.turn() as answered:
                    await self._write_status(worker, answered)
            if worker.is_over:
                await self._remove(worker.pod)
                worker.is_removed = True
        except NotFoundError:
            return True  # the watch will say so
        except BerthError as error:
            # A conflict may mean another pod of that name; then the watch ends the retries.
            logger.warning("status of pod %s: %s", pod.metadata.key, error)
            self._keep_dirty(pod)
            return False
        except Exception:
            # Whatever went wrong with one try, the next one may do.
            self._keep_dirty(pod)
            self._timers.call_in(RETRY_S, self._write_again)
            raise
        return True

    def _keep_dirty(self, pod: KubeletPod) -> None:
        if pod.metadata.uid in self._workers:
            self._dirty[pod.metadata.uid] = None

    async def _write_status(
        self, worker: Worker, answered: Callable[[], None] = lambda: None
    ) -> None:
        """Write what holds now that it is its turn: what came to pass meanwhile, once."""
        pod = worker.pod
        status = worker.status(self._spec.internal_ip, self._clock.now())
        if pod.metadata.uid not in self._workers:
            return  # it has gone meanwhile
        if worker.has_written(status) and not worker.was_overruled():
            return
        meta = pod.metadata
        patch = worker.patch(status)
        document = await self._client.patch(
            PODS, meta.name, patch, meta.namespace, kind="strategic", sub="status"
        )
        answered()
        worker.note_written(status, document["metadata"]["resourceVersion"])

    async def _remove_leftover(self, uid: str) -> bool:
        """Remove a pod that ended before this kubelet started; nobody else will."""
        pod = self._leftovers[uid]
        try:
            await self._remove(pod)
        except BerthError as error:
            logger.warning("pod %s cannot be removed: %s", pod.metadata.key, error)
            return False
        del self._leftovers[uid]
        return True

    async def _remove(self, pod: KubeletPod) -> None:
        """Confirm that nothing of a deleted pod runs any more: then it goes from the API."""
        meta = pod.metadata
        try:
            await self._client.delete(
                PODS, meta.name, meta.namespace, grace_period_s=0, uid=meta.uid
            )
        except (NotFoundError, ConflictError):
            return


async def _fail(error: UsageError) -> None:
    """End the node: it is for who runs it to say why, and to start it anew."""
    raise error


def _grace_s(pod: KubeletPod) -> float | None:
    """Return how long a terminating pod has; None while nobody wants it gone."""
    if not pod.is_terminating:
        return None
    return float(pod.metadata.deletion_grace_period_seconds or 0)
