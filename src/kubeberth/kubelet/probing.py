"""What probes find in a simulated container, and when it counts.

A failure counts once it has repeated itself often enough; without a probe nobody notices. A kubelet
that was started anew goes by what was found before, and counts anew. Pure.

Matches kubelet 1.36 (`pkg/kubelet/prober`, reference section 6.5).
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.kubelet.containers import Run
from kubeberth.kubelet.pod import Probe
from kubeberth.kubelet.program import Spell
from kubeberth.kubelet.transitions import Effects, Notice, Step, Stimulus, Timer


def watched(run: Run, since_s: float = 0.0) -> Iterator[Timer]:
    """Yield what the probes of a container that runs are going to find.

    Parameters
    ----------
    since_s
        How long after the container's start its probes begin: later than at once when its kubelet
        was away meanwhile.
    """
    fails_s = _never_started_s(run, since_s)
    if fails_s is not None:
        yield _at(run, Stimulus.NEVER_STARTED, fails_s, since_s)
        return  # the others wait for it
    found = [spell for spell in run.program.unready if _is_amid(spell, since_s)]
    if run.ready_after_s is not None and not run.ready and not found:
        yield _at(run, Stimulus.READY, max(run.ready_after_s, since_s), since_s, Step.READY)
    yield from _spells(run, since_s)
    yield from _liveness(run, since_s)


def _never_started_s(run: Run, since_s: float) -> float | None:
    """Return when the startup probe gives up; None when it succeeds."""
    probe, ready_s = run.startup, run.program.ready_after_s
    if probe is None or ready_s is None or run.is_started:
        return None
    last_s = max(float(probe.initial_delay_seconds), since_s) + _patience_s(probe)
    return last_s if ready_s > last_s else None


def _spells(run: Run, since_s: float) -> Iterator[Timer]:
    """Yield when the readiness probe takes a container out, and back in."""
    if (probe := run.readiness) is None:
        return
    again_s = probe.period_seconds * (probe.success_threshold - 1)
    for spell in run.program.unready:
        ends_s = spell.after_s + spell.for_s
        counts_s = max(spell.after_s, since_s) + _patience_s(probe)
        if counts_s < ends_s:
            yield _at(run, Stimulus.UNREADY, counts_s, since_s)
        if counts_s < ends_s or (_is_amid(spell, since_s) and not run.ready):
            yield _at(run, Stimulus.READY, ends_s + again_s, since_s)


def _liveness(run: Run, since_s: float) -> Iterator[Timer]:
    probe, fails_s = run.liveness, run.program.liveness_fails_s
    if probe is not None and fails_s is not None:
        begins_s = max(fails_s, float(probe.initial_delay_seconds), since_s)
        yield _at(run, Stimulus.UNHEALTHY, begins_s + _patience_s(probe), since_s)


def _is_amid(spell: Spell, since_s: float) -> bool:
    return spell.after_s < since_s < spell.after_s + spell.for_s


def _patience_s(probe: Probe) -> float:
    """Return how long a probe fails from its first failure to the one that counts."""
    return float(probe.period_seconds * (probe.failure_threshold - 1))


def _at(
    run: Run, stimulus: Stimulus, at_s: float, since_s: float, step: Step | None = None
) -> Timer:
    return Timer(stimulus, step, at_s - since_s, run.name, run.attempt)


def found_unready(run: Run) -> Effects:
    """Take a container out."""
    run.ready = False
    return Effects(notices=[_unhealthy("Readiness", run.readiness, run)])


def found_unhealthy(run: Run) -> Effects:
    """End a container that its liveness probe has given up: it obeys as it does any SIGTERM."""
    return _given_up(run, "liveness", run.liveness)


def found_never_started(run: Run) -> Effects:
    """End a container that its startup probe has given up."""
    return _given_up(run, "startup", run.startup)


def _given_up(run: Run, which: str, probe: Probe | None) -> Effects:
    message = f"Container {run.name} failed {which} probe, will be restarted"
    notices = [
        _unhealthy(which.capitalize(), probe, run),
        Notice("Killing", message, container=run.name),
    ]
    stop = Timer(Stimulus.EXITED, Step.STOP, 0.0, run.name, run.attempt)
    return Effects([stop], notices)


def _unhealthy(which: str, probe: Probe | None, run: Run) -> Notice:
    said = probe.failure if probe is not None else ""
    return Notice("Unhealthy", f"{which} probe failed: {said}", "Warning", run.name)
