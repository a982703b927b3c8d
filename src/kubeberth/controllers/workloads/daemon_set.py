"""DaemonSet: a pod on every node that fits, for as long as it does.

Matches Kubernetes 1.36 (`pkg/controller/daemon/daemon_controller.go`). Which node fits stands in
daemon_pods.py, how pods go over to a new template in daemon_rollout.py; here is the order of the
steps: history, status, what is missing or too much, and only when that is right the update.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from kubeberth.api.core import Node, Pod
from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS, Resource
from kubeberth.api.selectors import from_label_selector
from kubeberth.api.workloads import (
    ControllerRevision,
    DaemonSet,
    DaemonSetStatus,
    is_available,
    is_ready,
)
from kubeberth.controllers.action import (
    Action,
    CreatePods,
    DeletePods,
    Failure,
    ObjectRef,
    Outcome,
    PatchObject,
    RecordEvent,
)
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.ownership import claim, keys_of_controller
from kubeberth.controllers.reconciler import Reconciler
from kubeberth.controllers.workloads import daemon_pods, daemon_rollout
from kubeberth.controllers.workloads.availability import next_availability
from kubeberth.controllers.workloads.daemon_pods import HASH, UNFIT
from kubeberth.controllers.workloads.daemon_rollout import Moves, Site
from kubeberth.controllers.workloads.history import History, Naming, discard, keep_history
from kubeberth.controllers.workloads.template_hash import template_hash

# As upstream (daemon_controller.go): one sync makes or removes no more pods than this.
BURST = 250
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 900.0
NAMING = Naming(template_hash, HASH)


@dataclass(frozen=True, slots=True)
class Wait:
    """How long the next failed pod of a node is left alone: ever longer, or a node would spin.

    Parameters
    ----------
    since
        When the last one was removed, in seconds since 1970.
    """

    since: float
    seconds: float = FIRST_WAIT_S

    def left_s(self, now: float) -> float:
        """Return how many seconds are left; 0 when the next one may be removed."""
        return max(0.0, self.since + self.seconds - now)

    def is_over(self, now: float) -> bool:
        """Return whether all has been well for so long that it is forgotten."""
        return now - self.since > 2 * LONGEST_WAIT_S

    def next(self, now: float) -> Wait:
        """Return the wait after another one was removed."""
        return Wait(now, min(self.seconds * 2, LONGEST_WAIT_S))


@dataclass(frozen=True, slots=True)
class View:
    """What one reconcile looks at.

    Parameters
    ----------
    pods, revisions
        Those that the set controls, and those of its namespace that nobody controls.
    taken_revisions
        All revisions of the namespace by key.
    waits
        By node, where failed pods were removed before.
    """

    daemon_set: DaemonSet
    nodes: tuple[Node, ...] = ()
    pods: tuple[Pod, ...] = ()
    revisions: tuple[ControllerRevision, ...] = ()
    taken_revisions: Mapping[str, ControllerRevision] = field(default_factory=dict)
    waits: Mapping[str, Wait] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, and on which nodes that removes a failed pod."""

    outcome: Outcome
    failed_on: tuple[str, ...] = ()


def decide(view: View, now: float) -> Decision:
    """Return the next step that brings the set nearer to its spec, and its status."""
    daemon_set, meta = view.daemon_set, view.daemon_set.metadata
    me = ref_of(DAEMON_SETS, daemon_set)
    selector = from_label_selector(daemon_set.spec.selector)
    if selector.is_everything:
        message = "This daemon set is selecting all pods. A non-empty selector is required."
        return Decision(Outcome((RecordEvent(me, "SelectingAll", message, "Warning"),)))
    if meta.deletion_timestamp is not None:
        # Its revisions may be gone already, so that nothing can be said of its pods any more.
        return Decision(Outcome())
    revisions = claim(me, meta, view.revisions, CONTROLLER_REVISIONS, selector)
    pods = claim(me, meta, view.pods, PODS, selector)
    count = daemon_set.status.collision_count
    history = keep_history(me, daemon_set, revisions.members, view.taken_revisions, NAMING, count)
    step = _Step(view, me, pods.members, history, now)
    actions = (
        *revisions.actions,
        *pods.actions,
        *history.actions,
        *_merge_duplicates(history, pods.members),
        *step.report(),
        *step.work(),
        *step.clean_up(),
    )
    return Decision(Outcome(actions, step.wait_s()), tuple(step.failed_on))


def _hash_of(revision: ControllerRevision) -> str:
    return revision.metadata.labels.get(HASH, revision.metadata.name)


def _merge_duplicates(history: History, pods: Iterable[Pod]) -> Iterator[Action]:
    """Yield what makes one of several revisions with the same template."""
    if not history.duplicates:
        return
    hash_ = _hash_of(history.current)
    known = {_hash_of(revision) for revision in history.duplicates}
    for pod in pods:
        if pod.metadata.labels.get(HASH) in known:
            yield PatchObject(
                ref_of(PODS, pod), {"metadata": {"labels": {HASH: hash_}}}, if_present=True
            )
    yield from discard(history.duplicates)


