"""Who manages what: adopting objects that match, releasing those that no longer do.

Matches `pkg/controller/controller_ref_manager.go` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from kubeberth.api.meta import HasMetadata, ObjectMeta, OwnerReference
from kubeberth.api.scheme import Resource
from kubeberth.api.selectors import Selector, from_label_selector
from kubeberth.controllers.action import Action, ConfirmAlive, ObjectRef, PatchObject
from kubeberth.controllers.cache import Cache, ref_of

T = TypeVar("T", bound=HasMetadata)


@dataclass(frozen=True, slots=True)
class Claim(Generic[T]):
    """The outcome of claiming: the members, and the patches that make it so."""

    members: tuple[T, ...]
    actions: tuple[Action, ...]


def claim(
    owner: ObjectRef,
    owner_meta: ObjectMeta,
    candidates: Iterable[T],
    resource: Resource,
    selector: Selector,
    *,
    finalizer: str = "",
    is_of_use: Callable[[T], bool] = lambda _: True,
) -> Claim[T]:
    """Sort out which candidates are the owner's, by selector and owner references.

    Parameters
    ----------
    is_of_use
        Whether what belongs to nobody is worth adopting.
    finalizer
        What the owner holds its members with.
    """
    members: list[T] = []
    adopted: list[T] = []
    released: list[T] = []
    leaving = owner_meta.deletion_timestamp is not None
    for item in candidates:
        meta = item.metadata
        controller, matches = meta.controller, selector.matches(meta.labels)
        if controller is not None:
            if controller.uid == owner.uid:
                (members if matches or leaving else released).append(item)
        elif matches and not leaving and meta.deletion_timestamp is None and is_of_use(item):
            adopted.append(item)
    actions: list[Action] = [
        PatchObject(ref_of(resource, item), _release(owner, item, finalizer), if_present=True)
        for item in released
    ]
    if adopted:
        actions.append(ConfirmAlive(owner))
    actions += [
        PatchObject(ref_of(resource, item), _adopt(owner, item, finalizer), if_present=True)
        for item in adopted
    ]
    return Claim((*members, *adopted), tuple(actions))


def _adopt(owner: ObjectRef, item: HasMetadata, finalizer: str) -> dict[str, Any]:
    owners = [*map(to_document, item.metadata.owner_references), owner.owner_reference()]
    held = [name for name in item.metadata.finalizers if name != finalizer]
    return _patch_owners(item, owners, [*held, finalizer] if finalizer else held)


def _release(owner: ObjectRef, item: HasMetadata, finalizer: str) -> dict[str, Any]:
    kept = [ref for ref in item.metadata.owner_references if ref.uid != owner.uid]
    held = [name for name in item.metadata.finalizers if name != finalizer]
    return _patch_owners(item, [to_document(ref) for ref in kept], held)


def _patch_owners(
    item: HasMetadata, owners: list[dict[str, Any]], finalizers: list[str]
) -> dict[str, Any]:
    """Return the patch; the version makes sure that nobody else's change is lost."""
    meta = item.metadata
    changes: dict[str, Any] = {"ownerReferences": owners or None}
    if finalizers != list(meta.finalizers):
        changes["finalizers"] = finalizers or None
    return {"metadata": {"uid": meta.uid, "resourceVersion": meta.resource_version, **changes}}


def to_document(reference: OwnerReference) -> dict[str, Any]:
    """Return an owner reference as JSON."""
    document: dict[str, Any] = msgspec.to_builtins(reference)
    return document


def keys_of_controller(
    cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
) -> set[str]:
    """Return the keys of the owners, of one resource, that a change of a dependent concerns.

    Those are its controllers before and after; for an orphan all whose selector matches.
    """
    keys = controllers_of(resource, old, new)
    if new is not None and new.metadata.controller is None:
        keys |= _matching_owners(cache, resource, new.metadata)
    return keys


def controllers_of(
    resource: Resource, old: HasMetadata | None, new: HasMetadata | None
) -> set[str]:
    """Return the keys of a dependent's controllers, of one resource, before and after a change."""
    keys = set()
    for item in (old, new):
        controller = item.metadata.controller if item is not None else None
        if item is not None and controller is not None and controller.kind == resource.kind:
            keys.add(f"{item.metadata.namespace}/{controller.name}")
    return keys


def _matching_owners(cache: Cache, resource: Resource, meta: ObjectMeta) -> set[str]:
    owners = cache.in_namespace(resource, meta.namespace)
    return {
        key
        for key, owner in owners.items()
        if from_label_selector(owner.spec.selector).matches(meta.labels)
    }
