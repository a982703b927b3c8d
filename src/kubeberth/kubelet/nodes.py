"""Many simulated nodes in one process, each a kubelet with an identity of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from kubeberth.client.client import Client
from kubeberth.clock import Clock, SystemClock
from kubeberth.errors import BerthError, UsageError
from kubeberth.kubelet.checkpoints import Checkpoints
from kubeberth.kubelet.kubelet import Kubelet
from kubeberth.kubelet.specs import NodeSpec
from kubeberth.kubelet.stages import Stages
from kubeberth.kubelet.timers import Timers

logger = logging.getLogger(__name__)

# So many nodes start at a time: thousands of TLS handshakes at once would only wait for each other.
STARTING_AT_ONCE = 32
RESTART_S = 5.0
# Writes about pods that all nodes of a process have under way together. Thousands of nodes that
# start a pod each would have the API server to themselves; so whoever creates and places pods keeps
# most of it. Signs of life wait for nobody.
WRITES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class NodesSettings:
    """What can be set about simulated nodes.

    Parameters
    ----------
    stages
        How long the stages of a pod's life take.
    with_events
        Whether kubelets record events about containers.
    checkpoints
        Where nodes keep what their pods have of their machines; None to keep it in memory alone.
    """

    stages: Stages = field(default_factory=Stages)
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
    """Run all nodes until cancelled.

    Parameters
    ----------
    clients
        Returns a node's own client, for the user system:node:NAME; it is opened and closed here.
    ready
        Called once every node is registered.
    """
    fleet = _Fleet(clients, settings or NodesSettings(), clock or SystemClock())
    await fleet.run(specs, ready)


class _Fleet:
    """What the nodes of one process share."""

    def __init__(
        self, clients: Callable[[str], Client], settings: NodesSettings, clock: Clock
    ) -> None:
        self._clients = clients
        self._settings = settings
        self._clock = clock
        self._timers = Timers(clock)
        self._starting = asyncio.Semaphore(STARTING_AT_ONCE)
        self._writing = asyncio.Semaphore(WRITES_AT_ONCE)
        self._missing: set[str] = set()  # those that are not registered yet
        self._complete = asyncio.Event()

    async def run(self, specs: Sequence[NodeSpec], ready: Callable[[], None] | None) -> None:
        self._missing = {spec.name for spec in specs}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._timers.run())
            for spec in specs:
                tasks.create_task(self._keep_running(spec))
            if self._missing:
                await self._complete.wait()
            if ready is not None:
                ready()

    def _note_registered(self, name: str) -> None:
        self._missing.discard(name)
        if not self._missing:
            self._complete.set()

    async def _keep_running(self, spec: NodeSpec) -> None:
        """Run one node; when it fails it starts anew, as a service of a real machine would.

        One that cannot start, because of what it kept, says so once and keeps nobody waiting.
        """
        told = ""
        while True:
            try:
                async with AsyncExitStack() as stack:
                    await self._run_node(spec, stack)
            except* UsageError as errors:
                self._note_registered(spec.name)
                if told != (told := str(errors.exceptions[0])):
                    logger.error("node %s does not start: %s", spec.name, told)
            except* BerthError as errors:
                logger.error("node %s: %s", spec.name, errors.exceptions[0])
            except* Exception:
                # A bug met by one node must not stop the others.
                logger.exception("node %s failed", spec.name)
            await asyncio.sleep(RESTART_S)

    async def _run_node(self, spec: NodeSpec, stack: AsyncExitStack) -> None:
        # Reading thousands of certificates takes longer than a server waits for a handshake.
        async with self._starting:
            client = await stack.enter_async_context(self._clients(spec.name))
            kubelet = Kubelet(
                spec,
                client,
                self._timers,
                self._clock,
                self._settings.stages.dice(spec.name),
                self._writing,
                checkpoints=self._settings.checkpoints,
                with_events=self._settings.with_events,
            )
            await kubelet.register()
        self._note_registered(spec.name)
        await kubelet.run()