class _Step:
    """One step of a set: reads the view, and returns what is to be done."""

    def __init__(
        self, view: View, me: ObjectRef, pods: Sequence[Pod], history: History, now: float
    ) -> None:
        self._set = view.daemon_set
        self._me = me
        self._now = now
        self._waits = view.waits
        self._pods = pods
        self._history = history
        self._hash = _hash_of(history.current)
        self._generation = daemon_pods.template_generation(view.daemon_set)
        self._sites = _sites(view, pods)
        self._soonest_s: list[float] = []
        self.failed_on: list[str] = []

    def work(self) -> list[Action]:
        """Return what puts missing and surplus pods right, or else the next step of an update."""
        events: list[Action] = []
        moves = Moves()
        for site in self._sites:
            if site.exists:
                self._put_right(site, moves, events)
            else:
                # The scheduler never gets it anywhere, and nobody else removes it.
                moves.delete += [pod for pod in site.remaining if not pod.spec.node_name]
        if not (moves.delete or moves.create):
            moves = self._update()
        return [*events, *self._carry_out(moves)]

    def _put_right(self, site: Site, moves: Moves, events: list[Action]) -> None:
        if not site.fit.stays:
            moves.delete += site.remaining
            return
        if not site.pods:
            if site.fit.starts:
                moves.create.append(site.node)
            return
        running = []
        for pod in site.remaining:
            if not pod.is_terminal:
                running.append(pod)
            elif self._gives_up(pod, site.node, events):
                moves.delete.append(pod)
        if not daemon_rollout.allows_surge(self._set):
            moves.delete += running[1:]
        elif not running and site.fit.starts:
            moves.create.append(site.node)
        elif len(running) > 1:
            moves.delete += self._surplus(running)

    def _gives_up(self, pod: Pod, node: str, events: list[Action]) -> bool:
        """Return whether an ended pod is removed now, to be replaced; failed ones may wait."""
        what = f"daemon pod {pod.metadata.key} on node {node}, will try to"
        if pod.status.phase == "Succeeded":
            events.append(
                RecordEvent(self._me, "SucceededDaemonPod", f"Found succeeded {what} delete it")
            )
            return True
        wait = self._waits.get(node)
        left_s = wait.left_s(self._now) if wait is not None else 0.0
        if left_s > 0 or node in self.failed_on:
            self._soonest_s.append(left_s or FIRST_WAIT_S)
            return False
        self.failed_on.append(node)
        events.append(
            RecordEvent(self._me, "FailedDaemonPod", f"Found failed {what} kill it", "Warning")
        )
        return True

    def _surplus(self, running: Sequence[Pod]) -> list[Pod]:
        """Return who goes of several pods on a node: one new may be beside one old that serves."""
        new = [pod for pod in running if pod.metadata.labels.get(HASH) == self._hash]
        old = [pod for pod in running if pod.metadata.labels.get(HASH) != self._hash]
        surplus = [*new[1:], *old[1:]]
        if new and old and (not is_ready(old[0]) or self._is_available(new[0])):
            surplus.append(old[0])
        return surplus

    def _update(self) -> Moves:
        if self._set.spec.update_strategy.type != "RollingUpdate":
            return Moves()
        n_desired = sum(site.exists and site.fit.starts for site in self._sites)
        bounds = daemon_rollout.bounds_of(self._set, n_desired)
        return daemon_rollout.roll(
            self._sites, bounds, is_new=self._is_new, is_available=self._is_available
        )

    def _is_new(self, pod: Pod) -> bool:
        return daemon_pods.is_updated(pod, self._hash, self._generation)

    def _is_available(self, pod: Pod) -> bool:
        return is_available(pod, self._set.spec.min_ready_seconds, self._now)

    def _carry_out(self, moves: Moves) -> Iterator[Action]:
        # Removing first: what a quota refuses must not keep the rest from going.
        if moves.delete:
            yield DeletePods(self._me, tuple(ref_of(PODS, pod) for pod in moves.delete[:BURST]))
        if moves.create:
            make = partial(daemon_pods.new_pod, self._set, self._me, self._hash)
            yield CreatePods(self._me, tuple(map(make, moves.create[:BURST])))

    def report(self) -> list[Action]:
        """Return the status, when it differs."""
        status = self._status()
        if status == self._set.status:
            return []
        # Go leaves zeros out of some of these; null takes them out of the stored object.
        document = {
            "currentNumberScheduled": status.current_number_scheduled,
            "numberMisscheduled": status.number_misscheduled,
            "desiredNumberScheduled": status.desired_number_scheduled,
            "numberReady": status.number_ready,
            "observedGeneration": status.observed_generation or None,
            "updatedNumberScheduled": status.updated_number_scheduled or None,
            "numberAvailable": status.number_available or None,
            "numberUnavailable": status.number_unavailable or None,
            "collisionCount": status.collision_count,
        }
        return [PatchObject(self._me, {"status": document}, sub="status")]

    def _status(self) -> DaemonSetStatus:
        sites = [site for site in self._sites if site.exists]
        wanted = [site for site in sites if site.fit.starts]
        first = [site.pods[0] for site in wanted if site.pods]
        ready = [pod for pod in first if is_ready(pod)]
        n_available = sum(map(self._is_available, ready))
        return DaemonSetStatus(
            desired_number_scheduled=len(wanted),
            current_number_scheduled=len(first),
            number_misscheduled=sum(bool(site.pods) and not site.fit.starts for site in sites),
            number_ready=len(ready),
            updated_number_scheduled=sum(map(self._is_new, first)),
            number_available=n_available,
            number_unavailable=len(wanted) - n_available,
            observed_generation=self._set.metadata.generation,
            collision_count=self._history.collision_count,
        )

    def clean_up(self) -> list[Action]:
        """Return the end of revisions that no pod is made of, beyond `revisionHistoryLimit`."""
        limit = self._set.spec.revision_history_limit
        old = [r for r in self._history.others if r not in self._history.duplicates]
        if limit is None or len(old) <= limit:
            return []
        live = {pod.metadata.labels.get(HASH) for pod in self._pods}
        dead = [revision for revision in old if _hash_of(revision) not in live]
        return discard(dead[: len(old) - limit])

    def wait_s(self) -> float | None:
        """Return in how many seconds to look again, though nothing changes until then."""
        least = self._set.spec.min_ready_seconds
        available_s = next_availability(self._pods, least, self._now)
        waits = [*self._soonest_s, *([available_s] if available_s is not None else [])]
        return min(waits, default=None)


