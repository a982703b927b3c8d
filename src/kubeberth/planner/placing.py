"""Placing: the scheduler of a plan. The engine and the books are the live ones; here is the order.

Rule 1: pods are tried by priority, then in the order in which they came or were last tried.
Rule 2: a pod that went nowhere is tried again when anything has changed since.
Rule 3: victims are told to go at once, and their room is held for whom they go.
Rule 4: pods with gates, and pods that no profile answers for, are not tried.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from kubeberth.api.core import Pod
from kubeberth.api.scheme import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, Resource
from kubeberth.api.storage import BIND_COMPLETED, BOUND_BY_CONTROLLER, SELECTED_NODE
from kubeberth.errors import InvalidObjectError
from kubeberth.placement.decision import Decision, Failure
from kubeberth.placement.engine import Engine
from kubeberth.placement.observed import OBSERVED
from kubeberth.placement.profile import Profile
from kubeberth.placement.request import PodRequest
from kubeberth.placement.reservation import BindClaim, Reservation
from kubeberth.placement.state import ClusterState
from kubeberth.placement.ties import TieBreak
from kubeberth.planner.objects import Objects
from kubeberth.scheduler.cache import Cache, occupies_node


@dataclass(slots=True)
class Waiting:
    """A pod without a node.

    Parameters
    ----------
    tried_at
        How many changes there had been when it was last tried; -1 before.
    why_not_tried
        Why it is not tried at all; empty when it is.
    failure
        Why it went nowhere when it was last tried.
    """

    pod: Pod
    order: int
    tried_at: int = -1
    why_not_tried: str = ""
    failure: Failure | None = None

    @property
    def message(self) -> str:
        """Why it has no node."""
        return self.why_not_tried or (self.failure.message if self.failure else "")


@dataclass(frozen=True, slots=True)
class Preempted:
    """A pod that was told to go for the sake of another."""

    pod: Pod
    by: Pod


class Placing:
    """Places the pending pods of some objects.

    Attributes
    ----------
    placed
        By UID, the decision for each pod that was given a node here.
    preempted
        Who had to go, in order.
    n_tried
        How many decisions were made, and told to whoever watches.
    """

    def __init__(
        self,
        objects: Objects,
        profiles: Mapping[str, Profile],
        ties: TieBreak,
        watch: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._objects = objects
        self._cache = Cache()
        self._engines = {
            name: Engine(self._cache.state, profile, ties) for name, profile in profiles.items()
        }
        self._profiles = profiles
        self._waiting: dict[str, Waiting] = {}
        self._orders = count()
        self._n_changes = 0
        # Pods of one template meet with the same refusal as long as nothing changes.
        self._refused: dict[tuple[str, PodRequest], Failure] = {}
        self._refused_at = -1
        # Placed, and not yet bound.
        self._promised: list[Decision] = []
        self._watch = watch
        self.n_tried = 0
        self.placed: dict[str, Decision] = {}
        self.preempted: list[Preempted] = []
        objects.follow(self._on_pod, (PODS,))
        objects.follow(self._on_other, OBSERVED.values())

    @property
    def state(self) -> ClusterState:
        """The cluster as the engine sees it."""
        return self._cache.state

    @property
    def waiting(self) -> list[Waiting]:
        """The pods without a node, in the order in which they are tried."""
        return sorted(self._waiting.values(), key=_by_priority)

    def profile_of(self, pod: Pod) -> Profile | None:
        """Return the profile that answers for a pod, or None."""
        return self._profiles.get(pod.spec.scheduler_name)

    def run(self) -> bool:
        """Try every pod that may fit since it was last tried; return whether anything came of it.

        A pod that is placed is bound, and running, when this returns, or the next time if it waits
        for volumes that are promised to it.
        """
        promised, self._promised = self._promised, []
        self._bind(promised)
        heap = [
            (*_by_priority(entry), key)
            for key, entry in self._waiting.items()
            if not entry.why_not_tried and entry.tried_at < self._n_changes
        ]
        heapq.heapify(heap)
        n_victims = len(self.preempted)
        placed: list[Decision] = []
        while heap:
            key = heapq.heappop(heap)[-1]
            entry = self._waiting.get(key)
            if entry is not None and (decision := self._attempt(entry)) is not None:
                (self._promised if decision.reservations else placed).append(decision)
        self._bind(placed)
        is_busy = bool(promised or placed or self._promised)
        return is_busy or len(self.preempted) > n_victims

    def _bind(self, decisions: Iterable[Decision]) -> None:
        """Bind pods that were placed, unless they are gone."""
        for decision in decisions:
            if decision.node is not None and self._cache.is_assumed(decision.pod_key):
                self._objects.bind(decision.pod_key, decision.node)

    def _attempt(self, entry: Waiting) -> Decision | None:
        """Try a pod; return the decision if it is given a node."""
        pod, key = entry.pod, entry.pod.metadata.key
        decision, request = self._decide(pod)
        self.n_tried += 1
        self._watch(self.n_tried)
        if decision.node is not None:
            self._n_changes += 1
            del self._waiting[key]
            self._cache.assume(pod, decision.node, decision.reservations, request)
            for promise in decision.reservations:
                self._make_good(promise)
            self.placed[pod.metadata.uid] = decision
            return decision
        entry.failure, entry.order = decision.failure, next(self._orders)
        if decision.nomination is not None:
            self._preempt(entry, decision)
        elif decision.failure is not None and not decision.failure.keeps_nomination:
            self._cache.clear_nomination(key)
        entry.tried_at = self._n_changes
        return None

    def _decide(self, pod: Pod) -> tuple[Decision, PodRequest | None]:
        key, state = pod.metadata.key, self.state
        if self._refused_at != self._n_changes:
            self._refused_at = self._n_changes
            self._refused.clear()
        try:
            request = state.request(pod)
        except InvalidObjectError as error:
            failure = Failure(str(error), is_error=True)
            return Decision(key, None, state.n_nodes, failure=failure), None
        template = pod.spec.scheduler_name, request
        if not state.nominations.pods and (known := self._refused.get(template)) is not None:
            return Decision(key, None, state.n_nodes, failure=known), request
        [decision] = self._engines[pod.spec.scheduler_name].place_alike(request, (key,))
        if decision.failure is not None and decision.nomination is None:
            self._refused[template] = decision.failure
        return decision, request

    def _preempt(self, entry: Waiting, decision: Decision) -> None:
        """Tell the victims to go; whoever waits for the same room, and matters less, loses it."""
        pod, nomination = entry.pod, decision.nomination
        if nomination is None:
            return
        for other in list(self.state.nominations.on(nomination.node)):
            if other.priority < pod.priority:
                self._cache.clear_nomination(other.key)
        self._cache.nominate(pod, nomination.node)
        self._n_changes += 1
        for key in nomination.victims:
            victim = self._objects.get(PODS, key)
            if victim is not None and not victim.is_terminating:
                self.preempted.append(Preempted(victim, pod))
                self._objects.preempt(key, pod.spec.scheduler_name)

    def _make_good(self, promise: Reservation) -> None:
        """Write down what a pod is promised; the controllers do the rest."""
        if not isinstance(promise, BindClaim):
            told = {"metadata": {"annotations": {SELECTED_NODE: promise.node}}}
            self._objects.patch(PERSISTENT_VOLUME_CLAIMS, promise.claim, told)
            return
        claim = self._objects.get(PERSISTENT_VOLUME_CLAIMS, promise.claim)
        if claim is None:
            return
        meta = claim.metadata
        owner = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "uid": meta.uid}
        reference = {**owner, "namespace": meta.namespace, "name": meta.name}
        yes = {"annotations": {BOUND_BY_CONTROLLER: "yes"}}
        given = {"metadata": yes, "spec": {"claimRef": reference}}
        self._objects.patch(PERSISTENT_VOLUMES, promise.volume, given)
        done = {"annotations": {BOUND_BY_CONTROLLER: "yes", BIND_COMPLETED: "yes"}}
        bound = {"metadata": done, "spec": {"volumeName": promise.volume}}
        self._objects.patch(PERSISTENT_VOLUME_CLAIMS, promise.claim, bound)

    # What changes

    def _on_other(self, resource: Resource, old: Any, new: Any) -> None:
        self._n_changes += 1
        if new is not None:
            self._cache.put(new)
        else:
            self._cache.remove(type(old), old.metadata.key)

    def _on_pod(self, resource: Resource, old: Pod | None, new: Pod | None) -> None:
        key = (new or old or Pod()).metadata.key
        if new is not None and occupies_node(new):
            self._waiting.pop(key, None)
            if not self._cache.is_assumed(key):
                self._n_changes += 1
            self._cache.put_pod(new)
            return
        if occupies_node(old) or (new is None and self._cache.is_assumed(key)):
            self._n_changes += 1
            self._cache.remove_pod(key)
        if new is None or new.is_terminal:
            if self._waiting.pop(key, None) is not None and self._cache.clear_nomination(key):
                self._n_changes += 1
            return
        if self._cache.is_assumed(key):
            return
        known = self._waiting.get(key)
        if known is not None:
            known.pod, known.why_not_tried = new, self._why_not(new)
            return
        self._waiting[key] = Waiting(new, next(self._orders), why_not_tried=self._why_not(new))
        if new.status.nominated_node_name:
            self._cache.nominate(new, new.status.nominated_node_name)

    def _why_not(self, pod: Pod) -> str:
        profile = self.profile_of(pod)
        if profile is None:
            return f'no scheduler of the plan is called "{pod.spec.scheduler_name}"'
        rejections = (rule.pre_enqueue(pod) for rule in profile.pre_enqueue)
        found = next((rejection for rejection in rejections if rejection is not None), None)
        return ", ".join(found.reasons) if found is not None else ""


def _by_priority(entry: Waiting) -> tuple[int, int]:
    return -entry.pod.priority, entry.order
