"""What a scheduler counts, by the names that kube-scheduler 1.36 gives it. Pure.

What has no counterpart here is left out rather than made up: filters and scores answer for many
nodes and many pods at once, so none has a duration of its own, but what is done to a pod has.
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
        self.extension_point_s = Histogram(
            "scheduler_framework_extension_point_duration_seconds",
            "Time that PreBind and Bind took in seconds, by how they ended.",
            exponential_buckets(0.0001, 2, 12),
            ("extension_point", "status", "profile"),
        )
        self.plugin_s = Histogram(
            "scheduler_plugin_execution_duration_seconds",
            "Time that plugins took in seconds at PreBind and Bind, by how it ended.",
            exponential_buckets(0.00001, 1.5, 20),
            ("plugin", "extension_point", "status"),
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
        yield self.extension_point_s
        yield self.plugin_s
        yield self.overcommits
        yield from self._readings

    def attempted(self, profile: str, result: str, seconds: float) -> None:
        """Count an attempt that has ended."""
        self.attempts.add(profile, result)
        self.attempt_s.observe(seconds, profile, result)

    def acted(
        self, extension_point: str, plugin: str, profile: str, seconds: float, *, ok: bool
    ) -> None:
        """Count what a plugin did for a pod; each of these points has one plugin."""
        status = "Success" if ok else "Error"
        self.extension_point_s.observe(seconds, extension_point, status, profile)
        self.plugin_s.observe(seconds, plugin, extension_point, status)

    def scheduled(self, seconds: float, tries: int) -> None:
        """Count a pod that was bound, so long after its first attempt."""
        label = str(tries) if tries <= _MAX_ATTEMPTS_LABEL else f"{_MAX_ATTEMPTS_LABEL}+"
        self.sli_s.observe(seconds, label)
        self.pod_attempts.observe(tries)
