"""Pages: what a scheduler shows of itself, as data: checks, metrics, dumps, explanations."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from kubeberth.api.core import Pod
from kubeberth.api.requests import shown_amount
from kubeberth.client.client import Client
from kubeberth.client.election import Election
from kubeberth.client.mandate import Mandate
from kubeberth.clock import Clock, rfc3339
from kubeberth.errors import NotFoundError
from kubeberth.metrics import Labels, Metric, Reading
from kubeberth.placement.delta import PodRemoved
from kubeberth.placement.profile import Profile
from kubeberth.placement.vocabulary import PODS
from kubeberth.placement.why import Why
from kubeberth.placement.why_now import NO_SUCH_NODE, best_nodes, helped, why_pending
from kubeberth.scheduler.cache import Cache
from kubeberth.scheduler.decisions import Attempt, Decisions
from kubeberth.scheduler.metrics import SchedulerMetrics
from kubeberth.scheduler.queue import QUEUE_OF, Place, QueuedPod, SchedulingQueue


@dataclass(frozen=True, slots=True)
class Check:
    """Whether one thing is as it should be."""

    name: str
    trouble: str = ""

    @property
    def is_good(self) -> bool:
        """Whether there is no trouble."""
        return not self.trouble


@dataclass(frozen=True, slots=True)
class Parts:
    """What there is to show.

    Parameters
    ----------
    pods
        What the watch shows, by `namespace/name`.
    unsynced
        Returns the names of the resources of which nothing is known yet.
    """

    cache: Cache
    queue: SchedulingQueue
    decisions: Decisions
    profiles: Mapping[str, Profile]
    pods: Mapping[str, Pod]
    mandate: Mandate
    client: Client
    clock: Clock
    unsynced: Callable[[], list[str]]


class Pages:
    """See the module."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._began_at = parts.clock.now()
        self.counts = SchedulerMetrics(self._readings())

    # Probes

    def checks(self, name: str) -> list[Check]:
        """Return what `/healthz`, `/livez` or `/readyz` looks at."""
        checks = [Check("ping")]
        mandate = self._parts.mandate
        if isinstance(mandate, Election):
            # As upstream's watchdog: one that leads and cannot renew has to go.
            late = mandate.is_overdue
            trouble = f"failed election to renew leadership on lease {mandate.terms.name}"
            checks.append(Check("leaderElection", trouble if late else ""))
        if name == "readyz":
            missing = self._parts.unsynced()
            trouble = f"{len(missing)} informers not started or synced yet: {', '.join(missing)}"
            checks.append(Check("informer-sync", trouble if missing else ""))
        return checks

    # Metrics

    def metrics(self) -> Iterable[Metric]:
        """Return everything that is counted."""
        return iter(self.counts)

    def _readings(self) -> Iterable[Reading]:
        parts = self._parts
        yield Reading(
            "scheduler_pending_pods",
            "Number of pending pods, by the queue.",
            ("queue",),
            self._pending,
        )
        yield Reading(
            "scheduler_queue_incoming_pods_total",
            "Number of pods added to scheduling queues by event and queue type.",
            ("queue", "event"),
            lambda: parts.queue.incoming,
            "counter",
        )
        yield Reading(
            "scheduler_unschedulable_pods",
            "The number of unschedulable pods broken down by plugin name.",
            ("plugin", "profile"),
            self._unschedulable,
        )
        yield Reading(
            "scheduler_cache_size",
            "Number of nodes, pods, and assumed (bound) pods in the scheduler cache.",
            ("type",),
            self._sizes,
        )
        yield Reading(
            "rest_client_requests_total",
            "Number of HTTP requests, partitioned by status code and method.",
            ("method", "code"),
            lambda: parts.client.answers,
            "counter",
        )
        yield Reading(
            "leader_election_master_status",
            "Whether this process leads, by the name of the lease.",
            ("name",),
            self._leads,
        )
        yield Reading(
            "process_resident_memory_bytes", "Resident memory size in bytes.", (), _resident
        )
        yield Reading(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            (),
            lambda: {(): sum(os.times()[:2])},
            "counter",
        )
        yield Reading(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            (),
            lambda: {(): self._began_at},
        )

    def _pending(self) -> Mapping[Labels, float]:
        counts: dict[Labels, float] = {(name,): 0 for name in QUEUE_OF.values()}
        for entry in self._parts.queue:
            if entry.place in QUEUE_OF:
                counts[(QUEUE_OF[entry.place],)] += 1
        return counts

    def _unschedulable(self) -> Mapping[Labels, float]:
        return Counter(
            (plugin, entry.pod.spec.scheduler_name)
            for entry in self._parts.queue
            if entry.place is not Place.BINDING
            for plugin in entry.rejected_by
        )

    def _sizes(self) -> Mapping[Labels, float]:
        cache = self._parts.cache
        return {
            ("nodes",): cache.state.n_nodes,
            ("pods",): cache.state.n_pods,
            ("assumed_pods",): cache.n_assumed,
        }

    def _leads(self) -> Mapping[Labels, float]:
        mandate = self._parts.mandate
        if not isinstance(mandate, Election):
            return {}
        return {(mandate.terms.name,): float(mandate.holds)}

    # Dumps

    def queue(self) -> dict[str, Any]:
        """Return every pod without a node, and what it waits for."""
        parts = self._parts
        now = parts.clock.monotonic()
        entries = sorted(parts.queue, key=lambda entry: (entry.place.value, entry.timestamp))
        return {
            "counts": dict(sorted(Counter(entry.place.value for entry in entries).items())),
            "pods": [{"pod": entry.pod.metadata.key, **_in_queue(entry, now)} for entry in entries],
        }

    def cache(self) -> dict[str, Any]:
        """Return every node, how much of it is taken, and the pods there."""
        cache, state = self._parts.cache, self._parts.cache.state
        nodes = {}
        for name in state.node_names:
            slot = state.slot_of(name)
            assert slot is not None
            there, taken = state.allocatable[:, slot], state.requested[:, slot]
            resources = {
                resource: {
                    "requested": _amount(resource, index, int(taken[index])),
                    "allocatable": _amount(resource, index, int(there[index])),
                }
                for index, resource in enumerate(state.resources.values)
                if there[index]
            }
            pods = sorted(pod.key for pod in state.pods_on(name))
            nodes[name] = {"resources": resources, "pods": pods}
        nominated = {key: pod.node_name for key, pod in state.nominations.pods.items()}
        return {"nodes": nodes, "assumed": sorted(cache.assumed), "nominated": nominated}

    # Why

    def why(self, key: str) -> Why:
        """Return why a pod is where it is.

        Raises
        ------
        NotFoundError
            There is no such pod.
        """
        parts = self._parts
        entry, pod = parts.queue.get(key), parts.pods.get(key)
        if pod is None and entry is not None:
            pod = entry.pod
        if pod is None:
            raise NotFoundError(f'pods "{key.partition("/")[2]}" not found')
        attempt = parts.decisions.get(key, pod.metadata.uid)
        node = parts.cache.state.node_of(key)
        if node is not None:
            return self._why_placed(pod, node, attempt)
        profile = parts.profiles.get(pod.spec.scheduler_name)
        if profile is None:
            name = pod.spec.scheduler_name
            return Why(key, "unknown", f'waits for a scheduler called "{name}", which this is not')
        shown = {} if entry is None else _in_queue(entry, parts.clock.monotonic())
        for rule in profile.pre_enqueue:
            rejection = rule.pre_enqueue(pod)
            if rejection is not None:
                return Why(key, "gated", ", ".join(rejection.reasons), queue=shown)
        found = why_pending(parts.cache.state, pod, profile)
        return msgspec.structs.replace(found, queue=shown)

    def remedies(self, key: str) -> Callable[[Why], Why] | None:
        """Return what looks for remedies for a pod that waits, in a copy of the cluster as it is.

        It takes its time and touches nothing that is in use here, so it may run beside the loop.
        """
        parts = self._parts
        pod = parts.pods.get(key)
        profile = None if pod is None else parts.profiles.get(pod.spec.scheduler_name)
        if pod is None or profile is None or parts.cache.state.node_of(key) is not None:
            return None
        state = parts.cache.state.fork()
        return partial(helped, state=state, pod=pod, profile=profile)

    def _why_placed(self, pod: Pod, node: str, attempt: Attempt | None) -> Why:
        parts, key = self._parts, pod.metadata.key
        if parts.cache.state.slot_of(node) is None:
            return Why(key, "placed", NO_SUCH_NODE, node, parts.cache.state.n_nodes)
        if attempt is not None and attempt.decision.node == node:
            decision = attempt.decision
            message = f"the best of {decision.n_feasible} that fitted, of {decision.n_nodes} nodes"
            if decision.n_feasible == 1:
                message = f"the only one that fitted, of {decision.n_nodes} nodes"
            if attempt.best or decision.n_feasible == 1:
                return Why(
                    key,
                    "placed",
                    message,
                    node,
                    decision.n_nodes,
                    decision.n_feasible,
                    rfc3339(attempt.at),
                    best=attempt.best,
                )
        else:
            message = (
                "placed by another scheduler or its nodeName, or too long ago to be remembered"
            )
        profile = parts.profiles.get(pod.spec.scheduler_name)
        if profile is None:
            return Why(key, "placed", message, node)
        # As if it came anew.
        state = parts.cache.state.fork()
        state.apply(PodRemoved(key))
        best = best_nodes(state, state.request(_unbound(pod)), profile, key)
        return Why(key, "placed", message, node, state.n_nodes, best=best)


def _unbound(pod: Pod) -> Pod:
    spec = msgspec.structs.replace(pod.spec, node_name="")
    return msgspec.structs.replace(pod, spec=spec)


def _in_queue(entry: QueuedPod, now: float) -> dict[str, object]:
    shown: dict[str, object] = {
        "place": entry.place.value,
        "attempts": entry.tries,
        "priority": entry.pod.priority,
        "forSeconds": round(now - entry.timestamp, 1),
    }
    if entry.place in (Place.BACKOFF, Place.ERROR_BACKOFF):
        shown["backoffSeconds"] = max(0.0, round(entry.backoff_until + 1 - now, 1))
    if entry.rejected_by:
        shown["rejectedBy"] = sorted(entry.rejected_by)
    return shown


def _amount(resource: str, index: int, value: int) -> str:
    return str(value) if index == PODS else shown_amount(resource, value)


def _resident() -> Mapping[Labels, float]:
    try:
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
    except OSError:
        return {}
    return {(): pages * os.sysconf("SC_PAGE_SIZE")}
