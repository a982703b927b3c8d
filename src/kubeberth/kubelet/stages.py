"""How long the stages of a simulated pod's life take. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubeberth.kubelet.chance import drawn
from kubeberth.kubelet.transitions import Step

# Together 50 to 150 ms from bound to ready: quick, but in an order that can be watched.
DEFAULT_DELAYS: Mapping[Step, float] = {
    Step.SANDBOX: 0.05,
    Step.PULL: 0.02,
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
        return Dice(self, node_name)


class Dice:
    """Draws the delays of one node."""

    __slots__ = ("_n_spread", "_node", "_stages")

    def __init__(self, stages: Stages, node: str) -> None:
        self._stages = stages
        self._node = node
        self._n_spread = 0

    def delay_s(self, step: Step, *about: object) -> float:
        """Return how long a step takes this time.

        Parameters
        ----------
        about
            Whose step it is; equal ones of one node take equally long.
        """
        jitter = self._stages.jitter
        chance = drawn(self._stages.seed, self._node, step.name, *about)
        return self._stages.delays[step] * (1 + jitter * (2 * chance - 1))

    def spread(self, mean_s: float, share: float) -> float:
        """Return a period near the mean, so that nodes do not keep step."""
        self._n_spread += 1
        chance = drawn(self._stages.seed, self._node, self._n_spread)
        return mean_s * (1 + share * (2 * chance - 1))
