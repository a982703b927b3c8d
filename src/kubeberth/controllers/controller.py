"""The shell around one kind's reconcile: changes become keys, keys become actions.

informer -> cache -> Reconciler.keys -> WorkQueue -> Reconciler.reconcile -> Executor
A key whose last writes are not in the cache yet waits (expectations.py); one that fails comes again
with back-off. One that takes long to decide, as thousands of pods belong to it, rests afterwards:
what changes meanwhile is looked at together. So does one that has reported how things are, before
it does nothing but report again (telling.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import Resource
from kubeberth.clock import Clock
from kubeberth.controllers.action import Failure, ObjectRef, StoppedError, failure_of
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.executor import Executor
from kubeberth.controllers.expectations import Expectations
from kubeberth.controllers.reconciler import Reconciler
from kubeberth.controllers.telling import Telling
from kubeberth.controllers.workqueue import MAX_DELAY_S, WorkQueue
from kubeberth.errors import BerthError, ConflictError, NotFoundError, TransportError

logger = logging.getLogger(__name__)

# A server that is away says nothing about the key: work goes on soon after it is back.
AWAY_S = 1.0
# After a relist, what was made and removed meanwhile is seen without any change that tells.
LOOK_AGAIN_S = 1.0
# A key rests for so many times as long as it took to decide, so that none takes more than a tenth
# of the process; shorter rests are left out.
REST_SHARE = 9
LEAST_REST_S = 0.005


class Controller:
    """Runs one Reconciler.

    Parameters
    ----------
    revision_of
        How far the cache has come with a resource.
    workers
        How many keys are worked on at a time.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        cache: Cache,
        executor: Executor,
        clock: Clock,
        *,
        revision_of: Callable[[Resource], int],
        workers: int,
    ) -> None:
        self._reconciler = reconciler
        self._cache = cache
        self._executor = executor
        self._clock = clock
        self._revision_of = revision_of
        self._workers = workers
        self._queue = WorkQueue()
        self._expectations = Expectations()
        self._failures: dict[str, Failure] = {}
        self._rests: dict[str, float] = {}
        self._telling = Telling()
        self._busy = 0
        self._wake = asyncio.Event()

    @property
    def name(self) -> str:
        """The controller's name."""
        return self._reconciler.name

    def hears_of(self, resource: Resource) -> bool:
        """Return whether `observe` is to be told of the changes of a resource."""
        return self._reconciler.hears_of(resource)

    def observe(self, resource: Resource, old: HasMetadata | None, new: HasMetadata | None) -> None:
        """Take note of a change that was applied to the cache."""
        keys = [*self._reconciler.keys(self._cache, resource, old, new)]
        if keys:
            self._queue.add_all(keys)
            self._wake.set()

    def pending(self) -> list[dict[str, object]]:
        """Return what is known of each key that is worked on, waits, failed or has written."""
        now = self._clock.monotonic()
        keys: dict[str, dict[str, object]] = {}
        for entry in self._queue.entries():
            failure = self._failures.get(entry.key)
            keys[entry.key] = {
                "key": entry.key,
                "active": entry.is_active,
                "added": entry.is_added,
                "dueInSeconds": None if entry.due_at is None else round(entry.due_at - now, 3),
                "failures": entry.failures,
                "failure": None if failure is None else f"{failure.reason}: {failure.message}",
            }
        for key, awaited in self._expectations:
            keys.setdefault(key, {"key": key})["awaited"] = awaited
        return list(keys.values())

    async def run(self) -> None:
        """Work on keys until cancelled."""
        self._queue.add_all(self._reconciler.seeds)
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                while self._busy < self._workers and (key := self._pop()) is not None:
                    self._busy += 1
                    tasks.create_task(self._work(key))
                await self._sleep()

    def _pop(self) -> str | None:
        return self._queue.pop(self._clock.monotonic())

    async def _sleep(self) -> None:
        """Wait for something to do."""
        at = self._queue.next_at() if self._busy < self._workers else None
        timeout = None if at is None else max(0.0, at - self._clock.monotonic())
        try:
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _work(self, key: str) -> None:
        try:
            await self._process(key)
        finally:
            self._busy -= 1
            self._wake.set()
        if (rest_s := self._rests.pop(key, 0.0)) > LEAST_REST_S:
            await asyncio.sleep(rest_s)
        self._queue.done(key)
        self._wake.set()

    async def _process(self, key: str) -> None:
        now = self._clock.monotonic()
        if not self._expectations.met(key, now, self._revision_of, self._cache.is_going):
            # Mostly the very change that it waits for brings it back at once.
            self._queue.add_after(key, LOOK_AGAIN_S, now)
            return
        try:
            await self._attempt(key)
        except (BerthError, TimeoutError) as error:
            self._note_failure(key, error)
        except Exception:
            # A bug met by one object must not stop the work on all the others.
            logger.exception("reconciling failed", extra={"controller": self.name, "key": key})
            self._queue.retry(key, self._clock.monotonic())
        else:
            self._note_success(key)

    async def _attempt(self, key: str) -> None:
        failure = self._failures.get(key)
        began_at = self._clock.monotonic()
        outcome = self._reconciler.reconcile(self._cache, key, self._clock.now(), failure)
        decided_at = self._clock.monotonic()
        self._rests[key] = REST_SHARE * (decided_at - began_at)
        # A failure is told of at once: the next attempt would not know of it.
        may_wait = self._reconciler.only_reports and outcome.only_tells and failure is None
        if may_wait and (wait_s := self._telling.wait_s(key, decided_at)):
            self._queue.add_after(key, wait_s, decided_at)
            return
        await self._executor.carry_out(outcome.actions, _KeyJournal(self, key))
        now = self._clock.monotonic()
        if self._reconciler.only_reports and outcome.tells:
            self._telling.told(key, now - decided_at, self._busy - 1, now)
        if outcome.requeue_after_s is not None:
            self._queue.add_after(key, outcome.requeue_after_s, now)

    def _note_failure(self, key: str, error: Exception) -> None:
        self._failures[key] = failure_of(error)
        at_most_s = AWAY_S if isinstance(error, TransportError | TimeoutError) else MAX_DELAY_S
        delay = self._queue.retry(key, self._clock.monotonic(), at_most_s=at_most_s)
        # Everyday: somebody else wrote first, or removed what was to be written.
        is_usual = isinstance(error, ConflictError | NotFoundError | StoppedError)
        level = logging.DEBUG if is_usual else logging.INFO
        logger.log(
            level,
            "%s %s: %s",
            self.name,
            key,
            error,
            extra={"controller": self.name, "key": key, "retry_in_s": delay},
        )

    def _note_success(self, key: str) -> None:
        self._queue.forget(key)
        if self._failures.pop(key, None) is not None:
            # The failure may be written in the object's status, and has to go from there.
            self._queue.add(key)

    def note_write(self, key: str, resource: Resource, resource_version: str) -> None:
        """Hold the key until the cache has seen this revision."""
        self._expectations.wrote(key, resource, resource_version, self._clock.monotonic())

    def note_deletion(self, key: str, target: ObjectRef) -> None:
        """Hold the key until the cache has seen the object go."""
        self._expectations.deleted(key, target, self._clock.monotonic())


class _KeyJournal:
    """One key's view of its controller's expectations."""

    def __init__(self, controller: Controller, key: str) -> None:
        self._controller = controller
        self._key = key

    def wrote(self, resource: Resource, resource_version: str) -> None:
        self._controller.note_write(self._key, resource, resource_version)

    def deleted(self, target: ObjectRef) -> None:
        self._controller.note_deletion(self._key, target)
