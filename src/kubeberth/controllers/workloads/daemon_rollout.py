"""How a DaemonSet goes over from one template to the next, node by node.

Matches Kubernetes 1.36 (`pkg/controller/daemon/update.go`). Pure: sites in, pods and nodes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from kubeberth.api.core import Pod
from kubeberth.api.workloads import DaemonSet
from kubeberth.controllers.workloads.daemon_pods import Fit
from kubeberth.controllers.workloads.rollout import scaled

Question = Callable[[Pod], bool]


@dataclass(frozen=True, slots=True)
class Site:
    """A node as a DaemonSet sees it.

    Parameters
    ----------
    exists
        Whether there is such a node; pods may be left of one that is gone.
    pods
        Those of the set that are there or are to be, oldest first; without ended ones that are
        being deleted already.
    """

    node: str
    fit: Fit
    pods: tuple[Pod, ...] = ()
    exists: bool = True

    @property
    def remaining(self) -> Sequence[Pod]:
        """The pods that are not on their way out."""
        return [pod for pod in self.pods if not pod.is_terminating]


@dataclass(slots=True)
class Moves:
    """What is to be done: pods that go, and nodes that get one."""

    delete: list[Pod] = field(default_factory=list)
    create: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many nodes may be without an available pod, and how many may have two."""

    max_unavailable: int
    max_surge: int


def bounds_of(daemon_set: DaemonSet, n_desired: int) -> Bounds:
    """Return the bounds; shares are rounded up, and something must be able to move."""
    rolling = daemon_set.spec.update_strategy.rolling_update
    unavailable = scaled(rolling.max_unavailable, n_desired, round_up=True)
    surge = scaled(rolling.max_surge, n_desired, round_up=True)
    if n_desired > 0 and unavailable == 0 and surge == 0:
        unavailable = 1
    return Bounds(unavailable, surge)


def allows_surge(daemon_set: DaemonSet) -> bool:
    """Return whether an old and a new pod may be on a node together."""
    strategy = daemon_set.spec.update_strategy
    if strategy.type != "RollingUpdate":
        return False
    return scaled(strategy.rolling_update.max_surge, 1, round_up=True) > 0


def roll(
    sites: Sequence[Site], bounds: Bounds, *, is_new: Question, is_available: Question
) -> Moves:
    """Return the next step of an update.

    Parameters
    ----------
    is_new
        Whether a pod is of the current template.
    is_available
        Whether a pod has been ready for long enough.
    """
    pairs = [_pair(site, is_new) for site in sites if site.pods]
    if bounds.max_surge == 0:
        return _replace(pairs, bounds.max_unavailable, is_available)
    n_desired = sum(site.fit.starts for site in sites)
    return _surge(pairs, bounds.max_surge, n_desired, is_available)


@dataclass(frozen=True, slots=True)
class _Pair:
    """The new and the old pod of a site; it is crowded when there are several of either."""

    site: Site
    new: Pod | None
    old: Pod | None
    is_crowded: bool


def _pair(site: Site, is_new: Question) -> _Pair:
    new = [pod for pod in site.remaining if is_new(pod)]
    old = [pod for pod in site.remaining if not is_new(pod)]
    is_crowded = len(new) > 1 or len(old) > 1
    return _Pair(site, new[0] if new else None, old[0] if old else None, is_crowded)


def _replace(pairs: Iterable[_Pair], max_unavailable: int, is_available: Question) -> Moves:
    """Remove old pods, as many as may be unavailable; new ones come when they are gone."""
    n_unavailable = 0
    free: list[Pod] = []
    candidates: list[Pod] = []
    for pair in pairs:
        if pair.is_crowded or (pair.new is None) == (pair.old is None):
            # Pods are missing or too many: that is put right first.
            n_unavailable += 1
        elif pair.new is not None:
            n_unavailable += not is_available(pair.new)
        elif pair.old is not None and is_available(pair.old):
            candidates.append(pair.old)
        elif pair.old is not None:
            # It does no work anyway, so that nothing is lost.
            free.append(pair.old)
            n_unavailable += 1
    return Moves(delete=[*free, *candidates[: max(0, max_unavailable - n_unavailable)]])


def _surge(pairs: Iterable[_Pair], max_surge: int, n_desired: int, is_available: Question) -> Moves:
    """Make new pods beside old ones, as many as may be; old ones go when new ones serve."""
    moves = Moves()
    n_surging = n_available = 0
    candidates: list[str] = []
    unfit: list[Pod] = []
    for pair in pairs:
        if pair.is_crowded:
            n_surging += 1
            continue
        serving = pair.old or pair.new
        n_available += serving is not None and is_available(serving)
        if pair.old is None:
            continue
        if pair.new is not None:
            if is_available(pair.new):
                moves.delete.append(pair.old)
            else:
                n_surging += 1
        elif not is_available(pair.old):
            if pair.site.fit.starts:
                moves.create.append(pair.site.node)
            else:
                moves.delete.append(pair.old)
        elif pair.site.fit.starts:
            candidates.append(pair.site.node)
        else:
            unfit.append(pair.old)
    # What does its work where it should not stays until enough others do.
    moves.delete += unfit[: max(0, n_available - n_desired)]
    moves.create += candidates[: max(0, max_surge - n_surging)]
    return moves
