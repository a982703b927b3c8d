"""A cluster as it is now, read over the API, to be asked in memory."""

from __future__ import annotations

from pathlib import Path

import msgspec

from kubeberth.client.client import Client
from kubeberth.errors import InvalidObjectError, NotFoundError
from kubeberth.library.cluster import Cluster
from kubeberth.library.kinds import RESOURCES

PAGE = 2000


async def read_cluster(
    client: Client, config_file: Path | None = None
) -> tuple[Cluster, list[str]]:
    """Return the cluster, and what of it could not be understood, a line each.

    Parameters
    ----------
    config_file
        By whose rules pods are placed.
    """
    config = None if config_file is None else config_file.read_text()
    cluster, passed_over = Cluster(config=config), []
    for resource in RESOURCES.values():
        continue_ = ""
        while True:
            try:
                body = await client.list_bytes(resource, limit=PAGE, continue_=continue_)
            except NotFoundError:
                break  # a server that does not have the kind has no objects of it
            page = msgspec.json.decode(body)
            for item in page["items"]:
                document = {"apiVersion": resource.api_version, "kind": resource.kind, **item}
                try:
                    cluster.put(document)
                except InvalidObjectError as error:
                    passed_over.append(f"passed over: {error}")
            continue_ = page["metadata"].get("continue", "")
            if not continue_:
                break
    return cluster, passed_over
