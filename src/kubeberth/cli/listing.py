"""All objects of a kind, page by page."""

from __future__ import annotations

from typing import Any

from kubeberth.api.scheme import Resource
from kubeberth.client.client import Client
from kubeberth.errors import NotFoundError

# Of a large cluster, what is read at once.
PAGE = 500


async def list_all(
    client: Client, resource: Resource, namespace: str | None = None
) -> list[dict[str, Any]]:
    """Return every object of a resource, with apiVersion and kind, which lists leave out.

    A server that does not have the kind has no objects of it.
    """
    found: list[dict[str, Any]] = []
    identity = {"apiVersion": resource.api_version, "kind": resource.kind}
    continue_ = ""
    while True:
        try:
            page = await client.list(resource, namespace, limit=PAGE, continue_=continue_)
        except NotFoundError:
            return []
        found += ({**item, **identity} for item in page.get("items") or ())
        continue_ = page["metadata"].get("continue", "")
        if not continue_:
            return found
