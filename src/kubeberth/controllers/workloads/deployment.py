"""Deployment: roll pods over from one template to the next through ReplicaSets.

Matches Kubernetes 1.36 (`pkg/controller/deployment`). The arithmetic is in rollout.py, the history
in revisions.py, conditions in deployment_status.py; here is the order of the steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubeberth.api.core import Pod
from kubeberth.api.meta import HasMetadata, ObjectMeta
from kubeberth.api.scheme import DEPLOYMENTS, PODS, REPLICA_SETS, Resource
from kubeberth.api.selectors import from_label_selector
from kubeberth.api.workloads import Deployment, ReplicaSet, ReplicaSetSpec
from kubeberth.controllers.action import (
    Action,
    CreateObject,
    DeleteObject,
    Failure,
    Outcome,
    PatchObject,
    RecordEvent,
)
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.conditions import Conditions
from kubeberth.controllers.ownership import claim, keys_of_controller
from kubeberth.controllers.reconciler import Reconciler
from kubeberth.controllers.workloads import deployment_status as status
from kubeberth.controllers.workloads import revisions, rollout
from kubeberth.controllers.workloads.template_hash import template_hash


@dataclass(frozen=True, slots=True)
class View:
    """What one reconcile looks at.

    Parameters
    ----------
    candidates
        Sets that the Deployment controls, and sets of its namespace that nobody controls.
    pods_of
        Pods per UID of a candidate.
    taken_sets
        All sets of the namespace by key.
    """

    deployment: Deployment
    candidates: tuple[ReplicaSet, ...]
    pods_of: Mapping[str, Sequence[Pod]] = field(default_factory=dict)
    taken_sets: Mapping[str, ReplicaSet] = field(default_factory=dict)
    failure: Failure | None = None


def reconcile(view: View, now: float) -> Outcome:
    """Return the next step of a Deployment's rollout, and its status."""
    deployment = view.deployment
    selector = from_label_selector(deployment.spec.selector)
    if selector.is_everything:
        return _refuse_to_select_all(deployment)
    me = ref_of(DEPLOYMENTS, deployment)
    claimed = claim(me, deployment.metadata, view.candidates, REPLICA_SETS, selector)
    step = _Step(view, claimed.members, now)
    step.take()
    return Outcome((*claimed.actions, *step.actions()), step.requeue_after_s())


def _refuse_to_select_all(deployment: Deployment) -> Outcome:
    me = ref_of(DEPLOYMENTS, deployment)
    message = "This deployment is selecting all pods. A non-empty selector is required."
    actions: list[Action] = [RecordEvent(me, "SelectingAll", message, "Warning")]
    generation = deployment.metadata.generation
    if deployment.status.observed_generation < generation:
        patch = {"status": {"observedGeneration": generation}}
        actions.append(PatchObject(me, patch, sub="status"))
    return Outcome(tuple(actions))


@dataclass(slots=True)
class _Edit:
    """What is to change about one ReplicaSet."""

    replicas: int
    annotations: dict[str, str] = field(default_factory=dict)
    min_ready_seconds: int | None = None


