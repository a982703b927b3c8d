"""What can happen to a pod on a node, and what that leads to: the table of the pod's machine.

Pure; pod_lifecycle.py runs the machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import inf


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
    TRIED = "a container that waits may be tried again"
    PULLED = "pulling a container's image is over"
    STARTED = "a container runs"
    READY = "a container's probes succeed"
    UNREADY = "a container's readiness probe fails"
    UNHEALTHY = "a container's liveness probe gives it up"
    NEVER_STARTED = "a container's startup probe gives it up"
    EXITED = "a container has ended"
    COMPLETED = "all containers have ended for good"
    OVERDUE = "it has been active for as long as it may"
    DELETED = "somebody wants it gone"
    STOPPED = "all its containers were stopped"


class Step(Enum):
    """What takes time."""

    SANDBOX = "making the sandbox"
    PULL = "pulling an image"
    INIT = "starting an init container"
    START = "starting a container"
    READY = "the first successful probe"
    STOP = "ending after SIGTERM"


TRANSITIONS: dict[tuple[Stage, Stimulus], Stage] = {
    (Stage.PENDING, Stimulus.ADMITTED): Stage.CREATING,
    (Stage.PENDING, Stimulus.REJECTED): Stage.ENDED,
    (Stage.PENDING, Stimulus.DELETED): Stage.TERMINATING,
    (Stage.CREATING, Stimulus.SANDBOX_READY): Stage.INITIALIZING,
    (Stage.CREATING, Stimulus.OVERDUE): Stage.TERMINATING,
    (Stage.CREATING, Stimulus.DELETED): Stage.TERMINATING,
    (Stage.INITIALIZING, Stimulus.TRIED): Stage.INITIALIZING,
    (Stage.INITIALIZING, Stimulus.PULLED): Stage.INITIALIZING,
    (Stage.INITIALIZING, Stimulus.STARTED): Stage.INITIALIZING,
    (Stage.INITIALIZING, Stimulus.READY): Stage.INITIALIZING,
    (Stage.INITIALIZING, Stimulus.UNREADY): Stage.INITIALIZING,
    (Stage.INITIALIZING, Stimulus.UNHEALTHY): Stage.INITIALIZING,
    (Stage.INITIALIZING, Stimulus.NEVER_STARTED): Stage.INITIALIZING,
    (Stage.INITIALIZING, Stimulus.EXITED): Stage.INITIALIZING,
    (Stage.INITIALIZING, Stimulus.INITIALIZED): Stage.RUNNING,
    (Stage.INITIALIZING, Stimulus.COMPLETED): Stage.ENDED,
    (Stage.INITIALIZING, Stimulus.OVERDUE): Stage.TERMINATING,
    (Stage.INITIALIZING, Stimulus.DELETED): Stage.TERMINATING,
    (Stage.RUNNING, Stimulus.TRIED): Stage.RUNNING,
    (Stage.RUNNING, Stimulus.PULLED): Stage.RUNNING,
    (Stage.RUNNING, Stimulus.STARTED): Stage.RUNNING,
    (Stage.RUNNING, Stimulus.READY): Stage.RUNNING,
    (Stage.RUNNING, Stimulus.UNREADY): Stage.RUNNING,
    (Stage.RUNNING, Stimulus.UNHEALTHY): Stage.RUNNING,
    (Stage.RUNNING, Stimulus.NEVER_STARTED): Stage.RUNNING,
    (Stage.RUNNING, Stimulus.EXITED): Stage.RUNNING,
    (Stage.RUNNING, Stimulus.COMPLETED): Stage.ENDED,
    (Stage.RUNNING, Stimulus.OVERDUE): Stage.TERMINATING,
    (Stage.RUNNING, Stimulus.DELETED): Stage.TERMINATING,
    (Stage.TERMINATING, Stimulus.DELETED): Stage.TERMINATING,
    (Stage.TERMINATING, Stimulus.STOPPED): Stage.ENDED,
    (Stage.ENDED, Stimulus.DELETED): Stage.ENDED,
}


@dataclass(frozen=True, slots=True)
class Timer:
    """Something that takes time, and what it leads to.

    Parameters
    ----------
    step
        What it is; None when only `extra_s` counts.
    extra_s
        Seconds that come on top.
    at_most_s
        What the step takes is cut off there.
    """

    stimulus: Stimulus
    step: Step | None = None
    extra_s: float = 0.0
    container: str = ""
    attempt: int = 0
    at_most_s: float = inf


@dataclass(frozen=True, slots=True)
class Notice:
    """An event to tell the user."""

    reason: str
    message: str
    type: str = "Normal"
    container: str = ""


# How often upstream's kubelet lists what runs. It hears of a sandbox by that, and of the containers
# that have started in it by then as well.
RELIST_S = 1.0


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

    def add(self, others: Effects) -> None:
        """Add what something else leads to."""
        self.timers += others.timers
        self.notices += others.notices
