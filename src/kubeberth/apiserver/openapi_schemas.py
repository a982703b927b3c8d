"""The schemas in OpenAPI documents: those of the built-in kinds, and those of definitions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from kubeberth.api import schema
from kubeberth.api.scheme import Resource
from kubeberth.apiserver.explanations import with_explanations
from kubeberth.apiserver.openapi_enums import with_enums

_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
# How clients explain what every object has.
_TYPE_META = {
    "apiVersion": {
        "description": "The version of the schema that this representation of the object has.",
        "type": "string",
    },
    "kind": {
        "description": "The name of the REST resource that this object represents.",
        "type": "string",
    },
}


def schema_name(resource: Resource) -> str:
    """Return the name of the schema of a resource's objects.

    That of a custom kind begins with the parts of its group, the last first.
    """
    if resource.custom is not None:
        group = ".".join(reversed(resource.group.split(".")))
        return f"{group}.{resource.version}.{resource.kind}"
    definition = schema.definition_of(resource.api_version, resource.kind)
    if definition is None:
        raise LookupError(f"no definition of {resource.api_version} {resource.kind}")
    return definition.name


def schemas_of(resource: Resource) -> Iterator[tuple[str, Any]]:
    """Yield the schema of a resource's objects, and all that it refers to."""
    name = schema_name(resource)
    if resource.custom is None:
        yield from closure([name])
        return
    raw = resource.custom.schema.raw
    metadata = {"$ref": f"#/components/schemas/{_OBJECT_META}"}
    properties = {**_TYPE_META, "metadata": metadata}
    own = {k: v for k, v in (raw.get("properties") or {}).items() if k not in properties}
    yield name, {**raw, "properties": properties | own}
    yield from closure([_OBJECT_META])


@lru_cache(maxsize=1)
def _published() -> dict[str, Any]:
    return schema.published_schemas()


def closure(wanted: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Yield the schemas of some definitions and of all that they refer to."""
    schemas, names = _published(), list(wanted)
    seen: set[str] = set()
    while names:
        name = names.pop()
        if name not in seen:
            seen.add(name)
            explained = with_explanations(name, with_enums(name, schemas[name]))
            yield name, _with_references(explained, names)


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
