"""How fast nodes that are down may lose their pods: by zone, and the slower the more are down.

Matches Kubernetes 1.36 (`pkg/controller/nodelifecycle`, `scheduler.RateLimitedTimedQueue`): in each
zone, one node at a time gets its NoExecute taint. Where most nodes of a zone are down, that happens
seldom or never; where all nodes of all zones are, the fault is likely the network between us and
them, and nobody is evicted.

A state machine; `now` is an argument.

Rule 1: nodes are evicted in the order in which a pass has found them down.
Rule 2: a zone starts with one eviction in hand, and gains one each `1 / rate` seconds, never two.
Rule 3: a change of its rate leaves a zone what it has in hand; one that had no rate has nothing.
Rule 4: when all zones become fully disrupted, all that was begun is taken back.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from kubeberth.api.core import Node
from kubeberth.api.node_labels import BETA_REGION, BETA_ZONE, REGION, ZONE

EVICTIONS_PER_S = 0.1
# In larger zones of which most nodes are down; in smaller ones nobody is evicted then.
SLOW_EVICTIONS_PER_S = 0.01
LARGE_ZONE = 50
UNHEALTHY_SHARE = 0.55
# One or two nodes that are down are no disruption, however small the zone.
N_UNHEALTHY = 2

EXCLUDE_DISRUPTION = "node.kubernetes.io/exclude-disruption"
# The deprecated labels come first, as upstream has it.
REGION_LABELS = (BETA_REGION, REGION)
ZONE_LABELS = (BETA_ZONE, ZONE)


class ZoneState(Enum):
    """How much of a zone is down."""

    NORMAL = "Normal"
    PARTIAL_DISRUPTION = "PartialDisruption"
    FULL_DISRUPTION = "FullDisruption"


def zone_state(n_ready: int, n_not_ready: int) -> ZoneState:
    """Return the state of a zone with so many nodes."""
    if n_not_ready and not n_ready:
        return ZoneState.FULL_DISRUPTION
    share = n_not_ready / (n_ready + n_not_ready or 1)
    if n_not_ready > N_UNHEALTHY and share >= UNHEALTHY_SHARE:
        return ZoneState.PARTIAL_DISRUPTION
    return ZoneState.NORMAL


def eviction_rate(state: ZoneState, n_nodes: int) -> float:
    """Return how many nodes a second may be evicted in a zone of that state and size."""
    if state is not ZoneState.PARTIAL_DISRUPTION:
        return EVICTIONS_PER_S
    return SLOW_EVICTIONS_PER_S if n_nodes > LARGE_ZONE else 0.0


def zone_of(node: Node) -> str:
    """Return what tells zones apart; nodes without any such label are in one together."""
    labels = node.metadata.labels
    parts = (
        next((labels[key] for key in keys if labels.get(key)), "")
        for keys in (REGION_LABELS, ZONE_LABELS)
    )
    region, zone = parts
    return f"{region}:\x00:{zone}" if region or zone else ""


def is_ready(node: Node) -> bool:
    """Return whether a node says, and is believed, that it is ready."""
    ready = node.condition("Ready")
    return ready is not None and ready.status == "True"


@dataclass(slots=True)
class _Zone:
    rate: float = EVICTIONS_PER_S
    next_at: float = -math.inf
    waiting: dict[str, None] = field(default_factory=dict)

    def set_rate(self, rate: float, now: float) -> None:
        if rate == self.rate:
            return
        has_one_in_hand = bool(self.rate) and now >= self.next_at
        self.rate = rate
        if not has_one_in_hand:
            self.next_at = now + self._interval_s

    @property
    def _interval_s(self) -> float:
        return 1 / self.rate if self.rate else math.inf

    def wait_s(self, name: str, now: float) -> float:
        """Return for how long at least it is not yet a node's turn."""
        if not self.rate:
            return math.inf
        left_s = max(0.0, self.next_at - now)
        return left_s if name == next(iter(self.waiting)) else left_s + self._interval_s

    def take(self, name: str, now: float) -> None:
        del self.waiting[name]
        self.next_at = now + self._interval_s


class ZoneEvictions:
    """Which nodes that are down may be told to evict their pods.

    Attributes
    ----------
    are_all_down
        Whether every zone is fully disrupted, as far as nodes count that are not excluded.
    """

    def __init__(self) -> None:
        self.are_all_down = False
        self._zones: dict[str, _Zone] = defaultdict(_Zone)
        self._zone_of: dict[str, str] = {}
        self._evicted: set[str] = set()

    def look(self, nodes: Iterable[Node], now: float) -> bool:
        """Take in the state of all nodes; return whether, after all were down, one is back."""
        counts: dict[str, list[int]] = {}
        down = []
        for node in nodes:
            if node.condition("Ready") is not None and not is_ready(node):
                down.append(node)
            if EXCLUDE_DISRUPTION not in node.metadata.labels:
                count = counts.setdefault(zone_of(node), [0, 0])
                count[0 if is_ready(node) else 1] += 1
        states = {zone: zone_state(*count) for zone, count in counts.items()}
        were_all_down = self.are_all_down
        self.are_all_down = bool(states) and set(states.values()) == {ZoneState.FULL_DISRUPTION}
        if self.are_all_down and not were_all_down:
            self._zones.clear()
            self._zone_of.clear()
            self._evicted.clear()
        for zone, state in states.items():
            rate = 0.0 if self.are_all_down else eviction_rate(state, sum(counts[zone]))
            self._zones[zone].set_rate(rate, now)
        for node in down:
            self._enqueue(node)
        return were_all_down and not self.are_all_down

    def _enqueue(self, node: Node) -> None:
        name = node.metadata.name
        if name not in self._zone_of and name not in self._evicted:
            zone = self._zone_of[name] = zone_of(node)
            self._zones[zone].waiting[name] = None

    def wait_s(self, name: str, now: float) -> float:
        """Return for how long at least a node that is down has to wait for its turn.

        Zero takes the turn: others of its zone wait for the next one. Infinity is for as long as
        things are as they are.
        """
        if name in self._evicted:
            return 0.0
        if name not in self._zone_of:
            return math.inf
        zone = self._zones[self._zone_of[name]]
        wait_s = zone.wait_s(name, now)
        if wait_s <= 0:
            zone.take(name, now)
            del self._zone_of[name]
            self._evicted.add(name)
        return wait_s

    def forget(self, name: str) -> None:
        """Take note that a node is ready, or gone."""
        self._evicted.discard(name)
        if (zone := self._zone_of.pop(name, None)) is not None:
            self._zones[zone].waiting.pop(name, None)
