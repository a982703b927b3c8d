"""`berth check-plugin`: whether a plugin of one's own keeps its word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from kubeberth.api.core import Node
from kubeberth.api.yaml import YAMLError, parse_documents
from kubeberth.cli.options import read_file
from kubeberth.errors import UsageError
from kubeberth.extensions import own_plugins
from kubeberth.testing import PluginFaultError, Report, check_plugin


@click.command("check-plugin")
@click.argument("name")
@click.option(
    "-f",
    "--filename",
    type=click.Path(path_type=Path),
    help="Node manifests that the plugin has something to say about.",
)
@click.option("--clusters", default=40, show_default=True, help="How many random clusters.")
@click.option("--seed", default=0, show_default=True, help="Which random clusters.")
def command(name: str, filename: Path | None, clusters: int, seed: int) -> None:
    """Drive an installed plugin through random clusters, and say what it does wrong.

    A plugin is installed with its package, by the entry point group kubeberth.plugins.
    """
    installed = own_plugins()
    if name not in installed:
        known = ", ".join(installed) or "none"
        raise UsageError(f'there is no plugin "{name}"; installed: {known}')
    nodes = [] if filename is None else read_nodes(filename)
    try:
        report = check_plugin(installed[name](), nodes, n_clusters=clusters, seed=seed)
    except PluginFaultError as fault:
        raise UsageError(str(fault)) from None
    click.echo(summary(name, report))


def read_nodes(path: Path) -> list[Node]:
    """Return the nodes of a file of manifests."""
    try:
        return msgspec.convert(list(_items(read_file(path))), list[Node])
    except (YAMLError, msgspec.ValidationError) as error:
        raise UsageError(f"{path} holds no nodes: {error}") from None


def _items(content: bytes) -> Iterator[object]:
    for document in parse_documents(content):
        if isinstance(document, dict) and "items" in document:
            yield from document["items"]
        else:
            yield document


def summary(name: str, report: Report) -> str:
    """Return what a check without a fault has seen."""
    text = f"{name} keeps its word: {report.n_clusters} clusters, {report.n_answers} answers"
    if report.n_refusals:
        text += f", {report.n_refusals} refusals"
    if report.scores:
        text += f", scores from {min(report.scores)} to {max(report.scores)}"
    if not report.n_refusals and len(report.scores) < 2:
        text += ". It told no two nodes apart: name nodes that matter to it with --filename"
    return text + "."
