"""World: the parts of a control plane, acting in turn until nothing moves any more.

    controllers   act one after the other, each until it has nothing to do
    scheduler     tries every pod that may fit; those that are placed run at once, or in the next
                  round if volumes have to be made or bound for them
    kubelets      run the pods that came with a node, or refuse them
    evictions     tell pods to go whose node has a taint that they do not tolerate, or no longer
    time          goes on, once nobody can do anything, to when a pod that was told to go ends, or a
                  controller wants to look again, up to an hour

What a controller does is heard by those after it in the same round, and by those before it only in
the next one: as in a live cluster, pods have nodes before whoever wanted them hears that they were
made. And a pod that was told to go keeps its room while the others look for theirs: for its whole
grace period, in which everybody else acts once a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from kubeberth.api.core import Pod
from kubeberth.api.meta import OwnerReference
from kubeberth.api.scheme import PODS, Resource
from kubeberth.library.pods import recreated
from kubeberth.placement.profile import Profile
from kubeberth.placement.ties import TieBreak
from kubeberth.planner.control import Control
from kubeberth.planner.evictions import Evictions
from kubeberth.planner.kubelets import Kubelets
from kubeberth.planner.objects import Objects
from kubeberth.planner.placing import Placing, Preempted, Waiting

# A rollout may wait for `progressDeadlineSeconds`, ten minutes by default, before it is told that
# it has failed, and for `minReadySeconds` at every step.
PATIENCE_S = 3600.0
# Far more than any plan has needed; two controllers that undo each other's work would go on for
# ever.
MAX_ROUNDS = 20_000


@dataclass(frozen=True, slots=True)
class Rules:
    """By what pods are placed.

    Parameters
    ----------
    profiles
        By the name that a pod's `schedulerName` says.
    ties
        Chooses among equally good nodes.
    """

    profiles: Mapping[str, Profile]
    ties: TieBreak


class World:
    """A cluster that goes on by itself.

    Attributes
    ----------
    came_to_rest
        Whether it did, the last time.
    """

    def __init__(
        self, rules: Rules, now: float, watch: Callable[[int], None] = lambda _: None
    ) -> None:
        self.objects = Objects(now)
        self.placing = Placing(self.objects, rules.profiles, rules.ties, watch)
        self.kubelets = Kubelets(self.objects)
        self.evictions = Evictions(self.objects)
        self.control = Control(self.objects, self.kubelets.check)
        self.came_to_rest = True
        # Pods that others have to come for, as their controllers are not here to make them.
        self._lost: list[Pod] = []
        self.objects.follow(self._on_pod, (PODS,))

    @property
    def waiting(self) -> list[Waiting]:
        """The pods that do not run: those without a node first, as they are tried."""
        return [*self.placing.waiting, *self.kubelets.waiting]

    @property
    def ran(self) -> dict[str, str]:
        """By UID, the key of each pod that has come to run on a node here."""
        placed = self.placing.placed.items()
        return {uid: decision.pod_key for uid, decision in placed} | self.kubelets.ran

    @property
    def preempted(self) -> list[Preempted]:
        """Who had to go for others."""
        return [*self.placing.preempted, *self.kubelets.preempted]

    def settle(self) -> None:
        """Go on until nothing moves any more."""
        patience_ends_at = self.objects.now + PATIENCE_S
        for _ in range(MAX_ROUNDS):
            is_busy = self.evictions.carry_out()
            is_busy = self.control.run() or is_busy
            if self.control.is_restless:
                break
            has_moved = self.placing.run() or self._stand_in() or is_busy
            has_moved = self.kubelets.run() or has_moved
            # Whatever is told to go in one round ends together, and what comes is of one age.
            self.objects.now += 1
            has_ended = self.objects.finish_deletions()
            if has_moved or has_ended:
                continue
            if not self._wait(patience_ends_at):
                self.came_to_rest = True
                return
        self.came_to_rest = False

    def _wait(self, until: float) -> bool:
        """Let time pass to when a pod ends, or something is done again; return False for never.

        Pods end, however late it is; controllers and evictions are waited for only so long.
        """
        ends_at = self.objects.deletions_end_at()
        moments = (self.control.wakes_at(), self.evictions.next_at())
        wakes_at = min((at for at in moments if at is not None), default=None)
        if ends_at is not None and (wakes_at is None or ends_at <= wakes_at):
            self.objects.now = max(self.objects.now, ends_at)
            self.objects.finish_deletions()
            return True
        if wakes_at is None or wakes_at > until:
            return False
        self.objects.now = max(self.objects.now, wakes_at)
        self.control.wake()
        return True

    def _on_pod(self, resource: Resource, old: Any, new: Any) -> None:
        if old is None or old.is_terminal:
            return
        owner = old.metadata.controller
        if owner is None or owner.kind == "DaemonSet" or not _is_missed(owner, old, new):
            return
        if self.control.owner(old.metadata.namespace, owner) is None:
            self._lost.append(old)

    def _stand_in(self) -> bool:
        """Make again the pods of controllers that are not here; return whether there were any."""
        lost, self._lost = self._lost, []
        self.objects.create_again(map(_anew, lost))
        return bool(lost)


def _is_missed(owner: OwnerReference, old: Pod, new: Pod | None) -> bool:
    """Return whether something has changed of a pod for which another one comes.

    As soon as it is told to go, or once its name is free if that one is called alike.
    """
    if owner.kind == "StatefulSet":
        return new is None
    return not old.is_terminating and (new is None or new.is_terminating)


def _anew(pod: Pod) -> Pod:
    """Return the pod that an absent controller would make in the place of one that is gone."""
    again = recreated(pod)
    return replace(again, metadata=replace(again.metadata, finalizers=()))
