"""Where the cluster of an offline question comes from: a live one, or a file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from kubeberth.api.scheme import Resource
from kubeberth.cli.cluster_objects import left_out, read_objects
from kubeberth.client.client import Client
from kubeberth.client.credentials import Credentials
from kubeberth.client.kubeconfig import load_kubeconfig
from kubeberth.cluster.datadir import DataDir
from kubeberth.errors import UsageError
from kubeberth.library.machines import equipped
from kubeberth.library.manifests import read_manifests
from kubeberth.planner.kinds import TYPES

LIVE = "live"

Document = dict[str, Any]


def warn(line: str) -> None:
    """Tell on standard error."""
    click.echo(f"warning: {line}", err=True)


def read_sources(
    sources: Sequence[str],
    credentials: Credentials | None,
    resources: Iterable[Resource] = tuple(TYPES),
    tell: Callable[[str], None] = warn,
) -> list[Document]:
    """Return the objects of a cluster.

    Parameters
    ----------
    sources
        `live`, or files and folders.
    credentials
        How to reach the live cluster.
    resources
        What is read of that one.
    tell
        Told what may not be read, in one line.
    """
    found: list[tuple[Document, str]] = []
    for source in sources:
        if source == LIVE:
            live = _read_live(credentials, resources, tell)
            found += [(document, LIVE) for document in live]
        else:
            found += [(one.document, one.source) for one in read_manifests(Path(source))]
    return [document for document, _ in equipped(found)]


def credentials_of(
    data_dir: Path, kubeconfig: Path, context: str | None = None, *, is_told: bool
) -> Credentials:
    """Return how to reach the live cluster: the one of a kubeconfig if it is told, or berth up's.

    Parameters
    ----------
    context
        Of the kubeconfig; None for its current one.
    is_told
        Whether somebody has named the kubeconfig.
    """
    datadir = DataDir(data_dir)
    if not is_told and datadir.exists() and datadir.running() is not None:
        return load_kubeconfig(datadir.kubeconfig)
    return load_kubeconfig(kubeconfig, context)


def _read_live(
    credentials: Credentials | None, resources: Iterable[Resource], tell: Callable[[str], None]
) -> list[Document]:
    if credentials is None:
        raise UsageError("there is no live cluster to read")
    documents, forbidden = asyncio.run(_read(credentials, resources))
    if forbidden:
        tell(left_out(forbidden))
    return documents


async def _read(
    credentials: Credentials, resources: Iterable[Resource]
) -> tuple[list[Document], list[Resource]]:
    async with Client(credentials) as client:
        return await read_objects(client, resources)
