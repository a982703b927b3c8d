"""A live cluster as it is now, read over the API to be asked in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kubeberth.cli.listing import all_of
from kubeberth.client.client import Client
from kubeberth.errors import InvalidObjectError
from kubeberth.library.cluster import Cluster
from kubeberth.library.kinds import RESOURCES

Document = dict[str, Any]


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
        async for document in all_of(client, resource):
            try:
                cluster.put(document)
            except InvalidObjectError as error:
                passed_over.append(f"passed over: {error}")
    return cluster, passed_over
