"""All objects of some kinds of a live cluster, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec

from kubeberth.api.scheme import Resource
from kubeberth.client.client import Client
from kubeberth.errors import ForbiddenError, NotFoundError

PAGE = 2000

Document = dict[str, Any]


async def read_objects(
    client: Client, resources: Iterable[Resource]
) -> tuple[list[Document], list[str]]:
    """Return all objects of some kinds, and the kinds that may not be read, a line each."""
    documents: list[Document] = []
    forbidden: list[str] = []
    for resource in resources:
        try:
            documents += [document async for document in all_of(client, resource)]
        except ForbiddenError as error:
            forbidden.append(f"{resource.group_resource} may not be read and are left out: {error}")
    return documents, forbidden


async def all_of(
    client: Client, resource: Resource, namespace: str | None = None
) -> AsyncIterator[Document]:
    """Yield all objects of a kind; a server that does not have the kind has none of it."""
    continue_ = ""
    while True:
        try:
            body = await client.list_bytes(resource, namespace, limit=PAGE, continue_=continue_)
        except NotFoundError:
            return
        page = msgspec.json.decode(body)
        for item in page.get("items") or ():
            yield {"apiVersion": resource.api_version, "kind": resource.kind, **item}
        continue_ = page["metadata"].get("continue", "")
        if not continue_:
            return
