"""How long a job waits before it replaces a failed pod: 10 s, 20 s, ... up to 10 min.

Matches Kubernetes 1.36 (`pkg/controller/job/backoff_utils.go`) in what is waited for. Upstream
counts failures as it sees them; here the ended pods themselves are the record, so that a restarted
controller goes on waiting, and those that have since gone are remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kubeberth.api.batch import Job
from kubeberth.api.core import Pod
from kubeberth.controllers.batch.job_pods import finished_at, is_failed

FIRST_S = 10.0
LAST_S = 600.0


@dataclass(frozen=True, slots=True)
class Ending:
    """When a pod ended, and how."""

    at: float
    succeeded: bool


Endings = Mapping[str, Ending]


def recall(known: Endings, pods: Iterable[Pod], job: Job) -> dict[str, Ending]:
    """Return the endings, by UIDs of pods, that the next back-off depends on.

    Those are the failures since the last success, and that success.

    Parameters
    ----------
    known
        What was recalled the last time.
    """
    endings = dict(known)
    for pod in pods:
        succeeded = pod.status.phase == "Succeeded"
        if succeeded or is_failed(pod, job):
            endings[pod.metadata.uid] = Ending(finished_at(pod), succeeded)
    last = max((each.at for each in endings.values() if each.succeeded), default=None)
    if last is None:
        return endings
    return {uid: each for uid, each in endings.items() if each.at > last or _is(each, last)}


def _is(ending: Ending, last: float) -> bool:
    return ending.succeeded and ending.at == last


def remaining_s(endings: Endings, now: float) -> float:
    """Return how long to wait until the next pod may be made."""
    failures = [ending.at for ending in endings.values() if not ending.succeeded]
    return wait_s(len(failures), max(failures, default=0.0), now)


def wait_s(n_failures: int, last_failed_at: float, now: float) -> float:
    """Return how much is left of the wait after so many failures in a row."""
    if not n_failures:
        return 0.0
    # The exponent is held down: the wait is as long as it gets by then.
    whole = min(FIRST_S * 2.0 ** min(n_failures - 1, 10), LAST_S)
    return max(0.0, last_failed_at + whole - now)