class _Step:
    """One step of a rollout: reads the view, collects edits; `actions` puts them in order."""

    def __init__(self, view: View, sets: Sequence[ReplicaSet], now: float) -> None:
        self._view = view
        self._deployment = view.deployment
        self._me = ref_of(DEPLOYMENTS, view.deployment)
        self._now = now
        self._bounds = rollout.bounds_of(view.deployment)
        self._new = revisions.current_set(view.deployment, sets)
        self._old = [item for item in sets if item is not self._new]
        conditions = view.deployment.status.conditions
        self._conditions = Conditions(conditions, now, stamp="last_update_time")
        self._collision_count = view.deployment.status.collision_count
        self._edits: dict[str, _Edit] = {}
        self._first: list[Action] = []
        self._last: list[Action] = []
        # What is to be told of the Deployment itself, in one write.
        self._told: dict[str, Any] = {}
        self._counts = status.known_counts(view.deployment.status)

    def take(self) -> None:
        """Decide what to do now."""
        deployment = self._deployment
        if deployment.metadata.deletion_timestamp is not None:
            self._report(with_progress=False)
            return
        status.note_pause(deployment, self._conditions)
        if deployment.spec.paused or self._is_scaling():
            self._sync_revision()
            self._scale()
            if deployment.spec.paused:
                self._clean_up()
            self._report(with_progress=False)
            return
        if deployment.spec.strategy.type == "Recreate":
            self._recreate()
        else:
            self._roll()
        self._report(with_progress=True)

    def _roll(self) -> None:
        if not self._sync_revision(create=True) or self._grow_new():
            return
        if self._shrink_old():
            return
        self._clean_up_if_complete()

    def _recreate(self) -> None:
        self._sync_revision()
        active = [item for item in self._old if item.spec.replicas > 0]
        for item in active:
            self._resize(item, 0)
        if active or self._is_old_pod_running():
            return
        if self._new is not None or self._sync_revision(create=True):
            self._grow_new()
            self._clean_up_if_complete()

    def _grow_new(self) -> bool:
        """Resize the new set; return whether that changed anything."""
        new = self._new
        if new is None:
            return False
        target = self._new_target(new.spec.replicas)
        return self._resize(new, target)

    def _new_target(self, current: int) -> int:
        # What a set has still to delete takes its room until it is gone.
        total = sum(max(item.spec.replicas, item.status.replicas) for item in self._sets())
        if not all(map(revisions.is_observed, self._sets())):
            total = max(total, self._bounds.most)  # nobody knows yet how many pods there are
        rolling = self._deployment.spec.strategy.type == "RollingUpdate"
        return rollout.new_set_target(self._bounds, current, total, rolling=rolling)

    def _shrink_old(self) -> bool:
        """Resize the old sets; return whether that changed anything."""
        if self._new is None:
            return False
        targets = rollout.old_set_targets(
            self._bounds,
            [revisions.to_size(item) for item in self._old],
            revisions.to_size(self._new),
        )
        resized = [self._resize(item, targets[item.metadata.name]) for item in self._old]
        return any(resized)

    def _is_old_pod_running(self) -> bool:
        """Return whether a pod of an old set has not ended; terminating ones count."""
        if any(item.status.replicas > 0 for item in self._old):
            return True
        pods = (pod for item in self._old for pod in self._view.pods_of.get(item.metadata.uid, ()))
        return any(not pod.is_terminal for pod in pods)

    def _is_scaling(self) -> bool:
        """Return whether the Deployment's replicas changed since its sets were last scaled."""
        noted = (
            revisions.number(item.metadata.annotations, revisions.DESIRED_REPLICAS)
            for item in self._sets()
            if item.spec.replicas > 0
        )
        wanted = self._deployment.spec.replicas
        return any(number is not None and number != wanted for number in noted)

    def _scale(self) -> None:
        wanted = self._deployment.spec.replicas
        only = self._active_or_latest()
        if only is not None:
            self._resize(only, wanted, annotate=True)
        elif self._is_new_saturated():
            for item in self._active(self._old):
                self._resize(item, 0)
        elif self._deployment.spec.strategy.type == "RollingUpdate":
            active = self._active(self._sets())
            sizes = [revisions.to_size(item) for item in active]
            replicas = self._deployment.status.replicas
            targets = rollout.proportional_targets(self._bounds, sizes, replicas)
            for item in active:
                self._resize(item, targets[item.metadata.name], annotate=True)

    def _active_or_latest(self) -> ReplicaSet | None:
        """Return the one set that is not empty, or the newest when all are; None for several."""
        active = self._active(self._sets())
        if len(active) > 1:
            return None
        if active:
            return active[0]
        if self._new is not None:
            return self._new
        return max(self._old, key=lambda item: revisions.age(item.metadata), default=None)

    def _is_new_saturated(self) -> bool:
        new, wanted = self._new, self._deployment.spec.replicas
        if new is None:
            return False
        desired = revisions.number(new.metadata.annotations, revisions.DESIRED_REPLICAS)
        return desired == new.spec.replicas == new.status.available_replicas == wanted

    def _sync_revision(self, *, create: bool = False) -> bool:
        """Bring the current set's annotations up to date, or create it; return if there is one."""
        revision = max(map(revisions.revision_of, self._old), default=0) + 1
        if self._new is None:
            return create and self._create_new(revision)
        self._annotate(self._new, revision)
        if self._conditions.get(status.PROGRESSING) is None:
            self._note_new_set("FoundNewReplicaSet", f'Found new replica set "{self._new_name()}"')
        return True

    def _annotate(self, new: ReplicaSet, revision: int) -> None:
        existing = new.metadata.annotations
        wanted = revisions.current_annotations(self._deployment, existing, revision)
        edit = self._edit(new)
        edit.annotations |= wanted
        if new.spec.min_ready_seconds != self._deployment.spec.min_ready_seconds:
            edit.min_ready_seconds = self._deployment.spec.min_ready_seconds
        shown = wanted.get(revisions.REVISION) or existing.get(revisions.REVISION, "")
        self._show_revision(shown)

    def _show_revision(self, revision: str) -> None:
        if self._deployment.metadata.annotations.get(revisions.REVISION) != revision:
            # Through the status, as upstream: it is told, not wished, and counts no generation.
            self._told["metadata"] = {"annotations": {revisions.REVISION: revision}}

    def _create_new(self, revision: int) -> bool:
        hash_ = template_hash(self._deployment.spec.template, self._collision_count)
        name = revisions.set_name(self._deployment, hash_)
        if f"{self._me.namespace}/{name}" in self._view.taken_sets:
            # Another template of the same hash; the count makes the next one differ.
            self._collision_count = (self._collision_count or 0) + 1
            return False
        self._note_create_failure(name)
        replicas = self._new_target(0)
        annotations = revisions.current_annotations(self._deployment, {}, revision)
        annotations |= revisions.scale_annotations(self._bounds)
        body = revisions.new_set(self._deployment, self._me, hash_, replicas, annotations)
        self._first.append(CreateObject(REPLICA_SETS, body, self._me.namespace))
        if replicas > 0:
            self._first.append(self._scaled_event(name, 0, replicas))
        self._note_new_set("NewReplicaSetCreated", f'Created new replica set "{name}"')
        self._show_revision(str(revision))
        self._new = _as_created(body)
        return True

    def _note_create_failure(self, name: str) -> None:
        """Publish why the last attempt to create the set failed, before it is tried again."""
        failure = self._view.failure
        if failure is None or failure.reason in ("AlreadyExistsError", "ConflictError"):
            return
        if not status.has_deadline(self._deployment):
            return
        message = f'Failed to create new replica set "{name}": {failure.message}'
        failed = Conditions(self._deployment.status.conditions, self._now, stamp="last_update_time")
        failed.set(status.PROGRESSING, "False", "ReplicaSetCreateError", message)
        if failed.changed:
            patch = {"status": {"conditions": failed.to_document()}}
            self._first.append(PatchObject(self._me, patch, sub="status"))

    def _note_new_set(self, reason: str, message: str) -> None:
        if status.has_deadline(self._deployment):
            self._conditions.set(status.PROGRESSING, "True", reason, message)

    def _new_name(self) -> str:
        return self._new.metadata.name if self._new is not None else ""

    def _sets(self) -> list[ReplicaSet]:
        return [*self._old, self._new] if self._new is not None else self._old

    @staticmethod
    def _active(sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
        return [item for item in sets if item.spec.replicas > 0]

    def _edit(self, item: ReplicaSet) -> _Edit:
        return self._edits.setdefault(item.metadata.name, _Edit(item.spec.replicas))

    def _resize(self, item: ReplicaSet, replicas: int, *, annotate: bool = False) -> bool:
        """Note a new size; return whether it differs.

        Parameters
        ----------
        annotate
            Note down for which Deployment size that was, even when the size stays.
        """
        differs = item.spec.replicas != replicas
        if differs or annotate:
            edit = self._edit(item)
            edit.replicas = replicas
            wanted = revisions.scale_annotations(self._bounds)
            existing = item.metadata.annotations
            edit.annotations |= {k: v for k, v in wanted.items() if existing.get(k) != v}
        return differs

    def _clean_up_if_complete(self) -> None:
        if status.is_complete(self._deployment, status.known_counts(self._deployment.status)):
            self._clean_up()

    def _clean_up(self) -> None:
        for item in revisions.expendable_sets(self._deployment, self._old):
            self._last.append(DeleteObject(ref_of(REPLICA_SETS, item)))

    def _report(self, *, with_progress: bool) -> None:
        """Make the new status."""
        deployment, conditions = self._deployment, self._conditions
        counts = status.count(deployment, self._new, self._old, self._collision_count)
        status.note_availability(deployment, counts, conditions)
        if with_progress:
            status.note_progress(deployment, self._new, counts, conditions, self._now)
            status.note_failures(self._new, self._old, conditions)
        if counts != self._counts or conditions.changed:
            document = counts.to_document() | {"conditions": conditions.to_document()}
            self._told["status"] = document
        self._counts = counts

    def actions(self) -> list[Action]:
        """Return everything in the order in which it is to be done."""
        by_name = {item.metadata.name: item for item in self._sets()}
        edits: list[Action] = []
        for name, edit in self._edits.items():
            edits += self._edit_actions(by_name[name], edit)
        told = [PatchObject(self._me, self._told, sub="status")] if self._told else []
        return [*self._first, *edits, *self._last, *told]

    def _edit_actions(self, item: ReplicaSet, edit: _Edit) -> list[Action]:
        before, spec = item.spec.replicas, {}
        if edit.replicas != before:
            spec["replicas"] = edit.replicas
        if edit.min_ready_seconds is not None:
            spec["minReadySeconds"] = edit.min_ready_seconds
        if not spec and not edit.annotations:
            return []
        metadata: dict[str, Any] = {"resourceVersion": item.metadata.resource_version}
        if edit.annotations:
            metadata["annotations"] = edit.annotations
        patch = {"metadata": metadata, **({"spec": spec} if spec else {})}
        actions: list[Action] = [PatchObject(ref_of(REPLICA_SETS, item), patch)]
        if edit.replicas != before:
            actions.append(self._scaled_event(item.metadata.name, before, edit.replicas))
        return actions

    def _scaled_event(self, name: str, before: int, after: int) -> RecordEvent:
        direction = "up" if after > before else "down"
        message = f"Scaled {direction} replica set {name} from {before} to {after}"
        return RecordEvent(self._me, "ScalingReplicaSet", message)

    def requeue_after_s(self) -> float | None:
        """Return when to look whether the rollout has timed out."""
        return status.next_check(self._deployment, self._counts, self._conditions, self._now)


def _as_created(body: Mapping[str, Any]) -> ReplicaSet:
    """Return the set as it will be once it is created, for the rest of the step."""
    spec = body["spec"]
    meta = ObjectMeta(
        name=body["metadata"]["name"],
        namespace=body["metadata"]["namespace"],
        annotations=body["metadata"]["annotations"],
    )
    return ReplicaSet(
        metadata=meta,
        spec=ReplicaSetSpec(
            replicas=spec["replicas"],
            min_ready_seconds=spec.get("minReadySeconds", 0),
            template=spec["template"],
        ),
    )


class DeploymentReconciler(Reconciler):
    """Feeds `reconcile` from the cache; keys are those of deployments."""

    name = "deployment-controller"
    account = "deployment-controller"
    resource = DEPLOYMENTS
    follows = (REPLICA_SETS, PODS)
    only_reports = True

    def keys_behind(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the deployments that a change of a set or a pod concerns."""
        if resource == REPLICA_SETS:
            return keys_of_controller(cache, DEPLOYMENTS, old, new)
        return _recreating(cache, old, new) if old is not None else []

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what the deployment needs."""
        deployment = cache.deployment(key)
        if deployment is None:
            return Outcome()
        meta = deployment.metadata
        mine = tuple(cache.controlled(REPLICA_SETS, meta.uid))
        orphans = tuple(cache.orphans(REPLICA_SETS, meta.namespace).values())
        pods_of = {}
        if deployment.spec.strategy.type == "Recreate":
            pods_of = {s.metadata.uid: list(cache.controlled(PODS, s.metadata.uid)) for s in mine}
        taken = cache.in_namespace(REPLICA_SETS, meta.namespace)
        return reconcile(View(deployment, mine + orphans, pods_of, taken, failure), now)


def _recreating(cache: Cache, old: HasMetadata, new: HasMetadata | None) -> set[str]:
    """Return the deployment that may have waited for a pod to end."""
    if isinstance(new, Pod) and not new.is_terminal:
        return set()
    controller = old.metadata.controller
    owner = cache.owner(old.metadata.namespace, controller) if controller else None
    if not isinstance(owner, ReplicaSet):
        return set()
    return {
        key
        for key in keys_of_controller(cache, DEPLOYMENTS, owner, None)
        if (deployment := cache.deployment(key)) is not None
        and deployment.spec.strategy.type == "Recreate"
    }