def _sites(view: View, pods: Iterable[Pod]) -> list[Site]:
    """Return all nodes with their pods, and those that pods are bound for and that do not exist."""
    spec = daemon_pods.spec_of(view.daemon_set)
    by_node: dict[str, list[Pod]] = defaultdict(list)
    for pod in pods:
        target = daemon_pods.target_of(pod)
        if target is not None and not (pod.is_terminal and pod.is_terminating):
            by_node[target].append(pod)
    sites = []
    for node in sorted(view.nodes, key=lambda node: node.name):
        found = tuple(daemon_pods.oldest_first(by_node.pop(node.name, ())))
        sites.append(Site(node.name, daemon_pods.fit(spec, node), found))
    for name, found_there in by_node.items():
        left = tuple(daemon_pods.oldest_first(found_there))
        sites.append(Site(name, UNFIT, left, exists=False))
    return sites


class DaemonSetReconciler(Reconciler):
    """Feeds `decide` from the cache, and remembers where failed pods were removed."""

    name = "daemonset-controller"
    account = "daemon-set-controller"
    resource = DAEMON_SETS
    follows = (PODS, CONTROLLER_REVISIONS, NODES)
    only_reports = True

    def __init__(self) -> None:
        # By UID of the set, then by node.
        self._waits: dict[str, dict[str, Wait]] = {}

    def keys(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the keys to look at, and forget a set that is gone."""
        if resource == DAEMON_SETS and new is None and old is not None:
            self._waits.pop(old.metadata.uid, None)
        return super().keys(cache, resource, old, new)

    def keys_behind(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the sets that a change of a pod, a revision or a node concerns."""
        if resource == NODES:
            return [] if _is_heartbeat(old, new) else cache.all(DAEMON_SETS)
        return keys_of_controller(cache, DAEMON_SETS, old, new)

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what the set needs."""
        daemon_set = cache.get(DAEMON_SETS, key)
        if daemon_set is None:
            return Outcome()
        meta = daemon_set.metadata
        waits = self._waits.get(meta.uid, {})
        view = View(
            daemon_set,
            tuple(cache.nodes().values()),
            pods=tuple(cache.candidates(PODS, meta)),
            revisions=tuple(cache.candidates(CONTROLLER_REVISIONS, meta)),
            taken_revisions=cache.in_namespace(CONTROLLER_REVISIONS, meta.namespace),
            waits=waits,
        )
        decision = decide(view, now)
        if decision.failed_on:
            kept = {node: wait for node, wait in waits.items() if not wait.is_over(now)}
            for node in decision.failed_on:
                kept[node] = kept[node].next(now) if node in kept else Wait(now)
            self._waits[meta.uid] = kept
        return decision.outcome


def _is_heartbeat(old: HasMetadata | None, new: HasMetadata | None) -> bool:
    """Return whether a change of a node leaves all that daemons depend on as it was."""
    if not isinstance(old, Node) or not isinstance(new, Node):
        return False
    return old.metadata.labels == new.metadata.labels and old.spec.taints == new.spec.taints
