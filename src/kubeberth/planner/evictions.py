"""Evictions: the pods of a cluster that leave their node for its NoExecute taints.

Rule 1: whoever is there and does not tolerate them goes at once, or when the time is over for
        which it does.
Rule 2: whom a plan places may stay. Such a pod tolerates the taints for a while; what comes for it
        after that may find the same node, and so on for ever.
"""

from __future__ import annotations

from dataclasses import dataclass

from kubeberth.api.core import Node, Pod, Taint
from kubeberth.api.scheme import NODES, PODS
from kubeberth.api.taints import shown_taint
from kubeberth.controllers.nodes.taint_eviction import no_execute, tolerated_for_s
from kubeberth.planner.objects import Objects


@dataclass(frozen=True, slots=True)
class Evicted:
    """A pod that was told to go.

    Parameters
    ----------
    taint
        The one that it tolerates the least.
    tolerated_s
        For how long.
    """

    pod: Pod
    taint: Taint
    tolerated_s: float

    @property
    def by(self) -> str:
        """What it goes for, as kubectl writes a taint."""
        return f"taint {shown_taint(self.taint)}"

    @property
    def message(self) -> str:
        """Why it had to go, in one line."""
        if not self.tolerated_s:
            return f"it does not tolerate its node's {self.by}"
        return f"it tolerates its node's {self.by} for no more than {self.tolerated_s:.0f} s"


class Evictions:
    """Evicts pods of some objects, each when its time has come.

    Attributes
    ----------
    evicted
        Who had to go, in order.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        # By UID: the key, and when it goes.
        self._leaving: dict[str, tuple[str, float]] = {}
        self.evicted: list[Evicted] = []

    def look_at(self, pod: Pod) -> None:
        """Take note of a pod that was there before anything was planned."""
        allowed_s = tolerated_for_s(pod.spec.tolerations, self._taints_around(pod))
        if allowed_s is not None and not pod.is_terminal:
            self._leaving[pod.metadata.uid] = pod.metadata.key, self._objects.now + allowed_s

    def next_at(self) -> float | None:
        """Return when the next pod goes, in seconds since 1970; None when nobody will."""
        return min((at for _, at in self._leaving.values()), default=None)

    def carry_out(self) -> bool:
        """Evict those whose time has come; return whether there were any."""
        n_before = len(self.evicted)
        due = {uid: key for uid, (key, at) in self._leaving.items() if at <= self._objects.now}
        for uid, key in due.items():
            del self._leaving[uid]
            pod: Pod | None = self._objects.get(PODS, key)
            if pod is not None and pod.metadata.uid == uid and not pod.is_terminating:
                self._evict(pod)
        return len(self.evicted) > n_before

    def _evict(self, pod: Pod) -> None:
        tolerations, taints = pod.spec.tolerations, self._taints_around(pod)
        allowed = [(tolerated_for_s(tolerations, (taint,)), taint) for taint in taints]
        times = [(allowed_s, taint) for allowed_s, taint in allowed if allowed_s is not None]
        if not times:
            return  # it has come to tolerate them since
        tolerated_s, least = min(times, key=lambda each: each[0])
        self.evicted.append(Evicted(pod, least, tolerated_s))
        self._objects.evict_by_taint(pod.metadata.key)

    def _taints_around(self, pod: Pod) -> tuple[Taint, ...]:
        node: Node | None = self._objects.get(NODES, pod.spec.node_name)
        return no_execute(node)
