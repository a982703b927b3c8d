"""The verbs: one coroutine each, from a request to its answer.

Everything here is the same for every kind; what differs by kind is in `strategy`, in the schema
and in admission.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec.structs import replace

from kubeberth.api import codec, defaults
from kubeberth.api.integers import IntegerTextError, parse_uint
from kubeberth.api.known_specs import Stored
from kubeberth.api.scheme import Resource
from kubeberth.apiserver import refusals
from kubeberth.apiserver.auth.authn import User
from kubeberth.apiserver.auth.rbac import Authorizer
from kubeberth.apiserver.continuation import (
    LATEST,
    Continuation,
    expired_status,
    parse_continuation,
)
from kubeberth.apiserver.converted_watch import ConvertedWatches
from kubeberth.apiserver.forms import Writer
from kubeberth.apiserver.managed_fields.tracking import (
    endpoint_of,
    manager_name,
    track_apply,
    track_update,
)
from kubeberth.apiserver.media import OBJECT_FORMS, negotiate
from kubeberth.apiserver.objects import Document, encode, prefix_of, wire_of
from kubeberth.apiserver.options import (
    ListOptions,
    WriteOptions,
    delete_options,
    list_options,
    list_version,
    parse_version,
    write_options,
)
from kubeberth.apiserver.patch import APPLY_PATCH
from kubeberth.apiserver.patching import decode_applied, media_type_of, parse_config, patched
from kubeberth.apiserver.registry import Caller, Change, Registry, Target, Written
from kubeberth.apiserver.responses import (
    Pieces,
    Response,
    StreamResponse,
    document_response,
    success,
)
from kubeberth.apiserver.route import RequestInfo
from kubeberth.apiserver.storage.store import Entry, RevisionCompactedError
from kubeberth.apiserver.strategy import (
    CREATED_BY_PUT,
    RETURNED_WHEN_DELETED,
    drop_repeated_owners,
    drop_server_fields,
)
from kubeberth.apiserver.watch import WatchHub, error_line
from kubeberth.clock import Clock
from kubeberth.errors import (
    ApiError,
    BadRequestError,
    ExpiredError,
    NotFoundError,
    ServerTimeoutError,
)

# How long a read waits for a version that a client saw elsewhere, as in upstream's watch cache.
FRESHNESS_TIMEOUT_S = 3.0


class Call(msgspec.Struct, frozen=True):
    """An authorized request for a resource that is served.

    Parameters
    ----------
    upgrade
        The protocol that the client would rather speak; empty for HTTP.
    warnings
        What the client is told besides the answer, be it good or bad.
    """

    info: RequestInfo
    resource: Resource
    user: User
    accept: str = ""
    content_type: str = ""
    body: bytes = b""
    user_agent: str = ""
    upgrade: str = ""
    warnings: list[str] = []

    @property
    def target(self) -> Target:
        """The object that the path names."""
        return Target(self.resource, self.info.scope, self.info.name)


Answer = Response | StreamResponse
Verb = Callable[[Call], Awaitable[Answer]]


class Verbs:
    """Answers calls from the registry."""

    def __init__(
        self,
        registry: Registry,
        hub: WatchHub,
        converted: ConvertedWatches,
        clock: Clock,
        authorizer: Authorizer,
    ) -> None:
        self._registry = registry
        self._authorizer = authorizer
        self._store = registry.store
        self._hub = hub
        self._converted = converted
        self._clock = clock

    def writer(self, call: Call) -> Writer:
        """Return what writes the answer in the form that the client accepts."""
        form = negotiate(call.accept, OBJECT_FORMS)
        include = call.info.query.get("includeObject")
        return Writer(call.resource, form, self._clock.now, include)

    async def get(self, call: Call) -> Answer:
        """Read one object."""
        writer = self.writer(call)
        if call.info.query.get("export"):
            raise BadRequestError(
                "the export parameter, deprecated since v1.14, is no longer supported"
            )
        await self._fresh(parse_version(call.info.query.get("resourceVersion")))
        return Response(writer.entry(await self._registry.shown(call.target)))

    async def list_objects(self, call: Call) -> Answer:
        """Read many objects, or one page of them, as of one moment."""
        writer = self.writer(call)
        options = list_options(call.info.query, call.resource, watch=False)
        start, revision = await self._snapshot(options)
        prefix = prefix_of(call.resource, call.info.scope)
        try:
            entries = self._store.entries(prefix, after=prefix + start, revision=revision)
        except RevisionCompactedError as error:
            if options.continue_:
                status = expired_status(Continuation(start, LATEST))
                return Response(encode(status), status["code"])
            raise ExpiredError("The resourceVersion for the provided list is too old.") from error
        entries = await self._registry.conversions.entries(call.resource, entries)
        shown = revision if revision is not None else self._store.revision
        page, rest = _page(entries, options)
        metadata: dict[str, object] = {"resourceVersion": str(shown)}
        if rest:
            last = page[-1].key.removeprefix(prefix)
            metadata["continue"] = Continuation(last, shown).token()
            if options.selection.is_everything:
                metadata["remainingItemCount"] = rest
        return document_response(writer.entries(page, metadata))

    async def _snapshot(self, options: ListOptions) -> tuple[str, int | None]:
        """Return after which key to list, and which state (None: the current one)."""
        if options.continue_:
            if options.resource_version not in ("", "0"):
                raise BadRequestError(
                    "specifying resource version is not allowed when using continue"
                )
            continuation = parse_continuation(options.continue_)
            revision = None if continuation.revision == LATEST else continuation.revision
            return continuation.last, revision
        try:
            wanted = list_version(options.resource_version)
        except IntegerTextError as error:
            raise BadRequestError(f"invalid resource version: {error}") from error
        await self._fresh(wanted)
        is_exact = options.match == "Exact" or (options.limit and not options.match)
        return "", wanted if wanted and is_exact else None

    async def _fresh(self, revision: int) -> None:
        """Wait until this server knows a version that the client knows."""
        if not await self._hub.reached(revision, FRESHNESS_TIMEOUT_S):
            raise refusals.too_large_version(revision, self._store.revision)

    async def watch(self, call: Call) -> Answer:
        """Tell what happens to many objects."""
        if call.info.name and not call.info.is_legacy_watch and not _is_collection(call.info):
            return await self.get(call)  # one object is read, whatever the query says
        writer = self.writer(call)
        options = list_options(call.info.query, call.resource, watch=True)
        if not writer.writes_objects:
            return StreamResponse(Pieces(iter(())))  # an event is no list: upstream ends the stream
        prefix = prefix_of(call.resource, call.info.scope)
        if call.info.is_legacy_watch and call.info.name:
            prefix = call.target.key
        hub, custom = self._hub, call.resource.custom
        if custom is not None and custom.conversion is not None:
            start = parse_version(options.resource_version)
            hub = await self._converted.hub(call.resource, start)
        try:
            watcher = hub.open(prefix, options, writer)
        except (ExpiredError, ServerTimeoutError) as error:
            return StreamResponse(Pieces(iter((error_line(error),))))
        return StreamResponse(watcher)

    async def create(self, call: Call) -> Answer:
        """Write a new object."""
        writer = self.writer(call)
        options = write_options(call.info.query, "CreateOptions")
        document = self.decode(call, options)
        drop_server_fields(document["metadata"])
        document = self.tracked(call, options, lambda _: document)({})
        target = Target(call.resource, call.info.scope)
        written = await self._registry.create(target, document, caller_of(call, options))
        return _written(writer, written)

    def decode(
        self, call: Call, options: WriteOptions, sub: str = "", stored: Stored | None = None
    ) -> Document:
        """Return the body's object, defaulted; note what to warn of.

        Parameters
        ----------
        stored
            The object that it is to replace, if that is known.

        Raises
        ------
        ApiError
            The body is no such object, or breaks strict field validation.
        """
        ignores = options.field_validation == "Ignore"
        decoded = codec.decode(
            call.body, call.content_type, call.resource, sub, not ignores, stored
        )
        if options.is_strict and (error := decoded.strict_error):
            kind, version = decoded.document["kind"], decoded.document["apiVersion"]
            version = version.rpartition("/")[2]
            raise BadRequestError(
                f'{kind} in version "{version}" cannot be handled as a {kind}: {error}'
            )
        if decoded.document["kind"] == call.resource.kind:
            defaults.apply_defaults(call.resource, decoded.document)
        decoded.document.setdefault("metadata", {})
        if not ignores:
            call.warnings[:] = decoded.warnings
        return decoded.document

    async def update(self, call: Call) -> Answer:
        """Replace an object, or through `/status` its status."""
        writer = self.writer(call)
        options = write_options(call.info.query, "UpdateOptions")
        document = self.decode(call, options, stored=self._stored(call))
        check_name(document, call.target)
        sub = call.info.subresource
        written = await self._registry.update(
            call.target,
            self.tracked(call, options, lambda old: _replaced(call.target, old, document)),
            caller_of(call, options),
            sub=sub,
            only_reads=True,
            allow_create=call.resource.built_in_kind in CREATED_BY_PUT and not sub,
        )
        return _written(writer, written)

    def _stored(self, call: Call) -> Stored | None:
        """Return the object that is asked for, if it is stored as it is shown."""
        entry = self._store.get(call.target.key)
        return wire_of(call.resource).stored(entry) if entry is not None else None

    async def patch(self, call: Call) -> Answer:
        """Change an object, or through `/status` its status; an apply may also create it."""
        writer = self.writer(call)
        options = patch_options(call)
        sub = call.info.subresource
        written = await self._registry.update(
            call.target,
            self.patching(call, options),
            caller_of(call, options),
            sub=sub,
            only_reads=sub == "status",
            allow_create=is_apply(call) and not sub,
        )
        return _written(writer, written)

    def patching(self, call: Call, options: WriteOptions, sub: str = "") -> Change:
        """Return the change that a PATCH asks for.

        Parameters
        ----------
        sub
            The part that is changed, if it has a kind of its own.
        """
        if is_apply(call):
            return self._applying(call, options, sub)

        def change(old: Document) -> Document:
            document, found = patched(
                call.resource,
                old,
                call.body,
                call.content_type,
                sub=sub,
                is_strict=options.is_strict,
            )
            if options.field_validation == "Warn":
                call.warnings[:] = found
            if not sub:
                defaults.apply_defaults(call.resource, document)
                check_name(document, call.target)
            return document

        return self.tracked(call, options, change)

    def _applying(self, call: Call, options: WriteOptions, sub: str) -> Change:
        """Return the change that brings an object in line with an applied configuration."""
        endpoint = endpoint_of(call.resource, call.info.subresource)

        def change(old: Document) -> Document:
            config, repeated = parse_config(call.body, call.resource, sub)
            now = self._registry.stamp()
            document = track_apply(
                endpoint, old, config, options.field_manager, now, force=options.force
            )
            if repeated and options.is_strict:
                lines = "".join(f"\n  {line}" for line in repeated)
                raise BadRequestError(
                    "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal "
                    f"errors:{lines}"
                )
            if options.field_validation == "Warn":
                call.warnings[:] = repeated
            document = decode_applied(document, call.resource, sub)
            call.warnings.extend(drop_repeated_owners(document["metadata"]))
            if not sub:
                defaults.apply_defaults(call.resource, document)
            check_name(document, call.target)
            if not old:
                self._check_creation(call, document)
            return document

        return change

    def tracked(self, call: Call, options: WriteOptions, change: Change) -> Change:
        """Return a change that also notes who owns the fields."""
        endpoint = endpoint_of(call.resource, call.info.subresource)
        manager = manager_name(options.field_manager, call.user_agent)

        def tracked_change(old: Document) -> Document:
            new = change(old)
            call.warnings.extend(drop_repeated_owners(new["metadata"]))
            if not old and call.info.verb != "create":
                self._check_creation(call, new)
            track_update(endpoint, old, new, manager, self._registry.stamp())
            return new

        return tracked_change

    def _check_creation(self, call: Call, document: Document) -> None:
        """Refuse to create by PUT or PATCH what the user may not create, or means to change."""
        if uid := document["metadata"].get("uid"):
            raise refusals.conflict(
                call.resource,
                call.info.name,
                f"uid mismatch: the provided object specified uid {uid}, and no existing object "
                "was found",
            )
        self._authorizer.authorize(call.user, replace(call.info, verb="create"))

    async def delete(self, call: Call) -> Answer:
        """Delete an object, or begin to."""
        writer = self.writer(call)
        options = delete_options(call.info.query, call.body, call.content_type)
        caller = Caller(call.user, options.dry_run, call.warnings, lambda: options.document)
        written = await self._registry.delete(call.target, options, caller)
        if written.removed and call.resource.built_in_kind not in RETURNED_WHEN_DELETED:
            details = refusals.details_of(call.resource, call.info.name)
            details["uid"] = written.document["metadata"]["uid"]
            return Response(encode(success(200, details)))
        return Response(writer.document(written.document))

    async def delete_collection(self, call: Call) -> Answer:
        """Delete the objects that a list would show, and answer with that list."""
        writer = self.writer(call)
        options = list_options(call.info.query, call.resource, watch=False)
        how = delete_options(call.info.query, call.body, call.content_type)
        caller = Caller(call.user, how.dry_run, call.warnings, lambda: how.document)
        prefix = prefix_of(call.resource, call.info.scope)
        revision = self._store.revision
        found = await self._registry.conversions.entries(call.resource, self._store.entries(prefix))
        entries, _ = _page(found, options)
        for entry in entries:
            target = replace(call.target, name=entry.key.removeprefix(prefix))
            try:
                await self._registry.delete(target, how, caller)
            except NotFoundError:
                continue  # somebody else was faster
        return document_response(writer.entries(entries, {"resourceVersion": str(revision)}))


def _replaced(target: Target, old: Document, document: Document) -> Document:
    """Return the document of a PUT, whose metadata and top level may be changed."""
    metadata = dict(document["metadata"])
    version, uid = metadata.get("resourceVersion", ""), metadata.get("uid")
    try:
        parse_uint(version or "0")
    except IntegerTextError as error:
        raise ApiError(str(error), code=500, reason="") from error
    check_uid(target, uid, old)
    return {**document, "metadata": metadata}


def check_uid(target: Target, uid: str | None, old: Document) -> None:
    """Refuse a replacement that is meant for another incarnation of the object."""
    if uid and old and uid != old["metadata"]["uid"]:
        found = old["metadata"]["uid"]
        raise refusals.precondition_failed(
            target.resource, target.namespace, target.name, "UID", uid, found
        )


def _is_collection(info: RequestInfo) -> bool:
    return not info.path.rstrip("/").endswith(f"/{info.name}")


def _page(entries: Sequence[Entry], options: ListOptions) -> tuple[list[Entry], int]:
    """Return the first selected entries, as many as asked for, and how many more there are."""
    selection = options.selection
    selected = [e for e in entries if selection.matches(e)]
    # The whole state at once is what `resourceVersion=0` means, as upstream.
    limit = 0 if options.resource_version == "0" and not options.match else options.limit
    if not limit or len(selected) <= limit:
        return selected, 0
    return selected[:limit], len(selected) - limit


def is_apply(call: Call) -> bool:
    """Return whether a PATCH is a server-side apply."""
    return media_type_of(call.content_type, call.resource) == APPLY_PATCH


def patch_options(call: Call) -> WriteOptions:
    """Return the options of a PATCH."""
    return write_options(call.info.query, "PatchOptions", is_apply=is_apply(call))


def caller_of(call: Call, options: WriteOptions) -> Caller:
    """Return for whom a call writes."""
    return Caller(call.user, options.dry_run, call.warnings, lambda: options.document)


def check_name(document: Document, target: Target) -> None:
    """Refuse a body that is about another object than the path."""
    name = document["metadata"].get("name")
    if not name:
        raise BadRequestError(
            f"the name of the object ({target.name} based on URL) was undeterminable: "
            "name must be provided"
        )
    if name != target.name:
        raise BadRequestError(
            f"the name of the object ({name}) does not match the name on the URL ({target.name})"
        )


def _written(writer: Writer, written: Written) -> Response:
    entry = written.entry
    body = writer.document(written.document) if entry is None else writer.entry(entry)
    return Response(body, 201 if written.created else 200)
