"""How long the stages of a simulated pod's life take."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from kubeberth.kubelet.pod_lifecycle import Step

# Together 50 to 150 ms from bound to ready: quick, but in an order that can be watched.
DEFAULT_DELAYS: Mapping[Step, float] = {
    Step.SANDBOX: 0.05,
    Step.INIT: 0.02,
    Step.START: 0.03,
    Step.READY: 0.0,
    Step.STOP: 0.05,
}
DEFAULT_JITTER = 0.5


@dataclass(frozen=True)
class Stages:
    """Mean delays in seconds, and by how much a single one may differ.

    Parameters
    ----------
    jitter
        0.5 means between half and one and a half of the mean.
    seed
        Equal seeds give equal lives.
    """

    delays: Mapping[Step, float] = field(default_factory=lambda: DEFAULT_DELAYS)
    jitter: float = DEFAULT_JITTER
    seed: int = 0

    def dice(self, node_name: str) -> Dice:
        """Return a node's own source of delays, independent of other nodes."""
        return Dice(self, random.Random(f"{self.seed}/{node_name}"))


class Dice:
    """Draws the delays of one node."""

    def __init__(self, stages: Stages, chance: random.Random) -> None:
        self._stages = stages
        self._chance = chance

    def delay_s(self, step: Step) -> float:
        """Return how long a step takes this time."""
        jitter = self._stages.jitter
        return self._stages.delays[step] * self._chance.uniform(1 - jitter, 1 + jitter)

    def spread(self, mean_s: float, share: float) -> float:
        """Return a period near the mean, so that nodes do not keep step."""
        return mean_s * self._chance.uniform(1 - share, 1 + share)
