"""What a reconcile decides: commands for the controller to carry out, in order.

A command that fails stops the ones behind it, and the key is tried again with back-off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kubeberth.api.meta import ObjectReference
from kubeberth.api.scheme import Resource
from kubeberth.errors import BerthError

Document = Mapping[str, Any]


class ObjectRef(msgspec.Struct, frozen=True):
    """One particular object: where it is, and which of all that ever had its name."""

    resource: Resource
    name: str
    namespace: str = ""
    uid: str = ""

    def reference(self) -> ObjectReference:
        """Return it as `v1 ObjectReference`."""
        return ObjectReference(
            api_version=self.resource.api_version,
            kind=self.resource.kind,
            name=self.name,
            namespace=self.namespace,
            uid=self.uid,
        )

    def owner_reference(self) -> dict[str, Any]:
        """Return it as the reference that makes it the controller of a dependent."""
        return {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


class CreateObject(msgspec.Struct, frozen=True):
    """Create one object.

    Parameters
    ----------
    if_absent
        Be content when the name is taken already.
    """

    resource: Resource
    body: Document
    namespace: str = ""
    if_absent: bool = False


class CreatePods(msgspec.Struct, frozen=True):
    """Create many pods for an owner, in slow-start batches of 1, 2, 4, ...

    The first batch with a failure is the last one. Every pod gets its event on the owner.
    """

    owner: ObjectRef
    bodies: tuple[Document, ...]


class DeletePods(msgspec.Struct, frozen=True):
    """Delete pods of an owner, with an event on the owner for each."""

    owner: ObjectRef
    pods: tuple[ObjectRef, ...]


class PatchObject(msgspec.Struct, frozen=True):
    """Merge a patch into an object.

    Parameters
    ----------
    sub
        `status` to write the status.
    strategic
        Merge lists by their keys instead of replacing them.
    if_present
        Be content when the object is gone.
    """

    target: ObjectRef
    patch: Document
    sub: str = ""
    strategic: bool = False
    if_present: bool = False


class UpdateObject(msgspec.Struct, frozen=True):
    """Put a whole object, or a part of it such as a namespace's `finalize`."""

    target: ObjectRef
    body: Document
    sub: str = ""


class DeleteObject(msgspec.Struct, frozen=True):
    """Delete an object if it still is the one with that UID."""

    target: ObjectRef
    propagation: str | None = None
    grace_period_s: int | None = None


class DeleteContent(msgspec.Struct, frozen=True):
    """Delete every object of these resources in a namespace; fails while something remains."""

    namespace: str
    resources: tuple[Resource, ...]


class ConfirmAlive(msgspec.Struct, frozen=True):
    """Go on only if the API still has the object with that UID, and is not deleting it."""

    target: ObjectRef


class ConfirmAbsent(msgspec.Struct, frozen=True):
    """Go on only if the API has no object of that name, or one with another UID."""

    target: ObjectRef


class ConfirmAllowed(msgspec.Struct, frozen=True):
    """Go on only if some user may do something, by the spec of a SubjectAccessReview."""

    spec: Document


class Together(msgspec.Struct, frozen=True):
    """Do actions side by side, all of them; a failure is told when the others are done."""

    actions: tuple[Action, ...]


class RecordEvent(msgspec.Struct, frozen=True):
    """Tell the user what was done to an object; never stops anything when it fails."""

    target: ObjectRef
    reason: str
    message: str
    type: str = "Normal"


class Stop(msgspec.Struct, frozen=True):
    """Go no further, for a reason that is known beforehand; the key is tried again."""

    reason: str
    message: str


class Told(msgspec.Struct, frozen=True):
    """Do some actions in order, and tell in an event on an object how that went.

    Parameters
    ----------
    success
        Reason and message of the event when all went well; None when that is not worth one.
    failure
        The same when something did not; the message is followed by what.
    """

    about: ObjectRef
    actions: tuple[Action, ...]
    success: tuple[str, str] | None
    failure: tuple[str, str]


class InBatches(msgspec.Struct, frozen=True):
    """Do groups of actions side by side, in slow-start batches of 1, 2, 4, ...

    Within a group each action waits for the one before it. The first batch with a failure is the
    last one.
    """

    groups: tuple[tuple[Action, ...], ...]


Action = (
    CreateObject
    | CreatePods
    | DeletePods
    | PatchObject
    | UpdateObject
    | DeleteObject
    | DeleteContent
    | ConfirmAlive
    | ConfirmAbsent
    | ConfirmAllowed
    | Stop
    | Told
    | InBatches
    | Together
    | RecordEvent
)


class Outcome(msgspec.Struct, frozen=True):
    """What one reconcile asks for.

    Parameters
    ----------
    requeue_after_s
        Look at the same key again after so long, even if nothing changes.
    """

    actions: tuple[Action, ...] = ()
    requeue_after_s: float | None = None

    @property
    def tells(self) -> bool:
        """Whether a status is to be written."""
        return any(map(_is_told, self.actions))

    @property
    def only_tells(self) -> bool:
        """Whether nothing but statuses is to be written."""
        return bool(self.actions) and all(map(_is_told, self.actions))


def _is_told(action: Action) -> bool:
    return isinstance(action, PatchObject | UpdateObject) and action.sub == "status"


class Failure(msgspec.Struct, frozen=True):
    """Why the previous attempt at a key stopped: a reason such as FailedCreate, and a message."""

    reason: str
    message: str


class StoppedError(BerthError):
    """The rest of a reconcile's actions no longer applies, or cannot be done yet."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def failure_of(error: Exception) -> Failure:
    """Return what the next attempt is told of an error."""
    reason = error.reason if isinstance(error, StoppedError) else type(error).__name__
    return Failure(reason, str(error))
