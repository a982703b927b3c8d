"""`berth snapshot`: what placing pods in a cluster depends on, in one file."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec
import yaml

from kubeberth.cli.cluster_objects import left_out, read_live
from kubeberth.cli.cluster_source import credentials_of, warn
from kubeberth.cli.options import (
    context_option,
    data_dir_option,
    is_kubeconfig_told,
    kubeconfig_option,
)
from kubeberth.client.credentials import Credentials
from kubeberth.errors import UsageError
from kubeberth.planner.anonymous import anonymised
from kubeberth.planner.kinds import TYPES
from kubeberth.planner.snapshot import Document, kept, to_list

_YAML = (".yaml", ".yml")


@click.command("snapshot")
@kubeconfig_option
@context_option
@data_dir_option
@click.option("-o", "--output", default="-", metavar="FILE", help="[default: standard output]")
@click.option("--anonymise", is_flag=True, help="Take out the names that people gave.")
@click.pass_context
def command(
    click_context: click.Context,
    kubeconfig: Path,
    context: str | None,
    data_dir: Path,
    output: str,
    anonymise: bool,
) -> None:
    """Write down what placing pods in a cluster depends on, for `berth plan --cluster FILE`.

    Read are nodes, pods, workloads, claims, volumes, storage classes, budgets, priority classes,
    namespaces, services and admission policies with their parameters; kept of each are the fields
    that decisions depend on. Secrets are not read; environment variables, commands and arguments
    are not kept.

    With --anonymise, names, labels, taints and images become others, the same for the same; every
    decision stays as it is. A kind that you may not read is left out, and that is said.

    \b
    berth snapshot -o cluster.json
    berth snapshot --kubeconfig ~/.kube/config --anonymise -o report.yaml
    """
    is_told = is_kubeconfig_told(click_context)
    documents = _read(credentials_of(data_dir, kubeconfig, context, is_told=is_told))
    if anonymise:
        documents = anonymised(documents)
    text = written(documents, is_yaml=Path(output).suffix in _YAML)
    if output == "-":
        sys.stdout.buffer.write(text)
        return
    Path(output).write_bytes(text)
    click.echo(f"{len(documents)} objects written to {output}")


def _read(credentials: Credentials) -> list[Document]:
    documents, forbidden = read_live(credentials, TYPES)
    if forbidden:
        warn(left_out(forbidden))
    if not documents and forbidden:
        raise UsageError("nothing of the cluster may be read")
    return [kept(document) for document in documents]


def written(documents: list[Document], *, is_yaml: bool) -> bytes:
    """Return objects as a file holds them."""
    whole = to_list(documents)
    if is_yaml:
        text: str = yaml.dump(whole, Dumper=yaml.CSafeDumper, sort_keys=False, width=1000)
        return text.encode()
    # JSON, too, is YAML, and is read a hundred times as fast.
    return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"
