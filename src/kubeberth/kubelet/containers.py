"""The containers of a simulated pod, each through all its lives.

Pure; pod_lifecycle.py decides what happens to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from kubeberth.api.core import ContainerStatus
from kubeberth.api.workloads import seconds_of
from kubeberth.kubelet.pod import KubeletContainer, KubeletPod, Probe
from kubeberth.kubelet.program import AT_ONCE, FOREVER, WORK, Program, Script, program_of
from kubeberth.kubelet.scripts import NO_SCRIPTS, Scripts

# Restart back-off: 10 s doubling to 5 min, forgotten after a run of 10 min.
BACKOFF_FIRST_S = 10.0
BACKOFF_LAST_S = 300.0
BACKOFF_FORGOTTEN_S = 600.0


class Role(Enum):
    """What a container is to its pod."""

    INIT = "runs to its end before the others start"
    SIDECAR = "an init container that keeps running"
    APP = "does the pod's work"
    EPHEMERAL = "came later, to look at the others"


class ContainerStage(Enum):
    """Where one container is."""

    WAITING = "not started in this life"
    RUNNING = "running"
    EXITED = "ended"


@dataclass(frozen=True, slots=True)
class ImageTrouble:
    """Why a container waits for its image.

    Parameters
    ----------
    reason, message
        As the container's status shows them.
    retry_at
        Not before then it is tried again.
    backoff_s
        How long it waits after the pull that failed last; 0 when none has.
    """

    reason: str
    message: str
    retry_at: float
    backoff_s: float = 0.0

    def now_shown_as(self, reason: str, message: str) -> ImageTrouble:
        """Return the same trouble under another name."""
        return replace(self, reason=reason, message=message)


@dataclass(slots=True)
class Run:
    """One container, through all its lives.

    Parameters
    ----------
    attempt
        Its present life.
    script
        What it does in each of its lives.
    pull_policy
        `imagePullPolicy`.
    startup, readiness, liveness
        Its probes.
    is_started
        Whether its startup probe has succeeded in its present life, or there is none.
    reason, message
        Of its end; empty for what follows from the exit code.
    waits_s
        The back-off before its present life; next_backoff_s is the one before the next.
    lost
        Whether it never ran although the pod ended.
    last
        How its previous life ended.
    is_awaited
        Whether its present life has been asked for: nobody needs to ask again.
    is_replaced
        Whether it is being ended because it shall run another image.
    pulling
        The image that is being pulled for it, and since when.
    trouble
        Why its image is not there.
    """

    name: str
    role: Role
    image: str
    script: Script
    pull_policy: str = ""
    startup: Probe | None = None
    readiness: Probe | None = None
    liveness: Probe | None = None
    stage: ContainerStage = ContainerStage.WAITING
    attempt: int = 0
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    is_started: bool = False
    ready: bool = False
    lost: bool = False
    waits_s: float = 0.0
    next_backoff_s: float = 0.0
    last: PastRun | None = None
    is_awaited: bool = False
    is_replaced: bool = False
    pulling: tuple[str, float] | None = None
    trouble: ImageTrouble | None = None

    @property
    def restart_count(self) -> int:
        """How often it was restarted: a life that it waits for does not count yet."""
        is_waiting = self.stage is ContainerStage.WAITING and self.last is not None
        return self.attempt - 1 if is_waiting else self.attempt

    @property
    def program(self) -> Program:
        """What it does in its present life."""
        return self.script.program(self.attempt)

    @property
    def ready_after_s(self) -> float | None:
        """When its probes succeed, in seconds after its start; None without probes."""
        probes = [probe for probe in (self.startup, self.readiness) if probe is not None]
        if not probes:
            return None
        soonest_s = sum(
            probe.initial_delay_seconds + probe.period_seconds * (probe.success_threshold - 1)
            for probe in probes
        )
        return max(soonest_s, self.program.ready_after_s or 0.0)

    @property
    def past(self) -> PastRun:
        """How its present life, which has ended, went."""
        return PastRun(
            self.attempt,
            self.started_at,
            self.finished_at,
            self.exit_code,
            self.reason,
            self.message,
        )

    @property
    def is_startable(self) -> bool:
        """Whether it is to start, and nobody has asked for that yet."""
        return self.stage is ContainerStage.WAITING and not self.is_awaited

    @property
    def has_begun(self) -> bool:
        """Whether it has ever run."""
        return self.stage is not ContainerStage.WAITING or self.last is not None

    @property
    def has_succeeded(self) -> bool:
        """Whether it ended with exit code 0."""
        return self.stage is ContainerStage.EXITED and self.exit_code == 0

    def begin_next_life(self) -> float:
        """Wait to be started again, and return for how long: the first time not at all."""
        ran_long = self.finished_at - self.started_at > BACKOFF_FORGOTTEN_S
        self.waits_s = 0.0 if ran_long else self.next_backoff_s
        self.next_backoff_s = min(max(BACKOFF_FIRST_S, self.waits_s * 2), BACKOFF_LAST_S)
        self.last = self.past
        self.stage, self.is_awaited = ContainerStage.WAITING, True
        self.attempt += 1
        return self.waits_s


@dataclass(frozen=True, slots=True)
class PastRun:
    """How an earlier life of a container went."""

    attempt: int
    started_at: float
    finished_at: float
    exit_code: int
    reason: str = ""
    message: str = ""


def runs_of(pod: KubeletPod, scripts: Scripts = NO_SCRIPTS) -> Iterator[Run]:
    """Yield a pod's containers, those that start first before the others.

    Raises
    ------
    ScriptError
        An annotation of the pod is no script.
    """
    annotations, controller = pod.metadata.annotations, pod.metadata.controller
    is_of_job = controller is not None and controller.kind == "Job"
    for container in pod.spec.init_containers:
        role = Role.SIDECAR if container.is_sidecar else Role.INIT
        own = program_of(container, {}, AT_ONCE if role is Role.INIT else FOREVER)
        yield _run(container, role, scripts.of(pod, container, own, is_app=False))
    for container in pod.spec.containers:
        own = program_of(container, annotations, WORK if is_of_job else FOREVER)
        yield _run(container, Role.APP, scripts.of(pod, container, own, is_app=True))
    for container in pod.spec.ephemeral_containers:
        own = program_of(container, {}, FOREVER)
        yield _run(container, Role.EPHEMERAL, scripts.of(pod, container, own, is_app=False))


def _run(container: KubeletContainer, role: Role, script: Script) -> Run:
    return Run(
        container.name,
        role,
        container.image,
        script,
        container.image_pull_policy,
        container.startup_probe,
        container.readiness_probe,
        container.liveness_probe,
    )


def take_over(run: Run, status: ContainerStatus) -> None:
    """Put a container where its status says it was."""
    run.attempt, run.ready = status.restart_count, status.ready
    run.is_started = status.ready if status.started is None else status.started
    state, last = status.state, status.last_state.terminated
    if last is not None:
        if state.running is None and state.terminated is None:
            run.attempt += 1  # the life that it waits for
        run.last = PastRun(
            run.attempt - 1,
            seconds_of(last.started_at),
            seconds_of(last.finished_at),
            last.exit_code,
            last.reason,
            last.message,
        )
        run.next_backoff_s = BACKOFF_FIRST_S
    if state.running is not None:
        run.stage, run.started_at = ContainerStage.RUNNING, seconds_of(state.running.started_at)
    elif state.terminated is not None:
        ended = state.terminated
        run.stage, run.exit_code = ContainerStage.EXITED, ended.exit_code
        run.reason, run.message = ended.reason, ended.message
        run.started_at = seconds_of(ended.started_at)
        run.finished_at = seconds_of(ended.finished_at)
