"""StatefulSet: pods that are told apart, made and given up in the order of their ordinals.

Matches Kubernetes 1.36 (`pkg/controller/statefulset/stateful_set_control.go`). What makes a pod the
one it is stands in stateful_pods.py, the revisions in history.py; here is the order of the steps.

Rule 1  A name is free only when the pod that had it is gone: never are there two of an ordinal,
        not even when the node of one is lost.
Rule 2  OrderedReady: a step is one pod, and only when all before it are available.
Rule 3  Parallel: all at once, but for updates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeberth.api.core import Pod
from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import (
    CONTROLLER_REVISIONS,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    STATEFUL_SETS,
    Resource,
)
from kubeberth.api.selectors import from_label_selector
from kubeberth.api.storage import PersistentVolumeClaim
from kubeberth.api.workloads import (
    ControllerRevision,
    StatefulSet,
    StatefulSetStatus,
    is_available,
    is_ready,
)
from kubeberth.controllers.action import (
    Action,
    CreateObject,
    DeleteObject,
    Failure,
    InBatches,
    ObjectRef,
    Outcome,
    PatchObject,
    Stop,
    Told,
)
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.ownership import claim, keys_of_controller
from kubeberth.controllers.reconciler import Reconciler
from kubeberth.controllers.workloads import stateful_pods as identity
from kubeberth.controllers.workloads.availability import next_availability
from kubeberth.controllers.workloads.history import (
    History,
    Naming,
    discard,
    keep_history,
    snapshot_of,
    template_in,
)
from kubeberth.controllers.workloads.rollout import scaled
from kubeberth.controllers.workloads.template_hash import revision_hash

NAMING = Naming(
    lambda template, count: revision_hash(snapshot_of(template), count or 0),
    "controller.kubernetes.io/hash",
)


@dataclass(frozen=True, slots=True)
class View:
    """What one reconcile looks at.

    Parameters
    ----------
    pods, revisions
        Those that the set controls, and those of its namespace that nobody controls.
    taken_revisions, claims
        All revisions and claims of the namespace by key.
    """

    stateful_set: StatefulSet
    pods: tuple[Pod, ...] = ()
    revisions: tuple[ControllerRevision, ...] = ()
    taken_revisions: Mapping[str, ControllerRevision] = field(default_factory=dict)
    claims: Mapping[str, PersistentVolumeClaim] = field(default_factory=dict)


def reconcile(view: View, now: float) -> Outcome:
    """Return the next step that brings the set nearer to its spec, and its status."""
    stateful_set, meta = view.stateful_set, view.stateful_set.metadata
    me = ref_of(STATEFUL_SETS, stateful_set)
    selector = from_label_selector(stateful_set.spec.selector)
    revisions = claim(me, meta, view.revisions, CONTROLLER_REVISIONS, selector)
    possible = [p for p in view.pods if identity.ordinal_of(me.name, p.metadata.name) is not None]
    pods = claim(me, meta, possible, PODS, selector)
    history = keep_history(
        me,
        stateful_set,
        revisions.members,
        view.taken_revisions,
        NAMING,
        stateful_set.status.collision_count or 0,
    )
    step = _Step(view, me, pods.members, history, now)
    actions = [*revisions.actions, *pods.actions]
    if meta.deletion_timestamp is not None:
        return Outcome((*actions, *step.report()))
    actions += [*history.actions, *step.report(), *step.work(), *step.clean_up()]
    wait_s = next_availability(pods.members, stateful_set.spec.min_ready_seconds, now)
    return Outcome(tuple(actions), wait_s)


@dataclass(frozen=True, slots=True)
class _Turn:
    """What is done about one pod, and whether the next one's turn may come at once."""

    actions: tuple[Action, ...] = ()
    goes_on: bool = True


