"""The row of a pod: above all its STATUS, which sums up phase, conditions and containers.

Each step may overrule the one before:

1. the phase, and the reason beside it;
2. `SchedulingGated`, while the pod is held back;
3. the first init container that is not through, as `Init:...`;
4. else the containers, the last one first;
5. `Terminating`, when the pod is being deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubeberth.api.times import seconds_of
from kubeberth.apiserver.cells import NONE, age_of, age_text

Document = Mapping[str, Any]

_COMPLETED = {
    "Succeeded": "The pod has completed successfully.",
    "Failed": "The pod failed.",
}


@dataclass(slots=True)
class _Summary:
    """What the containers say together."""

    reason: str
    ready: int = 0
    restarts: int = 0
    last_restart: str = ""
    has_running: bool = False
    error_reason: str = ""

    def count(self, status: Document) -> None:
        """Add the restarts of a container."""
        self.restarts += status.get("restartCount", 0)
        finished = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt")
        self.last_restart = max(self.last_restart, finished or "")


def pod_cells(pod: Document, now: float) -> list[Any]:
    """Return the cells of a pod."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    summary = _summary(pod)
    total = len(spec.get("containers") or ()) + len(_sidecars(spec))
    restarts = str(summary.restarts)
    if summary.restarts and summary.last_restart:
        restarts += f" ({age_text(now - seconds_of(summary.last_restart))} ago)"
    addresses = status.get("podIPs") or [{}]
    return [
        meta.get("name", ""),
        f"{summary.ready}/{total}",
        summary.reason,
        restarts,
        age_of(pod, now),
        addresses[0].get("ip") or status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(spec, status),
    ]


def pod_conditions(pod: Document) -> list[dict[str, str]]:
    """Return the row's condition of a pod that has come to its end."""
    phase = (pod.get("status") or {}).get("phase", "")
    if phase not in _COMPLETED:
        return []
    message = _COMPLETED[phase]
    return [{"type": "Completed", "status": "True", "reason": phase, "message": message}]


def _sidecars(spec: Document) -> set[str]:
    """Return the names of the init containers that stay."""
    return {
        container.get("name", "")
        for container in spec.get("initContainers") or ()
        if container.get("restartPolicy") == "Always"
    }


def _condition(status: Document, kind: str) -> Document:
    for condition in status.get("conditions") or ():
        if condition.get("type") == kind:
            found: Document = condition
            return found
    return {}


def _gates(spec: Document, status: Document) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return NONE
    n_true = sum(
        _condition(status, gate.get("conditionType", "")).get("status") == "True" for gate in gates
    )
    return f"{n_true}/{len(gates)}"


def _summary(pod: Document) -> _Summary:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    summary = _Summary(status.get("reason") or status.get("phase", ""))
    if _condition(status, "PodScheduled").get("reason") == "SchedulingGated":
        summary.reason = "SchedulingGated"
    is_initializing = _sum_up_init(spec, status, summary)
    if not is_initializing or _condition(status, "Initialized").get("status") == "True":
        _sum_up_containers(status, summary)
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            summary.reason = "Unknown"
        elif status.get("phase") not in _COMPLETED:
            summary.reason = "Terminating"
    return summary


def _sum_up_init(spec: Document, status: Document, summary: _Summary) -> bool:
    """Look at the init containers; return whether one of them is not through."""
    sidecars = _sidecars(spec)
    total = len(spec.get("initContainers") or ())
    sidecar_restarts = _Summary("")
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        summary.count(container)
        is_sidecar = container.get("name") in sidecars
        if is_sidecar:
            sidecar_restarts.count(container)
        state = container.get("state") or {}
        terminated = state.get("terminated")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if is_sidecar and container.get("started"):
            summary.ready += bool(container.get("ready"))
            continue
        summary.reason = f"Init:{_init_reason(state, index, total)}"
        return True
    # From here on only the sidecars count; the others have done their work.
    summary.restarts = sidecar_restarts.restarts
    summary.last_restart = sidecar_restarts.last_restart
    return False


def _init_reason(state: Document, index: int, total: int) -> str:
    terminated, waiting = state.get("terminated"), state.get("waiting") or {}
    if terminated is not None:
        return _end_reason(terminated)
    reason: str = waiting.get("reason", "")
    return reason if reason not in ("", "PodInitializing") else f"{index}/{total}"


def _end_reason(terminated: Document) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _sum_up_containers(status: Document, summary: _Summary) -> None:
    for container in reversed(status.get("containerStatuses") or ()):
        summary.count(container)
        state = container.get("state") or {}
        waiting, terminated = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            summary.reason = waiting["reason"]
        elif terminated is not None:
            summary.reason = _end_reason(terminated)
            if terminated.get("exitCode"):
                summary.error_reason = summary.reason
        elif container.get("ready") and state.get("running") is not None:
            summary.has_running = True
            summary.ready += 1
    if summary.reason != "Completed":
        return
    # One of several has completed: the others decide.
    is_ready = _condition(status, "Ready").get("status") == "True"
    if summary.has_running and is_ready:
        summary.reason = "Running"
    elif summary.error_reason:
        summary.reason = summary.error_reason
    elif summary.has_running:
        summary.reason = "NotReady"
