"""Importance: which pods are given up last when a node has to be made free.

Matches kube-scheduler 1.36 (pkg/scheduler/util, MoreImportantPod).
"""

from __future__ import annotations

from collections.abc import Iterable

from kubeberth.placement.placed import PlacedPod

# Behind every time there is: a pod that has not started is one that starts now.
_NOT_YET = "~"


def by_importance(pods: Iterable[PlacedPod]) -> list[PlacedPod]:
    """Return pods, the most important first.

    Higher priority comes before lower, longer running before later started, and of equals the one
    that was put on the node first.
    """
    return sorted(pods, key=_rank)


def started(placed: PlacedPod) -> str:
    """Return when a pod started, as a text that sorts by time."""
    return placed.start_time or _NOT_YET


def _rank(placed: PlacedPod) -> tuple[int, str]:
    return -placed.request.priority, placed.start_time or _NOT_YET
