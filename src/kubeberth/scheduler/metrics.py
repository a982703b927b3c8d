"""What a scheduler counts, by the names that kube-scheduler 1.36 gives it. Pure.

What has no counterpart here is left out rather than made up: rules answer for many nodes and many
pods at once, so no rule has a duration of its own.
Source: pkg/scheduler/metrics/metrics.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubeberth.metrics import Count, Histogram, Metric, Reading, exponential_buckets

SCHEDULED, UNSCHEDULABLE, ERROR = "scheduled", "unschedulable", "error"

_ATTEMPT_S = exponential_buckets(0.001, 2, 15)
# As upstream: pods that were tried more often than this count together.
_MAX_ATTEMPTS_LABEL = 15


class SchedulerMetrics:
    """Counts of one scheduler.

    Parameters
    ----------
    readings
        What is looked up when somebody asks, besides what is counted here.
    """

    def __init__(self, readings: Iterable[Reading] = ()) -> None:
        self._readings = tuple(readings)
        self.attempts = Count(
            "scheduler_schedule_attempts_total",
            "Number of attempts to schedule pods, by the result and the profile.",
            ("profile", "result"),
        )
        self.attempt_s = Histogram(
            "scheduler_scheduling_attempt_duration_seconds",
            "Scheduling attempt latency in seconds: deciding, and binding where there was any.",
            _ATTEMPT_S,
            ("profile", "result"),
        )
        self.algorithm_s = Histogram(
            "scheduler_scheduling_algorithm_duration_seconds",
            "Time to decide in seconds.",
            _ATTEMPT_S,
        )
        self.sli_s = Histogram(
            "scheduler_pod_scheduling_sli_duration_seconds",
            "Time from a pod's first attempt until it was bound, by the number of attempts.",
            exponential_buckets(0.01, 2, 20),
            ("attempts",),
        )
        self.pod_attempts = Histogram(
            "scheduler_pod_scheduling_attempts",
            "Number of attempts that it took to schedule a pod.",
            exponential_buckets(1, 2, 5),
        )
        self.preemption_attempts = Count(
            "scheduler_preemption_attempts_total", "Number of searches for victims."
        )
        self.victims = Histogram(
            "scheduler_preemption_victims",
            "Number of victims of a preemption.",
            exponential_buckets(1, 2, 7),
        )

        # Ours alone: kube-scheduler does not look.
        self.overcommits = Count(
            "kubeberth_scheduler_overcommits_total",
            "Number of pods that others have put on nodes without room for them.",
        )

    def __iter__(self) -> Iterator[Metric]:
        yield self.attempts
        yield self.attempt_s
        yield self.algorithm_s
        yield self.sli_s
        yield self.pod_attempts
        yield self.preemption_attempts
        yield self.victims
        yield self.overcommits
        yield from self._readings

    def attempted(self, profile: str, result: str, seconds: float) -> None:
        """Count an attempt that has ended."""
        self.attempts.add(profile, result)
        self.attempt_s.observe(seconds, profile, result)

    def scheduled(self, seconds: float, tries: int) -> None:
        """Count a pod that was bound, so long after its first attempt."""
        label = str(tries) if tries <= _MAX_ATTEMPTS_LABEL else f"{_MAX_ATTEMPTS_LABEL}+"
        self.sli_s.observe(seconds, label)
        self.pod_attempts.observe(tries)
