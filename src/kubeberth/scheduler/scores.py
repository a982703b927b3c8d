"""Scores: what each rule gave the best nodes, written down after a decision.

To work them out, rule by rule, takes longer than a hundred decisions. So it is done for pods that
no other follows at once, as soon as their bindings have been sent: then nothing but the pod itself
has come about in between, and nobody waits. Of what is decided in a hurry they are not known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from kubeberth.api.core import Pod
from kubeberth.clock import Clock
from kubeberth.placement.profile import Profile
from kubeberth.placement.state import ClusterState
from kubeberth.placement.trial import Trial
from kubeberth.placement.why_now import best_nodes
from kubeberth.scheduler.decisions import Attempt, Budget


class _Chosen(NamedTuple):
    """A decision for a node, and how the cluster was before it was carried out."""

    pod: Pod
    attempt: Attempt
    version: tuple[int, ...]


class Scores:
    """Writes down the scores behind decisions."""

    def __init__(self, state: ClusterState, profiles: Mapping[str, Profile], clock: Clock) -> None:
        self._state = state
        self._profiles = profiles
        self._clock = clock
        self._budget = Budget()
        self._latest: _Chosen | None = None
        self._is_due = False

    def note(self, pod: Pod, attempt: Attempt) -> None:
        """Take note of a decision for a node, before it is carried out."""
        self._latest = _Chosen(pod, attempt, self._version())
        if not self._is_due and self._budget.allows(self._clock.monotonic()):
            self._wait_for_binding(self._latest)

    def _wait_for_binding(self, chosen: _Chosen) -> None:
        """Go on when the turn of the event loop is over in which the binding is sent."""
        self._is_due = True
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._write_latest, chosen)

    def _write_latest(self, chosen: _Chosen) -> None:
        """Write down the scores of a decision, unless another one has followed: then of that."""
        self._is_due, latest = False, self._latest
        if latest is not None and latest is not chosen:
            self._wait_for_binding(latest)
            return
        began_at, self._latest = self._clock.monotonic(), None
        self._write_down(chosen)
        self._budget.spend(began_at, self._clock.monotonic())

    def _version(self) -> tuple[int, ...]:
        """Return what changes with whatever decisions go by."""
        state = self._state
        return state.node_log.end, state.census.version, state.usage_log.end

    def _write_down(self, chosen: _Chosen) -> None:
        attempt, state = chosen.attempt, self._state
        placed = state.placed(chosen.pod.metadata.key)
        *others, n_placed = chosen.version
        if attempt.decision.n_feasible < 2 or placed is None:
            return
        if self._version() != (*others, n_placed + 1):
            return  # somebody else has come or gone as well
        profile = self._profiles[chosen.pod.spec.scheduler_name]
        with Trial(state) as trial:
            trial.remove(placed)
            attempt.best = best_nodes(state, placed.request, profile, placed.key)
