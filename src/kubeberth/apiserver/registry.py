"""The registry: decode, default, validate, admit, store; one path for every kind.

    create  admit -> prepare -> validate -> admit again -> Store.create
    update  read -> change -> admit -> prepare -> validate -> admit again -> compare and swap
    delete  read -> admit -> plan -> mark -> remove

Verbs bring documents that are decoded and defaulted, and write what comes back.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import msgspec

from kubeberth.api import quota, validation
from kubeberth.api.pod_totals import Totals
from kubeberth.api.scheme import RESOURCE_QUOTAS, Resource
from kubeberth.api.validation.field_error import invalid, invalid_error
from kubeberth.api.validation.warnings import warnings_for
from kubeberth.apiserver import refusals, strategy
from kubeberth.apiserver.admission.audit import note
from kubeberth.apiserver.admission.chain import Attributes, Chain, Operation
from kubeberth.apiserver.auth.authn import AUTHENTICATED, MASTERS, User
from kubeberth.apiserver.conversion import Conversions
from kubeberth.apiserver.deletion import plan_deletion
from kubeberth.apiserver.managed_fields.entries import is_same_but_time
from kubeberth.apiserver.objects import Document, key_of, prefix_of, stored_document, unpack
from kubeberth.apiserver.options import DeleteOptions
from kubeberth.apiserver.storage.store import (
    Entry,
    KeyExistsError,
    KeyMissingError,
    RevisionMismatchError,
    Store,
)
from kubeberth.apiserver.uid import new_uid
from kubeberth.apiserver.webhook_client import WebhookClient
from kubeberth.clock import Clock, rfc3339
from kubeberth.errors import ApiError, BadRequestError, ConflictError

ORPHANED_PODS = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background "
    "to remove them or set propagationPolicy=Orphan to suppress this warning"
)
# As often as upstream tries to find a free generated name.
NAME_ATTEMPTS = 8


class Target(msgspec.Struct, frozen=True):
    """The object that a write is about; `name` is empty where the body tells it."""

    resource: Resource
    namespace: str = ""
    name: str = ""

    @property
    def key(self) -> str:
        """The store's key."""
        return key_of(self.resource, self.namespace, self.name)


class Caller(msgspec.Struct, frozen=True):
    """For whom a write is made, and whether it is only a trial.

    Parameters
    ----------
    warnings
        Grows by what the caller should know of a write that is allowed but hardly meant.
    options
        Returns the options of the request as a document.
    """

    user: User
    dry_run: bool = False
    warnings: list[str] = []
    options: Callable[[], Document] | None = None

    def attributes(
        self,
        operation: Operation,
        target: Target,
        document: Document | None,
        old: Document | None = None,
        sub: str = "",
    ) -> Attributes:
        """Return a write of this caller for admission."""
        return Attributes(
            operation,
            target.resource,
            target.namespace,
            self.user,
            document,
            old,
            sub,
            target.name,
            self.dry_run,
            self.options,
            self.warnings,
            note,
        )


class _Unheard(list[str]):
    """Warnings that nobody reads."""

    def append(self, text: str) -> None:
        """Forget it."""

    def extend(self, texts: Iterable[str]) -> None:
        """Forget them."""


# For whom the server itself writes.
SELF = Caller(User("system:apiserver", frozenset((MASTERS, AUTHENTICATED))), warnings=_Unheard())


class Written(msgspec.Struct, frozen=True):
    """What a write left: the object, and whether it is new, or gone.

    Parameters
    ----------
    entry
        How the object is stored, or was to the last; None when it is not, as after a trial.
    revision
        Of the write, where it is another one than the entry's: when the object is gone.
    """

    document: Document
    entry: Entry | None = None
    revision: int = 0
    created: bool = False
    removed: bool = False


Change = Callable[[Document], Document]


