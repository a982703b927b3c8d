"""The life of one pod on a node, as a state machine.

Rule 1: a pod goes through its stages in order and never back; TRANSITIONS lists every step.
Rule 2: an ended pod stays ended, with the phase it ended in.
Rule 3: a stimulus about an earlier life of a container says nothing about the present one.
Rule 4: what takes time is asked for as a Timer; its stimulus comes back when it is over.

Pure: no clock (`now`, seconds since 1970, comes with each stimulus) and no chance (a Timer names a
Step, and the shell knows how long that takes). Matches kubelet 1.36 as reference section 6 has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from math import inf

import msgspec

from kubeberth.api.core import PodStatus
from kubeberth.api.workloads import seconds_of
from kubeberth.kubelet import probing, pulling
from kubeberth.kubelet.containers import (
    ContainerStage,
    Role,
    Run,
    runs_of,
    take_over,
)
from kubeberth.kubelet.images import Images
from kubeberth.kubelet.pod import KubeletPod
from kubeberth.kubelet.references import ImageReferenceError
from kubeberth.kubelet.scripts import NO_SCRIPTS, ScriptError, Scripts
from kubeberth.kubelet.transitions import (
    RELIST_S,
    TRANSITIONS,
    Effects,
    Notice,
    Stage,
    Step,
    Stimulus,
    Timer,
)

PREEMPTING = "Preempting"
PREEMPTED = "Preempted in order to admit critical pod"
DEADLINE_EXCEEDED = "DeadlineExceeded"
OVERDUE = "Pod was active on the node longer than the specified deadline"
# What is reported of a container that never ran in a pod that was deleted.
LOST_EXIT_CODE = 137
# Of one that has not ended within its grace period: SIGKILL.
KILLED_EXIT_CODE = 137
# What may happen to a container that does not run.
BEFORE_START = (Stimulus.TRIED, Stimulus.PULLED, Stimulus.STARTED)

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


class PodLife:
    """The machine of one pod.

    Parameters
    ----------
    images
        Those of the node, for all its pods.

    Attributes
    ----------
    grace_s
        How long it may take to end when nobody says otherwise.
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
        "_images",
        "_kill_at",
        "_scripts",
        "flaw",
        "grace_s",
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

    def __init__(
        self, pod: KubeletPod, scripts: Scripts = NO_SCRIPTS, images: Images | None = None
    ) -> None:
        meta = pod.metadata
        self.namespace, self.name, self.uid = meta.namespace, meta.name, meta.uid
        self.restart_policy = pod.spec.restart_policy
        self.grace_s = pod.spec.termination_grace_period_seconds or 0
        self.stage = Stage.PENDING
        self.phase = "Pending"
        self.reason = ""
        self.message = ""
        self.is_refused = False
        self.flaw = ""
        self._scripts = scripts
        self._images = Images() if images is None else images
        self.runs = self._written(pod)
        self.started_at = 0.0
        self._kill_at = inf
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

    def joined(self, pod: KubeletPod, now: float) -> Effects:
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
        return self._begin(new, now) if has_sandbox else Effects()

    def rewritten(self, pod: KubeletPod, now: float) -> Effects:
        """Take in images that differ from before, and scripts of what waits to be started."""
        effects = Effects()
        if self.stage in (Stage.TERMINATING, Stage.ENDED):
            return effects
        written = {run.name: run for run in self._written(pod)}
        for run in self.runs:
            new = written[run.name]
            is_other = run.image != new.image
            if run.stage is ContainerStage.WAITING:
                run.script = new.script
            run.image, run.pull_policy = new.image, new.pull_policy
            if is_other:
                effects.add(self._replaced(run, now))
        return effects

    def _replaced(self, run: Run, now: float) -> Effects:
        """Have a container use another image: at once if it waits for one, or once it has ended."""
        if run.stage is ContainerStage.RUNNING and not run.is_replaced:
            run.is_replaced = True
            message = f"Container {run.name} definition changed, will be restarted"
            stop = Timer(Stimulus.EXITED, Step.STOP, 0.0, run.name, run.attempt)
            return Effects([stop], [Notice("Killing", message, container=run.name)])
        if run.trouble is not None and run.pulling is None:
            run.trouble = None
            return self._begin_all([run], now)
        return Effects()

    def _begin(self, runs: Iterable[Run], now: float) -> Effects:
        """Have containers start, each as soon as its image is there, for whom nobody has yet."""
        return self._begin_all((run for run in runs if run.is_startable), now)

    def _begin_all(self, runs: Iterable[Run], now: float) -> Effects:
        effects = Effects()
        for run in runs:
            effects.add(pulling.begin(run, self._images, now))
        return effects

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

    def admitted(self, started_at: float) -> Effects:
        """Take the pod: it is going to run here."""
        self._move(Stimulus.ADMITTED)
        self.started_at = started_at
        flaws = [Notice("InvalidPodLife", self.flaw, "Warning")] if self.flaw else []
        return Effects([Timer(Stimulus.SANDBOX_READY, Step.SANDBOX)], flaws)

    def rejected(self, reason: str, message: str, now: float) -> Effects:
        """Refuse the pod, for ever."""
        self._move(Stimulus.REJECTED)
        self.started_at = now
        self.phase, self.reason, self.is_refused = "Failed", reason, True
        self.message = f"Pod was rejected: {message}"
        return Effects(notices=[Notice(reason, message, "Warning")])

    def restored(self, status: PodStatus, now: float) -> Effects:
        """Take over a pod that had a sandbox before this kubelet began: nothing of it restarts."""
        for stimulus in (Stimulus.ADMITTED, Stimulus.SANDBOX_READY):
            self._move(stimulus)
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
        if any(run.has_begun for run in self.of_role(Role.APP)):
            self._move(Stimulus.INITIALIZED)
            if self._all_started():
                self.phase = "Running"
        effects = Effects()
        for run in self.runs:
            effects.add(self._resumed(run, now))
        effects.add(self._go_on(now))
        return effects

    def _resumed(self, run: Run, now: float) -> Effects:
        """Go on with a restored container where it was."""
        if run.has_begun:
            self._keep_image(run)
        if run.stage is ContainerStage.RUNNING:
            return Effects(list(self._expected(run, now)))
        if run.stage is ContainerStage.EXITED and run.role is not Role.EPHEMERAL:
            # It may have ended, and the kubelet have died before it could start it again.
            return self._restart(run, now) if self._may_restart(run) else Effects()
        is_due = self.stage is Stage.RUNNING and run.role is not Role.INIT
        if run.stage is ContainerStage.WAITING and (is_due or run.role is Role.EPHEMERAL):
            return self._begin([run], now)
        return Effects()

    def _keep_image(self, run: Run) -> None:
        """Note that the node has the image of a container that has run."""
        with suppress(ImageReferenceError):
            self._images.add(run.image)

    def deleted(self, grace_s: float, now: float) -> Effects:
        """Tell the pod to end; told again, it may have to be quicker."""
        is_repeated = self.stage is Stage.TERMINATING
        self._move(Stimulus.DELETED)
        if self.stage is Stage.ENDED:
            return Effects()
        return self._stopping(grace_s, now, is_repeated=is_repeated)

    def _stopping(self, grace_s: float, now: float, *, is_repeated: bool = False) -> Effects:
        running = [run for run in self.runs if run.stage is ContainerStage.RUNNING]
        if not running:
            return Effects([Timer(Stimulus.STOPPED)])
        self._kill_at = min(self._kill_at, now + grace_s)
        left_s = max(0.0, self._kill_at - now)
        effects = Effects([Timer(Stimulus.STOPPED, Step.STOP, at_most_s=left_s)])
        if not is_repeated:
            effects.notices += [_killing(run) for run in running]
        return effects

    @property
    def is_preempted(self) -> bool:
        """Whether it had to make room, or is about to: nobody counts on what it takes any more."""
        return self.reason == PREEMPTING

    def preempted(self, now: float) -> Effects:
        """End the pod because a critical one needs its room."""
        self.reason, self.message = PREEMPTING, PREEMPTED
        effects = self.deleted(self.grace_s, now)
        return Effects(effects.timers, [Notice(PREEMPTING, PREEMPTED, "Warning"), *effects.notices])

    def limited(self, active_s: float | None, now: float) -> list[Timer]:
        """Return the timer of a pod that may be active for so long and no longer."""
        if active_s is None:
            return []
        return [Timer(Stimulus.OVERDUE, None, max(0.0, self.started_at + active_s - now))]

    def _overdue(self, now: float) -> Effects:
        """End the pod because it has been active for as long as it may."""
        self.reason, self.message = DEADLINE_EXCEEDED, OVERDUE
        effects = self._stopping(self.grace_s, now)
        return Effects(effects.timers, [Notice(DEADLINE_EXCEEDED, OVERDUE), *effects.notices])

    def tell(self, timer: Timer, now: float) -> Effects:
        """Go on after what a timer stood for is over."""
        if self._is_stale(timer):
            return Effects()
        self._move(timer.stimulus)
        match timer.stimulus:
            case Stimulus.TRIED:
                return pulling.tried(self.run_of(timer.container), self._images, now)
            case Stimulus.PULLED:
                run = self.run_of(timer.container)
                return pulling.pulled(run, self._images, self.started_at, now)
            case Stimulus.STARTED:
                return self._started(self.run_of(timer.container), now)
            case Stimulus.READY:
                run = self.run_of(timer.container)
                run.is_started = run.ready = True
                return Effects()
            case Stimulus.UNREADY:
                return probing.found_unready(self.run_of(timer.container))
            case Stimulus.UNHEALTHY:
                return probing.found_unhealthy(self.run_of(timer.container))
            case Stimulus.NEVER_STARTED:
                return probing.found_never_started(self.run_of(timer.container))
            case Stimulus.EXITED:
                return self._exited(self.run_of(timer.container), now)
            case Stimulus.OVERDUE:
                return self._overdue(now)
            case Stimulus.STOPPED:
                self._stop(now)
                return Effects()
            case Stimulus.SANDBOX_READY:
                early = self.of_role(Role.EPHEMERAL)
                effects = self._go_on(now)
                effects.add(self._begin(early, now))
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
        is_early = timer.stimulus in BEFORE_START
        expected = ContainerStage.WAITING if is_early else ContainerStage.RUNNING
        return timer.attempt != run.attempt or run.stage is not expected

    def _go_on(self, now: float) -> Effects:
        """Start whatever is next, or see that nothing is left to do."""
        if self.stage is not Stage.INITIALIZING:
            return Effects()
        following = self._next_init()
        if following is not None:
            return self._begin([following], now)
        if not self.is_initialized:
            return Effects()
        self._move(Stimulus.INITIALIZED)
        return self._begin(self.of_role(Role.APP), now)

    def _next_init(self) -> Run | None:
        """Return the init container or sidecar whose turn it is to start for the first time."""
        for run in self.of_role(Role.INIT, Role.SIDECAR):
            if run.stage is ContainerStage.WAITING:
                return run
            if run.role is Role.INIT and not run.has_succeeded:
                return None
        return None

    def _started(self, run: Run, now: float) -> Effects:
        run.stage, run.is_awaited, run.trouble = ContainerStage.RUNNING, False, None
        run.started_at, run.finished_at, run.exit_code = now, 0.0, 0
        run.is_started, run.ready = run.startup is None, False
        run.reason = run.message = ""
        if run.role in (Role.SIDECAR, Role.APP) and run.ready_after_s is None:
            run.ready = True
        effects = Effects(list(self._expected(run, now)), _start_notices(run))
        if self.stage is Stage.RUNNING and self._all_started():
            self.phase = "Running"
        if self.stage is Stage.INITIALIZING and run.role is Role.SIDECAR:
            effects.add(self._go_on(now))
        return effects

    def _expected(self, run: Run, now: float) -> Iterator[Timer]:
        """Yield what is going to happen to a container that runs."""
        since_s = max(0.0, now - run.started_at)
        if run.role in (Role.SIDECAR, Role.APP):
            yield from probing.watched(run, since_s)
        if run.program.run_s is not None:
            left_s = max(0.0, run.program.run_s - since_s)
            yield Timer(Stimulus.EXITED, None, left_s, run.name, run.attempt)

    def _all_started(self) -> bool:
        """Return whether every container that is to run has run."""
        return all(run.has_begun for run in self.of_role(Role.APP, Role.SIDECAR))

    def _exited(self, run: Run, now: float) -> Effects:
        run.stage, run.ready = ContainerStage.EXITED, False
        run.finished_at, run.exit_code = now, run.program.exit_code
        run.reason, run.message = run.program.reason, run.program.message
        if run.role is Role.EPHEMERAL:
            return Effects()
        if run.is_replaced:
            # It obeyed SIGTERM; as another container it starts anew, whatever the policy.
            run.is_replaced, run.exit_code, run.reason, run.message = False, 0, "", ""
            run.next_backoff_s = 0.0
            return self._restart(run, now)
        if run.role is Role.INIT and run.exit_code == 0:
            return self._go_on(now)
        if self._may_restart(run):
            return self._restart(run, now)
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
            return self.restart_policy != "Never" and run.exit_code != 0
        return self.restart_policy == "Always" or (
            self.restart_policy == "OnFailure" and run.exit_code != 0
        )

    def _restart(self, run: Run, now: float) -> Effects:
        """Begin the container's next life: the first time at once, then after a back-off."""
        delay = run.begin_next_life()
        if not delay:
            return self._begin_all([run], now)
        message = (
            f"Back-off restarting failed container {run.name} "
            f"in pod {self.name}_{self.namespace}({self.uid})"
        )
        again = Timer(Stimulus.TRIED, None, delay, run.name, run.attempt)
        return Effects([again], [Notice("BackOff", message, "Warning", run.name)])

    def _is_complete(self) -> bool:
        return all(run.stage is ContainerStage.EXITED for run in self.of_role(Role.APP))

    def _end(self, phase: str, now: float) -> None:
        """End because the work is done, or cannot be: sidecars are stopped."""
        self._move(Stimulus.COMPLETED)
        self._stop_running(now)
        self.phase = phase

    def _stop(self, now: float) -> None:
        """End everything because the pod was told to."""
        is_late = now + pulling.CLOCK_ERROR_S >= self._kill_at
        self._stop_running(now, KILLED_EXIT_CODE if is_late else None)
        for run in self.runs:
            if run.stage is ContainerStage.WAITING:
                run.stage, run.exit_code, run.lost = ContainerStage.EXITED, LOST_EXIT_CODE, True
        ended_well = all(run.exit_code == 0 for run in self.of_role(Role.APP, Role.INIT))
        self.phase = "Succeeded" if ended_well and not self.reason else "Failed"

    def _stop_running(self, now: float, exit_code: int | None = None) -> None:
        """End what runs: it has obeyed SIGTERM, unless it was killed with an exit code."""
        for run in self.runs:
            if run.stage is ContainerStage.RUNNING:
                run.stage, run.finished_at = ContainerStage.EXITED, now
                obeyed = run.program.stopped_exit_code
                run.exit_code = obeyed if exit_code is None else exit_code
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


def _killing(run: Run) -> Notice:
    return Notice("Killing", f"Stopping container {run.name}", container=run.name)


def _start_notices(run: Run) -> list[Notice]:
    return [
        Notice("Created", "Container created", container=run.name),
        Notice("Started", "Container started", container=run.name),
    ]
