"""Path, method and query of a request, read into a RequestInfo.

Matches `k8s.io/apiserver/pkg/endpoints/request` of Kubernetes 1.36. Authorization looks at the
RequestInfo alone, so it is complete also for resources that nobody serves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import parse_qs

import msgspec

from kubeberth.api.integers import IntegerTextError, parse_int
from kubeberth.api.scheme import Resource
from kubeberth.api.selectors import SelectorError, parse_field_selector
from kubeberth.apiserver.catalogue import BUILT_IN, Catalogue
from kubeberth.errors import BadRequestError, MethodNotAllowedError, NotFoundError

_COLLECTION_VERBS = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
_OBJECT_VERBS = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_PART_VERBS = {**_OBJECT_VERBS, "POST": "create"}
_VERBS = {"HEAD": "get", "GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch"}
_FALSE = ("false", "0")

# Paths with their queries that are asked for again and again: collections in which much is created,
# and a lease for each of some thousand nodes. Longer ones are hardly among them.
REMEMBERED = 8192
MAX_REMEMBERED = 512


class Query:
    """The query parameters; the first value of a name counts."""

    __slots__ = ("_values",)

    def __init__(self, text: str) -> None:
        self._values: Mapping[str, Sequence[str]] = (
            parse_qs(text, keep_blank_values=True) if text else {}
        )

    @property
    def is_empty(self) -> bool:
        """Whether there are no parameters."""
        return not self._values

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of a parameter."""
        values = self._values.get(name)
        return values[0] if values else default

    def all(self, name: str) -> Sequence[str]:
        """Return all values of a parameter."""
        return self._values.get(name, ())

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def flag(self, name: str) -> bool:
        """Return a boolean as Go's clients mean it: there, and neither `false` nor `0`."""
        values = self._values.get(name)
        return bool(values) and values[0].lower() not in _FALSE if values else False

    def integer(self, name: str) -> int | None:
        """Return a number, or None when the parameter is absent or empty."""
        text = self.get(name)
        if not text:
            return None
        try:
            return parse_int(text)
        except IntegerTextError as error:
            raise BadRequestError(str(error)) from error


class PlainNotFoundError(Exception):
    """A path below which nothing was ever served; the answer is plain text."""


# The part of the server that knows no objects says so by empty details.
NO_DETAILS: dict[str, str] = {}


def unknown_resource() -> NotFoundError:
    """Return the answer for a path that stands for nothing."""
    return NotFoundError("the server could not find the requested resource", details=NO_DETAILS)


def unknown_method() -> MethodNotAllowedError:
    """Return the answer for a method that the path does not take."""
    return MethodNotAllowedError(
        "the server does not allow this method on the requested resource", details=NO_DETAILS
    )


class RequestInfo(msgspec.Struct, frozen=True):
    """What a request asks for.

    Parameters
    ----------
    verb
        get, list, watch, create, update, patch, delete or deletecollection; of a path that is no
        resource, the method in lower case.
    plural
        The resource as the path names it; empty when the path is no resource.
    namespace
        For one namespace, and its parts, also its own name.
    is_within
        Whether the path leads through a namespace to what is in it.
    resource
        The resource, if it is served.
    """

    method: str
    path: str
    query: Query
    verb: str
    group: str = ""
    version: str = ""
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    has_more: bool = False
    is_legacy_watch: bool = False
    is_within: bool = False
    resource: Resource | None = None

    @property
    def is_resource(self) -> bool:
        """Whether the path is below a group and version."""
        return self.version != ""

    @property
    def scope(self) -> str:
        """The namespace that the objects are in; empty for all, and without namespaces."""
        resource = self.resource
        return self.namespace if resource is not None and resource.namespaced else ""


def parse_request(
    method: str, path: str, query: str, catalogue: Catalogue = BUILT_IN
) -> RequestInfo:
    """Return what a request asks for; never fails."""
    if len(path) + len(query) > MAX_REMEMBERED:
        return _parse(method, path, query, catalogue)
    return _remembered(method, path, query, catalogue)


