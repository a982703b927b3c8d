"""Control: the controllers of a plan. The reconcilers are the live ones; they act on `Objects`.

Each change becomes keys, each key is reconciled, and what that asks for is done at once. Jobs start
their pods and never end: nothing finishes in a plan, so nothing is ever too late either.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

from msgspec.structs import replace

from kubeberth.api.core import Pod
from kubeberth.api.meta import HasMetadata, OwnerReference
from kubeberth.api.scheme import (
    JOBS,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    REPLICATION_CONTROLLERS,
    Resource,
)
from kubeberth.controllers.action import (
    Action,
    ConfirmAbsent,
    ConfirmAlive,
    CreateObject,
    CreatePods,
    DeleteObject,
    DeletePods,
    Failure,
    InBatches,
    ObjectRef,
    Outcome,
    PatchObject,
    RecordEvent,
    Stop,
    StoppedError,
    Together,
    Told,
    failure_of,
)
from kubeberth.controllers.batch.job import JobReconciler
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.disruption import DisruptionReconciler
from kubeberth.controllers.garbage import GarbageReconciler
from kubeberth.controllers.resource_quota import ResourceQuotaReconciler
from kubeberth.controllers.storage.ephemeral_volumes import EphemeralVolumeReconciler
from kubeberth.controllers.storage.volume_provisioning import ProvisioningReconciler
from kubeberth.controllers.storage.volumes import ClaimReconciler, VolumeReconciler
from kubeberth.controllers.workloads.daemon_set import DaemonSetReconciler
from kubeberth.controllers.workloads.deployment import DeploymentReconciler
from kubeberth.controllers.workloads.replica_set import (
    ReplicaSetReconciler,
    ReplicationControllerReconciler,
)
from kubeberth.controllers.workloads.stateful_set import StatefulSetReconciler
from kubeberth.controllers.workqueue import MAX_DELAY_S
from kubeberth.errors import AlreadyExistsError, BerthError, ConflictError, NotFoundError
from kubeberth.planner.kinds import TYPES
from kubeberth.planner.objects import Objects

# What the keys of claims begin with.
_CLAIMS = f"{PERSISTENT_VOLUME_CLAIMS.group_resource}/"

# In one go, nothing looks at a key as often as this: the largest set is made in 300 steps.
MAX_LOOKS = 1000


class Reconciler(Protocol):
    """What is asked of a controller; see `kubeberth.controllers.controller`."""

    name: str

    def hears_of(self, resource: Resource) -> bool:
        """Return whether a change of a resource may concern a key."""

    def keys(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the keys to look at after a change that is in the cache already."""

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what to do about a key."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a controller could not do, and for which object."""

    controller: str
    key: str
    message: str


