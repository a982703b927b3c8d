"""What is asked of an API server, as values: one function per verb, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from kubeberth.api.scheme import Resource

PatchKind = Literal["json", "merge", "strategic", "apply"]

Body = Mapping[str, Any] | bytes
PatchBody = Mapping[str, Any] | list[Any] | bytes

PATCH_TYPES: dict[PatchKind, str] = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class Call(msgspec.Struct, frozen=True):
    """One HTTP request, relative to the server's URL."""

    method: str
    path: str
    query: dict[str, str] = {}
    body: bytes | None = None
    content_type: str = "application/json"


def _query(**parameters: str | int | bool | None) -> dict[str, str]:
    """Return the parameters that say something, as a query."""
    query = {}
    for name, value in parameters.items():
        if value is True:
            query[name] = "true"
        elif value not in (None, "", False):
            query[name] = str(value)
    return query


def _encode(body: PatchBody) -> bytes:
    return body if isinstance(body, bytes) else msgspec.json.encode(body)


def get(resource: Resource, name: str, namespace: str | None) -> Call:
    """Read one object."""
    return Call("GET", resource.path(namespace, name))


def list_(
    resource: Resource,
    namespace: str | None = None,
    *,
    label_selector: str = "",
    field_selector: str = "",
    resource_version: str = "",
    limit: int = 0,
    continue_: str = "",
) -> Call:
    """Read a collection, or one page of it."""
    query = _query(
        labelSelector=label_selector,
        fieldSelector=field_selector,
        resourceVersion=resource_version,
        limit=limit or None,
    )
    if continue_:
        query["continue"] = continue_
    return Call("GET", resource.path(namespace), query)


def watch(
    resource: Resource,
    namespace: str | None = None,
    *,
    resource_version: str,
    label_selector: str = "",
    field_selector: str = "",
    timeout_s: int = 0,
) -> Call:
    """Follow a collection from a version on."""
    query = _query(
        watch=True,
        allowWatchBookmarks=True,
        resourceVersion=resource_version,
        labelSelector=label_selector,
        fieldSelector=field_selector,
        timeoutSeconds=timeout_s or None,
    )
    return Call("GET", resource.path(namespace), query)


def create(
    resource: Resource,
    body: Body,
    namespace: str | None = None,
    *,
    name: str = "",
    sub: str = "",
) -> Call:
    """Make an object, or post to the subresource `sub` of the object `name`."""
    if namespace is None and isinstance(body, Mapping):
        namespace = body.get("metadata", {}).get("namespace")
    return Call("POST", resource.path(namespace, name, sub), body=_encode(body))


def update(resource: Resource, body: Mapping[str, Any], *, sub: str = "") -> Call:
    """Replace an object; its name, namespace and version are those in the body."""
    metadata = body["metadata"]
    path = resource.path(metadata.get("namespace"), metadata["name"], sub)
    return Call("PUT", path, body=_encode(body))


def patch(
    resource: Resource,
    name: str,
    change: PatchBody,
    namespace: str | None = None,
    *,
    kind: PatchKind = "merge",
    sub: str = "",
) -> Call:
    """Change parts of an object."""
    path = resource.path(namespace, name, sub)
    return Call("PATCH", path, body=_encode(change), content_type=PATCH_TYPES[kind])


def delete(
    resource: Resource,
    name: str,
    namespace: str | None = None,
    *,
    grace_period_s: int | None = None,
    propagation: str | None = None,
    uid: str | None = None,
    resource_version: str | None = None,
) -> Call:
    """Delete an object, if it still is the one with this uid and version."""
    preconditions = {"uid": uid, "resourceVersion": resource_version}
    options: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": grace_period_s,
        "propagationPolicy": propagation,
        "preconditions": {k: v for k, v in preconditions.items() if v is not None} or None,
    }
    body = {key: value for key, value in options.items() if value is not None}
    return Call("DELETE", resource.path(namespace, name), body=_encode(body))
