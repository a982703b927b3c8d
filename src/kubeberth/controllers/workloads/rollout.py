"""The arithmetic of a Deployment's rollout: how many replicas each ReplicaSet should have.

Matches Kubernetes 1.36 (`pkg/controller/deployment`, `util/deployment_util.go`). Numbers in,
numbers out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubeberth.api.workloads import Deployment


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a rollout may leave the wanted number of pods."""

    replicas: int
    max_surge: int
    max_unavailable: int

    @property
    def most(self) -> int:
        """The most pods there may be."""
        return self.replicas + self.max_surge

    @property
    def least_available(self) -> int:
        """The fewest available pods there may be."""
        return self.replicas - self.max_unavailable


@dataclass(frozen=True, slots=True)
class Size:
    """A ReplicaSet as the arithmetic sees it.

    Parameters
    ----------
    available
        How many of its pods are available for certain.
    is_observed
        Whether it has told how its pods are since it was last resized.
    age
        Orders sets: the smaller, the older.
    most_before
        `max-replicas` of the Deployment when the set was last scaled; None when not annotated.
    """

    name: str
    replicas: int
    available: int = 0
    is_observed: bool = True
    age: tuple[float, str] = (0.0, "")
    most_before: int | None = None


def bounds_of(deployment: Deployment) -> Bounds:
    """Return the bounds; outside of a rolling update nothing may surge."""
    replicas = deployment.spec.replicas
    strategy = deployment.spec.strategy
    if strategy.type != "RollingUpdate":
        return Bounds(replicas, 0, 0)
    rolling = strategy.rolling_update
    surge = scaled(rolling.max_surge, replicas, round_up=True)
    unavailable = scaled(rolling.max_unavailable, replicas, round_up=False)
    if surge == 0 and unavailable == 0:
        # With neither nothing could ever move (upstream: ResolveFenceposts).
        unavailable = 1
    return Bounds(replicas, surge, min(unavailable, replicas))


def scaled(amount: int | str, total: int, *, round_up: bool) -> int:
    """Return a number as it is, a percentage as its share of the total."""
    if isinstance(amount, int):
        return amount
    hundredths = int(amount.removesuffix("%")) * total
    return -(-hundredths // 100) if round_up else hundredths // 100


def new_set_target(bounds: Bounds, current: int, total: int, *, rolling: bool) -> int:
    """Return the replicas the new ReplicaSet should have, given all that there are."""
    if current > bounds.replicas or not rolling:
        return bounds.replicas
    room = bounds.most - total
    return current + max(0, min(room, bounds.replicas - current))


def old_set_targets(bounds: Bounds, old: Sequence[Size], new: Size) -> dict[str, int]:
    """Return how small the old ReplicaSets should become: first the unhealthy replicas go."""
    targets = {size.name: size.replicas for size in old}
    total = sum(size.replicas for size in (*old, new))
    available = sum(size.available for size in (*old, new))
    budget = total - bounds.least_available - (new.replicas - new.available)
    if budget <= 0:
        return targets
    oldest_first = sorted(old, key=lambda size: size.age)
    for size in oldest_first:
        unhealthy = min(budget, _known_unhealthy(size))
        targets[size.name] -= unhealthy
        budget -= unhealthy
    surplus = available - bounds.least_available
    for size in oldest_first:
        if surplus <= 0:
            break
        less = min(surplus, targets[size.name])
        targets[size.name] -= less
        surplus -= less
    return targets


def _known_unhealthy(size: Size) -> int:
    return max(0, size.replicas - size.available) if size.is_observed else 0


def proportional_targets(
    bounds: Bounds, active: Iterable[Size], status_replicas: int
) -> dict[str, int]:
    """Return the sizes when a Deployment is scaled amid a rollout: each set by its share.

    Parameters
    ----------
    status_replicas
        What stands in for a missing `max-replicas` annotation.
    """
    sizes = list(active)
    allowed = bounds.most if bounds.replicas > 0 else 0
    to_add = allowed - sum(size.replicas for size in sizes)
    newer_first = sorted(sizes, key=lambda size: size.age, reverse=to_add > 0)
    largest_first = sorted(newer_first, key=lambda size: -size.replicas)
    targets = {size.name: size.replicas for size in largest_first}
    left = to_add
    for size in largest_first:
        share = _share(bounds, size, left, to_add, status_replicas)
        targets[size.name] += share
        left -= share
    if largest_first and left:
        targets[largest_first[0].name] += left
    return {name: max(0, target) for name, target in targets.items()}


def _share(bounds: Bounds, size: Size, left: int, to_add: int, status_replicas: int) -> int:
    if size.replicas == 0 or left == 0:
        return 0
    fraction = _fraction(bounds, size, status_replicas)
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _fraction(bounds: Bounds, size: Size, status_replicas: int) -> int:
    if bounds.replicas == 0:
        return -size.replicas
    before = size.most_before or status_replicas
    if before == 0:
        return 0
    # Upstream rounds halves away from zero, Python to even.
    return math.floor(size.replicas * bounds.most / before + 0.5) - size.replicas