class Registry:
    """Writes objects, and reads them for those who decide about writes."""

    def __init__(self, store: Store, clock: Clock, chance: random.Random) -> None:
        self.store = store
        self._clock = clock
        self._chance = chance
        self.chain = Chain()
        self.webhooks = WebhookClient(self)
        self.conversions = Conversions(self.webhooks)

    def stamp(self) -> str:
        """Return the present moment as objects tell it."""
        return rfc3339(self._clock.now())

    def entry(self, target: Target) -> Entry:
        """Return the stored entry of an object.

        Raises
        ------
        NotFoundError
            There is none.
        """
        entry = self.store.get(target.key)
        if entry is None:
            raise refusals.not_found(target.resource, target.name)
        return entry

    async def shown(self, target: Target) -> Entry:
        """Return the entry of an object in the version of the target's resource."""
        return await self.conversions.entry(target.resource, self.entry(target))

    def find(self, resource: Resource, namespace: str, name: str) -> Document | None:
        """Return an object, or None."""
        entry = self.store.get(key_of(resource, namespace, name))
        return None if entry is None else unpack(resource, entry)

    def find_all(self, resource: Resource, namespace: str = "") -> Iterable[Document]:
        """Return the objects of a resource."""
        entries = self.store.entries(prefix_of(resource, namespace))
        return (unpack(resource, entry) for entry in entries)

    async def charge(
        self, namespace: str, name: str, more: Totals, check: Callable[[Document], None]
    ) -> None:
        """Add to what is used of a quota; see `admission.resource_quota`."""

        def change(found: Document) -> Document:
            check(found)
            status = found.setdefault("status", {})
            status["used"] = quota.added(status.get("used") or {}, more)
            return found

        await self.update(Target(RESOURCE_QUOTAS, namespace, name), change, SELF, sub="status")

    async def create(self, target: Target, document: Document, caller: Caller) -> Written:
        """Write a new object."""
        resource = target.resource
        document.setdefault("metadata", {})
        _check_namespace(target, document)
        attributes = caller.attributes("CREATE", target, document)
        document = await self._admitted(target, attributes)
        metadata = document["metadata"]
        prefix = "" if metadata.get("name") else metadata.get("generateName", "")
        strategy.prepare_create(resource, document, uid=new_uid(), now=self.stamp())
        for _ in range(NAME_ATTEMPTS):
            if prefix:
                metadata["name"] = strategy.generated_name(prefix, self._chance)
            self._validate(resource, document)
            caller.warnings.extend(warnings_for(resource, document))
            await self.chain.validate(attributes)
            key = key_of(resource, target.namespace, metadata["name"])
            try:
                return await self._store_new(key, resource, document, dry_run=caller.dry_run)
            except KeyExistsError:
                if not prefix:
                    break
        raise self._taken(resource, key, metadata["name"], generated=bool(prefix))

    async def _admitted(self, target: Target, attributes: Attributes) -> Document:
        """Return the object of a write as admission leaves it: filled in, or another one."""
        before = attributes.document
        await self.chain.admit(attributes)
        document = attributes.document
        assert document is not None
        if document is not before:
            _check_namespace(target, document)
        return document

    def _validate(self, resource: Resource, document: Document) -> None:
        errors = validation.validate(resource, document)
        if errors:
            name = document["metadata"].get("name", "")
            raise invalid_error(resource, name, errors)

    async def _store_new(
        self, key: str, resource: Resource, document: Document, *, dry_run: bool
    ) -> Written:
        value = await self.conversions.value_of(resource, document)
        if dry_run:
            if self.store.get(key) is not None:
                raise KeyExistsError(key)
            return Written(document, created=True)
        if document["metadata"].pop("resourceVersion", "0") != "0":
            raise ApiError(
                "resourceVersion should not be set on objects to be created", code=500, reason=""
            )
        entry = await self.store.create(key, value)
        document["metadata"]["resourceVersion"] = str(entry.revision)
        entry = self.conversions.written(resource, document, entry)
        return Written(document, entry, created=True)

    def _taken(self, resource: Resource, key: str, name: str, *, generated: bool) -> ApiError:
        error = refusals.already_exists(resource, name, generated=generated)
        entry = self.store.get(key)
        if entry is not None and "deletionTimestamp" in stored_document(entry)["metadata"]:
            error.message = f"object is being deleted: {error.message}"
        return error

    async def update(
        self,
        target: Target,
        change: Change,
        caller: Caller,
        *,
        sub: str = "",
        only_reads: bool = False,
        allow_create: bool = False,
    ) -> Written:
        """Change an object by a function of its current state, until nobody interferes.

        Parameters
        ----------
        change
            Returns the new object. Its version, if it has one, must still be the current one.
        sub
            The subresource through which the object is changed.
        only_reads
            The change leaves the current state as it is. What it takes over from there is nothing
            that admission fills in, so that the two states may share it.
        allow_create
            Whether an object that is missing is created, from what `change({})` returns.
        """
        while True:
            entry = self.store.get(target.key)
            if entry is None:
                if not allow_create:
                    raise refusals.not_found(target.resource, target.name)
                document = change({})
                document["metadata"].pop("resourceVersion", None)
                return await self.create(target, document, caller)
            try:
                return await self._update_once(target, entry, change, caller, sub, only_reads)
            except RevisionMismatchError:
                continue  # somebody was faster: decide anew from what they wrote
            except KeyMissingError:
                continue

    async def _update_once(
        self,
        target: Target,
        entry: Entry,
        change: Change,
        caller: Caller,
        sub: str,
        only_reads: bool,
    ) -> Written:
        resource = target.resource
        shown = await self.conversions.entry(resource, entry)
        old = unpack(resource, shown)
        new = change(old if only_reads else unpack(resource, shown))
        _check_namespace(target, new)
        attributes = caller.attributes("UPDATE", target, new, old, sub)
        new = await self._admitted(target, attributes)
        self._check_base(target, new, old)
        keep_same_parts(new, old)
        strategy.prepare_update(resource, sub, new, old, now=self.stamp())
        if new == old or _differs_in_times(new, old):
            await self.chain.validate(attributes)  # nothing is written, but it may be refused
            return Written(old)
        # Bindings and evictions write what no client may change, and are checked by themselves.
        is_own = sub in strategy.OWN_WRITES
        errors = [] if is_own else validation.validate_update(resource, new, old, sub)
        if errors:
            raise invalid_error(resource, target.name, errors)
        if not is_own:
            caller.warnings.extend(warnings_for(resource, new, old))
        await self.chain.validate(attributes)
        if strategy.is_finished(resource, new, old):
            if not caller.dry_run:
                await self.store.delete(target.key, entry.revision)
            return Written(new, removed=True)
        if caller.dry_run:
            return Written(new)
        value = await self.conversions.value_of(resource, new)
        written = await self.store.update(target.key, value, entry.revision)
        new["metadata"]["resourceVersion"] = str(written.revision)
        return Written(new, self.conversions.written(resource, new, written))

    def _check_base(self, target: Target, new: Document, old: Document) -> None:
        """Refuse a change that is meant for another version of the object."""
        sent, found = new["metadata"], old["metadata"]
        version = sent.get("resourceVersion")
        if version and version != "0" and version != found["resourceVersion"]:
            raise refusals.conflict(target.resource, target.name)
        if not version and target.resource.built_in_kind in strategy.VERSION_REQUIRED:
            error = invalid("metadata.resourceVersion", 0, "must be specified for an update")
            # Of the resource, not of its kind: this is told before anybody looks at the object.
            raise invalid_error(target.resource.group_resource, target.name, [error])

    async def delete(
        self, target: Target, options: DeleteOptions, caller: Caller, *, is_admitted: bool = False
    ) -> Written:
        """Delete an object, or begin to.

        Parameters
        ----------
        is_admitted
            Whether admission has looked at what leads to this, so that it need not look here.
        """
        while True:
            try:
                return await self._delete_once(target, options, caller, is_admitted)
            except RevisionMismatchError:
                if options.resource_version:
                    raise refusals.conflict(target.resource, target.name) from None
            except KeyMissingError:
                raise refusals.not_found(target.resource, target.name) from None

    async def _delete_once(
        self, target: Target, options: DeleteOptions, caller: Caller, is_admitted: bool
    ) -> Written:
        resource = target.resource
        entry = self.entry(target)
        document = unpack(resource, await self.conversions.entry(resource, entry))
        check_preconditions(resource, target.name, document, options)
        if not is_admitted:
            attributes = caller.attributes("DELETE", target, None, document)
            await self.chain.admit(attributes)
            await self.chain.validate(attributes)
        if resource.built_in_kind == "Job" and not options.propagation:
            caller.warnings.append(ORPHANED_PODS)
        plan = plan_deletion(
            resource,
            document,
            grace_period_s=options.grace_period_s,
            propagation=options.propagation,
            now=self._clock.now(),
            stamp=rfc3339,
        )
        if caller.dry_run:
            return Written(document, removed=plan.removes)
        if plan.document is not None:
            value = await self.conversions.value_of(resource, document)
            entry = await self.store.update(target.key, value, entry.revision)
        revision = entry.revision
        if plan.removes and plan.document is not None:
            revision = await self._remove_ended(target, document["metadata"]["uid"], entry)
        elif plan.removes:
            revision = (await self.store.delete(target.key, revision)).revision
        document["metadata"]["resourceVersion"] = str(revision)
        shown = self.conversions.written(resource, document, entry)
        return Written(document, shown, revision, removed=plan.removes)

    async def _remove_ended(self, target: Target, uid: str, entry: Entry) -> int:
        """Remove an object that was told to end at once, and return the revision of that.

        Others may have waited for its end, and be quicker: then it is gone as was asked for.
        """
        while True:
            try:
                return (await self.store.delete(target.key, entry.revision)).revision
            except KeyMissingError:
                return entry.revision
            except RevisionMismatchError:
                there = self.store.get(target.key)
                meta = unpack(target.resource, there)["metadata"] if there is not None else {}
                if there is None or meta["uid"] != uid:
                    return entry.revision
                if meta.get("finalizers"):
                    raise
                entry = there


