"""The life of one pod on a node, as a state machine.

Rule 1: a pod goes through its stages in order and never back; TRANSITIONS lists every step.
Rule 2: an ended pod stays ended, with the phase it ended in.
Rule 3: a stimulus about an earlier life of a container says nothing about the present one.
Rule 4: what takes time is asked for as a Timer; its stimulus comes back when it is over.

Pure: no clock (`now`, seconds since 1970, comes with each stimulus) and no chance (a Timer names a
Step, and the shell knows how long that takes). Matches kubelet 1.36 as reference section 6 has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

import msgspec

from kubeberth.api.core import PodStatus
from kubeberth.api.workloads import seconds_of
from kubeberth.kubelet.containers import (
    ContainerStage,
    Role,
    Run,
    runs_of,
    take_over,
)
from kubeberth.kubelet.pod import KubeletPod
from kubeberth.kubelet.scripts import NO_SCRIPTS, ScriptError, Scripts

PREEMPTING = "Preempting"
PREEMPTED = "Preempted in order to admit critical pod"
DEADLINE_EXCEEDED = "DeadlineExceeded"
OVERDUE = "Pod was active on the node longer than the specified deadline"
# What is reported of a container that never ran in a pod that was deleted.
LOST_EXIT_CODE = 137


class Stage(Enum):
    """Where a pod is in its life."""

    PENDING = "not looked at yet"
    CREATING = "its sandbox is being made"
    INITIALIZING = "its init containers run one by one"
    RUNNING = "its containers have been started"
    TERMINATING = "it was told to end"
    ENDED = "nothing of it runs, and nothing will again"


class Stimulus(Enum):
    """What can happen to a pod."""

    ADMITTED = "the node takes it"
    REJECTED = "the node refuses it"
    SANDBOX_READY = "it has a network and an address"
    INITIALIZED = "all init containers have done their work"
    STARTED = "a container runs"
    READY = "a container's probes succeed"
    UNREADY = "a container's readiness probe fails"
    UNHEALTHY = "a container's liveness or startup probe fails"
    EXITED = "a container has ended"
    COMPLETED = "all containers have ended for good"
    OVERDUE = "it has been active for as long as it may"
    DELETED = "somebody wants it gone"
    STOPPED = "all its containers were stopped"


class Step(Enum):
    """What takes time."""

    SANDBOX = "making the sandbox"
    INIT = "starting an init container"
    START = "pulling the image and starting a container"
    READY = "the first successful probe"
    STOP = "ending after SIGTERM"


TRANSITIONS: dict[tuple[Stage, Stimulus], Stage] = {
    (Stage.PENDING, Stimulus.ADMITTED): Stage.CREATING,
    (Stage.PENDING, Stimulus.REJECTED): Stage.ENDED,
    (Stage.PENDING, Stimulus.DELETED): Stage.TERMINATING,
    (Stage.CREATING, Stimulus.SANDBOX_READY): Stage.INITIALIZING,
    (Stage.CREATING, Stimulus.OVERDUE): Stage.TERMINATING,
    (Stage.CREATING, Stimulus.DELETED): Stage.TERMINATING,
    (Stage.INITIALIZING, Stimulus.STARTED): Stage.INITIALIZING,
    (Stage.INITIALIZING, Stimulus.READY): Stage.INITIALIZING,
    (Stage.INITIALIZING, Stimulus.UNREADY): Stage.INITIALIZING,
    (Stage.INITIALIZING, Stimulus.UNHEALTHY): Stage.INITIALIZING,
    (Stage.INITIALIZING, Stimulus.EXITED): Stage.INITIALIZING,
    (Stage.INITIALIZING, Stimulus.INITIALIZED): Stage.RUNNING,
    (Stage.INITIALIZING, Stimulus.COMPLETED): Stage.ENDED,
    (Stage.INITIALIZING, Stimulus.OVERDUE): Stage.TERMINATING,
    (Stage.INITIALIZING, Stimulus.DELETED): Stage.TERMINATING,
    (Stage.RUNNING, Stimulus.STARTED): Stage.RUNNING,
    (Stage.RUNNING, Stimulus.READY): Stage.RUNNING,
    (Stage.RUNNING, Stimulus.UNREADY): Stage.RUNNING,
    (Stage.RUNNING, Stimulus.UNHEALTHY): Stage.RUNNING,
    (Stage.RUNNING, Stimulus.EXITED): Stage.RUNNING,
    (Stage.RUNNING, Stimulus.COMPLETED): Stage.ENDED,
    (Stage.RUNNING, Stimulus.OVERDUE): Stage.TERMINATING,
    (Stage.RUNNING, Stimulus.DELETED): Stage.TERMINATING,
    (Stage.TERMINATING, Stimulus.DELETED): Stage.TERMINATING,
    (Stage.TERMINATING, Stimulus.STOPPED): Stage.ENDED,
    (Stage.ENDED, Stimulus.DELETED): Stage.ENDED,
}

# How often upstream's kubelet lists what runs. It hears of a sandbox by that, and of the containers
# that have started in it by then as well.
RELIST_S = 1.0

# So many of the last steps an error tells; each by its place among all there can be.
HISTORY = 10
_STEPS = tuple((stage, stimulus) for stage in Stage for stimulus in Stimulus)
_PLACES = {step: place for place, step in enumerate(_STEPS)}


@lru_cache(1024)
def _longer(history: bytes, place: int) -> bytes:
    """Return the last steps and one more, the very text that other pods have."""
    return history[1 - HISTORY :] + bytes((place,))


class InvalidTransitionError(Exception):
    """The machine was told something that cannot happen where it is."""


class InvariantError(Exception):
    """The machine is in a state that it must never be in."""


@dataclass(frozen=True, slots=True)
class Timer:
    """Something that takes time, and what it leads to.

    Parameters
    ----------
    step
        What it is; None when only `extra_s` counts.
    extra_s
        Seconds that come on top.
    """

    stimulus: Stimulus
    step: Step | None = None
    extra_s: float = 0.0
    container: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """An event to tell the user."""

    reason: str
    message: str
    type: str = "Normal"
    container: str = ""


@dataclass(slots=True)
class Effects:
    """What a stimulus leads to outside of the machine.

    Parameters
    ----------
    told_after_s
        How long the status may wait to be written: less, if there is more to tell before.
    """

    timers: list[Timer] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    told_after_s: float = 0.0


class PodLife:
    """The machine of one pod.

    Attributes
    ----------
    phase
        `status.phase` to show.
    reason, message
        Why the node refused the pod, or ended it.
    is_refused
        Whether it was refused: then nothing of it was ever started.
    flaw
        What is wrong with the script of its life; it then lives as if it had none.
    """

    __slots__ = (
        "_history",
        "_scripts",
        "flaw",
        "is_refused",
        "message",
        "name",
        "namespace",
        "phase",
        "reason",
        "restart_policy",
        "runs",
        "stage",
        "started_at",
        "uid",
    )

    def __init__(self, pod: KubeletPod, scripts: Scripts = NO_SCRIPTS) -> None:
        meta = pod.metadata
        self.namespace, self.name, self.uid = meta.namespace, meta.name, meta.uid
        self.restart_policy = pod.spec.restart_policy
        self.stage = Stage.PENDING
        self.phase = "Pending"
        self.reason = ""
        self.message = ""
        self.is_refused = False
        self.flaw = ""
        self._scripts = scripts
        self.runs = self._written(pod)
        self.started_at = 0.0
        self._history = b""

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    def _written(self, pod: KubeletPod) -> tuple[Run, ...]:
        try:
            return tuple(runs_of(pod, self._scripts))
        except ScriptError as error:
            self.flaw = str(error)
            bare = msgspec.structs.replace(pod.metadata, annotations={})
            return tuple(runs_of(msgspec.structs.replace(pod, metadata=bare)))

    def run_of(self, name: str) -> Run:
        """Return the container of that name."""
        return next(run for run in self.runs if run.name == name)

    def joined(self, pod: KubeletPod) -> Effects:
        """Take in the ephemeral containers that have come since."""
        known = {run.name for run in self.runs}
        new = tuple(
            run
            for run in self._written(pod)
            if run.role is Role.EPHEMERAL and run.name not in known
        )
        if self.stage in (Stage.TERMINATING, Stage.ENDED):
            return Effects()
        self.runs += new
        has_sandbox = self.stage in (Stage.INITIALIZING, Stage.RUNNING)
        return Effects([_starting(run, Step.START) for run in new] if has_sandbox else [])

    def of_role(self, *roles: Role) -> list[Run]:
        """Return the containers of these roles, in the pod's order."""
        return [run for run in self.runs if run.role in roles]

    @property
    def is_initialized(self) -> bool:
        """Whether all init containers have ended well, and all sidecars run."""
        return all(
            run.has_succeeded if run.role is Role.INIT else run.stage is ContainerStage.RUNNING
            for run in self.of_role(Role.INIT, Role.SIDECAR)
        )

    def admitted(self, now: float) -> Effects:
        """Take the pod: it is going to run here."""
        self._move(Stimulus.ADMITTED)
        self.started_at = now
        flaws = [Notice("InvalidPodLife", self.flaw, "Warning")] if self.flaw else []
        return Effects([Timer(Stimulus.SANDBOX_READY, Step.SANDBOX)], flaws)

    def rejected(self, reason: str, message: str, now: float) -> Effects:
        """Refuse the pod, for ever."""
        self._move(Stimulus.REJECTED)
        self.started_at = now
        self.phase, self.reason, self.is_refused = "Failed", reason, True
        self.message = f"Pod was rejected: {message}"
        return Effects(notices=[Notice(reason, message, "Warning")])

    def restored(self, status: PodStatus) -> Effects:
        """Take over a pod that was Running before this kubelet started: nothing of it restarts."""
        for stimulus in (Stimulus.ADMITTED, Stimulus.SANDBOX_READY, Stimulus.INITIALIZED):
            self._move(stimulus)
        self.phase = "Running"
        self.started_at = seconds_of(status.start_time)
        statuses = (
            *status.init_container_statuses,
            *status.container_statuses,
            *status.ephemeral_container_statuses,
        )
        known = {entry.name: entry for entry in statuses}
        for run in self.runs:
            if run.name in known:
                take_over(run, known[run.name])
        return Effects([timer for run in self.runs for timer in self._resumed(run)])

    def _resumed(self, run: Run) -> Iterator[Timer]:
        """Yield the timers that a restored container is waiting for."""
        if run.stage is ContainerStage.WAITING and run.role is not Role.INIT:
            yield Timer(Stimulus.STARTED, Step.START, run.waits_s, run.name, run.attempt)
        elif run.stage is ContainerStage.RUNNING:
            if not run.ready and run.role not in (Role.INIT, Role.EPHEMERAL):
                delay = run.ready_after_s or 0.0
                yield Timer(Stimulus.READY, Step.READY, delay, run.name, run.attempt)
            if run.program.run_s is not None:
                yield _ending(run)
        elif run.role in (Role.APP, Role.SIDECAR) and self._may_restart(run):
            # It had ended, and the kubelet died before it could start it again.
            yield from self._restart(run).timers

    def deleted(self, grace_s: float | None) -> Effects:
        """Tell the pod to end; told again, it may have to be quicker."""
        is_repeated = self.stage is Stage.TERMINATING
        self._move(Stimulus.DELETED)
        if self.stage is Stage.ENDED:
            return Effects()
        return self._stopping(grace_s, is_repeated=is_repeated)

    def _stopping(self, grace_s: float | None, *, is_repeated: bool = False) -> Effects:
        running = [run for run in self.runs if run.stage is ContainerStage.RUNNING]
        if not running:
            return Effects([Timer(Stimulus.STOPPED)])
        # A simulated container ends well within any grace period but the shortest.
        effects = Effects([Timer(Stimulus.STOPPED, Step.STOP if grace_s else None)])
        if not is_repeated:
            effects.notices += [_killing(run) for run in running]
        return effects

    @property
    def is_preempted(self) -> bool:
        """Whether it had to make room, or is about to: nobody counts on what it takes any more."""
        return self.reason == PREEMPTING

    def preempted(self) -> Effects:
        """End the pod because a critical one needs its room."""
        self.reason, self.message = PREEMPTING, PREEMPTED
        effects = self.deleted(grace_s=None)
        return Effects(effects.timers, [Notice(PREEMPTING, PREEMPTED, "Warning"), *effects.notices])

    def limited(self, active_s: float | None, now: float) -> list[Timer]:
        """Return the timer of a pod that may be active for so long and no longer."""
        if active_s is None:
            return []
        return [Timer(Stimulus.OVERDUE, None, max(0.0, self.started_at + active_s - now))]

    def _overdue(self) -> Effects:
        """End the pod because it has been active for as long as it may."""
        self.reason, self.message = DEADLINE_EXCEEDED, OVERDUE
        effects = self._stopping(grace_s=None)
        return Effects(effects.timers, [Notice(DEADLINE_EXCEEDED, OVERDUE), *effects.notices])

    def tell(self, timer: Timer, now: float) -> Effects:
        """Go on after what a timer stood for is over."""
        if self._is_stale(timer):
            return Effects()
        self._move(timer.stimulus)
        match timer.stimulus:
            case Stimulus.STARTED:
                return self._started(self.run_of(timer.container), now)
            case Stimulus.READY:
                run = self.run_of(timer.container)
                run.is_started = run.ready = True
                return Effects()
            case Stimulus.UNREADY:
                return _found_unready(self.run_of(timer.container))
            case Stimulus.UNHEALTHY:
                return _found_unhealthy(self.run_of(timer.container))
            case Stimulus.EXITED:
                return self._exited(self.run_of(timer.container), now)
            case Stimulus.OVERDUE:
                return self._overdue()
            case Stimulus.STOPPED:
                self._stop(now)
                return Effects()
            case Stimulus.SANDBOX_READY:
                early = self.of_role(Role.EPHEMERAL)
                effects = self._go_on(now)
                effects.timers += [_starting(run, Step.START) for run in early]
                effects.told_after_s = RELIST_S
                return effects
            case _:
                return self._go_on(now)

    def _is_stale(self, timer: Timer) -> bool:
        """Return whether a timer is about something that is over."""
        if self.stage is Stage.ENDED:
            return True
        if self.stage is Stage.TERMINATING:
            return timer.stimulus is not Stimulus.STOPPED
        if not timer.container:
            return False
        run = self.run_of(timer.container)
        is_start = timer.stimulus is Stimulus.STARTED
        expected = ContainerStage.WAITING if is_start else ContainerStage.RUNNING
        return timer.attempt != run.attempt or run.stage is not expected

    def _go_on(self, now: float) -> Effects:
        """Start whatever is next, or see that nothing is left to do."""
        effects = Effects()
        if self.stage is Stage.INITIALIZING:
            following = self._next_init()
            if following is not None:
                effects.timers.append(_starting(following, Step.INIT))
            elif self.is_initialized:
                self._move(Stimulus.INITIALIZED)
                apps = self.of_role(Role.APP)
                effects.timers += [_starting(run, Step.START) for run in apps]
        return effects

    def _next_init(self) -> Run | None:
        """Return the init container or sidecar whose turn it is to start for the first time."""
        for run in self.of_role(Role.INIT, Role.SIDECAR):
            if run.stage is ContainerStage.WAITING:
                return run
            if run.role is Role.INIT and not run.has_succeeded:
                return None
        return None

    def _started(self, run: Run, now: float) -> Effects:
        run.stage = ContainerStage.RUNNING
        run.started_at, run.finished_at, run.exit_code = now, 0.0, 0
        run.is_started, run.ready = run.startup is None, False
        run.reason = run.message = ""
        effects = Effects(notices=_start_notices(run))
        if run.role in (Role.SIDECAR, Role.APP):
            self._expect_readiness(run, effects)
        if run.program.run_s is not None:
            effects.timers.append(_ending(run))
        if self.stage is Stage.RUNNING and self._all_started():
            self.phase = "Running"
        if self.stage is Stage.INITIALIZING and run.role is Role.SIDECAR:
            effects.timers += self._go_on(now).timers
        return effects

    def _expect_readiness(self, run: Run, effects: Effects) -> None:
        delay_s = run.ready_after_s
        if delay_s is None:
            run.ready = True
        elif run.start_fails_s is None:
            effects.timers.append(_about(run, Stimulus.READY, delay_s, Step.READY))
        effects.timers += _probed(run)

    def _all_started(self) -> bool:
        """Return whether every container that is to run has run."""
        return all(
            run.stage is not ContainerStage.WAITING or run.last is not None
            for run in self.of_role(Role.APP, Role.SIDECAR)
        )

    def _exited(self, run: Run, now: float) -> Effects:
        run.stage, run.ready = ContainerStage.EXITED, False
        run.finished_at, run.exit_code = now, run.program.exit_code
        run.reason, run.message = run.program.reason, run.program.message
        if run.role is Role.EPHEMERAL:
            return Effects()
        if run.role is Role.INIT and run.exit_code == 0:
            return self._go_on(now)
        if self._may_restart(run):
            return self._restart(run)
        if run.role is Role.INIT:
            self._end("Failed", now)
        elif self._is_complete():
            succeeded = all(app.exit_code == 0 for app in self.of_role(Role.APP))
            self._end("Succeeded" if succeeded else "Failed", now)
        return Effects()

    def _may_restart(self, run: Run) -> bool:
        if run.role is Role.SIDECAR:
            return True
        if run.role is Role.INIT:
            return self.restart_policy != "Never"
        return self.restart_policy == "Always" or (
            self.restart_policy == "OnFailure" and run.exit_code != 0
        )

    def _restart(self, run: Run) -> Effects:
        """Begin the container's next life: the first time at once, then after a back-off."""
        delay = run.begin_next_life()
        step = Step.INIT if run.role is Role.INIT else Step.START
        effects = Effects([_starting(run, step, delay)])
        if delay:
            message = (
                f"Back-off restarting failed container {run.name} "
                f"in pod {self.name}_{self.namespace}({self.uid})"
            )
            effects.notices.append(Notice("BackOff", message, "Warning", run.name))
        return effects

    def _is_complete(self) -> bool:
        return all(run.stage is ContainerStage.EXITED for run in self.of_role(Role.APP))

    def _end(self, phase: str, now: float) -> None:
        """End because the work is done, or cannot be: sidecars are stopped."""
        self._move(Stimulus.COMPLETED)
        self._stop_running(now)
        self.phase = phase

    def _stop(self, now: float) -> None:
        """End everything because the pod was told to."""
        self._stop_running(now)
        for run in self.runs:
            if run.stage is ContainerStage.WAITING:
                run.stage, run.exit_code, run.lost = ContainerStage.EXITED, LOST_EXIT_CODE, True
        ended_well = all(run.exit_code == 0 for run in self.of_role(Role.APP, Role.INIT))
        self.phase = "Succeeded" if ended_well and not self.reason else "Failed"

    def _stop_running(self, now: float) -> None:
        """End what runs; simulated containers obey SIGTERM and exit with 0."""
        for run in self.runs:
            if run.stage is ContainerStage.RUNNING:
                run.stage, run.finished_at, run.exit_code = ContainerStage.EXITED, now, 0
            run.ready = False

    def _move(self, stimulus: Stimulus) -> None:
        step = (self.stage, stimulus)
        self._history = _longer(self._history, _PLACES[step])
        following = TRANSITIONS.get(step)
        if following is None:
            raise InvalidTransitionError(f"pod {self.key} cannot go on from: {self._told()}")
        self.stage = following

    def _told(self) -> str:
        steps = (_STEPS[place] for place in self._history)
        return ", ".join(f"{stage.name} + {stimulus.name}" for stage, stimulus in steps)

    def check_invariants(self) -> None:
        """Raise InvariantError if the machine contradicts itself."""
        running = [run for run in self.runs if run.stage is ContainerStage.RUNNING]
        self._check(not (self.stage is Stage.ENDED and running), "an ended pod runs nothing")
        self._check(
            (self.stage is Stage.ENDED) == (self.phase in ("Succeeded", "Failed")),
            "a pod has a final phase if and only if it has ended",
        )
        self._check(
            all(run.stage is ContainerStage.RUNNING for run in self.runs if run.ready),
            "only what runs is ready",
        )
        self._check(
            self.stage not in (Stage.PENDING, Stage.CREATING) or not running,
            "nothing runs before there is a sandbox",
        )
        self._check(
            self.stage is not Stage.INITIALIZING
            or not any(run.role is Role.APP for run in running),
            "no app container runs before all init containers have",
        )
        self._check(
            sum(run.role is Role.INIT for run in running) <= 1, "init containers run one by one"
        )

    def _check(self, holds: bool, rule: str) -> None:
        if not holds:
            raise InvariantError(f"{self.key}: {rule}; {self._told()}")


