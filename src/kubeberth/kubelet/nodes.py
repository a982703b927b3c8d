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
) -> None:
    """Run all nodes until cancelled.

    Parameters
    ----------
    clients
        Returns a node's own client, for the user system:node:NAME; it is opened and closed here.
    """
    settings = settings or NodesSettings()
    clock = clock or SystemClock()
    timers = Timers(clock)
    starting = asyncio.Semaphore(STARTING_AT_ONCE)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(timers.run())
        for spec in specs:
            tasks.create_task(_keep_running(spec, clients, timers, clock, settings, starting))


async def _keep_running(
    spec: NodeSpec,
    clients: Callable[[str], Client],
    timers: Timers,
    clock: Clock,
    settings: NodesSettings,
    starting: asyncio.Semaphore,
) -> None:
    """Run one node; when it fails it starts anew, as a service of a real machine would."""
    while True:
        try:
            async with clients(spec.name) as client:
                dice = settings.stages.dice(spec.name)
                kubelet = Kubelet(
                    spec, client, timers, clock, dice, with_events=settings.with_events
                )
                async with starting:
                    await kubelet.register()
                await kubelet.run()
        except* BerthError as errors:
            logger.error("node %s: %s", spec.name, errors.exceptions[0])
        except* Exception:
            # A bug met by one node must not stop the others.
            logger.exception("node %s failed", spec.name)
        await asyncio.sleep(RESTART_S)
