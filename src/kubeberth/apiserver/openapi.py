"""OpenAPI documents, as much of them as clients read.

kubectl 1.29 and later read version 3: per kind a PATCH operation that takes `fieldValidation` (then
the server validates), and the schemas (merge keys, `explain`). kubectl 1.27 and 1.28 read version 2
in protobuf and look for that PATCH operation alone.
Field numbers: gnostic's `OpenAPIv2.proto`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from kubeberth.api.scheme import Resource
from kubeberth.apiserver.catalogue import Catalogue
from kubeberth.apiserver.media import parse_accept
from kubeberth.apiserver.openapi_paths import definitions_used, paths_of
from kubeberth.apiserver.openapi_schemas import closure, schema_name, schemas_of
from kubeberth.apiserver.patch import patch_types
from kubeberth.apiserver.responses import Headers, Response, encode
from kubeberth.apiserver.route import Query

TITLE, VERSION = "Kubernetes", "v1.36.2"
INFO = {"title": TITLE, "version": VERSION}
V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
V2_PROTOBUF_NAMES = (V2_PROTOBUF, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
TEXT = "text/plain; charset=utf-8"


class OpenApi:
    """Answers the OpenAPI paths; every document is made when it is first asked for."""

    def respond(
        self, catalogue: Catalogue, path: str, query: Query, headers: Mapping[str, str]
    ) -> Response:
        """Answer a GET below `/openapi`."""
        if path == "/openapi/v2":
            return _version_2(catalogue, headers.get("accept", ""))
        if path == "/openapi/v3":
            body = encode({"paths": index(catalogue)})
            return Response(body, content_type=TEXT, headers=[("ETag", _etag(body))])
        name = path.removeprefix("/openapi/v3/")
        resources = group_versions(catalogue).get(name)
        if resources is None:
            return Response(b"", 404, content_type=TEXT)
        wanted = query.get("hash")
        return _group_document(name, resources, wanted, headers.get("if-none-match", ""))


def _etag(body: bytes) -> str:
    return f'"{hash_of(body)}"'


def hash_of(body: bytes) -> str:
    """Return the hash under which a document is cached by clients."""
    return hashlib.sha512(body).hexdigest().upper()


@lru_cache(maxsize=4)
def group_versions(catalogue: Catalogue) -> dict[str, tuple[Resource, ...]]:
    """Return the resources by document name: `api/v1`, `apis/apps/v1`."""
    found: dict[str, list[Resource]] = {}
    for resource in catalogue.resources:
        root = "apis" if resource.group else "api"
        found.setdefault(f"{root}/{resource.api_version}", []).append(resource)
    return {name: tuple(resources) for name, resources in found.items()}


@lru_cache(maxsize=4)
def index(catalogue: Catalogue) -> dict[str, dict[str, str]]:
    """Return where each document is, with its hash, so that it can be cached for ever."""
    return {
        name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={hash_of(document(resources))}"}
        for name, resources in group_versions(catalogue).items()
    }


def _group_document(
    name: str, resources: tuple[Resource, ...], wanted: str, if_none_match: str
) -> Response:
    body = document(resources)
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


@lru_cache(maxsize=512)
def document(resources: tuple[Resource, ...]) -> bytes:
    """Return the OpenAPI 3 document of the resources of a group version."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for resource in resources:
        name = schema_name(resource)
        for used, found in schemas_of(resource):
            schemas.setdefault(used, found)
        schemas[name] = {**schemas[name], "x-kubernetes-group-version-kind": [_gvk(resource)]}
        for used, found in closure(definitions_used(resource)):
            schemas.setdefault(used, found)
        paths |= paths_of(resource, name)
    return encode(
        {"openapi": "3.0.0", "info": INFO, "paths": paths, "components": {"schemas": schemas}}
    )


def _gvk(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _version_2(catalogue: Catalogue, accept: str) -> Response:
    for clause in parse_accept(accept):
        if clause.media_type in V2_PROTOBUF_NAMES:
            body = version_2_protobuf(catalogue)
            return Response(body, content_type=V2_PROTOBUF, headers=[("ETag", _etag(body))])
        if clause.media_type in ("application/json", "*/*", "application/*"):
            body = encode(version_2(catalogue))
            return Response(body, headers=[("ETag", _etag(body)), ("Vary", "Accept")])
    return Response(b"", 406, content_type=TEXT)


def patch_paths(catalogue: Catalogue) -> dict[str, Resource]:
    """Return for each kind that can be patched the path to do it."""
    return {
        resource.path("{namespace}", "{name}"): resource
        for resource in catalogue.resources
        if "patch" in resource.verbs
    }


def version_2(catalogue: Catalogue) -> dict[str, Any]:
    """Return the OpenAPI 2 document: one PATCH operation per kind, no definitions."""
    parameter = {"in": "query", "name": "fieldValidation", "type": "string"}
    return {
        "swagger": "2.0",
        "info": INFO,
        "paths": {
            path: {
                "patch": {
                    "consumes": patch_types(resource),
                    "parameters": [parameter],
                    "responses": {"200": {"description": "OK"}},
                    "x-kubernetes-group-version-kind": _gvk(resource),
                }
            }
            for path, resource in patch_paths(catalogue).items()
        },
        "definitions": {},
        "parameters": {},
        "securityDefinitions": {},
        "security": [],
    }


@lru_cache(maxsize=4)
def version_2_protobuf(catalogue: Catalogue) -> bytes:
    """Return the OpenAPI 2 document in gnostic's protobuf form."""
    in_query = _text(2, "query") + _text(4, "fieldValidation") + _text(6, "string")
    field_validation = _message(1, _message(2, _message(3, in_query)))
    paths = b""
    for path, resource in patch_paths(catalogue).items():
        gvk = _text(1, "x-kubernetes-group-version-kind")
        gvk += _message(2, _text(2, encode(_gvk(resource)).decode()))
        operation = b"".join(_text(7, name) for name in patch_types(resource))
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