def _parse(method: str, path: str, query: str, catalogue: Catalogue) -> RequestInfo:
    parameters = Query(query)
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return RequestInfo(method, path, parameters, verb=method.lower())
    is_legacy_watch = rest[0] == "watch" and len(rest) > 1
    if is_legacy_watch:
        rest = rest[1:]
    namespace, is_within = "", False
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        # `namespaces/NAME[/status]` is the namespace itself, anything else is in it.
        is_within = len(rest) > 2 and rest[2] not in ("status", "finalize")
        if is_within:
            rest = rest[2:]
    plural, name, subresource = (*rest, "", "")[:3]
    return RequestInfo(
        method,
        path,
        parameters,
        verb=_verb(method, name, is_watch=is_legacy_watch or parameters.flag("watch")),
        group=group,
        version=version,
        plural=plural,
        namespace=namespace,
        name=name or _selected_name(method, parameters),
        subresource=subresource,
        has_more=len(rest) > 3,
        is_legacy_watch=is_legacy_watch,
        is_within=is_within,
        resource=catalogue.find(group, version, plural),
    )


_remembered = lru_cache(maxsize=REMEMBERED)(_parse)


def _verb(method: str, name: str, *, is_watch: bool) -> str:
    if method in ("GET", "HEAD") and (not name or is_watch):
        return "watch" if is_watch else "list"
    if method == "DELETE":
        return "delete" if name else "deletecollection"
    return _VERBS.get(method, method.lower())


def _selected_name(method: str, query: Query) -> str:
    """Return the name that a list or watch is about, if its field selector requires one."""
    selector = query.get("fieldSelector") if method == "GET" else ""
    if "metadata.name" not in selector:
        return ""
    try:
        return parse_field_selector(selector).required("metadata.name") or ""
    except SelectorError:
        return ""


def served(info: RequestInfo, catalogue: Catalogue = BUILT_IN) -> Resource:
    """Return the resource of a request, if path and method are served.

    Raises
    ------
    ApiError, PlainNotFoundError
        Nothing is served there, or not with this method.
    """
    if info.group not in catalogue.groups:
        raise PlainNotFoundError
    resource = info.resource
    if resource is None or (info.has_more and info.subresource != "proxy"):
        raise unknown_resource()
    if info.is_within and not resource.namespaced:
        # Rights that somebody has in a namespace must not open what is in none.
        raise unknown_resource()
    if not _is_allowed(info, resource):
        raise unknown_method()
    _check_name(info.name)
    return resource


def _is_allowed(info: RequestInfo, resource: Resource) -> bool:
    """Return whether the path takes the method.

    Raises
    ------
    NotFoundError
        There is no such path.
    """
    is_object = bool(info.name) and not _is_selection(info)
    if resource.namespaced and not info.namespace:
        if is_object:
            raise unknown_resource()
        return info.method == "GET"  # all namespaces at once can only be read
    if info.subresource:
        sub = resource.subresource(info.subresource)
        if sub is None:
            raise unknown_resource()
        return _PART_VERBS.get(info.method) in sub.verbs
    if info.is_legacy_watch:
        return info.method == "GET"
    verbs = _OBJECT_VERBS if is_object else _COLLECTION_VERBS
    return verbs.get(info.method) in resource.verbs


def _is_selection(info: RequestInfo) -> bool:
    """Whether the name comes from the field selector, and the path is the collection's."""
    return not info.path.rstrip("/").endswith(f"/{info.name}")


def _check_name(name: str) -> None:
    if name in (".", ".."):
        raise BadRequestError(f"Name parameter invalid: \"{name}\": may not be '{name}'")
    if "%" in name:
        raise BadRequestError(f"Name parameter invalid: \"{name}\": may not contain '%'")
