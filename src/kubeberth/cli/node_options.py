"""What commands that run simulated nodes are told: which nodes, and how their pods live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kubeberth.api.yaml import YAMLError, parse_documents
from kubeberth.cli.options import read_file
from kubeberth.errors import UsageError
from kubeberth.kubelet.lives import Lives, parse_lives
from kubeberth.kubelet.specs import NodeSpec, specs_from_manifests

F = TypeVar("F", bound=Callable[..., Any])


def lives_option(function: F) -> F:
    """Add `--lives`, how the pods of simulated nodes live."""
    return click.option(
        "--lives",
        type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
        help="How pods live: PodLife and PodStages documents.  [default: they start within a "
        "second, and run on]",
    )(function)


def read_lives(path: Path) -> tuple[str, Lives]:
    """Return the text of a file of lives, and what it says; errors name the file."""
    text = read_file(path).decode(errors="replace")
    try:
        return text, parse_lives(text)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def read_node_specs(path: Path, *, first: int = 1, may_be_none: bool = False) -> list[NodeSpec]:
    """Return the nodes that a file of manifests describes; errors name the file.

    The parameters are those of `specs_from_manifests`.
    """
    content = read_file(path)
    try:
        return specs_from_manifests(
            list(parse_documents(content)), first=first, may_be_none=may_be_none
        )
    except YAMLError as error:
        raise UsageError(f"{path} is not YAML: {error}") from None
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
