"""The options of requests, read from query and body and validated; pure.

Matches `apimachinery/pkg/apis/meta/internalversion/validation` of Kubernetes 1.36.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import msgspec

from kubeberth.api.codec import decode_kind
from kubeberth.api.integers import IntegerTextError, parse_uint
from kubeberth.api.scheme import Resource
from kubeberth.api.selectors import SelectorError, parse_field_selector, parse_label_selector
from kubeberth.api.validation.field_error import (
    FieldError,
    forbidden,
    invalid,
    invalid_error,
    not_supported,
    required,
    too_long,
)
from kubeberth.apiserver.managed_fields.tracking import MAX_NAME_BYTES
from kubeberth.apiserver.route import Query
from kubeberth.apiserver.selectable import Selection, checked_selector
from kubeberth.errors import ApiError, BadRequestError, InvalidError

VALIDATIONS = ("", "Ignore", "Strict", "Warn")
POLICIES = ("Foreground", "Background", "Orphan")


def invalid_options(kind: str, errors: list[FieldError]) -> InvalidError:
    """Return the refusal of options."""
    return invalid_error(f"{kind}.meta.k8s.io", "", errors)


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What a list, watch or deletecollection asks for."""

    selection: Selection
    limit: int = 0
    continue_: str = ""
    resource_version: str = ""
    match: str = ""
    allow_bookmarks: bool = False
    send_initial_events: bool | None = None
    timeout_s: int | None = None


def list_options(query: Query, resource: Resource, *, watch: bool) -> ListOptions:
    """Return the options of a request for many objects."""
    limit = query.integer("limit") or 0
    timeout_s = query.integer("timeoutSeconds")
    try:
        labels = parse_label_selector(query.get("labelSelector"))
        fields = parse_field_selector(query.get("fieldSelector"))
    except SelectorError as error:
        raise BadRequestError(str(error)) from error
    sends = query.flag("sendInitialEvents") if query.get("sendInitialEvents") else None
    options = ListOptions(
        Selection(resource, labels, checked_selector(resource, fields)),
        max(limit, 0),
        query.get("continue"),
        query.get("resourceVersion"),
        query.get("resourceVersionMatch"),
        query.flag("allowWatchBookmarks"),
        sends,
        timeout_s,
    )
    errors = _watch_errors(options) if watch else _list_errors(options)
    if errors:
        raise invalid_options("ListOptions", errors)
    return options


def _list_errors(options: ListOptions) -> list[FieldError]:
    errors = []
    match = options.match
    if match and not options.resource_version:
        text = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        errors.append(forbidden("resourceVersionMatch", text))
    if match and options.continue_:
        text = "resourceVersionMatch is forbidden when continue is provided"
        errors.append(forbidden("resourceVersionMatch", text))
    if match not in ("", "Exact", "NotOlderThan"):
        errors.append(not_supported("resourceVersionMatch", match, ("Exact", "NotOlderThan", "")))
    if match == "Exact" and options.resource_version == "0":
        text = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        errors.append(forbidden("resourceVersionMatch", text))
    if options.send_initial_events is not None:
        text = "sendInitialEvents is forbidden for list"
        errors.append(forbidden("sendInitialEvents", text))
    return errors


def _watch_errors(options: ListOptions) -> list[FieldError]:
    errors = []
    match = options.match
    if options.send_initial_events is None:
        if match:
            text = (
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            )
            errors.append(forbidden("resourceVersionMatch", text))
        return errors
    if match != "NotOlderThan":
        text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        errors.append(forbidden("resourceVersionMatch", text))
        if match:
            errors.append(not_supported("resourceVersionMatch", match, ("NotOlderThan",)))
    if options.continue_:
        text = "resourceVersionMatch is forbidden when continue is provided"
        errors.append(forbidden("resourceVersionMatch", text))
    return errors


def parse_version(text: str) -> int:
    """Return a resourceVersion as a number; empty is 0.

    Raises
    ------
    ApiError
        It is none; a 500 without a reason, as upstream.
    """
    try:
        return list_version(text)
    except IntegerTextError as error:
        raise ApiError(str(error), code=500, reason="") from error


def list_version(text: str) -> int:
    """Return the resourceVersion of a list as a number; empty is 0.

    Raises
    ------
    IntegerTextError
        It is none; lists answer that with 400, everything else with 500.
    """
    try:
        return parse_uint(text) if text else 0
    except IntegerTextError as error:
        raise IntegerTextError(f'resourceVersion: Invalid value: "{text}": {error}') from error


class WriteOptions(msgspec.Struct, frozen=True):
    """What a create, update or patch asks for besides its body.

    Parameters
    ----------
    kind
        CreateOptions, UpdateOptions or PatchOptions.
    tells_validation
        Whether the request says how to validate fields.
    """

    dry_run: bool = False
    field_validation: str = "Warn"
    field_manager: str = ""
    force: bool = False
    kind: str = ""
    tells_validation: bool = False

    @property
    def document(self) -> dict[str, object]:
        """The options as admission webhooks see them."""
        document: dict[str, object] = {"kind": self.kind, "apiVersion": "meta.k8s.io/v1"}
        if self.dry_run:
            document["dryRun"] = ["All"]
        if self.force:
            document["force"] = True
        if self.field_manager:
            document["fieldManager"] = self.field_manager
        if self.tells_validation:
            document["fieldValidation"] = self.field_validation
        return document

    @property
    def is_strict(self) -> bool:
        """Whether unknown and duplicate fields are errors."""
        return self.field_validation == "Strict"


