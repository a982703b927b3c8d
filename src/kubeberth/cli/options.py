"""Options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click
from click.core import ParameterSource

from kubeberth.client.default_kubeconfig import default_kubeconfig
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
        default=default_kubeconfig,
        show_default="$KUBECONFIG or ~/.kube/config, or the service account of a pod",
        help="Which API server to work on, and as whom.",
    )(function)


def is_kubeconfig_told(context: click.Context) -> bool:
    """Return whether somebody has named the kubeconfig, or a context of it."""
    named = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    return any(
        context.get_parameter_source(parameter) in named for parameter in ("kubeconfig", "context")
    )


def context_option(function: F) -> F:
    """Add `--context`, which of a kubeconfig's contexts is meant."""
    return click.option(
        "--context", metavar="NAME", help="Of the kubeconfig.  [default: its current one]"
    )(function)


def clusters_option(function: F) -> F:
    """Add `--cluster`, live or in files."""
    return click.option(
        "--cluster",
        "clusters",
        multiple=True,
        metavar="live|FILE",
        help="The live cluster, or the one in a file: of `berth snapshot`, or of `kubectl get "
        "nodes,pods -A -o yaml`. May be repeated.  [default: live]",
    )(function)


def planned_namespace_option(function: F) -> F:
    """Add `--namespace`, of manifests without one."""
    return click.option(
        "-n", "--namespace", default="default", show_default=True, help="For what names none."
    )(function)


def rules_option(function: F) -> F:
    """Add `--config`, by whose rules pods are placed in memory."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="Place by the rules of this KubeSchedulerConfiguration.",
    )(function)


def standard_input() -> BinaryIO:
    """Return what `-` stands for.

    Raises
    ------
    UsageError
        It is closed.
    """
    if sys.stdin is None:
        raise UsageError("cannot read standard input: it is closed")
    return sys.stdin.buffer


def read_file(path: Path) -> bytes:
    """Return a file's content; `-` is standard input."""
    try:
        return standard_input().read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def existing_cluster(path: Path) -> DataDir:
    """Return the data directory of a cluster that was started there before."""
    datadir = DataDir(path)
    if not datadir.exists():
        raise UsageError(f"there is no cluster in {datadir.path}: start one with `berth up`")
    return datadir
