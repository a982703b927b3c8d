"""OpenAPI documents, as much of them as clients read.

kubectl 1.29 and later read version 3: per kind a PATCH operation that takes `fieldValidation` (then
the server validates), and the schemas (merge keys, `explain`). kubectl 1.27 and 1.28 read version 2
in protobuf and look for that PATCH operation alone.
Field numbers: gnostic's `OpenAPIv2.proto`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from kubeberth.api import schema
from kubeberth.api.codec import MEDIA_TYPES
from kubeberth.api.scheme import RESOURCES, Resource
from kubeberth.apiserver.media import parse_accept
from kubeberth.apiserver.responses import Headers, Response, encode
from kubeberth.apiserver.route import Query

TITLE, VERSION = "Kubernetes", "v1.36.2"
INFO = {"title": TITLE, "version": VERSION}
PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
V2_PROTOBUF_NAMES = (V2_PROTOBUF, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
TEXT = "text/plain; charset=utf-8"
QUERY_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation", "pretty")


class OpenApi:
    """Answers the OpenAPI paths; every document is made when it is first asked for."""

    def respond(self, path: str, query: Query, headers: Mapping[str, str]) -> Response:
        """Answer a GET below `/openapi`."""
        if path == "/openapi/v2":
            return _version_2(headers.get("accept", ""))
        if path == "/openapi/v3":
            body = encode({"paths": index()})
            return Response(body, content_type=TEXT, headers=[("ETag", _etag(body))])
        name = path.removeprefix("/openapi/v3/")
        if name not in group_versions():
            return Response(b"", 404, content_type=TEXT)
        return _group_document(name, query.get("hash"), headers.get("if-none-match", ""))


def _etag(body: bytes) -> str:
    return f'"{hash_of(body)}"'


def hash_of(body: bytes) -> str:
    """Return the hash under which a document is cached by clients."""
    return hashlib.sha512(body).hexdigest().upper()


@lru_cache(maxsize=1)
def group_versions() -> dict[str, tuple[Resource, ...]]:
    """Return the resources by document name: `api/v1`, `apis/apps/v1`."""
    found: dict[str, list[Resource]] = {}
    for resource in RESOURCES:
        root = "apis" if resource.group else "api"
        found.setdefault(f"{root}/{resource.api_version}", []).append(resource)
    return {name: tuple(resources) for name, resources in found.items()}


@lru_cache(maxsize=1)
def index() -> dict[str, dict[str, str]]:
    """Return where each document is, with its hash, so that it can be cached for ever."""
    return {
        name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={hash_of(document(name))}"}
        for name in group_versions()
    }


def _group_document(name: str, wanted: str, if_none_match: str) -> Response:
    body = document(name)
    found = hash_of(body)
    if wanted and wanted != found:
        location = ("Location", f"/openapi/v3/{name}?hash={found}")
        return Response(b"", 301, headers=[location])
    headers: Headers = [("ETag", f'"{found}"'), ("Vary", "Accept")]
    if wanted:
        headers.append(("Cache-Control", "public, immutable, max-age=31536000"))
    if if_none_match == f'"{found}"':
        return Response(b"", 304, headers=headers)
    return Response(body, headers=headers)


def document(name: str) -> bytes:
    """Return the OpenAPI 3 document of a group version."""
    return documents()[name]


@lru_cache(maxsize=1)
def documents() -> dict[str, bytes]:
    """Return all documents: the index needs their hashes anyhow."""
    schemas = schema.published_schemas()
    return {name: _document(schemas, found) for name, found in group_versions().items()}


def _document(schemas: dict[str, Any], resources: tuple[Resource, ...]) -> bytes:
    names = [_definition_name(resource) for resource in resources]
    used = dict(_closure(schemas, list(names)))
    for name, resource in zip(names, resources, strict=True):
        used[name] = {**used[name], "x-kubernetes-group-version-kind": [_gvk(resource)]}
    paths: dict[str, Any] = {}
    for name, resource in zip(names, resources, strict=True):
        paths |= _paths(resource, name)
    return encode(
        {"openapi": "3.0.0", "info": INFO, "paths": paths, "components": {"schemas": used}}
    )


def _definition_name(resource: Resource) -> str:
    definition = schema.definition_of(resource.api_version, resource.kind)
    if definition is None:
        raise LookupError(f"no definition of {resource.api_version} {resource.kind}")
    return definition.name


def _gvk(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _closure(schemas: dict[str, Any], names: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield the schemas of some definitions and of all that they refer to."""
    seen: set[str] = set()
    while names:
        name = names.pop()
        if name not in seen:
            seen.add(name)
            yield name, _with_references(schemas[name], names)