def _about(run: Run, stimulus: Stimulus, after_s: float, step: Step | None = None) -> Timer:
    return Timer(stimulus, step, after_s, run.name, run.attempt)


def _starting(run: Run, step: Step, after_s: float = 0.0) -> Timer:
    own_s = run.script.start_s
    if own_s is None:
        return _about(run, Stimulus.STARTED, after_s, step)
    return _about(run, Stimulus.STARTED, after_s + own_s)


def _probed(run: Run) -> Iterator[Timer]:
    """Yield what probes are going to find in a container's present life.

    A failure counts once it has repeated itself often enough; without a probe nobody notices.
    """
    program = run.program
    if run.start_fails_s is not None:
        yield _about(run, Stimulus.UNHEALTHY, run.start_fails_s)
        return  # the others wait for it
    if (probe := run.readiness) is not None:
        patience_s = probe.period_seconds * (probe.failure_threshold - 1)
        for spell in program.unready:
            if spell.for_s > patience_s:
                yield _about(run, Stimulus.UNREADY, spell.after_s + patience_s)
                again_s = probe.period_seconds * (probe.success_threshold - 1)
                yield _about(run, Stimulus.READY, spell.after_s + spell.for_s + again_s)
    if (probe := run.liveness) is not None and program.liveness_fails_s is not None:
        begins_s = max(program.liveness_fails_s, float(probe.initial_delay_seconds))
        patience_s = probe.period_seconds * (probe.failure_threshold - 1)
        yield _about(run, Stimulus.UNHEALTHY, begins_s + patience_s)


