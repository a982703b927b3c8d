"""What a simulated container does: run on, or end after a while with an exit code.

Annotations of the pod say so for all its containers; without them the commands that everybody uses
to try things out mean what they mean: `sleep 5`, `true`, `false`. The rest goes by what the
container is for: the work of a job comes to an end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kubeberth.api.core import Container

EXIT_AFTER = "kubeberth.io/exit-after-seconds"
EXIT_CODE = "kubeberth.io/exit-code"
# 128 and the number of the signal, as shells and container runtimes have it.
SIGTERM_EXIT_CODE = 143


@dataclass(frozen=True, slots=True)
class Spell:
    """A while in which a readiness probe finds a container not ready, from its start on."""

    after_s: float
    for_s: float


@dataclass(frozen=True, slots=True)
class Program:
    """A container's run.

    Parameters
    ----------
    run_s
        How long it runs; None for ever.
    reason, message
        Of its end; empty for what follows from the exit code.
    ready_after_s
        When its probes succeed, unless its startup probe gives up before; None for as soon as
        they can.
    liveness_fails_s
        From when on its liveness probe fails; None for never.
    """

    run_s: float | None = None
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    ready_after_s: float | None = None
    unready: tuple[Spell, ...] = ()
    liveness_fails_s: float | None = None

    @property
    def stopped_exit_code(self) -> int:
        """Its exit code when it is told to stop: what was to end has not done its work."""
        return 0 if self.run_s is None else SIGTERM_EXIT_CODE


@dataclass(frozen=True, slots=True)
class Pull:
    """How pulling the image of a container goes.

    Parameters
    ----------
    takes_s
        How long it takes; None for what the process says.
    fails_s
        For how long it fails, from the start of the pod on; infinity for ever.
    message
        What the registry then says; empty for that there is no such image.
    """

    takes_s: float | None = None
    fails_s: float = 0.0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """All lives of a container: what it does in each, the last one again and again.

    Parameters
    ----------
    start_s
        How long it takes to start; None for what the process says.
    """

    programs: tuple[Program, ...]
    start_s: float | None = None
    pull: Pull = Pull()

    def program(self, attempt: int) -> Program:
        """Return what it does in a life."""
        return self.programs[min(attempt, len(self.programs) - 1)]


@lru_cache(1024)
def once(program: Program) -> Script:
    """Return the script of a container that does the same in all its lives."""
    return Script((program,))


FOREVER = Program()
AT_ONCE = Program(0.0)
# Long enough to be seen at work, short enough to wait for.
WORK = Program(2.0)


def program_of(container: Container, annotations: Mapping[str, str], otherwise: Program) -> Program:
    """Return what a container will do.

    Parameters
    ----------
    otherwise
        What it does when neither its command nor an annotation says so.
    """
    by_command = _from_command((*container.command, *container.args))
    if by_command is not None:
        return by_command
    run_s = seconds(annotations.get(EXIT_AFTER, ""))
    if run_s is None:
        return otherwise
    code = annotations.get(EXIT_CODE, "0")
    return Program(run_s, int(code) % 256 if code.isdecimal() else 0)


def _from_command(words: Sequence[str]) -> Program | None:
    name = words[0].rpartition("/")[2] if words else ""
    if name == "true" and len(words) == 1:
        return AT_ONCE
    if name == "false" and len(words) == 1:
        return Program(0.0, 1)
    if name == "sleep" and len(words) == 2:
        if words[1] in ("infinity", "inf"):
            return FOREVER
        run_s = seconds(words[1])
        return None if run_s is None else Program(run_s)
    return None


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float | None:
    """Return `90`, `1.5`, `200ms` or `2m` as seconds, or None."""
    number = text.rstrip("msdh")
    factor = _UNITS.get(text[len(number) :] or "s")
    if factor is None or not number.replace(".", "", 1).isdecimal():
        return None
    return float(number) * factor