class _Step:
    """One step of a set: reads the view, and returns what is to be done."""

    def __init__(
        self, view: View, me: ObjectRef, pods: Iterable[Pod], history: History, now: float
    ) -> None:
        self._view = view
        self._set = view.stateful_set
        self._me = me
        self._now = now
        self._wanted = identity.ordinals(view.stateful_set)
        self._pods: dict[int, Pod] = {}
        for pod in pods:
            ordinal = identity.ordinal_of(me.name, pod.metadata.name)
            if ordinal is not None:
                self._pods[ordinal] = pod
        self._history = history
        self._update = history.current
        self._current = history.named(self._set.status.current_revision) or history.current
        self._is_ordered = self._set.spec.pod_management_policy != "Parallel"

    def work(self) -> list[Action]:
        """Return what is done about pods: living ones first, then surplus, then old ones."""
        tended, goes_on = self._take_turns(self._tend, self._wanted)
        if not goes_on:
            return tended
        condemned = sorted(set(self._pods) - set(self._wanted), reverse=True)
        for ordinal in condemned:
            tended += self._keep_claims(ordinal, ref_of(PODS, self._pods[ordinal]))
        ended, goes_on = self._take_turns(self._end, condemned)
        if not goes_on:
            return [*tended, *ended]
        return [*tended, *ended, *self._replace()]

    def _take_turns(
        self, turn: Callable[[int], _Turn], ordinals: Iterable[int]
    ) -> tuple[list[Action], bool]:
        """Return the actions of one turn after the other, and whether all had theirs."""
        if not self._is_ordered:
            groups = [taken.actions for taken in map(turn, ordinals) if taken.actions]
            return ([InBatches(tuple(groups))] if groups else []), True
        actions: list[Action] = []
        for ordinal in ordinals:
            taken = turn(ordinal)
            actions += taken.actions
            if not taken.goes_on:
                return actions, False
        return actions, True

    def _tend(self, ordinal: int) -> _Turn:
        """Return what a wanted pod needs."""
        pod = self._pods.get(ordinal)
        if pod is None:
            return _Turn(self._create(ordinal), goes_on=False)
        if pod.is_terminal:
            # However it ended: its name becomes free, and the next step makes it anew.
            return _Turn(() if pod.is_terminating else (self._delete(pod),), goes_on=False)
        actions = self._missing_claims(ordinal) if pod.status.phase == "Pending" else ()
        if self._is_ordered and not self._is_healthy(pod):
            return _Turn(actions, goes_on=False)
        return _Turn((*actions, *self._correct(ordinal, pod)))

    def _end(self, ordinal: int) -> _Turn:
        """Return what becomes of a pod that is one too many; of ordered ones one goes at a time."""
        pod = self._pods[ordinal]
        if pod.is_terminating:
            return _Turn(goes_on=False)
        if self._is_ordered and not self._is_healthy(pod) and ordinal != self._first_unhealthy():
            return _Turn(goes_on=False)
        return _Turn((self._delete(pod),), goes_on=False)

    def _first_unhealthy(self) -> int | None:
        """Return the lowest ordinal of an unhealthy pod; all wanted ones are healthy by now."""
        return min((o for o, pod in self._pods.items() if not self._is_healthy(pod)), default=None)

    def _replace(self) -> list[Action]:
        """Return the end of pods that are of another revision, from the highest ordinal down."""
        strategy = self._set.spec.update_strategy
        if strategy.type == "OnDelete":
            return []
        rolling = strategy.rolling_update
        targets = list(reversed(self._wanted[rolling.partition if rolling else 0 :]))
        old = [pod for o in targets if (pod := self._pods.get(o)) is not None and self._is_old(pod)]
        if rolling is not None and rolling.max_unavailable is not None:
            return [self._delete(pod) for pod in old[: self._budget(rolling.max_unavailable)]]
        for ordinal in targets:
            pod = self._pods.get(ordinal)
            if pod is not None and self._is_old(pod):
                return [self._delete(pod)]
            if pod is None or not self._is_healthy(pod):
                return []
        return []

    def _is_old(self, pod: Pod) -> bool:
        """Return whether a pod is of another revision, and not about to be replaced anyway."""
        is_updated = identity.revision_of(pod) == self._update.metadata.name
        return not (is_updated or pod.is_terminating or pod.is_terminal)

    def _budget(self, max_unavailable: int | str) -> int:
        """Return how many more pods may become unavailable; a share is rounded down, to 1."""
        most = max(1, scaled(max_unavailable, len(self._wanted), round_up=False))
        pods = (self._pods.get(ordinal) for ordinal in self._wanted)
        unavailable = sum(pod is None or not self._is_healthy(pod) for pod in pods)
        return max(0, most - unavailable)

    def _is_healthy(self, pod: Pod) -> bool:
        """Return whether a pod runs, is available, and stays."""
        return (
            pod.status.phase == "Running"
            and is_available(pod, self._set.spec.min_ready_seconds, self._now)
            and not pod.is_terminating
        )

    def _create(self, ordinal: int) -> tuple[Action, ...]:
        name = identity.name_of(self._me, ordinal)
        claims = [c for _, c in self._claims(ordinal) if c is not None]
        if any(identity.is_stale(self._set, claim, name) for claim in claims):
            return ()
        leaving = [claim.metadata.name for claim in claims if claim.metadata.deletion_timestamp]
        stops = [Stop("FailedCreate", f"pvc {claim} is being deleted") for claim in leaving[:1]]
        revision = self._current if self._keeps_old(ordinal) else self._update
        body = identity.new_pod(
            self._set, self._me, template_in(revision), revision.metadata.name, ordinal
        )
        creation = CreateObject(PODS, body, self._me.namespace)
        made = self._told("create", name, *self._missing_claims(ordinal), *stops, creation)
        return (made, *self._keep_claims(ordinal, ObjectRef(PODS, name, self._me.namespace)))

    def _keeps_old(self, ordinal: int) -> bool:
        """Return whether the update has not come to an ordinal, or is not to."""
        strategy = self._set.spec.update_strategy
        if strategy.type != "RollingUpdate":
            return False
        rolling = strategy.rolling_update
        kept = self._set.status.current_replicas if rolling is None else rolling.partition
        return ordinal < self._wanted.start + kept

    def _claims(self, ordinal: int) -> list[tuple[str, PersistentVolumeClaim | None]]:
        names, namespace = identity.claims_of(self._set, ordinal).values(), self._me.namespace
        return [(name, self._view.claims.get(f"{namespace}/{name}")) for name in names]

    def _missing_claims(self, ordinal: int) -> tuple[Action, ...]:
        missing = {name for name, found in self._claims(ordinal) if found is None}
        return tuple(
            self._create_claim(body, identity.name_of(self._me, ordinal))
            for body in identity.new_claims(self._set, self._me, ordinal)
            if body["metadata"]["name"] in missing
        )

    def _create_claim(self, body: dict[str, Any], pod: str) -> Action:
        name, where = body["metadata"]["name"], f"in StatefulSet {self._me.name}"
        creation = CreateObject(PERSISTENT_VOLUME_CLAIMS, body, self._me.namespace)
        return Told(
            self._me,
            (creation,),
            ("SuccessfulCreate", f"create Claim {name} Pod {pod} {where} success"),
            ("FailedCreate", f"create Claim {name} for Pod {pod} {where} failed error: "),
        )

    def _keep_claims(self, ordinal: int, pod: ObjectRef) -> list[Action]:
        return [
            action
            for _, claim in self._claims(ordinal)
            if claim is not None
            for action in identity.keep_claim(self._set, self._me, claim, pod, ordinal)
        ]

    def _correct(self, ordinal: int, pod: Pod) -> tuple[Action, ...]:
        """Return what makes a pod, and its claims, look like one of the set's again."""
        target = ref_of(PODS, pod)
        actions = self._keep_claims(ordinal, target)
        if patch := identity.identity_patch(self._set, pod, ordinal):
            if "spec" in patch:
                actions += self._missing_claims(ordinal)
            actions.append(PatchObject(target, patch, strategic=True))
        return (self._told("update", target.name, *actions),) if actions else ()

    def _delete(self, pod: Pod) -> Action:
        target = ref_of(PODS, pod)
        return self._told("delete", target.name, DeleteObject(target))

    def _told(self, verb: str, pod: str, *actions: Action) -> Told:
        what, reason = f"{verb} Pod {pod} in StatefulSet {self._me.name}", verb.capitalize()
        return Told(
            self._me,
            actions,
            (f"Successful{reason}", f"{what} successful"),
            (f"Failed{reason}", f"{what} failed error: "),
        )

    def report(self) -> list[Action]:
        """Return the status, when it differs."""
        status = self._status()
        if status == self._set.status:
            return []
        # Go leaves zeros out of some of these; null takes them out of the stored object.
        document = {
            "observedGeneration": status.observed_generation or None,
            "replicas": status.replicas,
            "readyReplicas": status.ready_replicas or None,
            "currentReplicas": status.current_replicas or None,
            "updatedReplicas": status.updated_replicas or None,
            "currentRevision": status.current_revision,
            "updateRevision": status.update_revision,
            "collisionCount": status.collision_count,
            "availableReplicas": status.available_replicas,
        }
        return [PatchObject(self._me, {"status": document}, sub="status")]

    def _status(self) -> StatefulSetStatus:
        pods, replicas = list(self._pods.values()), len(self._wanted)
        ready = [pod for pod in pods if pod.status.phase == "Running" and is_ready(pod)]
        made_of = [identity.revision_of(pod) for pod in pods if not pod.is_terminating]
        current, update = self._current.metadata.name, self._update.metadata.name
        n_current, n_updated = made_of.count(current), made_of.count(update)
        is_rolling = self._set.spec.update_strategy.type == "RollingUpdate"
        if is_rolling and n_updated == len(ready) == len(pods) == replicas:
            current, n_current = update, n_updated
        least = self._set.spec.min_ready_seconds
        return StatefulSetStatus(
            replicas=len(pods),
            ready_replicas=len(ready),
            available_replicas=sum(is_available(pod, least, self._now) for pod in ready),
            current_replicas=n_current,
            updated_replicas=n_updated,
            current_revision=current,
            update_revision=update,
            observed_generation=self._set.metadata.generation,
            collision_count=self._history.collision_count,
        )

    def clean_up(self) -> list[Action]:
        """Return the end of revisions that no pod is made of, beyond `revisionHistoryLimit`."""
        limit = self._set.spec.revision_history_limit
        live = {self._current.metadata.name, self._update.metadata.name}
        live |= {identity.revision_of(pod) for pod in self._pods.values()}
        dead = [r for r in self._history.others if r.metadata.name not in live]
        return [] if limit is None else discard(dead[: max(0, len(dead) - limit)])


