"""Pods that are ready, and soon will have been for long enough."""

from __future__ import annotations

from collections.abc import Iterable

from kubeberth.api.core import Pod
from kubeberth.api.workloads import is_available, is_ready, ready_since


def next_availability(pods: Iterable[Pod], min_ready_seconds: int, now: float) -> float | None:
    """Return in how many seconds the next ready pod becomes available; None when none does."""
    if min_ready_seconds == 0:
        return None  # whoever is ready is available
    waits = [
        ready_since(pod) + min_ready_seconds - now
        for pod in pods
        if is_ready(pod) and not is_available(pod, min_ready_seconds, now)
    ]
    # A little later, so that it is not a moment too early.
    return min(waits) + 0.01 if waits else None
