"""The objects of a live cluster that offline questions are about, as far as one may read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

from kubeberth.api.scheme import BY_KIND, CUSTOM_RESOURCE_DEFINITIONS, Resource
from kubeberth.cli.listing import all_of
from kubeberth.client.client import Client
from kubeberth.client.credentials import Credentials
from kubeberth.errors import ForbiddenError
from kubeberth.planner.params import Param, is_param, params_of
from kubeberth.planner.uncalled import CALLED

Document = dict[str, Any]


def read_live(
    credentials: Credentials, resources: Iterable[Resource]
) -> tuple[list[Document], list[Resource]]:
    """Return what `read_objects` does, of the cluster that is reached like this."""
    return asyncio.run(_read(credentials, resources))


async def _read(
    credentials: Credentials, resources: Iterable[Resource]
) -> tuple[list[Document], list[Resource]]:
    async with Client(credentials) as client:
        return await read_objects(client, resources)


async def read_objects(
    client: Client, resources: Iterable[Resource]
) -> tuple[list[Document], list[Resource]]:
    """Return all objects of some kinds, and the kinds that may not be read.

    What admission policies among them have as parameters is read, too.
    """
    documents: list[Document] = []
    forbidden: list[Resource] = []
    for resource in resources:
        try:
            documents += [document async for document in all_of(client, resource)]
        except ForbiddenError:
            forbidden.append(resource)
    found: dict[tuple[str, ...], Document] = {}
    for param in params_of(documents):
        try:
            async for document in _of_param(client, param):
                meta = document["metadata"]
                key = (param.api_version, param.kind, meta.get("namespace", ""), meta["name"])
                found[key] = document
        except ForbiddenError:
            forbidden += _resources_of(param)
    return documents + list(found.values()), list(dict.fromkeys(forbidden))


def left_out(forbidden: Sequence[Resource]) -> str:
    """Return what is missing because some kinds may not be read, in one line."""
    deciding = [resource.plural for resource in forbidden if resource in CALLED]
    others = [resource.group_resource for resource in forbidden if resource not in CALLED]
    parts = []
    if others:
        parts.append(f"{', '.join(others)}: taken for none")
    if deciding:
        parts.append(f"{', '.join(deciding)}: what these change or refuse is not in here")
    return f"not allowed to list {'; '.join(parts)}"


async def _of_param(client: Client, param: Param) -> AsyncIterator[Document]:
    """Yield the objects that are meant by a reference to parameters, and no others."""
    resource = BY_KIND.get((param.api_version, param.kind))
    if resource is None:
        resource = await _defined(client, param)
    if resource is None:
        return
    selection = {"field_selector": f"metadata.name={param.name}"} if param.name else {}
    namespace = param.namespace or None if resource.namespaced else None
    async for document in all_of(client, resource, namespace, **selection):
        if is_param(document, param):
            yield document


async def _defined(client: Client, param: Param) -> Resource | None:
    """Return the resource of a kind that users have defined."""
    group, _, version = param.api_version.rpartition("/")
    async for definition in all_of(client, CUSTOM_RESOURCE_DEFINITIONS):
        spec = definition["spec"]
        if spec["group"] == group and spec["names"]["kind"] == param.kind:
            is_namespaced = spec["scope"] == "Namespaced"
            return Resource(group, version, spec["names"]["plural"], param.kind, is_namespaced)
    return None


def _resources_of(param: Param) -> Iterator[Resource]:
    yield BY_KIND.get((param.api_version, param.kind), CUSTOM_RESOURCE_DEFINITIONS)