def keep_same_parts(new: Document, old: Document) -> None:
    """Take over from the old object what the new one says alike.

    Who then compares the two, to count a change, to validate it, or to find whose fields it takes,
    sees at once what has not been touched. From here on parts are replaced and never changed; the
    metadata, in which the server has a say, stay the new one's own.
    """
    for name, part in old.items():
        if name != "metadata" and new.get(name) == part:
            new[name] = part


def _differs_in_times(new: Document, old: Document) -> bool:
    """Return whether two objects differ in nothing but when their fields were last owned."""
    mine, theirs = (doc["metadata"].get("managedFields") for doc in (new, old))
    if not mine or not theirs or mine == theirs:
        return False
    if new != {**old, "metadata": {**old["metadata"], "managedFields": mine}}:
        return False
    return is_same_but_time(mine, theirs)


def _check_namespace(target: Target, document: Document) -> None:
    metadata = document["metadata"]
    if not target.resource.namespaced:
        return
    if metadata.setdefault("namespace", target.namespace) != target.namespace:
        raise BadRequestError(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def check_preconditions(
    resource: Resource, name: str, document: Document, options: DeleteOptions
) -> None:
    """Refuse a delete that is meant for another version or incarnation of the object."""
    metadata = document["metadata"]
    for wanted, key, title, hint in (
        (options.uid, "uid", "UID", "deleted and then recreated"),
        (options.resource_version, "resourceVersion", "ResourceVersion", "modified"),
    ):
        if wanted and wanted != metadata[key]:
            raise _precondition(resource, name, title, wanted, metadata[key], hint)


def _precondition(
    resource: Resource, name: str, title: str, wanted: str, found: str, hint: str
) -> ConflictError:
    return refusals.kind_conflict(
        resource,
        name,
        f"the {title} in the precondition ({wanted}) does not match the {title} in record "
        f"({found}). The object might have been {hint}",
    )
