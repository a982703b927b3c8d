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
from typing import Any

from msgspec.structs import replace

from kubeberth.api.core import Pod
from kubeberth.api.meta import OwnerReference
from kubeberth.api.scheme import (
    JOBS,
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
    PatchObject,
    RecordEvent,
    Stop,
    StoppedError,
    Together,
    Told,
    failure_of,
)
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.workqueue import MAX_DELAY_S
from kubeberth.errors import AlreadyExistsError, BerthError, ConflictError, NotFoundError
from kubeberth.planner.kinds import TYPES
from kubeberth.planner.objects import Objects
from kubeberth.planner.roster import ROSTER, Place, Reconciler

# In one go, nothing looks at a key as often as this: the largest set is made in 300 steps.
MAX_LOOKS = 1000


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a controller could not do, and for which object."""

    controller: str
    key: str
    message: str


class _Controller:
    """A controller of the roster, and the keys that it has to look at.

    Attributes
    ----------
    reconciler
        Set once it has started; nobody asks before.
    """

    __slots__ = ("due", "place", "reconciler")

    reconciler: Reconciler

    def __init__(self, place: Place) -> None:
        self.place = place
        self.due: dict[str, None] = {}


_Task = tuple[_Controller, str]


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
        # In the order in which they act; those that have not started are among the absent, too.
        self._controllers = [_Controller(place) for place in ROSTER]
        self._absent: dict[Resource, list[_Controller]] = {}
        for controller in self._controllers:
            self._absent.setdefault(controller.place.works_on, []).append(controller)
        self._hearing: dict[Resource, list[_Controller]] = {resource: [] for resource in TYPES}
        self._failures: dict[_Task, Failure] = {}
        self._tries: Counter[_Task] = Counter()
        self._waits: list[tuple[float, int, _Controller, str]] = []
        # The first time at which each of them is to be looked at again; others do not count.
        self._wakes: dict[_Task, float] = {}
        self._tickets = count()
        self.is_restless = False
        objects.follow(self._on_change, TYPES)

    @property
    def troubles(self) -> list[Trouble]:
        """What could not be done, and still cannot."""
        return [
            Trouble(controller.reconciler.name, key, failure.message)
            for (controller, key), failure in self._failures.items()
        ]

    def owner(self, namespace: str, reference: OwnerReference) -> Any | None:
        """Return the object that a reference means; None when it is not here."""
        found = self._cache.owner(namespace, reference)
        return found if found is not None and found.metadata.uid == reference.uid else None

    def run(self) -> bool:
        """Let each controller act until it has nothing to do; return whether one has, again.

        One that has had its turn hears of what the others do the next time.
        """
        looks: Counter[_Task] = Counter()
        for controller in self._controllers:
            while controller.due:
                key = next(iter(controller.due))
                del controller.due[key]
                looks[controller, key] += 1
                if looks[controller, key] > MAX_LOOKS:
                    self.is_restless = True
                else:
                    self._reconcile(controller, key)
        return any(controller.due for controller in self._controllers)

    def wakes_at(self) -> float | None:
        """Return when time alone gives a controller something to do, in seconds since 1970."""
        waits = self._waits
        while waits and self._wakes.get(waits[0][2:]) != waits[0][0]:
            heapq.heappop(waits)
        return waits[0][0] if waits else None

    def wake(self) -> None:
        """Have those looked at whose time has come."""
        while (at := self.wakes_at()) is not None and at <= self._objects.now:
            _, _, controller, key = heapq.heappop(self._waits)
            del self._wakes[controller, key]
            controller.due[key] = None

    def _on_change(self, resource: Resource, old: Any, new: Any) -> None:
        if resource is REPLICATION_CONTROLLERS:
            old, new = _as_replica_set(old), _as_replica_set(new)
        elif resource is JOBS:
            old, new = _without_deadline(old), _without_deadline(new)
        self._cache.apply(resource, old, new)
        for controller in self._absent.pop(resource, ()):
            self._start(controller)
        for controller in self._hearing[resource]:
            for key in controller.reconciler.keys(self._cache, resource, old, new):
                controller.due[key] = None

    def _start(self, controller: _Controller) -> None:
        """Have a controller hear of what it wants to hear of, from now on."""
        controller.reconciler = controller.place.start()
        for resource, hearing in self._hearing.items():
            if controller.reconciler.hears_of(resource):
                hearing.append(controller)

    def _reconcile(self, controller: _Controller, key: str) -> None:
        task = controller, key
        failure = self._failures.pop(task, None)
        outcome = controller.reconciler.reconcile(self._cache, key, self._objects.now, failure)
        try:
            self._carry_out(outcome.actions)
        except BerthError as error:
            self._failures[task] = failed = failure_of(error)
            # What failed may have to be written in a status, once: its message may name another pod
            # each time.
            if failure is None or failed.reason != failure.reason:
                controller.due[key] = None
            self._tries[task] += 1
            self._wait(task, _backoff_s(self._tries[task]))
        else:
            self._tries.pop(task, None)
            if outcome.requeue_after_s is not None and controller.place.is_patient:
                self._wait(task, outcome.requeue_after_s)

    def _wait(self, task: _Task, seconds: float) -> None:
        """Look again after a while; of several, the first counts."""
        at = self._objects.now + seconds
        if at < self._wakes.get(task, math.inf):
            self._wakes[task] = at
            heapq.heappush(self._waits, (at, next(self._tickets), *task))

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
