"""ControllerRevisions: the templates that a StatefulSet or DaemonSet has had, by number.

Matches Kubernetes 1.36 (`pkg/controller/history`, and what the two controllers do with it). Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from kubeberth.api.scheme import CONTROLLER_REVISIONS
from kubeberth.api.workloads import ControllerRevision, DaemonSet, StatefulSet, seconds_of
from kubeberth.controllers.action import (
    Action,
    CreateObject,
    DeleteObject,
    Document,
    ObjectRef,
    PatchObject,
)
from kubeberth.controllers.cache import ref_of
from kubeberth.controllers.workloads.template_hash import pruned

# Longest name of an owner in that of a revision.
MAX_PREFIX = 223


@dataclass(frozen=True, slots=True)
class Naming:
    """How a kind tells its revisions apart.

    Parameters
    ----------
    hash_of
        Of a template and a collision count, which is None or 0 at first.
    label
        Key of the label of a revision that has its hash.
    """

    hash_of: Callable[[Document, int | None], str]
    label: str


@dataclass(frozen=True, slots=True)
class History:
    """The revisions of an object.

    Parameters
    ----------
    current
        That of the template in the spec, as it is or as `actions` make it.
    others
        The rest, oldest first.
    duplicates
        Those of the rest that have the same template all the same.
    collision_count
        How many names were found taken by other templates.
    """

    current: ControllerRevision
    others: tuple[ControllerRevision, ...]
    duplicates: tuple[ControllerRevision, ...]
    collision_count: int | None
    actions: tuple[Action, ...]

    def named(self, name: str) -> ControllerRevision | None:
        """Return the revision of that name, or None."""
        return next((r for r in (self.current, *self.others) if r.metadata.name == name), None)


def snapshot_of(template: Document) -> dict[str, Any]:
    """Return the strategic merge patch that brings a template back."""
    return {"spec": {"template": {"$patch": "replace", **pruned(template)}}}


def template_in(revision: ControllerRevision) -> dict[str, Any]:
    """Return the template that a revision holds."""
    template = revision.data["spec"]["template"]
    return {key: value for key, value in template.items() if key != "$patch"}


def keep_history(
    owner: ObjectRef,
    parent: StatefulSet | DaemonSet,
    revisions: Iterable[ControllerRevision],
    taken: Mapping[str, ControllerRevision],
    naming: Naming,
    collision_count: int | None,
) -> History:
    """Return the object's history with its template as the newest revision.

    A template that was there before gets the next number; a new one gets a revision of its own.

    Parameters
    ----------
    revisions
        Those that the object controls.
    taken
        All revisions of the namespace by key.
    """
    ordered = sorted(revisions, key=_age)
    template = parent.spec.template
    same = [revision for revision in ordered if _holds(revision, template)]
    others = tuple(revision for revision in ordered if revision not in same[-1:])
    number = 1 + max((revision.revision for revision in ordered if revision not in same), default=0)
    if same:
        current = same[-1]
        actions: tuple[Action, ...] = ()
        if current.revision < number:
            target = ref_of(CONTROLLER_REVISIONS, current)
            actions = (PatchObject(target, {"revision": number}),)
            current = msgspec.structs.replace(current, revision=number)
        return History(current, others, tuple(same[:-1]), collision_count, actions)
    hash_, count = naming.hash_of(template, collision_count), collision_count
    while (other := taken.get(_key(owner, hash_))) and not _holds(other, template):
        count = (count or 0) + 1
        hash_ = naming.hash_of(template, count)
    if other is not None:
        # That of a former object of the same name, on its way out: then it is made anew.
        return History(other, others, (), count, ())
    body = _new_revision(owner, parent, number, hash_, naming.label)
    creation = CreateObject(CONTROLLER_REVISIONS, body, owner.namespace)
    return History(msgspec.convert(body, ControllerRevision), others, (), count, (creation,))


def _holds(revision: ControllerRevision, template: Document) -> bool:
    return bool(pruned(revision.data) == snapshot_of(template))


def _age(revision: ControllerRevision) -> tuple[int, float, str]:
    meta = revision.metadata
    return revision.revision, seconds_of(meta.creation_timestamp), meta.name


def _name(owner: ObjectRef, hash_: str) -> str:
    return f"{owner.name[:MAX_PREFIX]}-{hash_}"


def _key(owner: ObjectRef, hash_: str) -> str:
    return f"{owner.namespace}/{_name(owner, hash_)}"


def _new_revision(
    owner: ObjectRef, parent: StatefulSet | DaemonSet, number: int, hash_: str, label: str
) -> dict[str, Any]:
    template = parent.spec.template
    labels = (template.get("metadata") or {}).get("labels") or {}
    return {
        "apiVersion": CONTROLLER_REVISIONS.api_version,
        "kind": CONTROLLER_REVISIONS.kind,
        "metadata": {
            "name": _name(owner, hash_),
            "namespace": owner.namespace,
            "labels": {**labels, label: hash_},
            "annotations": dict(parent.metadata.annotations),
            "ownerReferences": [owner.owner_reference()],
        },
        # In order: kubectl compares it byte by byte with what it writes itself.
        "data": msgspec.json.decode(msgspec.json.encode(snapshot_of(template), order="sorted")),
        "revision": number,
    }


def discard(revisions: Iterable[ControllerRevision]) -> list[Action]:
    """Return what deletes revisions."""
    return [DeleteObject(ref_of(CONTROLLER_REVISIONS, revision)) for revision in revisions]
