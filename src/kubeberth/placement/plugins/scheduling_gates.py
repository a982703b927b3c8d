"""SchedulingGates: a pod with gates is not tried.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/pod-scheduling-readiness/
Matches kube-scheduler 1.36 (plugins/schedulinggates).
"""

from __future__ import annotations

from typing import ClassVar

from kubeberth.api.core import Pod
from kubeberth.placement.plugin import Rejection


class SchedulingGates:
    """Keep a pod out of the queue while it has scheduling gates."""

    name: ClassVar[str] = "SchedulingGates"

    def pre_enqueue(self, pod: Pod) -> Rejection | None:
        """Return why the pod must wait, or None."""
        gates = [gate.name for gate in pod.spec.scheduling_gates]
        if not gates:
            return None
        reason = f"waiting for scheduling gates: [{' '.join(gates)}]"
        return Rejection(self.name, (reason,), resolvable=False)
