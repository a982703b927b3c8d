"""Where the cluster of an offline question comes from: a live one, or a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from kubeberth.api.scheme import NODES, Resource
from kubeberth.errors import ManifestError, UsageError
from kubeberth.library.machines import equipped
from kubeberth.library.manifests import MAX_BYTES, files_of, objects_of
from kubeberth.planner.kinds import TYPES

if TYPE_CHECKING:
    from kubeberth.client.credentials import Credentials

LIVE = "live"

# A cluster as large as Kubernetes supports, with all that kubectl prints of its pods.
MAX_JSON_BYTES = 1024 * 1024 * 1024
PIECE_BYTES = 1024 * 1024

Document = dict[str, Any]
Reach = Callable[[], "Credentials"]
"""Says how to reach the live cluster."""


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

    Raises
    ------
    ManifestError
        A file holds something else, or more than any cluster.
    UsageError
        There is no node.
    """
    found: list[tuple[Document, str]] = []
    for source in sources:
        if source == LIVE:
            live = _read_live(credentials, resources, tell)
            found += [(document, LIVE) for document in live]
        else:
            found += [read for path in files_of(Path(source)) for read in _read_file(path)]
    documents = [document for document, _ in equipped(found)]
    if not any(document.get("kind") == NODES.kind for document in documents):
        raise UsageError(f"{', '.join(sources)} has no Node: no cluster to judge by")
    return documents


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
    # Late, like all about a live cluster: what talks to one takes a while to import.
    from kubeberth.client.kubeconfig import load_kubeconfig
    from kubeberth.cluster.datadir import DataDir

    datadir = DataDir(data_dir)
    if not is_told and datadir.exists() and datadir.running() is not None:
        return load_kubeconfig(datadir.kubeconfig)
    try:
        return load_kubeconfig(kubeconfig, context)
    except UsageError:
        if is_told or kubeconfig.exists():
            raise
        raise UsageError(
            f"there is no cluster to ask: `berth up` does not run, and there is no {kubeconfig}; "
            "start one, or name one with --kubeconfig, or with --cluster where it is in a file"
        ) from None


def _read_file(path: Path) -> Iterator[tuple[Document, str]]:
    """Yield the objects in a file, each with where it stands."""
    with path.open("rb") as file:
        is_json = file.peek(1)[:1] == b"{"
        most = MAX_JSON_BYTES if is_json else MAX_BYTES
        text = b"".join(_pieces(file, most))
    if len(text) > most:
        why = "are no cluster" if is_json else "of YAML take minutes to read: have it as JSON"
        raise ManifestError(f"{path}: more than {most // 1024**2} MiB {why}")
    for one in objects_of(text, str(path)):
        if not (isinstance(one.document.get("kind"), str) and one.document.get("apiVersion")):
            raise ManifestError(f"{one.source}: an object must have apiVersion and kind")
        yield one.document, one.source


def _pieces(file: BinaryIO, most: int) -> Iterator[bytes]:
    """Yield a file's content, and a little more than `most` bytes of a larger one.

    Asked for all of that at once, Python would first have room for as much, however short it is.
    """
    n_read = 0
    while n_read <= most and (piece := file.read(PIECE_BYTES)):
        n_read += len(piece)
        yield piece


def _read_live(
    credentials: Credentials | None, resources: Iterable[Resource], tell: Callable[[str], None]
) -> list[Document]:
    if credentials is None:
        raise UsageError("there is no live cluster to read")
    from kubeberth.cli.cluster_objects import left_out, read_live

    documents, forbidden = read_live(credentials, resources)
    if forbidden:
        tell(left_out(forbidden))
    return documents