class Control:
    """Runs the controllers over some objects.

    Parameters
    ----------
    check_pod
        Called before a pod is made; raises if that is of no use.

    Attributes
    ----------
    is_restless
        Whether one was stopped that went on and on, which is to happen to none.
    """

    def __init__(self, objects: Objects, check_pod: Callable[[Pod], None]) -> None:
        self._objects = objects
        self._check_pod = check_pod
        self._cache = Cache()
        # Of time, only these take notice: their pods wait to be available, or to be made again.
        self._patient: tuple[Reconciler, ...] = (
            DeploymentReconciler(),
            StatefulSetReconciler(),
            DaemonSetReconciler(),
            JobReconciler(),
            ReplicationControllerReconciler(),
            ReplicaSetReconciler(),
        )
        # They act in this order: what is counted before any more of it is made, and what is made
        # before those that make something of it.
        self._reconcilers: tuple[Reconciler, ...] = (
            ResourceQuotaReconciler(),
            *self._patient,
            DisruptionReconciler(stands_in=True),
            _ClaimGarbageReconciler(),
            EphemeralVolumeReconciler(),
            VolumeReconciler(),
            ClaimReconciler(),
            ProvisioningReconciler(stands_in=True),
        )
        self._hearing = {
            resource: tuple(each for each in self._reconcilers if each.hears_of(resource))
            for resource in TYPES
        }
        self._due: dict[Reconciler, dict[str, None]] = {each: {} for each in self._reconcilers}
        self._failures: dict[tuple[Reconciler, str], Failure] = {}
        self._tries: Counter[tuple[Reconciler, str]] = Counter()
        self._waits: list[tuple[float, int, Reconciler, str]] = []
        # The first time at which each of them is to be looked at again; others do not count.
        self._wakes: dict[tuple[Reconciler, str], float] = {}
        self._tickets = count()
        self.is_restless = False
        objects.follow(self._on_change)

    @property
    def troubles(self) -> list[Trouble]:
        """What could not be done, and still cannot."""
        return [
            Trouble(reconciler.name, key, failure.message)
            for (reconciler, key), failure in self._failures.items()
        ]

    def owner(self, namespace: str, reference: OwnerReference) -> Any | None:
        """Return the object that a reference means; None when it is not here."""
        found = self._cache.owner(namespace, reference)
        return found if found is not None and found.metadata.uid == reference.uid else None

    def run(self) -> bool:
        """Let each controller act until it has nothing to do; return whether one has, again.

        One that has had its turn hears of what the others do the next time.
        """
        looks: Counter[tuple[Reconciler, str]] = Counter()
        for reconciler, due in self._due.items():
            while due:
                key = next(iter(due))
                del due[key]
                looks[reconciler, key] += 1
                if looks[reconciler, key] > MAX_LOOKS:
                    self.is_restless = True
                else:
                    self._reconcile(reconciler, key)
        return any(self._due.values())

    def wakes_at(self) -> float | None:
        """Return when time alone gives a controller something to do, in seconds since 1970."""
        waits = self._waits
        while waits and self._wakes.get(waits[0][2:]) != waits[0][0]:
            heapq.heappop(waits)
        return waits[0][0] if waits else None

    def wake(self) -> None:
        """Have those looked at whose time has come."""
        while (at := self.wakes_at()) is not None and at <= self._objects.now:
            _, _, reconciler, key = heapq.heappop(self._waits)
            del self._wakes[reconciler, key]
            self._due[reconciler][key] = None

    def _on_change(self, resource: Resource, old: Any, new: Any) -> None:
        if resource is REPLICATION_CONTROLLERS:
            old, new = _as_replica_set(old), _as_replica_set(new)
        elif resource is JOBS:
            old, new = _without_deadline(old), _without_deadline(new)
        self._cache.apply(resource, old, new)
        for reconciler in self._hearing[resource]:
            for key in reconciler.keys(self._cache, resource, old, new):
                self._due[reconciler][key] = None

    def _reconcile(self, reconciler: Reconciler, key: str) -> None:
        place = reconciler, key
        failure = self._failures.pop(place, None)
        outcome = reconciler.reconcile(self._cache, key, self._objects.now, failure)
        try:
            self._carry_out(outcome.actions)
        except BerthError as error:
            self._failures[place] = failed = failure_of(error)
            # What failed may have to be written in a status, once: its message may name another pod
            # each time.
            if failure is None or failed.reason != failure.reason:
                self._due[reconciler][key] = None
            self._tries[place] += 1
            self._wait(place, _backoff_s(self._tries[place]))
        else:
            self._tries.pop(place, None)
            if outcome.requeue_after_s is not None and reconciler in self._patient:
                self._wait(place, outcome.requeue_after_s)

    def _wait(self, place: tuple[Reconciler, str], seconds: float) -> None:
        """Look again after a while; of several, the first counts."""
        at = self._objects.now + seconds
        if at < self._wakes.get(place, math.inf):
            self._wakes[place] = at
            heapq.heappush(self._waits, (at, next(self._tickets), *place))

    def _carry_out(self, actions: Iterable[Action]) -> None:
        for action in actions:
            self._do(action)

    def _do(self, action: Action) -> None:
        objects = self._objects
        match action:
            case RecordEvent() | ConfirmAlive() | ConfirmAbsent():
                pass  # nobody reads events here, and what is in the cache is how things are
            case CreateObject():
                self._create(action)
            case CreatePods():
                try:
                    objects.create_pods(action.bodies, self._check_pod)
                except BerthError as error:
                    raise StoppedError("FailedCreate", str(error)) from error
            case DeletePods():
                for pod in action.pods:
                    self._delete(pod)
            case DeleteObject():
                self._delete(action.target)
            case PatchObject():
                self._patch(action)
            case Stop():
                raise StoppedError(action.reason, action.message)
            case Told() | Together():
                self._carry_out(action.actions)
            case InBatches():
                for group in action.groups:
                    self._carry_out(group)
            case _:
                raise TypeError(f"no controller of a plan asks for {type(action).__name__}")

    def _create(self, action: CreateObject) -> None:
        body = action.body
        if action.namespace:
            body = {**body, "metadata": {**body["metadata"], "namespace": action.namespace}}
        try:
            self._objects.create(action.resource, body, self._check_pod)
        except AlreadyExistsError:
            if not action.if_absent:
                raise

    def _delete(self, target: ObjectRef) -> None:
        try:
            self._objects.delete(target.resource, _key_of(target), target.uid)
        except (NotFoundError, ConflictError):
            return  # gone already, which is what was wanted

    def _patch(self, action: PatchObject) -> None:
        target = action.target
        try:
            self._objects.patch(
                target.resource,
                _key_of(target),
                action.patch,
                sub=action.sub,
                strategic=action.strategic,
            )
        except NotFoundError:
            if not action.if_present:
                raise


class _ClaimGarbageReconciler(GarbageReconciler):
    """Looks at claims that only pods own, and at nothing else.

    What other owners something has may be elsewhere: not all of a cluster has to be here.
    """

    def hears_of(self, resource: Resource) -> bool:
        return resource in (PODS, PERSISTENT_VOLUME_CLAIMS)

    def keys(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        found = super().keys(cache, resource, old, new)
        return [key for key in found if key.startswith(_CLAIMS)]

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        claim = cache.get(PERSISTENT_VOLUME_CLAIMS, key.removeprefix(_CLAIMS))
        if claim is None or any(o.kind != PODS.kind for o in claim.metadata.owner_references):
            return Outcome()
        return super().reconcile(cache, key, now, failure)


def _backoff_s(tries: int) -> float:
    # The exponent is held down, or the power would overflow a float some day.
    return min(2.0 ** min(tries, 60), MAX_DELAY_S)


def _key_of(target: ObjectRef) -> str:
    return f"{target.namespace}/{target.name}" if target.namespace else target.name


def _without_deadline(job: Any) -> Any:
    """Return a job that time does not end: in a plan nothing has the time to finish."""
    if job is None:
        return None
    spec = replace(job.spec, active_deadline_seconds=None, ttl_seconds_after_finished=None)
    return replace(job, spec=spec)


def _as_replica_set(item: Any) -> Any:
    return None if item is None else item.as_replica_set()