def _with_references(published: Any, found: list[str]) -> Any:
    """Return a schema whose references are paths in the document; append what it refers to."""
    if isinstance(published, dict):
        if isinstance(name := published.get("$ref"), str):
            found.append(name)
            return {**published, "$ref": f"#/components/schemas/{name}"}
        return {key: _with_references(value, found) for key, value in published.items()}
    if isinstance(published, list):
        return [_with_references(item, found) for item in published]
    return published


def _paths(resource: Resource, definition: str) -> dict[str, Any]:
    reference = {"schema": {"$ref": f"#/components/schemas/{definition}"}}
    answer = {"200": {"description": "OK", "content": {"application/json": reference}}}
    scope = "{namespace}" if resource.namespaced else None

    def operation(action: str, body: tuple[str, ...] = (), content: Any = reference) -> Any:
        parameters = [_query_parameter(name) for name in QUERY_PARAMETERS] if body else []
        return {
            "operationId": f"{action}{resource.group.title().replace('.', '')}{resource.kind}",
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": _gvk(resource),
            "parameters": parameters,
            "responses": answer,
            **({"requestBody": {"content": dict.fromkeys(body, content)}} if body else {}),
        }

    collection: dict[str, Any] = {}
    single: dict[str, Any] = {}
    if "create" in resource.verbs:
        collection["post"] = operation("post", MEDIA_TYPES)
    if "list" in resource.verbs:
        collection["get"] = operation("list")
    if "get" in resource.verbs:
        single["get"] = operation("get")
    if "update" in resource.verbs:
        single["put"] = operation("put", MEDIA_TYPES)
    if "patch" in resource.verbs:
        single["patch"] = operation("patch", PATCH_TYPES, {"schema": {"type": "object"}})
    if "delete" in resource.verbs:
        single["delete"] = operation("delete")
    paths = {resource.path(scope): collection, resource.path(scope, "{name}"): single}
    return {path: operations for path, operations in paths.items() if operations}


def _query_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}


def _version_2(accept: str) -> Response:
    for clause in parse_accept(accept):
        if clause.media_type in V2_PROTOBUF_NAMES:
            body = version_2_protobuf()
            return Response(body, content_type=V2_PROTOBUF, headers=[("ETag", _etag(body))])
        if clause.media_type in ("application/json", "*/*", "application/*"):
            body = encode(version_2())
            return Response(body, headers=[("ETag", _etag(body)), ("Vary", "Accept")])
    return Response(b"", 406, content_type=TEXT)


def patch_paths() -> dict[str, Resource]:
    """Return for each kind that can be patched the path to do it."""
    return {
        resource.path("{namespace}", "{name}"): resource
        for resource in RESOURCES
        if "patch" in resource.verbs
    }


def version_2() -> dict[str, Any]:
    """Return the OpenAPI 2 document: one PATCH operation per kind, no definitions."""
    parameter = {"in": "query", "name": "fieldValidation", "type": "string"}
    return {
        "swagger": "2.0",
        "info": INFO,
        "paths": {
            path: {
                "patch": {
                    "consumes": PATCH_TYPES,
                    "parameters": [parameter],
                    "responses": {"200": {"description": "OK"}},
                    "x-kubernetes-group-version-kind": _gvk(resource),
                }
            }
            for path, resource in patch_paths().items()
        },
        "definitions": {},
        "parameters": {},
        "securityDefinitions": {},
        "security": [],
    }


@lru_cache(maxsize=1)
def version_2_protobuf() -> bytes:
    """Return the OpenAPI 2 document in gnostic's protobuf form."""
    in_query = _text(2, "query") + _text(4, "fieldValidation") + _text(6, "string")
    field_validation = _message(1, _message(2, _message(3, in_query)))
    paths = b""
    for path, resource in patch_paths().items():
        gvk = _text(1, "x-kubernetes-group-version-kind")
        gvk += _message(2, _text(2, encode(_gvk(resource)).decode()))
        operation = b"".join(_text(7, name) for name in PATCH_TYPES)
        operation += _message(8, field_validation) + _message(13, gvk)
        paths += _message(2, _text(1, path) + _message(2, _message(8, operation)))
    info = _text(1, TITLE) + _text(2, VERSION)
    return _text(1, "2.0") + _message(2, info) + _message(8, paths)


def _message(number: int, body: bytes) -> bytes:
    """Return a length-delimited protobuf field."""
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _text(number: int, text: str) -> bytes:
    return _message(number, text.encode())


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
