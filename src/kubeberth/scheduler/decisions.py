"""Decisions: what came of the last attempts, kept for a while so that somebody can ask. Pure.

A node's scores hold for the moment when they were compared. They are worked out again, rule by
rule, when there is time for that (`scores`), and as often as that costs little (`Budget`).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

from kubeberth.placement.decision import Decision
from kubeberth.placement.why import ScoredNode

# One takes about a kilobyte.
MAX_KEPT = 10_000
# Which share of all time may go into looking at scores for the record.
BUDGET = 0.02


@dataclass(slots=True)
class Attempt:
    """One attempt to place a pod.

    Parameters
    ----------
    at
        Wall clock, seconds since 1970.
    number
        How many attempts this makes.
    best
        The best nodes and their scores at that moment; empty when that was not recorded.
    trouble
        Why a pod that got a node was not bound there.
    """

    uid: str
    at: float
    number: int
    decision: Decision
    best: tuple[ScoredNode, ...] = ()
    trouble: str = ""


class Decisions:
    """The last attempt of each pod, the oldest ones forgotten first."""

    def __init__(self, max_kept: int = MAX_KEPT) -> None:
        self._max_kept = max_kept
        self._attempts: OrderedDict[str, Attempt] = OrderedDict()

    def __len__(self) -> int:
        return len(self._attempts)

    def keep(self, attempt: Attempt) -> None:
        """Remember an attempt instead of the last one of the same pod."""
        key = attempt.decision.pod_key
        self._attempts[key] = attempt
        self._attempts.move_to_end(key)
        if len(self._attempts) > self._max_kept:
            self._attempts.popitem(last=False)

    def get(self, key: str, uid: str) -> Attempt | None:
        """Return the last attempt of a pod, None when it is forgotten or was another pod."""
        attempt = self._attempts.get(key)
        return attempt if attempt is not None and attempt.uid == uid else None


class Budget:
    """Allows what is nice to have for a share of all time.

    Parameters
    ----------
    share
        0 to 1.
    """

    def __init__(self, share: float = BUDGET) -> None:
        self._pause = (1 - share) / share
        self._again_at = -math.inf

    def allows(self, now: float) -> bool:
        """Return whether there is something left."""
        return now >= self._again_at

    def spend(self, began_at: float, ended_at: float) -> None:
        """Take note of what something has cost."""
        self._again_at = ended_at + (ended_at - began_at) * self._pause
