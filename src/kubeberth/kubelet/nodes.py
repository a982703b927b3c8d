"""Many simulated nodes in one process, each a kubelet with an identity of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kubeberth.client.client import Client
from kubeberth.clock import Clock, SystemClock
from kubeberth.errors import BerthError
from kubeberth.kubelet.kubelet import Kubelet
from kubeberth.kubelet.specs import NodeSpec
from kubeberth.kubelet.stages import Stages
from kubeberth.kubelet.timers import Timers

logger = logging.getLogger(__name__)

# So many nodes start at a time: thousands of TLS handshakes at once would only wait for each other.
STARTING_AT_ONCE = 32
RESTART_S = 5.0


@dataclass(frozen=True, slots=True)
class NodesSettings:
    """What can be set about simulated nodes.

    Parameters
    ----------
    stages
        How long the stages of a pod's life take.
    with_events
        Whether kubelets record events about containers.
    """

    stages: Stages = field(default_factory=Stages)
    with_events: bool = True


async def run(
    specs: Sequence[NodeSpec],
    clients: Callable[[str], Client],
    settings: NodesSettings | None = None,
    *,
    clock: Clock | None = None,
    on_ready: Callable[[], None] | None = None,
) -> None:
    """Run all nodes until cancelled.

    Parameters
    ----------
    clients
        Returns a node's own client, for the user system:node:NAME; it is opened and closed here.
    on_ready
        Called once, when every node is registered.
    """
    settings = settings or NodesSettings()
    clock = clock or SystemClock()
    timers = Timers(clock)
    starting = asyncio.Semaphore(STARTING_AT_ONCE)
    registered = {spec.name: asyncio.Event() for spec in specs}
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(timers.run())
        for spec in specs:
            node = _Node(spec, clients, timers, clock, settings, starting)
            tasks.create_task(node.keep_running(registered[spec.name].set))
        for event in registered.values():
            await event.wait()
        if on_ready is not None:
            on_ready()


@dataclass(frozen=True, slots=True)
class _Node:
    """One node and what it shares with the others."""

    spec: NodeSpec
    clients: Callable[[str], Client]
    timers: Timers
    clock: Clock
    settings: NodesSettings
    starting: asyncio.Semaphore

    async def keep_running(self, on_registered: Callable[[], None]) -> None:
        """Run the node; when it fails it starts anew, as a service of a real machine would."""
        name = self.spec.name
        while True:
            try:
                async with self.clients(name) as client:
                    kubelet = self._kubelet(client)
                    async with self.starting:
                        await kubelet.register()
                    on_registered()
                    await kubelet.run()
            except* BerthError as errors:
                logger.error("node %s: %s", name, errors.exceptions[0])
            except* Exception:
                # A bug met by one node must not stop the others.
                logger.exception("node %s failed", name)
            await asyncio.sleep(RESTART_S)

    def _kubelet(self, client: Client) -> Kubelet:
        dice = self.settings.stages.dice(self.spec.name)
        with_events = self.settings.with_events
        return Kubelet(self.spec, client, self.timers, self.clock, dice, with_events=with_events)
