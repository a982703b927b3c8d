"""All objects of a kind of a live cluster, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from kubeberth.api.scheme import Resource
from kubeberth.client.client import Client
from kubeberth.errors import NotFoundError

PAGE = 2000

Document = dict[str, Any]


async def all_of(
    client: Client, resource: Resource, namespace: str | None = None, **selection: str
) -> AsyncIterator[Document]:
    """Yield all objects of a kind; a server that does not have the kind has none of it.

    Parameters
    ----------
    selection
        `field_selector` and `label_selector`.
    """
    continue_ = ""
    while True:
        try:
            body = await client.list_bytes(
                resource, namespace, limit=PAGE, continue_=continue_, **selection
            )
        except NotFoundError:
            return
        page = msgspec.json.decode(body)
        for item in page.get("items") or ():
            yield {"apiVersion": resource.api_version, "kind": resource.kind, **item}
        continue_ = page["metadata"].get("continue", "")
        if not continue_:
            return
