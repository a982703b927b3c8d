"""Many simulated nodes in one process, each a kubelet with an identity of its own.

Nodes come and go, fail and recover while the process runs; see `control`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from kubeberth.api.events import EventMemory
from kubeberth.client.client import Client
from kubeberth.clock import Clock, SystemClock
from kubeberth.errors import BerthError, UsageError
from kubeberth.kubelet.checkpoints import Checkpoints
from kubeberth.kubelet.faults import Fault, How
from kubeberth.kubelet.kubelet import Kubelet
from kubeberth.kubelet.pace import MOST, Pace
from kubeberth.kubelet.scripts import NO_SCRIPTS, Scripts
from kubeberth.kubelet.specs import NodeSpec
from kubeberth.kubelet.stages import Stages
from kubeberth.kubelet.timers import Alarm, Timers
from kubeberth.kubelet.writers import Writers

logger = logging.getLogger(__name__)

# So many nodes start at a time: thousands of TLS handshakes at once would only wait for each other.
STARTING_AT_ONCE = 32
RESTART_S = 5.0
# After a pause many signs of life are due at once, and for so many is each other's turn. They do
# not wait for what is written about pods.
BEATS_AT_ONCE = 16
# Events are worth keeping, but nothing waits for them, least of all what they tell of.
EVENTS_AT_ONCE = 2
EVENTS_PATIENCE_S = 1.0
# Of each kind, of all nodes: as many as two of upstream's components remember.
EVENTS_REMEMBERED = 8192


@dataclass(frozen=True, slots=True)
class NodesSettings:
    """What can be set about simulated nodes.

    Parameters
    ----------
    stages
        How long the stages of a pod's life take.
    scripts
        How pods live that do not say so themselves.
    with_events
        Whether kubelets record events about containers.
    checkpoints
        Where nodes keep what their pods have of their machines; None to keep it in memory alone.
    """

    stages: Stages = field(default_factory=Stages)
    scripts: Scripts = NO_SCRIPTS
    with_events: bool = True
    checkpoints: Checkpoints | None = None


async def run(
    specs: Sequence[NodeSpec],
    clients: Callable[[str], Client],
    settings: NodesSettings | None = None,
    *,
    clock: Clock | None = None,
    ready: Callable[[], None] | None = None,
) -> None:
    """Run nodes until cancelled; see `Fleet`."""
    await Fleet(clients, settings, clock).run(specs, ready)


@dataclass(slots=True, eq=False)
class _Member:
    """One node of the process."""

    spec: NodeSpec
    settled: asyncio.Future[None]
    task: asyncio.Task[None] | None = None
    client: Client | None = None
    fault: Fault | None = None
    alarm: Alarm | None = None
    is_cut: bool = False

    def settle(self) -> None:
        """Have nobody wait for it any more: it is registered, or cannot be."""
        if not self.settled.done():
            self.settled.set_result(None)


class Fleet:
    """The nodes of one process, and what they share.

    Parameters
    ----------
    clients
        Returns a node's own client, for the user system:node:NAME; it is opened and closed here.
    """

    def __init__(
        self,
        clients: Callable[[str], Client],
        settings: NodesSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clients = clients
        self._settings = settings or NodesSettings()
        self._clock = clock or SystemClock()
        self._timers = Timers(self._clock)
        self._starting = asyncio.Semaphore(STARTING_AT_ONCE)
        self._pace = Pace(self._clock)
        self._statuses = Writers(MOST)
        self._events = Writers(EVENTS_AT_ONCE, lambda: self._pace.lull(EVENTS_PATIENCE_S))
        self._beating = asyncio.Semaphore(BEATS_AT_ONCE)
        self._told = EventMemory(EVENTS_REMEMBERED)
        self._members: dict[str, _Member] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self, specs: Iterable[NodeSpec], ready: Callable[[], None] | None = None) -> None:
        """Run until cancelled.

        Parameters
        ----------
        ready
            Called once each of these nodes is registered, or cannot be.
        """
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._timers.run())
            tasks.create_task(self._statuses.run())
            tasks.create_task(self._events.run())
            first = [self._begin(spec) for spec in specs]
            for member in first:
                await member.settled
            if ready is not None:
                ready()

    async def add(self, spec: NodeSpec) -> None:
        """Run one more node; returns once it is registered, or cannot be.

        Raises
        ------
        UsageError
            There is one of that name.
        """
        if spec.name in self._members:
            raise UsageError(f"node {spec.name} is there already")
        await self._begin(spec).settled

    async def remove(self, name: str) -> None:
        """Run a node no longer; what the API says of it stays."""
        member = self._member(name)
        await self._stop(member)
        del self._members[name]

    async def fail(self, name: str, fault: Fault) -> None:
        """Have a node fail; it stays so until it is healed."""
        member = self._member(name)
        if member.fault is not None:
            raise UsageError(f"node {name} has failed already ({member.fault.how.value}): heal it")
        member.fault = fault
        if fault.how is How.DEAD:
            await self._stop(member)
        else:
            self._cut(member)

    async def heal(self, name: str) -> Fault:
        """Have a failed node be well again; return what it had."""
        member = self._member(name)
        fault = member.fault
        if fault is None:
            raise UsageError(f"node {name} is well")
        member.fault = None
        self._mend(member)
        if fault.how is How.DEAD:
            self._start(member)
        return fault

    def _member(self, name: str) -> _Member:
        member = self._members.get(name)
        if member is None:
            raise UsageError(f"no node {name} runs here")
        return member

    def _begin(self, spec: NodeSpec) -> _Member:
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        member = self._members[spec.name] = _Member(spec, settled)
        self._start(member)
        return member

    def _start(self, member: _Member) -> None:
        assert self._tasks is not None
        member.task = self._tasks.create_task(self._keep_running(member))

    async def _stop(self, member: _Member) -> None:
        """End a node at once, as when its power goes: it has no time to tell anybody."""
        self._mend(member)
        task, member.task = member.task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        member.settle()

    def _cut(self, member: _Member) -> None:
        """Take the node's network away, and give it back in time if it flaps."""
        member.is_cut = True
        if member.client is not None:
            member.client.cut()
        self._flap(member, self._mended)

    def _mended(self, member: _Member) -> None:
        self._reconnect(member)
        self._flap(member, self._cut)

    def _flap(self, member: _Member, then: Callable[[_Member], None]) -> None:
        if member.fault is not None and member.fault.how is How.FLAP:
            member.alarm = self._timers.call_in(member.fault.period_s, lambda: then(member))

    def _mend(self, member: _Member) -> None:
        if member.alarm is not None:
            member.alarm.cancel()
            member.alarm = None
        self._reconnect(member)

    def _reconnect(self, member: _Member) -> None:
        member.is_cut = False
        if member.client is not None:
            member.client.mend()

    async def _keep_running(self, member: _Member) -> None:
        """Run one node; when it fails it starts anew, as a service of a real machine would.

        One that cannot start, because of what it kept, says so once and keeps nobody waiting.
        """
        spec, told = member.spec, ""
        while True:
            try:
                await self._run_node(member)
            except* UsageError as errors:
                member.settle()
                if told != (told := str(errors.exceptions[0])):
                    logger.error("node %s does not start: %s", spec.name, told)
            except* BerthError as errors:
                logger.error("node %s: %s", spec.name, errors.exceptions[0])
            except* Exception:
                # A bug met by one node must not stop the others.
                logger.exception("node %s failed", spec.name)
            await asyncio.sleep(RESTART_S)

    async def _run_node(self, member: _Member) -> None:
        # Reading thousands of certificates takes longer than a server waits for a handshake.
        async with self._starting:
            client = self._clients(member.spec.name)
        async with client:
            member.client = client
            if member.is_cut:
                client.cut()
            kubelet = Kubelet(
                member.spec,
                client,
                self._timers,
                self._clock,
                self._settings.stages.dice(member.spec.name),
                statuses=self._statuses,
                pace=self._pace,
                events=self._events,
                beating=self._beating,
                told=self._told,
                checkpoints=self._settings.checkpoints,
                scripts=self._settings.scripts,
                with_events=self._settings.with_events,
            )
            async with self._starting:
                await kubelet.register()
            member.settle()
            await kubelet.run()
