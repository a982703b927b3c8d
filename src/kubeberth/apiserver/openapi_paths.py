"""The operations in OpenAPI documents: every path of a resource and of its parts.

kubectl finds the PATCH of a kind by its group, version and kind; who makes requests from the
document finds what each path takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubeberth.api import schema
from kubeberth.api.codec import MEDIA_TYPES, kind_of
from kubeberth.api.scheme import CONNECT, PROXY, Resource, Subresource
from kubeberth.apiserver.patch import patch_types

Operation = dict[str, Any]

_WRITES = ("dryRun", "fieldManager", "fieldValidation", "pretty")
_READS = ("pretty", "resourceVersion")
_LISTS = (
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "pretty",
    "resourceVersion",
    "resourceVersionMatch",
    "timeoutSeconds",
)
_DELETES = ("dryRun", "gracePeriodSeconds", "pretty", "propagationPolicy")
_LOGS = ("container", "limitBytes", "previous", "sinceSeconds", "tailLines", "timestamps")
_INTEGERS = frozenset(
    ("gracePeriodSeconds", "limit", "limitBytes", "sinceSeconds", "tailLines", "timeoutSeconds")
)
_VALUES = {
    "dryRun": ["All"],
    "fieldValidation": ["Ignore", "Strict", "Warn"],
    "propagationPolicy": ["Background", "Foreground", "Orphan"],
    "resourceVersionMatch": ["Exact", "NotOlderThan"],
}
_DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
_STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"


def paths_of(resource: Resource, definition: str) -> dict[str, Operation]:
    """Return the operations on a resource and its parts, by path.

    Parameters
    ----------
    definition
        The schema of its objects.
    """
    scope = "{namespace}" if resource.namespaced else None
    paths = {
        resource.path(scope): _of_collection(resource, definition),
        resource.path(scope, "{name}"): _of_object(resource, definition),
    }
    for sub in resource.subresources:
        # Streams are no requests with an answer, and what a node's API takes is not ours to say.
        if sub.verbs not in (CONNECT, PROXY):
            paths[resource.path(scope, "{name}", sub.name)] = _of_part(resource, sub, definition)
    return {
        path: {**operations, "parameters": [_in_path(name) for name in _names_in(path)]}
        for path, operations in paths.items()
        if operations
    }


def definitions_used(resource: Resource) -> Iterable[str]:
    """Return the names of the schemas that the operations refer to, besides that of the objects."""
    kinds = [(resource.api_version, f"{resource.kind}List")] if resource.custom is None else []
    kinds += [kind_of(resource, sub.name) for sub in resource.subresources if sub.kind]
    found = (schema.definition_of(*kind) for kind in kinds)
    return [_DELETE_OPTIONS, _STATUS, *(known.name for known in found if known is not None)]


def _of_collection(resource: Resource, definition: str) -> dict[str, Operation]:
    operations = {}
    lists = schema.definition_of(resource.api_version, f"{resource.kind}List")
    listed = lists.name if lists is not None and resource.custom is None else definition
    gvk = _gvk(resource.api_version, resource.kind)
    if "list" in resource.verbs:
        operations["get"] = _operation("list", gvk, listed, _LISTS)
    if "create" in resource.verbs:
        body = _body(MEDIA_TYPES, definition)
        operations["post"] = _operation("post", gvk, definition, _WRITES, body)
    if "deletecollection" in resource.verbs:
        body = _body(MEDIA_TYPES, _DELETE_OPTIONS)
        operations["delete"] = _operation(
            "deletecollection", gvk, _STATUS, (*_LISTS, *_DELETES[:1]), body
        )
    return operations


def _of_object(resource: Resource, definition: str) -> dict[str, Operation]:
    gvk = _gvk(resource.api_version, resource.kind)
    operations = _read_write(resource, resource.verbs, gvk, definition, _READS)
    if "delete" in resource.verbs:
        body = _body(MEDIA_TYPES, _DELETE_OPTIONS)
        operations["delete"] = _operation("delete", gvk, _STATUS, _DELETES, body)
    return operations


def _of_part(resource: Resource, sub: Subresource, definition: str) -> dict[str, Operation]:
    api_version, kind = kind_of(resource, sub.name)
    own = schema.definition_of(api_version, kind) if sub.kind else None
    name = own.name if own is not None else definition
    gvk = _gvk(api_version, kind)
    operations = _read_write(resource, sub.verbs, gvk, name, _LOGS if sub.name == "log" else _READS)
    if "create" in sub.verbs:
        body = _body(MEDIA_TYPES, name)
        operations["post"] = _operation("post", gvk, name, _WRITES, body)
    return operations


def _read_write(
    resource: Resource,
    verbs: Iterable[str],
    gvk: dict[str, str],
    definition: str,
    reads: tuple[str, ...],
) -> dict[str, Operation]:
    operations = {}
    if "get" in verbs:
        operations["get"] = _operation("get", gvk, definition, reads)
    if "update" in verbs:
        body = _body(MEDIA_TYPES, definition)
        operations["put"] = _operation("put", gvk, definition, _WRITES, body)
    if "patch" in verbs:
        content = {"schema": {"type": "object"}}
        body = {"content": dict.fromkeys(patch_types(resource), content)}
        parameters = (*_WRITES, "force")
        operations["patch"] = _operation("patch", gvk, definition, parameters, body)
    return operations


def _operation(
    action: str,
    gvk: dict[str, str],
    definition: str,
    parameters: Iterable[str],
    body: Operation | None = None,
) -> Operation:
    answer = {"description": "OK", "content": {"application/json": _reference(definition)}}
    operation: Operation = {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": gvk,
        "parameters": [_in_query(name) for name in parameters],
        "responses": {"200": answer},
    }
    if body is not None:
        operation["requestBody"] = body
    return operation


def _gvk(api_version: str, kind: str) -> dict[str, str]:
    group, _, version = api_version.rpartition("/")
    return {"group": group, "version": version, "kind": kind}


def _reference(definition: str) -> Operation:
    return {"schema": {"$ref": f"#/components/schemas/{definition}"}}


def _body(media_types: Iterable[str], definition: str) -> Operation:
    return {"content": dict.fromkeys(media_types, _reference(definition))}


def _names_in(path: str) -> list[str]:
    return [name for name in ("namespace", "name") if f"{{{name}}}" in path]


def _in_path(name: str) -> Operation:
    parameter = {"name": name, "in": "path", "required": True}
    return {**parameter, "schema": {"type": "string", "uniqueItems": True}}


def _in_query(name: str) -> Operation:
    kind = "integer" if name in _INTEGERS else "boolean" if name == "force" else "string"
    described: Operation = {"type": kind, "uniqueItems": True}
    if name in _VALUES:
        described["enum"] = _VALUES[name]
    return {"name": name, "in": "query", "schema": described}
