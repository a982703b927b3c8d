"""A pod's life as `status` shows it: phase, conditions, and how its containers are.

Matches kubelet 1.36 (reference section 6). Pure: the same life gives the same status.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

from kubeberth.api.disruption_target import (
    DISRUPTION_TARGET,
    PREEMPTED_BY_KUBELET,
    TERMINATION_BY_KUBELET,
)
from kubeberth.api.meta import Condition
from kubeberth.clock import rfc3339
from kubeberth.kubelet.containers import ContainerStage, PastRun, Role, Run
from kubeberth.kubelet.pod import KubeletContainer, KubeletPod
from kubeberth.kubelet.pod_lifecycle import PodLife
from kubeberth.kubelet.transitions import Stage

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a pod is reached.

    Parameters
    ----------
    pod_ip
        Empty while there is no sandbox.
    """

    host_ip: str
    pod_ip: str = ""


def to_status(
    life: PodLife,
    pod: KubeletPod,
    addresses: Addresses,
    shown: Mapping[str, Condition],
    now: float,
) -> Document:
    """Return the `status` to write.

    Parameters
    ----------
    shown
        The conditions as last written, by type: what has not changed keeps its time.
    """
    status: Document = {
        "phase": life.phase,
        "observedGeneration": pod.metadata.generation or None,
        "startTime": rfc3339(life.started_at) if life.started_at else None,
    }
    if life.reason:
        status |= {"reason": life.reason, "message": life.message}
    if life.is_refused:
        # Nothing was started, so there is nothing to say about containers.
        return _without_none(status)
    status |= {
        "hostIP": addresses.host_ip,
        "hostIPs": [{"ip": addresses.host_ip}],
        "conditions": _conditions(life, pod, shown, now),
        "containerStatuses": _statuses(life, pod, pod.spec.containers),
    }
    if pod.spec.init_containers:
        status["initContainerStatuses"] = _statuses(life, pod, pod.spec.init_containers)
    if pod.spec.ephemeral_containers:
        known = {run.name for run in life.runs}
        joined = [one for one in pod.spec.ephemeral_containers if one.name in known]
        status["ephemeralContainerStatuses"] = _statuses(life, pod, joined)
    if addresses.pod_ip:
        status |= {"podIP": addresses.pod_ip, "podIPs": [{"ip": addresses.pod_ip}]}
    return _without_none(status)


def to_patch(status: Document, shown: Mapping[str, Condition]) -> Document:
    """Return what to merge into the status that is there to make it this one.

    Parameters
    ----------
    shown
        The conditions as last written, by type: null takes away what one no longer says.
    """
    if not (conditions := status.get("conditions")):
        return status
    return status | {
        "conditions": [
            dict.fromkeys(_taken_away(condition, shown.get(condition["type"]))) | condition
            for condition in conditions
        ]
    }


def _taken_away(condition: Document, shown: Condition | None) -> Iterator[str]:
    if shown is not None:
        for field in ("reason", "message"):
            if getattr(shown, field) and field not in condition:
                yield field


