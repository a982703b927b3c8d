"""`berth kubeconfig`: print the kubeconfig of a cluster, or where it lies."""

from __future__ import annotations

from pathlib import Path

import click

from kubeberth.cli.options import data_dir_option, existing_cluster


@click.command("kubeconfig")
@data_dir_option
@click.option("--path", is_flag=True, help="Print where the file lies instead.")
def command(data_dir: Path, path: bool) -> None:
    """Print the kubeconfig of a cluster.

    \b
    export KUBECONFIG=$(berth kubeconfig --path)
    """
    kubeconfig = existing_cluster(data_dir).kubeconfig
    click.echo(kubeconfig if path else kubeconfig.read_text(), nl=path)
