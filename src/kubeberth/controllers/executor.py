"""Carries out what a reconcile decided: one Action after the other, over the API."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from kubeberth.api.scheme import PODS, SUBJECT_ACCESS_REVIEWS, Resource
from kubeberth.client.client import Client
from kubeberth.client.recorder import EventRecorder
from kubeberth.controllers.action import (
    Action,
    ConfirmAbsent,
    ConfirmAlive,
    ConfirmAllowed,
    CreateObject,
    CreatePods,
    DeleteContent,
    DeleteObject,
    DeletePods,
    Document,
    InBatches,
    ObjectRef,
    PatchObject,
    RecordEvent,
    Stop,
    StoppedError,
    Together,
    Told,
    UpdateObject,
)
from kubeberth.errors import (
    AlreadyExistsError,
    ApiError,
    BerthError,
    ConflictError,
    NotFoundError,
    TransportError,
)

T = TypeVar("T")
Attempt = Callable[[], Coroutine[Any, Any, BerthError | None]]

FIRST_BATCH = 1
# As many as upstream's cache of absent owners.
ABSENT_UIDS = 500


class Journal(Protocol):
    """Where writes are noted, so that the next reconcile can wait to see them."""

    def wrote(self, resource: Resource, resource_version: str) -> None:
        """Note that a write has produced this revision."""

    def deleted(self, target: ObjectRef) -> None:
        """Note that an object was asked to go."""


class Executor:
    """Turns Actions into API calls."""

    def __init__(self, client: Client, recorder: EventRecorder) -> None:
        self._client = client
        self._recorder = recorder
        # A UID never comes back, so that one is absent need be asked only once.
        self._absent: OrderedDict[str, None] = OrderedDict()

    async def carry_out(self, actions: Iterable[Action], journal: Journal) -> None:
        """Do all actions in order, up to the first that fails.

        Raises
        ------
        BerthError
            What went wrong; the actions behind it are not done.
        """
        for action in actions:
            await self._do(action, journal)

    async def _do(self, action: Action, journal: Journal) -> None:
        match action:
            case RecordEvent():
                reference = action.target.reference()
                self._recorder.record(reference, action.type, action.reason, action.message)
            case CreateObject():
                await self._create(action, journal)
            case CreatePods():
                await self._create_pods(action, journal)
            case DeletePods():
                await self._delete_pods(action, journal)
            case PatchObject():
                await self._patch(action, journal)
            case UpdateObject():
                await self._update(action, journal)
            case DeleteObject():
                await self._delete(action, journal)
            case DeleteContent():
                await self._delete_content(action)
            case ConfirmAlive():
                await self._confirm_alive(action.target)
            case ConfirmAbsent():
                await self._confirm_absent(action.target)
            case ConfirmAllowed():
                await self._confirm_allowed(action.spec)
            case Stop():
                raise StoppedError(action.reason, action.message)
            case Told():
                await self._do_and_tell(action, journal)
            case InBatches():
                await self._do_in_batches(action, journal)
            case Together():
                await self._do_together(action, journal)

    async def _do_and_tell(self, action: Told, journal: Journal) -> None:
        try:
            await self.carry_out(action.actions, journal)
        except AlreadyExistsError:
            # Made already, only not in the cache yet: nothing went wrong.
            raise
        except BerthError as error:
            if _is_namespace_terminating(error):
                return
            reason, message = action.failure
            self._tell(action.about, "Warning", reason, f"{message}{error}")
            raise
        if action.success is not None:
            self._tell(action.about, "Normal", *action.success)

    async def _do_in_batches(self, action: InBatches, journal: Journal) -> None:
        error = await _in_batches([partial(self._attempt, g, journal) for g in action.groups])
        if error is not None:
            raise error

    async def _do_together(self, action: Together, journal: Journal) -> None:
        for error in await _gather(self._attempt((each,), journal) for each in action.actions):
            if error is not None:
                raise error

    async def _attempt(self, actions: Iterable[Action], journal: Journal) -> BerthError | None:
        """Carry out actions, and return what went wrong."""
        try:
            await self.carry_out(actions, journal)
        except BerthError as error:
            return error
        return None

    async def _create(self, action: CreateObject, journal: Journal) -> None:
        try:
            body = await self._client.create(action.resource, action.body, action.namespace or None)
        except AlreadyExistsError:
            if not action.if_absent:
                raise
        else:
            _note(journal, action.resource, body)

    async def _create_pods(self, action: CreatePods, journal: Journal) -> None:
        owner = action.owner
        attempts = [partial(self._create_pod, owner, body, journal) for body in action.bodies]
        error = await _in_batches(attempts)
        if error is not None:
            raise _stopped("FailedCreate", error)

    async def _create_pod(
        self, owner: ObjectRef, body: Document, journal: Journal
    ) -> BerthError | None:
        try:
            pod = await self._client.create(PODS, body, owner.namespace)
        except BerthError as error:
            if _is_namespace_terminating(error):
                return None
            self._tell(owner, "Warning", "FailedCreate", f"Error creating: {error}")
            return error
        _note(journal, PODS, pod)
        self._tell(owner, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")
        return None

    async def _delete_pods(self, action: DeletePods, journal: Journal) -> None:
        results = await _gather(self._delete_pod(action.owner, pod, journal) for pod in action.pods)
        failed = [result for result in results if result is not None]
        if failed:
            raise _stopped("FailedDelete", failed[0])

    async def _delete_pod(
        self, owner: ObjectRef, pod: ObjectRef, journal: Journal
    ) -> BerthError | None:
        try:
            was_there = await self._ask_to_go(pod)
        except BerthError as error:
            self._tell(owner, "Warning", "FailedDelete", f"Error deleting: {error}")
            return error
        if was_there:
            journal.deleted(pod)
            self._tell(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.name}")
        return None

    async def _ask_to_go(self, pod: ObjectRef) -> bool:
        """Delete a pod, and return whether it was there."""
        try:
            await self._client.delete(PODS, pod.name, pod.namespace, uid=pod.uid)
        except NotFoundError:
            return False
        except ConflictError:
            # Mostly another pod has the name by now; but a webhook may refuse like that, too.
            if await self._is_there(pod):
                raise
            return False
        return True

    def _tell(self, owner: ObjectRef, type_: str, reason: str, message: str) -> None:
        self._recorder.record(owner.reference(), type_, reason, message)

    async def _patch(self, action: PatchObject, journal: Journal) -> None:
        target = action.target
        try:
            body = await self._client.patch(
                target.resource,
                target.name,
                action.patch,
                target.namespace or None,
                kind="strategic" if action.strategic else "merge",
                sub=action.sub,
            )
        except NotFoundError:
            if not action.if_present:
                raise
        else:
            _note(journal, target.resource, body)

    async def _update(self, action: UpdateObject, journal: Journal) -> None:
        body = await self._client.update(action.target.resource, action.body, sub=action.sub)
        _note(journal, action.target.resource, body)

    async def _delete(self, action: DeleteObject, journal: Journal) -> None:
        target = action.target
        try:
            await self._client.delete(
                target.resource,
                target.name,
                target.namespace or None,
                uid=target.uid or None,
                propagation=action.propagation,
                grace_period_s=action.grace_period_s,
            )
        except NotFoundError:
            return
        journal.deleted(target)

    async def _delete_content(self, action: DeleteContent) -> None:
        """Ask everything to go, then see what is still there: it takes its time, or a finalizer."""
        remaining = []
        for resource in action.resources:
            left = await self._delete_all(resource, action.namespace)
            if left:
                name = f"{resource.plural}.{resource.group}"
                remaining.append(f"{name} has {left} resource instances")
        if remaining:
            message = f"Some resources are remaining: {', '.join(remaining)}"
            raise StoppedError("SomeResourcesRemain", message)

    async def _delete_all(self, resource: Resource, namespace: str) -> int:
        """Delete all objects of a resource, and return how many are left."""
        metas = await self._metas(resource, namespace)
        staying = (meta for meta in metas if "deletionTimestamp" not in meta)
        await _gather(self._delete_one(resource, meta) for meta in staying)
        return len(await self._metas(resource, namespace)) if metas else 0

    async def _metas(self, resource: Resource, namespace: str) -> list[dict[str, Any]]:
        listed = await self._client.list(resource, namespace)
        return [item["metadata"] for item in listed.get("items") or ()]

    async def _delete_one(self, resource: Resource, meta: dict[str, Any]) -> None:
        try:
            await self._client.delete(
                resource, meta["name"], meta.get("namespace"), propagation="Background"
            )
        except NotFoundError:
            return

    async def _confirm_alive(self, target: ObjectRef) -> None:
        meta = await self._live(target)
        if meta is None or meta.get("uid") != target.uid:
            raise StoppedError("OwnerGone", f"original {target.name} is gone")
        if meta.get("deletionTimestamp"):
            raise StoppedError("OwnerGone", f"{target.name} has just been deleted")

    async def _confirm_absent(self, target: ObjectRef) -> None:
        if target.uid and target.uid in self._absent:
            return
        if await self._is_there(target):
            raise StoppedError("StillThere", f"{target.name} exists, only not in the cache yet")
        if target.uid:
            self._absent[target.uid] = None
            if len(self._absent) > ABSENT_UIDS:
                self._absent.popitem(last=False)

    async def _confirm_allowed(self, spec: Document) -> None:
        review = {
            "apiVersion": SUBJECT_ACCESS_REVIEWS.api_version,
            "kind": SUBJECT_ACCESS_REVIEWS.kind,
            "spec": spec,
        }
        answer = await self._client.create(SUBJECT_ACCESS_REVIEWS, review)
        if not answer["status"].get("allowed"):
            raise StoppedError("NotAllowed", f"{spec['user']} may not do that")

    async def _is_there(self, target: ObjectRef) -> bool:
        """Return whether the API has an object, and not another one of its name."""
        meta = await self._live(target)
        return meta is not None and (not target.uid or meta.get("uid") == target.uid)

    async def _live(self, target: ObjectRef) -> dict[str, Any] | None:
        """Return the metadata the API server has of an object now, or None."""
        try:
            body = await self._client.get(target.resource, target.name, target.namespace or None)
        except NotFoundError:
            return None
        meta: dict[str, Any] = body["metadata"]
        return meta


def _stopped(reason: str, error: BerthError) -> BerthError:
    """Return what a failure says about the owner: nothing when it is the server that is away."""
    return error if isinstance(error, TransportError) else StoppedError(reason, str(error))


async def _in_batches(attempts: Sequence[Attempt]) -> BerthError | None:
    """Make attempts in batches that double while all goes well, so that a quota is hit softly.

    Returns the first error of the first batch that has one.
    """
    done, size = 0, FIRST_BATCH
    while done < len(attempts):
        results = await _gather(attempt() for attempt in attempts[done : done + size])
        failed = [result for result in results if result is not None]
        if failed:
            return failed[0]
        done, size = done + size, size * 2
    return None


async def _gather(tasks: Iterable[Coroutine[Any, Any, T]]) -> Sequence[T]:
    """Wait for all, then let a bug in one be heard."""
    return await asyncio.gather(*tasks)


def _note(journal: Journal, resource: Resource, body: dict[str, Any]) -> None:
    meta = body.get("metadata") or {}
    journal.wrote(resource, meta.get("resourceVersion", ""))


def _is_namespace_terminating(error: BerthError) -> bool:
    """Return whether a creation failed because its namespace goes: then nothing needs to be."""
    causes = error.details.get("causes") or () if isinstance(error, ApiError) else ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