def _without_none(fields: Document) -> Document:
    return {key: value for key, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class _Verdict:
    """A condition without its times."""

    status: bool
    reason: str = ""
    message: str = ""


TRUE = _Verdict(True)
PREEMPTED = _Verdict(True, TERMINATION_BY_KUBELET, PREEMPTED_BY_KUBELET)


def _conditions(
    life: PodLife, pod: KubeletPod, shown: Mapping[str, Condition], now: float
) -> list[Document]:
    containers_ready = _containers_ready(life)
    has_sandbox = life.stage in (Stage.INITIALIZING, Stage.RUNNING, Stage.TERMINATING)
    verdicts = {
        "PodReadyToStartContainers": _Verdict(has_sandbox),
        "Initialized": _initialized(life),
        "Ready": _ready(pod, containers_ready),
        "ContainersReady": containers_ready,
        "PodScheduled": TRUE,
    }
    if life.is_preempted:
        verdicts[DISRUPTION_TARGET] = PREEMPTED
    return [
        _condition(type_, verdict, pod.metadata.generation, shown.get(type_), now)
        for type_, verdict in verdicts.items()
    ]


def _condition(
    type_: str, verdict: _Verdict, generation: int, shown: Condition | None, now: float
) -> Document:
    status = "True" if verdict.status else "False"
    since = shown.last_transition_time if shown is not None and shown.status == status else None
    condition: Document = {
        "type": type_,
        "status": status,
        "lastTransitionTime": since or rfc3339(now),
    }
    for field, text in (("reason", verdict.reason), ("message", verdict.message)):
        if text:
            condition[field] = text
    if generation:
        condition["observedGeneration"] = generation
    return condition


def _initialized(life: PodLife) -> _Verdict:
    if life.phase == "Succeeded":
        return _Verdict(True, "PodCompleted")
    if life.is_initialized or life.stage is Stage.RUNNING:
        return TRUE
    names = " ".join(
        run.name
        for run in life.of_role(Role.INIT, Role.SIDECAR)
        if not (
            run.has_succeeded or (run.stage is ContainerStage.RUNNING and run.role is Role.SIDECAR)
        )
    )
    message = f"containers with incomplete status: [{names}]"
    return _Verdict(False, "ContainersNotInitialized", message)


def _containers_ready(life: PodLife) -> _Verdict:
    if life.stage is Stage.ENDED:
        return _Verdict(False, "PodCompleted" if life.phase == "Succeeded" else "PodFailed")
    unready = [run.name for run in life.of_role(Role.SIDECAR, Role.APP) if not run.ready]
    if not unready:
        return TRUE
    message = f"containers with unready status: [{' '.join(unready)}]"
    return _Verdict(False, "ContainersNotReady", message)


def _ready(pod: KubeletPod, containers_ready: _Verdict) -> _Verdict:
    if not containers_ready.status:
        return containers_ready
    problems = []
    for gate in pod.spec.readiness_gates:
        type_ = gate.condition_type
        condition = pod.condition(type_)
        if condition is None:
            problems.append(
                f'corresponding condition of pod readiness gate "{type_}" does not exist.'
            )
        elif condition.status != "True":
            problems.append(
                f'the status of pod readiness gate "{type_}" is not "True", but {condition.status}'
            )
    if problems:
        return _Verdict(False, "ReadinessGatesNotReady", ", ".join(problems))
    return TRUE


def _statuses(
    life: PodLife, pod: KubeletPod, containers: Iterable[KubeletContainer]
) -> list[Document]:
    return [_container_status(life, pod, container) for container in containers]


def _container_status(life: PodLife, pod: KubeletPod, container: KubeletContainer) -> Document:
    run = life.run_of(container.name)
    has_run = run.stage is not ContainerStage.WAITING and not run.lost
    is_running = run.stage is ContainerStage.RUNNING
    status: Document = {
        "name": container.name,
        "image": container.image,
        "imageID": image_id(container.image) if has_run or run.last else "",
        "restartCount": run.restart_count,
        "ready": run.ready or (run.role is Role.INIT and run.has_succeeded),
        "started": is_running and run.is_started,
        "state": _state(life, run, pod),
        "lastState": {"terminated": _terminated(life, run.last, run.name)} if run.last else {},
    }
    if has_run:
        status["containerID"] = container_id(life.uid, run.name, run.attempt)
    elif run.last is not None:
        status["containerID"] = container_id(life.uid, run.name, run.last.attempt)
    return status | (_resources(container) if run.role is not Role.EPHEMERAL else {})


def _resources(container: KubeletContainer) -> Document:
    resources = msgspec.to_builtins(container.resources)
    requests = resources.get("requests")
    allocated = {"allocatedResources": requests} if requests else {}
    return {**allocated, "resources": resources}


def _state(life: PodLife, run: Run, pod: KubeletPod) -> Document:
    if run.stage is ContainerStage.RUNNING:
        return {"running": {"startedAt": rfc3339(run.started_at)}}
    if run.lost:
        return {
            "terminated": {
                "exitCode": run.exit_code,
                "reason": "ContainerStatusUnknown",
                "message": "The container could not be located when the pod was terminated",
                "startedAt": None,
                "finishedAt": None,
            }
        }
    if run.stage is ContainerStage.EXITED:
        return {"terminated": _terminated(life, run.past, run.name)}
    if (trouble := run.trouble) is not None:
        return {"waiting": {"reason": trouble.reason, "message": trouble.message}}
    if run.waits_s:
        return {"waiting": _backoff(run, pod)}
    if run.last is not None:
        return {"terminated": _terminated(life, run.last, run.name)}
    creating = not pod.spec.init_containers
    return {"waiting": {"reason": "ContainerCreating" if creating else "PodInitializing"}}


def _backoff(run: Run, pod: KubeletPod) -> Document:
    meta = pod.metadata
    minutes, seconds = divmod(int(run.waits_s), 60)
    duration = f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
    message = (
        f"back-off {duration} restarting failed container={run.name} "
        f"pod={meta.name}_{meta.namespace}({meta.uid})"
    )
    return {"reason": "CrashLoopBackOff", "message": message}


def _terminated(life: PodLife, past: PastRun, name: str) -> Document:
    return {
        "exitCode": past.exit_code,
        "reason": past.reason or ("Completed" if past.exit_code == 0 else "Error"),
        **({"message": past.message} if past.message else {}),
        "startedAt": rfc3339(past.started_at),
        "finishedAt": rfc3339(past.finished_at),
        "containerID": container_id(life.uid, name, past.attempt),
    }


def container_id(uid: str, name: str, attempt: int) -> str:
    """Return the id of one life of a container: the same after a restart of the kubelet."""
    return f"containerd://{sha256(f'{uid}/{name}/{attempt}'.encode()).hexdigest()}"


def image_id(image: str) -> str:
    """Return the digest that a registry might have for an image."""
    repository, _, tag = image.partition("@")[0].rpartition(":")
    if not repository or "/" in tag:
        repository = image
    return f"{repository}@sha256:{sha256(image.encode()).hexdigest()}"