def _found_unready(run: Run) -> Effects:
    run.ready = False
    said = run.readiness.failure if run.readiness is not None else ""
    return Effects(notices=[_unhealthy("Readiness", said, run)])


def _found_unhealthy(run: Run) -> Effects:
    """End a container that a probe has given up: it obeys as it does any SIGTERM."""
    is_start = run.start_fails_s is not None
    which, probe = ("startup", run.startup) if is_start else ("liveness", run.liveness)
    said = probe.failure if probe is not None else ""
    message = f"Container {run.name} failed {which} probe, will be restarted"
    notices = [
        _unhealthy(which.capitalize(), said, run),
        Notice("Killing", message, container=run.name),
    ]
    return Effects([_about(run, Stimulus.EXITED, 0.0, Step.STOP)], notices)


def _unhealthy(probe: str, said: str, run: Run) -> Notice:
    return Notice("Unhealthy", f"{probe} probe failed: {said}", "Warning", run.name)


def _ending(run: Run) -> Timer:
    run_s = run.program.run_s or 0.0
    return Timer(Stimulus.EXITED, None, run_s, run.name, run.attempt)


def _killing(run: Run) -> Notice:
    return Notice("Killing", f"Stopping container {run.name}", container=run.name)


@lru_cache(1024)
def _present(image: str) -> str:
    return f'Container image "{image}" already present on machine'


def _start_notices(run: Run) -> list[Notice]:
    return [
        Notice("Pulled", _present(run.image), container=run.name),
        Notice("Created", "Container created", container=run.name),
        Notice("Started", "Container started", container=run.name),
    ]
