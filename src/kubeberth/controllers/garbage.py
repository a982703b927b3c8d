"""Garbage collection: dependents go when their last owner is gone.

Matches Kubernetes 1.36 (`pkg/controller/garbagecollector`): background, and the finalizers
`foregroundDeletion` and `orphan`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kubeberth.api.meta import HasMetadata, ObjectMeta, OwnerReference
from kubeberth.api.scheme import Resource
from kubeberth.controllers.action import (
    Action,
    ConfirmAbsent,
    DeleteObject,
    Failure,
    ObjectRef,
    Outcome,
    PatchObject,
    RecordEvent,
)
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.ownership import to_document
from kubeberth.controllers.reconciler import Reconciler

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"


class Standing(Enum):
    """What an owner reference is worth."""

    SOLID = "the owner exists and stays"
    DANGLING = "there is no owner of that UID"
    WAITING = "the owner goes as soon as its dependents are gone"


@dataclass(frozen=True, slots=True)
class Owner:
    """One owner reference of an object.

    Parameters
    ----------
    ref
        Where the owner would be; None for a kind that is not served, or that the object cannot
        have as owner: such a reference counts as solid.
    meta
        The metadata of what has that name now.
    is_out_of_reach
        Whether it is of a kind within namespaces, and the object is outside of them.
    """

    reference: OwnerReference
    ref: ObjectRef | None
    meta: ObjectMeta | None
    is_out_of_reach: bool = False

    @property
    def standing(self) -> Standing:
        """What the reference is worth."""
        if self.ref is None:
            return Standing.SOLID
        if self.meta is None or self.meta.uid != self.reference.uid:
            return Standing.DANGLING
        if self.meta.deletion_timestamp is not None and FOREGROUND in self.meta.finalizers:
            return Standing.WAITING
        return Standing.SOLID


@dataclass(frozen=True, slots=True)
class View:
    """An object, its owners, and the objects that name it as owner, where these matter."""

    target: ObjectRef
    meta: ObjectMeta
    owners: tuple[Owner, ...] = ()
    dependents: tuple[tuple[ObjectRef, ObjectMeta], ...] = ()


def reconcile(view: View) -> Outcome:
    """Return whether an object is to go, or what its own deletion asks of its dependents."""
    if view.meta.deletion_timestamp is None:
        return Outcome(tuple(_examine(view)))
    if ORPHAN in view.meta.finalizers:
        return Outcome(tuple(_orphan_dependents(view)))
    if FOREGROUND in view.meta.finalizers and not _is_blocked(view):
        return Outcome((_without_finalizer(view, FOREGROUND),))
    return Outcome()


def _examine(view: View) -> list[Action]:
    if not view.owners:
        return []
    by_standing = {
        standing: [owner for owner in view.owners if owner.standing is standing]
        for standing in Standing
    }
    solid, dangling, waiting = (
        by_standing[standing] for standing in (Standing.SOLID, Standing.DANGLING, Standing.WAITING)
    )
    actions: list[Action] = [
        RecordEvent(
            view.target, "OwnerRefInvalidNamespace", _out_of_reach(owner.reference), "Warning"
        )
        for owner in view.owners
        if owner.is_out_of_reach
    ]
    if solid and not dangling and not waiting:
        return actions
    # The cache may not know a young owner yet: nothing is deleted before the API has been asked.
    actions += [ConfirmAbsent(owner.ref) for owner in dangling if owner.ref]
    if solid:
        lost = {owner.reference.uid for owner in (*dangling, *waiting)}
        return [*actions, _without_owners(view.target, view.meta, lost)]
    if waiting and view.dependents:
        return [*actions, DeleteObject(view.target, propagation="Foreground")]
    return [*actions, DeleteObject(view.target, propagation=_own_propagation(view.meta))]


def _out_of_reach(reference: OwnerReference) -> str:
    where = f"{reference.api_version}/{reference.kind}, namespace: , name: {reference.name}"
    return f'ownerRef [{where}, uid: {reference.uid}] does not exist in namespace ""'


def _own_propagation(meta: ObjectMeta) -> str:
    if ORPHAN in meta.finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in meta.finalizers else "Background"


def _is_blocked(view: View) -> bool:
    """Return whether a dependent stands in the way of a foreground deletion."""
    return any(
        reference.block_owner_deletion
        for _, meta in view.dependents
        for reference in meta.owner_references
        if reference.uid == view.target.uid
    )


def _orphan_dependents(view: View) -> list[Action]:
    mine = {view.target.uid}
    freed: list[Action] = [_without_owners(ref, meta, mine) for ref, meta in view.dependents]
    return [*freed, _without_finalizer(view, ORPHAN)]


def _without_owners(ref: ObjectRef, meta: ObjectMeta, uids: set[str]) -> Action:
    kept = [to_document(owner) for owner in meta.owner_references if owner.uid not in uids]
    return PatchObject(ref, _guarded(meta, {"ownerReferences": kept or None}), if_present=True)


def _without_finalizer(view: View, finalizer: str) -> Action:
    kept = [entry for entry in view.meta.finalizers if entry != finalizer]
    patch = _guarded(view.meta, {"finalizers": kept or None})
    return PatchObject(view.target, patch, if_present=True)


def _guarded(meta: ObjectMeta, change: dict[str, Any]) -> dict[str, Any]:
    """Return a patch that fails when anybody else wrote in between."""
    return {"metadata": {"uid": meta.uid, "resourceVersion": meta.resource_version, **change}}


def _key(resource: Resource, key: str) -> str:
    return f"{resource.group_resource}/{key}"


class GarbageReconciler(Reconciler):
    """Feeds `reconcile` from the cache; keys are `pods/namespace/name`."""

    name = "garbage-collector"
    account = "generic-garbage-collector"
    follows = None

    def keys(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the objects that may have to go, or may now be able to."""
        before = old.metadata if old is not None else None
        after = new.metadata if new is not None else None
        if before is not None and (after is None or after.uid != before.uid):
            yield from _dependents(cache, before.uid)
            yield from _owners(cache, before)
        if after is None:
            return
        if before is None or before.owner_references != after.owner_references:
            yield _key(resource, after.key)
            if before is not None:
                yield from _owners(cache, before)
        if after.deletion_timestamp is not None and after.finalizers:
            yield _key(resource, after.key)
            if before is None or before.deletion_timestamp is None:
                yield from _dependents(cache, after.uid)

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what is to become of an object."""
        name, _, rest = key.partition("/")
        resource = cache.kinds.named(name)
        item = cache.get(resource, rest)
        if item is None:
            return Outcome()
        return reconcile(_view(cache, resource, item))


def _dependents(cache: Cache, uid: str) -> list[str]:
    return [_key(resource, item.metadata.key) for resource, item in cache.dependents(uid)]


def _owners(cache: Cache, meta: ObjectMeta) -> Iterable[str]:
    for reference in meta.owner_references:
        ref = _owner_ref(cache, meta.namespace, reference)
        if ref is not None:
            key = f"{ref.namespace}/{ref.name}" if ref.namespace else ref.name
            yield _key(ref.resource, key)


def _view(cache: Cache, resource: Resource, item: HasMetadata) -> View:
    meta = item.metadata
    target = ref_of(resource, item)
    owners = tuple(_owner(cache, meta.namespace, reference) for reference in meta.owner_references)
    # An owner of thousands is looked at whenever one of them goes.
    is_going = meta.deletion_timestamp is not None
    if not is_going and all(owner.standing is not Standing.WAITING for owner in owners):
        return View(target, meta, owners)
    dependents = (
        (ref_of(other, dependent), dependent.metadata)
        for other, dependent in cache.dependents(meta.uid)
    )
    return View(target, meta, owners, tuple(dependents))


def _owner(cache: Cache, namespace: str, reference: OwnerReference) -> Owner:
    found = cache.owner(namespace, reference)
    meta = found.metadata if found is not None else None
    resource = cache.kinds.of(reference.api_version, reference.kind)
    is_out_of_reach = resource is not None and resource.namespaced and not namespace
    return Owner(reference, _owner_ref(cache, namespace, reference), meta, is_out_of_reach)


def _owner_ref(cache: Cache, namespace: str, reference: OwnerReference) -> ObjectRef | None:
    resource = cache.kinds.of(reference.api_version, reference.kind)
    if resource is None or (resource.namespaced and not namespace):
        return None
    return ObjectRef(
        resource, reference.name, namespace if resource.namespaced else "", reference.uid
    )
