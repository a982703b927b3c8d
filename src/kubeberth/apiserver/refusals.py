"""The errors that verbs answer with, in upstream's exact words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeberth.api.scheme import Resource
from kubeberth.errors import (
    AlreadyExistsError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    InternalError,
    NotFoundError,
    ServerTimeoutError,
)

MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)
# Where etcd keeps these: the paths occur in messages.
_ETCD_NAMES = {"nodes": "minions", "services": "services/specs"}


def details_of(resource: Resource, name: str) -> dict[str, Any]:
    """Return the details that name an object."""
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    return {key: value for key, value in details.items() if value}


def not_found(resource: Resource, name: str) -> NotFoundError:
    """Say that there is no such object."""
    return NotFoundError(
        f'{resource.group_resource} "{name}" not found', details=details_of(resource, name)
    )


def already_exists(resource: Resource, name: str, *, generated: bool = False) -> AlreadyExistsError:
    """Say that the name is taken; or, generated, every name that was tried."""
    text = f'{resource.group_resource} "{name}" already exists'
    details = details_of(resource, name)
    if generated:
        text += ", the server was not able to generate a unique name for the object"
        details["retryAfterSeconds"] = 1
    return AlreadyExistsError(text, details=details)


def conflict(resource: Resource, name: str, why: str = MODIFIED, *, sub: str = "") -> ConflictError:
    """Say that the object is not in the state that the caller believes."""
    what = f"{resource.group_resource}/{sub}" if sub else resource.group_resource
    details = details_of(resource, name)
    if sub:
        details["kind"] = f"{resource.plural}/{sub}"
    return ConflictError(
        f'Operation cannot be fulfilled on {what} "{name}": {why}', details=details
    )


def kind_conflict(resource: Resource, name: str, why: str) -> ConflictError:
    """As `conflict`, but deletes name the kind."""
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    return ConflictError(
        f'Operation cannot be fulfilled on {kind} "{name}": {why}',
        details=details_of(resource, name) | {"kind": resource.kind},
    )


def precondition_failed(
    resource: Resource, namespace: str, name: str, what: str, wanted: str, found: str
) -> ConflictError:
    """Say that a write was meant for another UID or ResourceVersion, whichever `what` is."""
    place = _ETCD_NAMES.get(resource.plural, resource.plural)
    path = "/".join(part for part in ("/registry", place, namespace, name) if part)
    return conflict(
        resource,
        name,
        f"StorageError: invalid object, Code: 4, Key: {path}, ResourceVersion: 0, "
        f"AdditionalErrorMsg: Precondition failed: {what} in precondition: {wanted}, "
        f"{what} in object meta: {found}",
    )


def forbidden(
    resource: Resource, name: str, why: str, causes: Sequence[dict[str, Any]] = ()
) -> ForbiddenError:
    """Say that admission refuses."""
    details = details_of(resource, name)
    if causes:
        details["causes"] = list(causes)
    return ForbiddenError(
        f'{resource.group_resource} "{name}" is forbidden: {why}', details=details
    )


def too_large_version(wanted: int, current: int) -> ServerTimeoutError:
    """Say that the caller knows a future that this server does not."""
    return ServerTimeoutError(
        f"Timeout: Too large resource version: {wanted}, current: {current}",
        details={
            "causes": [
                {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            ],
            "retryAfterSeconds": 1,
        },
    )


def too_old_version(wanted: int, oldest: int) -> ExpiredError:
    """Say that the history which a watch asks for is forgotten."""
    return ExpiredError(f"too old resource version: {wanted} ({oldest})")


def internal(why: str) -> InternalError:
    """Return the answer to a fault of our own."""
    return InternalError(f"Internal error occurred: {why}", details={"causes": [{"message": why}]})
