"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kubeberth.cluster.datadir import DataDir, default_path
from kubeberth.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


def data_dir_option(function: F) -> F:
    """Add `--data-dir`, the folder that a cluster lives in."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        default=default_path,
        show_default="~/.local/share/kubeberth/default",
        help="Folder that the cluster lives in.",
    )(function)


def kubeconfig_option(function: F) -> F:
    """Add `--kubeconfig`, the server to work on and who to be there."""
    return click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path),
        envvar="KUBECONFIG",
        default=lambda: Path.home() / ".kube/config",
        show_default="$KUBECONFIG or ~/.kube/config",
        help="Which API server to work on, and as whom.",
    )(function)


def existing_cluster(path: Path) -> DataDir:
    """Return the data directory of a cluster that was started there before."""
    datadir = DataDir(path)
    if not datadir.exists():
        raise UsageError(f"there is no cluster in {datadir.path}: start one with `berth up`")
    return datadir
