"""How a simulated node may fail. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class How(Enum):
    """What happens to it."""

    DEAD = "dead"
    NETWORK = "network"
    FLAP = "flap"


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure.

    Parameters
    ----------
    period_s
        Of a node that flaps: for so long it is away, and for so long it is back.
    """

    how: How
    period_s: float = 0.0


# Longer than a node may be silent (50 s) and than the controller takes to notice.
FLAP_PERIOD_S = 60.0


def saying(fault: Fault) -> str:
    """Return what is to be said of a node that has failed."""
    match fault.how:
        case How.DEAD:
            return "is dead: its kubelet has stopped without a word"
        case How.NETWORK:
            return "has lost its network: its pods run on, and nobody hears of them"
        case How.FLAP:
            return f"flaps: {fault.period_s:g} s without network, {fault.period_s:g} s with it"