class StatefulSetReconciler(Reconciler):
    """Feeds `reconcile` from the cache; keys are those of stateful sets."""

    name = "statefulset-controller"
    account = "statefulset-controller"
    resource = STATEFUL_SETS
    follows = (PODS, CONTROLLER_REVISIONS, PERSISTENT_VOLUME_CLAIMS)

    def keys_behind(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the sets that a change of a pod, a revision or a claim concerns."""
        latest = new if new is not None else old
        if resource != PERSISTENT_VOLUME_CLAIMS:
            return keys_of_controller(cache, STATEFUL_SETS, old, new)
        if latest is None:
            return []
        sets = cache.in_namespace(STATEFUL_SETS, latest.metadata.namespace)
        return [key for key, item in sets.items() if _may_claim(item, latest.metadata.name)]

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what the set needs."""
        stateful_set = cache.get(STATEFUL_SETS, key)
        if stateful_set is None:
            return Outcome()
        meta = stateful_set.metadata
        view = View(
            stateful_set,
            pods=tuple(cache.candidates(PODS, meta)),
            revisions=tuple(cache.candidates(CONTROLLER_REVISIONS, meta)),
            taken_revisions=cache.in_namespace(CONTROLLER_REVISIONS, meta.namespace),
            claims=cache.in_namespace(PERSISTENT_VOLUME_CLAIMS, meta.namespace),
        )
        return reconcile(view, now)


def _may_claim(stateful_set: StatefulSet, claim_name: str) -> bool:
    templates = stateful_set.spec.volume_claim_templates
    names = map(identity.template_name, templates)
    prefixes = (f"{name}-{stateful_set.metadata.name}-" for name in names)
    return any(claim_name.startswith(prefix) for prefix in prefixes)