def write_options(query: Query, kind: str, *, is_apply: bool = False) -> WriteOptions:
    """Return the options of a write; `kind` is CreateOptions, UpdateOptions or PatchOptions."""
    if query.is_empty and not is_apply:
        return _without_any(kind)
    errors: list[FieldError] = []
    manager = query.get("fieldManager")
    force = query.flag("force")
    if is_apply and not manager:
        errors.append(required("fieldManager", "is required for apply patch"))
    if force and not is_apply:
        errors.append(forbidden("force", "may not be specified for non-apply patch"))
    errors += _manager_errors(manager)
    errors += _dry_run_errors(list(query.all("dryRun")))
    validation = query.get("fieldValidation") or "Warn"
    if validation not in VALIDATIONS:
        errors.append(not_supported("fieldValidation", validation, VALIDATIONS))
    if errors:
        raise invalid_options(kind, errors)
    return WriteOptions(
        "All" in query.all("dryRun"),
        validation,
        manager,
        force,
        kind,
        bool(query.get("fieldValidation")),
    )


@cache
def _without_any(kind: str) -> WriteOptions:
    return WriteOptions(kind=kind)


def _manager_errors(manager: str) -> list[FieldError]:
    errors = []
    if len(manager.encode()) > MAX_NAME_BYTES:
        errors.append(too_long("fieldManager", MAX_NAME_BYTES))
    for position, character in enumerate(manager):
        if not character.isprintable():
            text = f"invalid character U+{ord(character):04X} (at position {position})"
            errors.append(invalid("fieldManager", manager, text))
    return errors


def _dry_run_errors(values: list[str]) -> list[FieldError]:
    is_wrong = any(value != "All" for value in values)
    return [not_supported("dryRun", values, ("All",))] if is_wrong else []


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How to delete."""

    grace_period_s: int | None = None
    propagation: str = ""
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False

    @property
    def document(self) -> dict[str, object]:
        """The options as admission webhooks see them."""
        document: dict[str, object] = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
        if self.grace_period_s is not None:
            document["gracePeriodSeconds"] = self.grace_period_s
        wanted = {"uid": self.uid, "resourceVersion": self.resource_version}
        if wanted := {name: value for name, value in wanted.items() if value}:
            document["preconditions"] = wanted
        if self.propagation:
            document["propagationPolicy"] = self.propagation
        if self.dry_run:
            document["dryRun"] = ["All"]
        return document


def delete_options(query: Query, body: bytes, content_type: str) -> DeleteOptions:
    """Return the options of a delete: the body's, or without one the query's."""
    if body:
        try:
            decoded = decode_kind(body, content_type, "v1", "DeleteOptions", False, True)
        except BadRequestError as error:
            raise BadRequestError(_plain(error.message)) from error
        return delete_options_of(decoded.document)
    document: dict[str, object] = {"dryRun": list(query.all("dryRun"))}
    if (period := query.integer("gracePeriodSeconds")) is not None:
        document["gracePeriodSeconds"] = period
    if query.get("propagationPolicy"):
        document["propagationPolicy"] = query.get("propagationPolicy")
    if "orphanDependents" in query:
        document["orphanDependents"] = query.flag("orphanDependents")
    return delete_options_of(document)


_FOREIGN_KIND = re.compile(r'(\w+) in version "([^"]*)" cannot .*: (?:converting|no kind) .*')
_WRONG_TYPE = re.compile(r'\w+ in version "[^"]*" cannot be handled as a DeleteOptions: (.*)')
_MALFORMED = re.compile(r"the object provided is unrecognized \(must be of type \w+\): (.*) \(.*\)")


def _plain(message: str) -> str:
    """Return a complaint about a body as DELETE, which reads its body differently, words it."""
    if foreign := _FOREIGN_KIND.fullmatch(message):
        return (
            f'no kind "{foreign[1]}" is registered for version "{foreign[2]}" in scheme '
            '"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"'
        )
    found = _WRONG_TYPE.fullmatch(message) or _MALFORMED.fullmatch(message)
    return found[1] if found else message


def delete_options_of(document: dict[str, object]) -> DeleteOptions:
    """Return the options that a DeleteOptions document holds."""
    policy = document.get("propagationPolicy")
    orphan = document.get("orphanDependents")
    dry_run = [str(value) for value in _list(document.get("dryRun"))]
    errors: list[FieldError] = []
    if policy is not None and orphan is not None:
        text = "orphanDependents and deletionPropagation cannot be both set"
        errors.append(invalid("propagationPolicy", policy, text))
    if policy is not None and policy not in POLICIES:
        errors.append(not_supported("propagationPolicy", policy, (*POLICIES, "nil")))
    errors += _dry_run_errors(dry_run)
    if errors:
        raise invalid_options("DeleteOptions", errors)
    if orphan is not None:
        policy = "Orphan" if orphan else "Background"
    preconditions = document.get("preconditions")
    wanted = preconditions if isinstance(preconditions, dict) else {}
    period = document.get("gracePeriodSeconds")
    return DeleteOptions(
        period if isinstance(period, int) else None,
        str(policy or ""),
        wanted.get("uid", ""),
        wanted.get("resourceVersion", ""),
        "All" in dry_run,
    )


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
