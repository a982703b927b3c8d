"""CustomResourceDefinitions at work: the resources they stand for come and go with them.

The store tells of every change of a definition, whoever made it:

    written   its names are accepted or refused (`acceptance.py`), which is a write of its status
    accepted  a new catalogue with its resources
    deleted   its objects are deleted; when the last is gone the finalizer goes, and with that it
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kubeberth.api.custom import conditions
from kubeberth.api.custom.definitions import FINALIZER, is_true, resources_of, version_rank
from kubeberth.api.scheme import CUSTOM_RESOURCE_DEFINITIONS, Resource
from kubeberth.apiserver.acceptance import with_accepted_names
from kubeberth.apiserver.catalogue import BUILT_IN, Catalogue
from kubeberth.apiserver.objects import prefix_of, unpack
from kubeberth.apiserver.options import DeleteOptions
from kubeberth.apiserver.registry import SELF, Change, Registry, Target
from kubeberth.apiserver.storage.store import Entry, StorageError, StoreEvent
from kubeberth.clock import Clock, rfc3339
from kubeberth.errors import ApiError, ConflictError, NotFoundError

logger = logging.getLogger(__name__)

Document = dict[str, Any]
Reading = tuple[Document, tuple[Resource, ...]]
NOTHING: Reading = ({}, ())

# How long after a failure to try again what a definition needs.
RETRY_S = 1.0


class Definitions:
    """Keeps the catalogue, and does for definitions what their controllers do upstream."""

    def __init__(
        self, registry: Registry, end_watches: Callable[[str], None], clock: Clock
    ) -> None:
        self.catalogue: Catalogue = BUILT_IN
        self._registry = registry
        self._end_watches = end_watches
        self._clock = clock
        self._prefix = prefix_of(CUSTOM_RESOURCE_DEFINITIONS)
        self._definitions: dict[str, Document] = {}
        # The resources of each definition, with what they were read from.
        self._read: dict[str, Reading] = {}
        self._emptying: set[str] = set()
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve what the stored definitions stand for, and follow them from now on."""
        found = self._registry.find_all(CUSTOM_RESOURCE_DEFINITIONS)
        self._definitions = {definition["metadata"]["name"]: definition for definition in found}
        for name in self._definitions:
            self._read[name] = self._reading(name)
        self._take_up()
        self._registry.store.subscribe(self._note)
        self._dirty = set(self._definitions)
        self._dirty |= await self._reconcile_all()
        self._wake.set()
        self._task = asyncio.ensure_future(self._run())

    def close(self) -> None:
        """Follow them no longer."""
        if self._task is not None:
            self._task.cancel()

    def _note(self, event: StoreEvent) -> None:
        """Take up a change at once, and wake who cares for the rest."""
        if event.key.startswith(self._prefix):
            self._note_definition(event.key.removeprefix(self._prefix), event.entry)
            self._wake.set()
        elif event.entry is None and event.bucket in self._emptying:
            self._dirty.add(event.bucket)
            self._wake.set()

    def _note_definition(self, name: str, entry: Entry | None) -> None:
        before = self._read.pop(name, NOTHING)
        if entry is None:
            self._definitions.pop(name, None)
        else:
            self._definitions[name] = unpack(CUSTOM_RESOURCE_DEFINITIONS, entry)
            self._read[name] = self._reading(name, before)
        # Names that one gives up another may have been waiting for.
        waiting = (
            other
            for other, definition in self._definitions.items()
            if not is_true(definition, "NamesAccepted")
        )
        self._dirty |= {name, *waiting}
        if self._read.get(name, NOTHING)[1] != before[1]:
            self._take_up()
            self._end_watches(name)  # who watches shall look again at what there is

    def _take_up(self) -> None:
        """Make the catalogue say what the definitions say."""
        custom = [resource for _, resources in self._read.values() for resource in resources]
        custom.sort(key=lambda r: (r.group, version_rank(r.version), r.plural))
        self.catalogue = Catalogue(tuple(custom))

    def _reading(self, name: str, known: Reading = NOTHING) -> Reading:
        """Return the resources of a definition: the same ones as long as it says the same."""
        definition = self._definitions[name]
        status = definition.get("status") or {}
        said = {
            "uid": definition["metadata"]["uid"],
            "spec": definition["spec"],
            "names": status.get("acceptedNames"),
            "conditions": {c["type"]: c["status"] for c in status.get("conditions") or ()},
        }
        if known[0] == said:
            return known
        return said, resources_of(definition)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if failed := await self._reconcile_all():
                await asyncio.sleep(RETRY_S)
                self._dirty |= failed
                self._wake.set()

    async def _reconcile_all(self) -> set[str]:
        """Do what the definitions that changed need; return those for which it failed."""
        names, self._dirty = self._dirty, set()
        failed: set[str] = set()
        for name in sorted(names):
            try:
                await self._reconcile(name)
            except NotFoundError:
                continue
            except (ApiError, StorageError):
                logger.exception("cannot care for a definition", extra={"definition": name})
                failed.add(name)
        return failed

    async def _reconcile(self, name: str) -> None:
        definition = self._registry.find(CUSTOM_RESOURCE_DEFINITIONS, "", name)
        if definition is None:
            self._emptying.discard(name)
        elif "deletionTimestamp" in definition["metadata"]:
            if FINALIZER in (definition["metadata"].get("finalizers") or ()):
                await self._empty(name)
        else:
            await self._update(name, self._accepted)

    def _accepted(self, definition: Document) -> Document:
        now = rfc3339(self._clock.now())
        return with_accepted_names(definition, self._definitions.values(), now)

    async def _update(self, name: str, change: Change) -> None:
        target = Target(CUSTOM_RESOURCE_DEFINITIONS, "", name)
        await self._registry.update(target, change, SELF, sub="status")

    async def _empty(self, name: str) -> None:
        """Delete the objects of a definition, and let it go when they are gone."""
        resource = self._stored_resource(name)
        left = list(self._registry.store.entries(f"{name}/")) if resource is not None else []
        if resource is None or not left:
            self._emptying.discard(name)
            await self._update(name, self._released)
            return
        if name not in self._emptying:
            self._emptying.add(name)
            await self._update(name, self._in_progress)
        for entry in left:
            namespace, _, object_name = entry.key.removeprefix(f"{name}/").rpartition("/")
            target = Target(resource, namespace, object_name)
            try:
                await self._registry.delete(target, DeleteOptions(), SELF)
            except (ConflictError, NotFoundError):
                continue

    def _stored_resource(self, name: str) -> Resource | None:
        """Return the version in which objects are stored, so that no webhook has to convert them.

        One that is not served can be written all the same.
        """
        resource = next(iter(self._read[name][1]), None)
        if resource is None or resource.custom is None:
            return resource
        return replace(resource, version=resource.custom.storage_version)

    def _in_progress(self, definition: Document) -> Document:
        message = "CustomResource deletion is in progress"
        reason = "InstanceDeletionInProgress"
        now = rfc3339(self._clock.now())
        conditions.put(definition, "Terminating", "True", reason, message, now)
        return definition

    def _released(self, definition: Document) -> Document:
        now = rfc3339(self._clock.now())
        reason, message = "InstanceDeletionCompleted", "removed all instances"
        conditions.put(definition, "Terminating", "False", reason, message, now)
        metadata = definition["metadata"]
        left = [name for name in metadata.get("finalizers") or () if name != FINALIZER]
        if left:
            metadata["finalizers"] = left
        else:
            metadata.pop("finalizers", None)
        return definition
